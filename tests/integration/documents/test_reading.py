"""Real documents through the real OCR and PDFium, in this process and in a child."""

import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gleaner_documents import OcrMode, Page, PageReader, ReaderSettings, TextSource, read_now, render_page
from support.pdf_bytes import a_pdf, an_image, text

DATA = Path(__file__).parents[4] / "shared" / "data"
RECEIPT = DATA / "sroie" / "007.jpg"
INVOICE = DATA / "einvoice" / "103767_Invoice_2026_03_24_1_7d75.pdf"

needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"there is no data at {DATA}")
pytest.importorskip("rapidocr", reason="the extra gleaner-documents[ocr] is not installed")


def labels(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(path.with_suffix(".json").read_text())
    return loaded


def tokens(page: Page) -> Counter[str]:
    return Counter(word.text.upper() for word in page.words)


def drawn_page() -> bytes:
    """A page of clear print, as a picture."""
    picture = render_page(
        a_pdf(
            text(60, 300, "Invoice 4711 of 12 March 2026", 20)
            + text(60, 250, "Net amount", 16)
            + text(400, 250, "1,250.00", 16)
            + text(60, 200, "Thank you for your order, it was a pleasure", 16),
            media_box=(0, 0, 600, 360),
        ),
        1,
        dpi=144,
    )
    return saved(picture)


def saved(picture: Image.Image, form: str = "PNG") -> bytes:
    out = io.BytesIO()
    picture.save(out, form)
    return out.getvalue()


def positions(page: Page) -> dict[str, tuple[float, float]]:
    return {word.text: ((word.x0 + word.x1) / 2, (word.y0 + word.y1) / 2) for word in page.words}


@needs_data
async def test_a_scanned_receipt_is_read_in_a_child_and_its_words_stand_in_their_lines() -> None:
    async with PageReader(ReaderSettings()) as reader:
        outcome = await reader.read("receipt", RECEIPT.read_bytes(), media_type="image/jpeg")

    [page] = outcome.document.pages
    truth = labels(RECEIPT)["lines"]
    meant = Counter(token.upper() for line in truth for token in line[5].split())
    assert (outcome.ocr_pages, page.source, outcome.problems) == (1, TextSource.OCR, ())
    assert (tokens(page) & meant).total() >= 0.8 * meant.total()
    [town] = [line for line in truth if line[5] == "81620 PENGERANG, JOHOR."]
    x, y = positions(page)["81620"]
    assert town[1] < x < town[3]
    assert town[2] < y < town[4]
    assert all(0 < word.confidence <= 1 for word in page.words)


@needs_data
def test_an_invoice_is_read_by_its_text_layer_and_boxes_fit_the_labelled_ones() -> None:
    outcome = read_now("invoice", INVOICE.read_bytes())

    assert outcome.ocr_pages == 0
    pages = outcome.document.pages
    truth = labels(INVOICE)
    [[page, x0, y0, x1, y1]] = truth["boxes"]["seller_vat_id"]
    [word] = [w for w in pages[page].words if truth["fields"]["seller_vat_id"] in w.text]
    assert (word.x0, word.y0, word.x1, word.y1) == pytest.approx((x0, y0, x1, y1), abs=0.002)


def test_a_picture_of_print_gives_the_words_and_lines_of_the_print() -> None:
    outcome = read_now("picture", drawn_page())

    [page] = outcome.document.pages
    assert "Invoice 4711 of 12 March 2026" in " ".join(w.text for w in page.words)
    assert {w.line for w in page.words if w.text in ("Net", "amount")} == {1}
    assert {w.line for w in page.words if w.text == "1,250.00"} == {2}


def test_boxes_from_ocr_are_those_of_the_text_layer() -> None:
    content = a_pdf(text(60, 700, "Invoice number 4711", 14) + text(60, 660, "Total due 99.50 EUR", 14))

    layer = read_now("a.pdf", content).document.pages[0]
    ocr = read_now("a.pdf", content, ocr=OcrMode.ALWAYS).document.pages[0]

    assert [w.text for w in ocr.words] == [w.text for w in layer.words]
    for seen, meant in zip(ocr.words, layer.words, strict=True):
        assert (seen.x0, seen.y0, seen.x1, seen.y1) == pytest.approx(
            (meant.x0, meant.y0, meant.x1, meant.y1), abs=0.003
        )
    assert (ocr.width, ocr.height) == (612, 792)


def test_words_of_a_skewed_scan_are_found_where_they_are_displayed() -> None:
    straight = Image.open(io.BytesIO(drawn_page()))
    skewed = straight.rotate(2.5, expand=False, fillcolor="white", resample=Image.Resampling.BICUBIC)

    level = positions(read_now("a", saved(straight)).document.pages[0])
    tilted = positions(read_now("b", saved(skewed)).document.pages[0])

    angle = np.deg2rad(2.5)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    size = np.array(straight.size)
    for word in ("Invoice", "amount", "1,250.00"):
        expected = (turn @ ((np.array(level[word]) - 0.5) * size)) / size + 0.5
        assert tilted[word] == pytest.approx(tuple(expected), abs=0.012)


@pytest.mark.parametrize("turns", [1, 2, 3], ids=["left", "head", "right"])
def test_a_scan_on_its_side_or_head_is_read_and_boxes_stay_where_the_words_are_displayed(turns: int) -> None:
    straight = Image.open(io.BytesIO(drawn_page()))
    level = read_now("a", saved(straight)).document.pages[0]
    turned = read_now("b", saved(straight.rotate(90 * turns, expand=True))).document.pages[0]

    assert [w.text for w in turned.words] == [w.text for w in level.words]
    assert [w.line for w in turned.words] == [w.line for w in level.words]
    for seen, meant in zip(turned.words, level.words, strict=True):
        x, y = (meant.x0 + meant.x1) / 2, (meant.y0 + meant.y1) / 2
        for _ in range(turns):
            x, y = y, 1 - x
        assert ((seen.x0 + seen.x1) / 2, (seen.y0 + seen.y1) / 2) == pytest.approx((x, y), abs=0.01)


def test_a_scan_inside_a_pdf_is_recognised_by_itself() -> None:
    picture = Image.open(io.BytesIO(drawn_page())).convert("RGB")
    content = a_pdf(
        "q 600 0 0 360 0 0 cm /I1 Do Q",
        media_box=(0, 0, 600, 360),
        objects=[an_image(*picture.size, picture.tobytes())],
        resources="/XObject << /I1 4 0 R >>",
    )

    outcome = read_now("scan.pdf", content)
    untouched = read_now("scan.pdf", content, ocr=OcrMode.NEVER)

    assert outcome.ocr_pages == 1
    assert tokens(outcome.document.pages[0])["4711"] == 1
    assert untouched.ocr_pages == 0
    assert untouched.document.pages[0].words == ()


def test_each_frame_of_a_tiff_is_read() -> None:
    first = Image.open(io.BytesIO(drawn_page())).convert("L")
    out = io.BytesIO()
    first.save(out, "TIFF", save_all=True, append_images=[Image.new("L", first.size, "white")])

    outcome = read_now("fax", out.getvalue())

    assert [bool(page.words) for page in outcome.document.pages] == [True, False]
