from itertools import groupby

import numpy as np
import pytest

from gleaner_core.errors import DocumentDamaged, DocumentEmpty, DocumentEncrypted, TooManyPages
from gleaner_documents import OcrMode, Page, ReaderSettings, check_now, pdf, read_now, render_page
from support.pdf_bytes import a_pdf, an_encrypted_pdf, an_image, text


def read(content: bytes) -> Page:
    [page] = read_now("a.pdf", content, ocr=OcrMode.NEVER).document.pages
    return page


def lines(page: Page) -> list[str]:
    return [" ".join(w.text for w in words) for _, words in groupby(page.words, key=lambda w: w.line)]


def test_words_have_tight_boxes_from_the_top_left() -> None:
    page = read(a_pdf(text(72, 720, "Hxx Total")))

    first, second = page.words
    assert (first.text, second.text) == ("Hxx", "Total")
    assert first.x0 * 612 == pytest.approx(72.9, abs=0.5)
    assert first.y1 * 792 == pytest.approx(792 - 720, abs=0.3)
    assert (first.y1 - first.y0) * 792 == pytest.approx(0.72 * 12, abs=0.5)
    assert first.x1 < second.x0
    assert (page.width, page.height) == (612, 792)


def test_columns_far_apart_on_a_baseline_are_lines_of_their_own() -> None:
    page = read(
        a_pdf(text(72, 700, "Net amount") + text(400, 700, "12.50") + text(72, 680, "Tax") + text(400, 680, "1"))
    )

    assert lines(page) == ["Net amount", "12.50", "Tax", "1"]


def test_reading_order_is_from_the_top_whatever_the_order_of_the_file() -> None:
    page = read(a_pdf(text(72, 100, "last") + text(300, 700, "second") + text(72, 700, "first")))

    assert lines(page) == ["first", "second", "last"]


def test_a_word_drawn_in_pieces_out_of_order_is_one_word() -> None:
    page = read(a_pdf(text(97.344, 700, "ce") + text(300, 500, "other") + text(72, 700, "invoi")))

    assert lines(page)[0] == "invoice"


def test_letters_set_apart_are_one_word() -> None:
    page = read(a_pdf("BT /F1 12 Tf 4 Tc 72 700 Td (INVOICE) Tj ET"))

    assert lines(page) == ["INVOICE"]


def test_letters_set_apart_still_part_at_a_space() -> None:
    page = read(a_pdf("BT /F1 12 Tf 4 Tc 72 700 Td (TAX INVOICE) Tj ET"))

    assert [word.text for word in page.words] == ["TAX", "INVOICE"]


def test_a_gap_without_a_space_parts_words() -> None:
    page = read(a_pdf("BT /F1 12 Tf 72 700 Td [(Total) -400 (due)] TJ ET"))

    assert [word.text for word in page.words] == ["Total", "due"]


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
def test_boxes_are_those_of_the_page_as_displayed(rotate: int) -> None:
    content = a_pdf(text(72, 700, "Somewhere over there"), tree_entries=f"/Rotate {rotate}")

    page = read(content)
    picture = render_page(content, 1, dpi=72)

    assert lines(page) == ["Somewhere over there"]
    assert (page.width, page.height) == ((612, 792) if rotate % 180 == 0 else (792, 612))
    assert list(picture.size) == [page.width, page.height]
    for word in page.words:
        x0, x1 = round(word.x0 * page.width), round(word.x1 * page.width)
        y0, y1 = round(word.y0 * page.height), round(word.y1 * page.height)
        assert np.asarray(picture)[y0:y1, x0:x1].min() < 128


@pytest.mark.parametrize(
    ("turn", "ends_below"), [((0, 1, -1, 0), False), ((0, -1, 1, 0), True)], ids=["upwards", "downwards"]
)
def test_text_that_runs_up_or_down_is_read_in_its_direction(turn: tuple[int, int, int, int], ends_below: bool) -> None:
    page = read(a_pdf(text(72, 700, "level text") + text(300, 400, "paid in full", turn=turn)))

    assert lines(page) == ["level text", "paid in full"]
    paid, full = page.words[2], page.words[4]
    assert (full.y0 > paid.y1) is ends_below
    assert paid.x0 == pytest.approx(full.x0, abs=0.01)


def test_an_inherited_crop_box_is_obeyed() -> None:
    content = a_pdf(
        text(150, 650, "inside") + text(10, 780, "outside"),
        tree_entries="/CropBox [100 600 300 700]",
    )

    page = read(content)

    assert (page.width, page.height) == (200, 100)
    assert lines(page) == ["inside"]
    assert page.words[0].x0 * 200 == pytest.approx(50, abs=1.5)
    assert page.words[0].y1 * 100 == pytest.approx(50, abs=0.5)


def test_ligatures_are_their_letters_and_a_printed_soft_hyphen_is_a_hyphen() -> None:
    names = "/Differences [1 /fi /fl]"
    font = f"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding << /Type /Encoding {names} >> >>".encode()
    page = read(
        a_pdf(
            "BT /F2 12 Tf 72 700 Td (of\001ce \002at) Tj ET " + text(72, 650, "co\xadop"),
            objects=[font],
            resources="/Font << /F1 3 0 R /F2 4 0 R >>",
        )
    )

    assert [word.text for word in page.words] == ["office", "flat", "co-op"]


def test_characters_without_size_are_dropped() -> None:
    page = read(a_pdf(text(72, 700, "seen") + text(200, 700, "unseen", size=0)))

    assert lines(page) == ["seen"]


def test_a_page_that_is_a_picture_wants_ocr_and_an_empty_one_does_not() -> None:
    picture = a_pdf(
        "q 612 0 0 792 0 0 cm /I1 Do Q" + text(72, 20, "scanned by Acme"),
        objects=[an_image(2, 2, bytes(12))],
        resources="/XObject << /I1 4 0 R >>",
    )

    assert wants_ocr(picture)
    assert not wants_ocr(a_pdf(""))
    assert not wants_ocr(a_pdf(text(72, 700, "few words")))


def test_a_text_layer_of_glyph_numbers_wants_ocr() -> None:
    assert wants_ocr(a_pdf(text(72, 700, "(cid:12)(cid:7)(cid:33)")))


def wants_ocr(content: bytes) -> bool:
    with pdf.opened(content, 1) as document, pdf.page_of(document, 1) as page:
        return pdf.text_layer(page, 1).wants_ocr


def test_one_damaged_page_of_two_is_a_problem_and_not_an_error() -> None:
    content = a_pdf(text(72, 700, "good"), text(72, 700, "lost")).replace(
        b"/Kids [4 0 R 6 0 R]", b"/Kids [4 0 R 3 0 R]"
    )

    outcome = read_now("a.pdf", content, ocr=OcrMode.NEVER)

    assert lines(outcome.document.pages[0]) == ["good"]
    assert [(p.reason, p.page) for p in outcome.problems] == [("PAGE_DAMAGED", 2)]
    assert len(outcome.document.pages) == 2


def test_damaged_empty_and_long_documents_are_told_apart() -> None:
    with pytest.raises(DocumentDamaged):
        check_now(b"%PDF-1.7\nrubbish")
    with pytest.raises(DocumentEmpty):
        check_now(a_pdf())
    with pytest.raises(TooManyPages, match="3 pages; at most 2"):
        check_now(a_pdf("", "", ""), settings=ReaderSettings(max_pages=2))
    assert check_now(a_pdf("", "", "")) == 3


def test_a_pdf_that_wants_a_password_is_encrypted() -> None:
    with pytest.raises(DocumentEncrypted):
        check_now(an_encrypted_pdf())
