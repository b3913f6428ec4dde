import io

import numpy as np
import pytest
from PIL import Image

from gleaner_core.errors import DocumentDamaged, DocumentTooLarge, TooManyPages
from gleaner_documents import Kind, OcrMode, ReaderSettings, check_now, images, read_now, render_page, sniff
from support.pdf_bytes import a_pdf


def saved(image: Image.Image, form: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def pixels(content: bytes) -> images.Pixels:
    with images.opened(content, sniff(content), 10_000) as image:
        return images.frame(image, 1, 10_000, 1000)[0]


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "I;16"])
def test_white_paper_is_white_in_every_mode_of_png(mode: str) -> None:
    white = Image.new("RGB", (8, 6), "white").convert(mode) if mode != "I;16" else Image.new("I;16", (8, 6), 65535)

    assert pixels(saved(white, "PNG")).tolist() == np.full((6, 8, 3), 255).tolist()


def test_what_is_transparent_is_paper() -> None:
    assert np.min(pixels(saved(Image.new("RGBA", (2, 2), (0, 0, 0, 0)), "PNG"))) == 255


def test_cmyk_becomes_rgb() -> None:
    assert np.max(pixels(saved(Image.new("CMYK", (8, 8), (0, 0, 0, 255)), "JPEG"))) < 10


def test_a_photo_is_turned_upright_and_its_size_is_as_displayed() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    lying = Image.new("RGB", (40, 20), "white")
    lying.paste("black", (0, 0, 10, 20))
    content = saved(lying, "JPEG", exif=exif)

    [page] = read_now("photo", content, ocr=OcrMode.NEVER).document.pages

    assert (page.width, page.height) == (20, 40)
    assert render_page(content, 1).size == (20, 40)
    assert pixels(content)[:8].mean() < 20 < 200 < pixels(content)[-8:].mean()


def test_a_large_photo_is_made_small_and_keeps_its_size_on_the_page() -> None:
    content = saved(Image.new("RGB", (900, 600), "white"), "JPEG")
    with images.opened(content, Kind.JPEG, 10**6) as image:
        small, size = images.frame(image, 1, 10**6, 300)

    assert small.shape == (200, 300, 3)
    assert size == (900, 600)


def test_the_frames_of_a_tiff_are_its_pages() -> None:
    frames = [Image.new("L", (10 + i, 20), "white") for i in range(3)]
    content = saved(frames[0], "TIFF", save_all=True, append_images=frames[1:])

    pages = read_now("fax", content, ocr=OcrMode.NEVER).document.pages

    assert [(page.number, page.width) for page in pages] == [(1, 10), (2, 11), (3, 12)]
    assert check_now(content) == 3
    with pytest.raises(TooManyPages):
        check_now(content, settings=ReaderSettings(max_pages=2))


def test_only_the_first_frame_of_an_animation_is_a_page() -> None:
    frames = [Image.new("L", (8, 8), shade) for shade in (0, 255)]

    assert check_now(saved(frames[0], "GIF", save_all=True, append_images=frames[1:])) == 1


def test_more_pixels_than_allowed_are_refused_before_they_are_decoded() -> None:
    content = saved(Image.new("1", (2000, 2000)), "PNG")

    with pytest.raises(DocumentTooLarge, match="4,000,000 pixels; at most 1,000,000"):
        check_now(content, settings=ReaderSettings(max_pixels=1_000_000))


def test_more_bytes_than_allowed_are_refused() -> None:
    with pytest.raises(DocumentTooLarge, match="bytes; at most 10"):
        check_now(a_pdf(""), settings=ReaderSettings(max_document_bytes=10))


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.PDF])
def test_an_image_that_breaks_off_is_damaged(kind: Kind) -> None:
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 255, (40, 40, 3), dtype=np.uint8))
    content = saved(noise, kind.name)

    with pytest.raises(DocumentDamaged):
        read_now("half", content[: len(content) // 3], ocr=OcrMode.NEVER)


def test_a_huge_page_is_drawn_with_no_more_pixels_than_allowed() -> None:
    content = a_pdf("", media_box=(0, 0, 14_000, 14_000))

    width, height = render_page(content, 1, 300, settings=ReaderSettings(max_pixels=250_000)).size

    assert width == height
    assert width <= 501
