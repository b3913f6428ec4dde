import subprocess
import sys

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("cv2", reason="the extra gleaner-documents[ocr] is not installed")
from gleaner_documents.ink import InkedWord, inked_words

SHIFTED = np.array([[1.0, 0, 100], [0, 1, 50], [0, 0, 1]])


def strip(*letters: int, width: int = 200) -> NDArray[np.uint8]:
    """A line of print, 30 pixels high, with letters 6 wide from row 8 to 24 at the given columns."""
    pixels = np.full((30, width, 3), 240, dtype=np.uint8)
    for x in letters:
        pixels[8:24, x : x + 6] = 20
    return pixels


def words(text: str, *letters: int, pixels: NDArray[np.uint8] | None = None) -> list[InkedWord]:
    picture = strip(*letters) if pixels is None else pixels
    middles = np.array(letters, dtype=float) + 3
    return inked_words(picture, SHIFTED, text, middles, [0.9] * len(text))


def test_boxes_are_shrunk_to_the_ink_and_mapped_to_the_page() -> None:
    first, second = words("ab cd", 10, 18, 40, 48)

    assert (first.text, first.box) == ("ab", (110, 58, 124, 74))
    assert (second.text, second.box) == ("cd", (140, 58, 154, 74))


def test_print_that_pokes_in_from_the_line_above_is_left_out() -> None:
    pixels = strip(10, 18)
    pixels[0:2, 10:14] = 20

    [word] = words("ab", 10, 18, pixels=pixels)

    assert word.box == (110, 58, 124, 74)


def test_light_print_on_dark_paper_is_print() -> None:
    [word] = words("ab", 10, 18, pixels=255 - strip(10, 18))

    assert word.box == (110, 58, 124, 74)


def test_a_wide_blank_parts_words_though_the_reader_saw_no_space() -> None:
    assert [word.text for word in words("abcd", 10, 18, 60, 68)] == ["ab", "cd"]


def test_figures_set_wide_are_one_number() -> None:
    assert [word.text for word in words("1 2 3 4 5 6", 10, 28, 46, 64, 82, 100)] == ["123456"]
    assert [word.text for word in words("1 2 3", 10, 28, 46)] == ["1", "2", "3"]


def test_the_point_of_a_number_parts_no_words() -> None:
    assert [word.text for word in words("64.15 7", 10, 18, 34, 50, 58, 80)] == ["64.15", "7"]


def test_the_rules_of_a_table_are_no_print() -> None:
    pixels = strip(10, 18)
    pixels[:, 2:4] = 20
    pixels[26:28, :] = 20

    [word] = words("ab", 10, 18, pixels=pixels)

    assert word.box == (110, 58, 124, 74)


def test_the_library_imports_nothing_of_the_ocr_before_it_is_needed() -> None:
    check = "import sys, gleaner_documents; assert not {'cv2', 'rapidocr', 'onnxruntime'} & set(sys.modules)"

    subprocess.run([sys.executable, "-c", check], check=True, timeout=60)
