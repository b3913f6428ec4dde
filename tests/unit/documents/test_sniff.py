import io

import pytest
from PIL import Image

from gleaner_core.errors import DocumentEmpty, DocumentMismatch, DocumentUnsupported
from gleaner_documents import Kind, sniff
from support.pdf_bytes import a_pdf


def image_bytes(form: str) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (4, 4)).save(out, form)
    return out.getvalue()


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.PDF])
def test_images_are_known_by_their_bytes(kind: Kind) -> None:
    assert sniff(image_bytes(kind.name)) is kind


def test_a_pdf_may_have_rubbish_before_its_header() -> None:
    assert sniff(b"\r\n\x00mail header\r\n" + a_pdf("")) is Kind.PDF
    with pytest.raises(DocumentUnsupported):
        sniff(bytes(2000) + a_pdf(""))


def test_no_bytes_are_empty_and_strange_ones_unsupported() -> None:
    with pytest.raises(DocumentEmpty):
        sniff(b"")
    with pytest.raises(DocumentUnsupported):
        sniff(b"PK\x03\x04 a zip")
    with pytest.raises(DocumentUnsupported):
        sniff(b"BM a letter that begins with these two")


def test_a_declared_type_that_contradicts_the_bytes_is_a_mismatch() -> None:
    with pytest.raises(DocumentMismatch, match="declared as image/png, but the bytes are image/jpeg"):
        sniff(image_bytes("JPEG"), "image/png")


@pytest.mark.parametrize("declared", ["image/jpeg", "IMAGE/JPG; q=1", "application/octet-stream", ""])
def test_a_declared_type_that_fits_or_says_nothing_is_fine(declared: str) -> None:
    assert sniff(image_bytes("JPEG"), declared) is Kind.JPEG
