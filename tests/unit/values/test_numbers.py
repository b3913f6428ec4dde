from decimal import Decimal

import pytest

from gleaner_values import DecimalMark, canonical, find_numbers, settle_mark


@pytest.mark.parametrize(
    ("printed", "values"),
    [
        ("10", ("10",)),
        ("10.0000", ("10.0000",)),
        ("1,5", ("1.5",)),
        ("1.000", ("1000", "1.000")),
        ("12.345.678", ("12345678",)),
        ("-3", ("-3",)),
        (".5", ("0.5",)),
    ],
)
def test_a_number_keeps_all_it_may_mean(printed: str, values: tuple[str, ...]) -> None:
    [number] = find_numbers(f"n {printed} x")

    assert number.values == tuple(Decimal(v) for v in values)


def test_percentages_are_numbers() -> None:
    assert find_numbers("19,00 %")[0].values == (Decimal("19.00"),)


def test_the_mark_is_settled_by_numbers_that_leave_no_doubt() -> None:
    assert settle_mark(["1.234", "5,50"]) is DecimalMark.COMMA
    assert settle_mark(["1.234", "1,234.50"]) is DecimalMark.POINT
    assert settle_mark(["1.234"]) is DecimalMark.UNKNOWN


def test_canonical_has_the_digits_that_are_printed_and_no_exponent() -> None:
    assert canonical(Decimal("1E+3")) == "1000"
    assert canonical(Decimal("-1234.50")) == "-1234.50"
