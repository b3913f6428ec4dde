"""PDFs written by hand, object by object, so that a test says exactly what is in them."""

from collections.abc import Sequence

FONT = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"


def text(x: float, y: float, words: str, size: float = 12, *, turn: tuple[int, int, int, int] = (1, 0, 0, 1)) -> str:
    """Content that shows `words` at a point of user space; `turn` is the linear part of the text matrix."""
    a, b, c, d = turn
    escaped = words.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")
    return f"BT /F1 {size} Tf {a} {b} {c} {d} {x} {y} Tm ({escaped}) Tj ET\n"


def a_pdf(
    *contents: str,
    media_box: Sequence[float] = (0, 0, 612, 792),
    page_entries: str = "",
    tree_entries: str = "",
    objects: Sequence[bytes] = (),
    resources: str = "",
    trailer: str = "",
) -> bytes:
    """A PDF with a page for each of `contents`.

    `page_entries` go into each page, `tree_entries` into the tree that the pages inherit from; the media box stands
    in the tree. `objects` are added as numbers 4, 5, …; `resources` names them to the pages.
    """
    first_page = 4 + len(objects)
    kids = " ".join(f"{first_page + 2 * i} 0 R" for i in range(len(contents)))
    box = " ".join(map(str, media_box))
    bodies = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(contents)} /MediaBox [{box}] {tree_entries} >>".encode(),
        FONT,
        *objects,
    ]
    for i, content in enumerate(contents):
        stream = content.encode("latin-1")
        bodies.append(
            f"<< /Type /Page /Parent 2 0 R /Resources << /Font << /F1 3 0 R >> {resources} >>"
            f" /Contents {first_page + 2 * i + 1} 0 R {page_entries} >>".encode()
        )
        bodies.append(b"<< /Length %d >>\nstream\n%b\nendstream" % (len(stream), stream))
    return _file(bodies, trailer)


def an_encrypted_pdf() -> bytes:
    """A PDF whose password nobody knows, for its digests are zeros."""
    digest = "00" * 32
    rule = f"<< /Filter /Standard /V 1 /R 2 /P -4 /O <{digest}> /U <{digest}> >>"
    return a_pdf("", trailer=f"/Encrypt {rule} /ID [<{digest}> <{digest}>]")


def an_image(width: int, height: int, rgb: bytes) -> bytes:
    """An image object with raw pixels."""
    head = f"<< /Type /XObject /Subtype /Image /Width {width} /Height {height} /ColorSpace /DeviceRGB"
    return head.encode() + b" /BitsPerComponent 8 /Length %d >>\nstream\n%b\nendstream" % (len(rgb), rgb)


def _file(bodies: Sequence[bytes], trailer: str) -> bytes:
    out = bytearray(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
    offsets = []
    for number, body in enumerate(bodies, start=1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    xref = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(bodies) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    entries = f"/Size {len(bodies) + 1} /Root 1 0 R {trailer}"
    out += b"trailer\n<< %b >>\nstartxref\n%d\n%%%%EOF\n" % (entries.encode(), xref)
    return bytes(out)
