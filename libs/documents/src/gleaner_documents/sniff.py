"""What the bytes are, by their first bytes and never by their name."""

from enum import StrEnum

from gleaner_core.errors import DocumentEmpty, DocumentMismatch, DocumentUnsupported


class Kind(StrEnum):
    """A kind of document that is read; the value is its media type."""

    PDF = "application/pdf"
    PNG = "image/png"
    JPEG = "image/jpeg"
    TIFF = "image/tiff"
    WEBP = "image/webp"
    BMP = "image/bmp"
    GIF = "image/gif"


_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", Kind.PNG),
    (b"\xff\xd8\xff", Kind.JPEG),
    (b"II*\0", Kind.TIFF),
    (b"MM\0*", Kind.TIFF),
    (b"II+\0", Kind.TIFF),
    (b"MM\0+", Kind.TIFF),
    (b"GIF87a", Kind.GIF),
    (b"GIF89a", Kind.GIF),
)

# Other names in use for the same thing. What says nothing about the bytes maps to nothing.
_ALIASES = {
    "application/x-pdf": "application/pdf",
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "image/x-png": "image/png",
    "image/tif": "image/tiff",
    "image/x-tiff": "image/tiff",
    "image/x-ms-bmp": "image/bmp",
    "image/x-bmp": "image/bmp",
    "application/octet-stream": "",
    "binary/octet-stream": "",
}

_PDF_HEADER_WITHIN = 1024  # readers allow for this much before %PDF- (PDF 1.7, appendix H, note 13)


def sniff(content: bytes, media_type: str = "") -> Kind:
    """The kind of `content`; `media_type` is what the caller believes, empty for nothing.

    Raises DocumentEmpty, DocumentUnsupported, or DocumentMismatch if the belief is wrong.
    """
    if not content:
        raise DocumentEmpty("the document has no bytes")
    kind = _kind(content)
    if kind is None:
        raise DocumentUnsupported("the bytes are neither PDF nor PNG, JPEG, TIFF, WebP, BMP or GIF")
    declared = media_type.partition(";")[0].strip().lower()
    declared = _ALIASES.get(declared, declared)
    if declared and declared != kind:
        raise DocumentMismatch(f"declared as {declared}, but the bytes are {kind}; leave media_type out or correct it")
    return kind


def _kind(content: bytes) -> Kind | None:
    for magic, kind in _MAGIC:
        if content.startswith(magic):
            return kind
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return Kind.WEBP
    if content.startswith(b"BM") and len(content) > 26 and content[6:10] == b"\0\0\0\0":
        return Kind.BMP
    if b"%PDF-" in content[:_PDF_HEADER_WITHIN]:
        return Kind.PDF
    return None
