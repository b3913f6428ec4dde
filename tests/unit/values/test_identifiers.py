import pytest

from gleaner_values import (
    find_bics,
    find_cards,
    find_emails,
    find_ibans,
    find_phones,
    find_urls,
    find_vat_ids,
    is_card_number,
    is_iban,
    is_phone,
    is_vat_id,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("IBAN: DE02 1203 0000 0000 2020 51", "DE02120300000000202051"),
        ("DE02120300000000202051", "DE02120300000000202051"),
        ("DE02120300000000202051 BIC BYLADEM1001", "DE02120300000000202051"),
        ("IBAN NL50INGB0683251309 BIC INGBNL2A", "NL50INGB0683251309"),
        ("GB82 WEST 1234 5698 7654 32.", "GB82WEST12345698765432"),
    ],
)
def test_an_iban_ends_where_its_country_says(text: str, value: str) -> None:
    [found] = find_ibans(text)

    assert (found.value, found.valid) == (value, True)
    assert text[found.start : found.end] == found.text


def test_an_iban_with_wrong_check_digits_is_kept_and_marked() -> None:
    assert [(f.value, f.valid) for f in find_ibans("DE03120300000000202051")] == [("DE03120300000000202051", False)]
    assert not is_iban("DE03120300000000202051")


@pytest.mark.parametrize(
    ("text", "value", "valid"),
    [
        ("USt-IdNr.: DE136695976", "DE136695976", True),
        ("DE 136 695 976", "DE136695976", True),
        ("NL810433941B01 KvK", "NL810433941B01", True),
        ("ATU13585627", "ATU13585627", True),
        ("FR 40 303 265 045 RCS", "FR40303265045", True),
        ("DE123456789", "DE123456789", False),
        ("ESA12345674", "ESA12345674", True),
    ],
)
def test_vat_ids_are_known_by_their_country(text: str, value: str, valid: bool) -> None:
    [found] = find_vat_ids(text)

    assert (found.value, found.valid) == (value, valid)
    assert is_vat_id(found.text) is valid


def test_no_vat_id_is_seen_inside_an_iban() -> None:
    assert find_vat_ids("DE02120300000000202051") == []


def test_mail_web_and_bank_codes_are_found() -> None:
    assert [f.value for f in find_emails("write to a.b+c@mail.example.com, please")] == ["a.b+c@mail.example.com"]
    assert [f.value for f in find_urls("see www.example.com/a, or https://x.org.")] == [
        "www.example.com/a",
        "https://x.org",
    ]
    assert [f.value for f in find_bics("BIC: COBADEFFXXX")] == ["COBADEFFXXX"]


def test_cards_are_checked_by_luhn() -> None:
    assert [(f.value, f.valid) for f in find_cards("4111 1111 1111 1111")] == [("4111111111111111", True)]
    assert not is_card_number("4111 1111 1111 1112")


def test_phones_are_found_by_region_or_prefix() -> None:
    assert [f.value for f in find_phones("Tel. +49 30 901820")] == ["+4930901820"]
    assert [f.value for f in find_phones("Tel. 030 901820", "DE")] == ["+4930901820"]
    assert is_phone("030 901820")
    assert not is_phone("call me")
