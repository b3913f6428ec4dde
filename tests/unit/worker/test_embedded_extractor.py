"""The extractor without a model, on pages made by hand."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gleaner.v1 import extraction_pb2, results_pb2, schemas_pb2
from gleaner_documents import Page, ReadDocument, TextSource
from gleaner_worker.extractors.embedded import EmbeddedExtractor
from gleaner_worker.extractors.embedded.extractor import extract_one
from support.printed_pages import printed_document, printed_page


def a_field(name: str, kind: str = "STRING", *aliases: str, **more: Any) -> schemas_pb2.Field:
    return schemas_pb2.Field(name=name, type=schemas_pb2.FieldType.Value(f"FIELD_TYPE_{kind}"), aliases=aliases, **more)


def a_schema(*fields: schemas_pb2.Field, name: str = "paper", locales: tuple[str, ...] = ()) -> schemas_pb2.Schema:
    group = schemas_pb2.FieldGroup(name="g", fields=fields)
    return schemas_pb2.Schema(
        document_types=[schemas_pb2.DocumentType(name=name, field_groups=[group], locales=locales)]
    )


def found_on(page: Page, *fields: schemas_pb2.Field, **more: Any) -> dict[str, results_pb2.FieldResult]:
    result = extract_one(printed_document(page), a_schema(*fields, **more))
    return {field.path.removeprefix("g."): field for field in result.fields}


def test_a_value_stands_behind_its_label_right_of_it_or_below() -> None:
    page = printed_page(
        (0.1, 0.1, "Policy: P-100"),
        (0.1, 0.2, "Claim"),
        (0.5, 0.2, "C-200"),
        (0.1, 0.3, "File"),
        (0.5, 0.3, "Branch"),
        (0.1, 0.32, "F-300"),
        (0.5, 0.32, "B-400"),
    )

    found = found_on(page, *(a_field(f"{n}_number", "STRING", n) for n in ("policy", "claim", "file", "branch")))

    assert {name: f.value.text for name, f in found.items()} == {
        "policy_number": "P-100",
        "claim_number": "C-200",
        "file_number": "F-300",
        "branch_number": "B-400",
    }


def test_the_longer_label_wins() -> None:
    page = printed_page((0.1, 0.1, "Advertiser Code: 163"), (0.1, 0.15, "Advertiser: Peters for Senate"))

    assert found_on(page, a_field("advertiser"))["advertiser"].value.text == "Peters for Senate"


@pytest.mark.parametrize(
    "label",
    ["Rechnungsnummer", "Rechnungs-Nr.", "Invoice no.", "Facture n°", "Factuurnummer", "INVOICENO", "Invoice #"],
)
def test_a_business_field_is_known_in_other_languages_without_an_alias(label: str) -> None:
    page = printed_page((0.1, 0.1, f"{label}: R-2041"))

    assert found_on(page, a_field("invoice_number"))["invoice_number"].value.text == "R-2041"


def test_the_order_of_day_and_month_is_the_documents() -> None:
    page = printed_page((0.1, 0.1, "Date: 03/04/2021"), (0.1, 0.2, "Printed 03/25/2021"))

    assert found_on(page, a_field("date", "DATE"))["date"].value.date == "2021-03-04"


def test_the_decimal_mark_is_the_documents() -> None:
    page = printed_page((0.1, 0.1, "Deposit: 1.234 EUR"), (0.1, 0.2, "Fee: 5,50 EUR"))

    found = found_on(page, a_field("deposit", "MONEY"), a_field("fee", "MONEY"))

    assert found["deposit"].value.money == results_pb2.Money(amount="1234", currency_code="EUR")
    assert found["fee"].value.money.amount == "5.50"


def test_sums_are_chosen_that_add_up() -> None:
    page = printed_page(
        (0.1, 0.10, "Total"), (0.7, 0.10, "999.00"),
        (0.1, 0.20, "Net amount"), (0.7, 0.20, "100.00"),
        (0.1, 0.22, "VAT 19%"), (0.7, 0.22, "19.00"),
        (0.1, 0.24, "Total"), (0.7, 0.24, "119.00"),
        (0.1, 0.30, "Cash"), (0.7, 0.30, "120.00"),
        (0.1, 0.32, "Change"), (0.7, 0.32, "1.00"),
    )  # fmt: skip

    found = found_on(page, a_field("total", "MONEY"), a_field("net_total", "MONEY"), a_field("tax_total", "MONEY"))

    assert [found[n].value.money.amount for n in ("total", "net_total", "tax_total")] == ["119.00", "100.00", "19.00"]


def test_parties_are_told_apart_by_the_words_above_their_addresses() -> None:
    page = printed_page(
        (0.1, 0.10, "Verkäufer"), (0.6, 0.10, "Käufer"),
        (0.1, 0.12, "Lampen Licht GmbH"), (0.6, 0.12, "Karin Kunde"),
        (0.1, 0.14, "Hauptstraße 1"), (0.6, 0.14, "Nebenweg 2a"),
        (0.1, 0.16, "10115 Berlin"), (0.6, 0.16, "80331 München"),
    )  # fmt: skip
    names = [f"{who}_{what}" for who in ("seller", "buyer") for what in ("name", "street", "postcode", "city")]

    found = found_on(page, *(a_field(name) for name in names))

    assert [found[name].value.text for name in names] == [
        "Lampen Licht GmbH", "Hauptstraße 1", "10115", "Berlin", "Karin Kunde", "Nebenweg 2a", "80331", "München",
    ]  # fmt: skip


def test_an_address_over_several_lines_has_a_box_for_each() -> None:
    page = printed_page(
        (0.3, 0.05, "LITTLE CRAVINGS SDN BHD"),
        (0.3, 0.08, "NO 7, JALAN BUNGA,"),
        (0.3, 0.11, "47400 PETALING JAYA"),
        (0.3, 0.14, "TEL: 03-77282288"),
        source=TextSource.OCR,
    )

    found = found_on(page, a_field("company"), a_field("address"), name="receipt")

    assert found["company"].value.text == "LITTLE CRAVINGS SDN BHD"
    assert found["address"].value.text == "NO 7, JALAN BUNGA, 47400 PETALING JAYA"
    assert found["address"].provenance.state == results_pb2.GROUNDING_STATE_ESTIMATED
    assert [round(box.y0, 2) for box in found["address"].provenance.boxes] == [0.08, 0.11]


def test_line_items_become_rows_by_the_headings_of_their_columns() -> None:
    page = printed_page(
        (0.1, 0.30, "Menge"), (0.25, 0.30, "Bezeichnung"), (0.6, 0.30, "Einzelpreis"), (0.8, 0.30, "Gesamt"),
        (0.1, 0.33, "2"), (0.25, 0.33, "Lampe, blau"), (0.6, 0.33, "10,00"), (0.8, 0.33, "20,00"),
        (0.1, 0.36, "3"), (0.25, 0.36, "Kabel"), (0.6, 0.36, "1,50"), (0.8, 0.36, "4,50"),
        (0.1, 0.40, "Summe"), (0.8, 0.40, "24,50"),
    )  # fmt: skip
    item = a_field(
        "item",
        "OBJECT",
        fields=[a_field("description"), a_field("quantity", "NUMBER"), a_field("net_amount", "MONEY")],
    )

    items = found_on(page, a_field("line_items", "ARRAY", items=item))["line_items"]

    assert [row.path for row in items.children] == ["g.line_items[0]", "g.line_items[1]"]
    members = [row.children for row in items.children]
    assert [m.path for m in members[0]] == [
        f"g.line_items[0].{name}" for name in ("description", "quantity", "net_amount")
    ]
    assert [(text.value.text, count.value.decimal, sum_.value.money.amount) for text, count, sum_ in members] == [
        ("Lampe, blau", "2", "20.00"),
        ("Kabel", "3", "4.50"),
    ]  # fmt: skip


def test_every_field_is_reported_found_or_not() -> None:
    found = found_on(printed_page((0.1, 0.1, "nothing")), a_field("iban"), a_field("due_date", "DATE"))

    assert list(found) == ["iban", "due_date"]
    assert not any(f.HasField("value") or f.HasField("provenance") or f.confidence for f in found.values())


def test_the_type_of_a_document_is_the_one_that_fits_best_unless_it_is_named() -> None:
    schema = schemas_pb2.Schema(
        document_types=[
            schemas_pb2.DocumentType(
                name=name, hints=[hint], field_groups=[schemas_pb2.FieldGroup(name="g", fields=[a_field(label)])]
            )
            for name, hint, label in (
                ("lease", "Lease agreement", "landlord"),
                ("invoice", "Invoice", "invoice_number"),
            )
        ]
    )
    document = printed_document(printed_page((0.1, 0.1, "Invoice"), (0.1, 0.2, "Invoice number: 7")))

    chosen, named = extract_one(document, schema), extract_one(document, schema, "lease")

    assert (chosen.document_type, named.document_type, named.type_confidence) == ("invoice", "lease", 1.0)
    assert chosen.type_confidence > 0.5


async def test_documents_are_answered_in_the_requests_order() -> None:
    pages = [printed_document(printed_page((0.1, 0.1, f"Invoice no: {n}")), name=f"{n}.pdf") for n in (7, 8)]
    request = extraction_pb2.ExtractionRequest(schema=a_schema(a_field("invoice_number")))

    async with EmbeddedExtractor() as extractor:
        extraction = await extractor.extract(pages, request)

    assert [(d.document, d.fields[0].value.text) for d in extraction.documents] == [("7.pdf", "7"), ("8.pdf", "8")]


FIELDS = (
    a_field("invoice_number"),
    a_field("date", "DATE"),
    a_field("total", "MONEY"),
    a_field("seller_city"),
    a_field("iban"),
    a_field(
        "rows", "ARRAY", items=a_field("row", "OBJECT", fields=[a_field("description"), a_field("amount", "MONEY")])
    ),
)
PLACES = st.tuples(st.floats(0, 0.9), st.floats(0, 0.95), st.text(min_size=1, max_size=30))


@settings(max_examples=60, deadline=None)
@given(st.lists(PLACES, max_size=12))
def test_no_page_makes_it_fail(texts: list[tuple[float, float, str]]) -> None:
    result = extract_one(printed_document(printed_page(*texts)), a_schema(*FIELDS))

    assert [f.path for f in result.fields] == [f"g.{field.name}" for field in FIELDS]
    assert all(0 <= f.confidence <= 1 for f in result.fields)


def test_a_document_without_pages_has_all_its_fields_unfound() -> None:
    result = extract_one(ReadDocument("empty", ()), a_schema(*FIELDS))

    assert not any(f.HasField("value") for f in result.fields)
