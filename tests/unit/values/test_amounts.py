from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gleaner_values import DecimalMark, currency_of, find_amounts


@pytest.mark.parametrize(
    ("printed", "value", "currency"),
    [
        ("1.234,56", "1234.56", ""),
        ("1,234.56", "1234.56", ""),
        ("1 234,56", "1234.56", ""),
        ("1\u202f234,56 €", "1234.56", "EUR"),
        ("1'234.56", "1234.56", ""),
        ("CHF 1’234.56", "1234.56", "CHF"),
        ("1234.5", "1234.5", ""),
        ("12", "12", ""),
        ("(12.00)", "-12.00", ""),
        ("($12.00)", "-12.00", "USD"),
        ("12.00-", "-12.00", ""),
        ("-12", "-12", ""),
        ("− 12,50", "-12.50", ""),
        ("€ 12,-", "12", "EUR"),
        ("RM10.00", "10.00", "MYR"),
        ("RM 10.00", "10.00", "MYR"),
        ("$1,234,567.89", "1234567.89", "USD"),
        ("$ -3.00", "-3.00", "USD"),
        ("-$3.00", "-3.00", "USD"),
        ("EUR 1.000.000", "1000000", "EUR"),
        ("100,00 Euro", "100.00", "EUR"),
        ("1,00,000.00", "100000.00", ""),
        ("Rs. 319.00", "319.00", "INR"),
        ("£5", "5", "GBP"),
        ("120 kr", "120", ""),
        ("0.125", "0.125", ""),
    ],
)
def test_an_amount_is_read_with_its_sign_and_currency(printed: str, value: str, currency: str) -> None:
    [amount] = find_amounts(f"total: {printed}")

    assert amount.values[0] == Decimal(value)
    assert amount.currency == currency
    assert amount.text == printed


def test_thousands_or_fraction_stay_open_until_the_document_settles_it() -> None:
    [amount] = find_amounts("1.234")

    assert amount.values == (Decimal(1234), Decimal("1.234"))
    assert amount.settled(DecimalMark.POINT) == Decimal("1.234")
    assert amount.settled(DecimalMark.COMMA) == Decimal(1234)


@pytest.mark.parametrize(
    "text", ["19%", "19 %", "03.04.2021", "10:15", "192.168.1.1", "A123", "12-34-56", "3pcs", "2nd"]
)
def test_what_is_no_amount_is_not_read_as_one(text: str) -> None:
    assert find_amounts(text) == []


def test_a_tax_letter_may_be_glued_to_an_amount() -> None:
    assert [a.values for a in find_amounts("12.00S")] == [(Decimal("12.00"),)]


def test_several_amounts_are_read_from_left_to_right() -> None:
    assert [a.values[0] for a in find_amounts("2 x 3,50 = 7,00 EUR")] == [Decimal(2), Decimal("3.50"), Decimal("7.00")]


def test_a_bracket_around_more_than_the_amount_means_nothing() -> None:
    [amount] = find_amounts("(incl. 12.00)")

    assert amount.values == (Decimal("12.00"),)
    assert amount.text == "12.00"


@pytest.mark.parametrize(
    ("text", "code"),
    [("Alle Beträge in EUR", "EUR"), ("Total (RM)", "MYR"), ("in US Dollar", "USD"), ("the inr code", ""), ("", "")],
)
def test_a_currency_is_known_by_code_sign_or_word(text: str, code: str) -> None:
    assert currency_of(text) == code


PRINTS = (
    lambda d: f"{d:,.2f}",
    lambda d: f"{d:,.2f}".translate(str.maketrans(",.", ".,")),
    lambda d: f"{d:,.2f}".replace(",", "'"),
    lambda d: f"{d:,.2f}".replace(",", "\u202f").replace(".", ","),
    lambda d: f"${d:,.2f}",
    lambda d: f"{d:.2f} EUR",
    lambda d: f"({-d:,.2f})" if d < 0 else f"{d:,.2f}",
)


@given(
    value=st.decimals(-(10**9), 10**9, places=2).map(lambda d: d + 0),
    form=st.sampled_from(PRINTS),
)
def test_what_is_printed_is_read_back(value: Decimal, form) -> None:  # type: ignore[no-untyped-def]
    [amount] = find_amounts(form(value))

    assert value in amount.values


@given(st.text(max_size=200))
def test_any_text_is_read_without_error(text: str) -> None:
    for amount in find_amounts(text):
        assert text[amount.start : amount.end] == amount.text
