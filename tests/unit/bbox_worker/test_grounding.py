import pytest

from gleaner.v1 import documents_pb2, results_pb2, schemas_pb2
from gleaner_bbox_worker.grounding import ground
from gleaner_documents import Page, ReadDocument, TextSource
from support.printed_pages import printed_document, printed_lines, printed_page, words_in

NOT_FOUND = results_pb2.GROUNDING_STATE_NOT_FOUND
GROUNDED = results_pb2.GROUNDING_STATE_GROUNDED
EXACT, TYPED, FUZZY = (
    results_pb2.MATCH_KIND_EXACT,
    results_pb2.MATCH_KIND_TYPED,
    results_pb2.MATCH_KIND_FUZZY,
)


def a_field(name: str, kind: str = "STRING", *aliases: str) -> schemas_pb2.Field:
    return schemas_pb2.Field(name=name, type=schemas_pb2.FieldType.Value(f"FIELD_TYPE_{kind}"), aliases=aliases)


def a_schema(*fields: schemas_pb2.Field) -> schemas_pb2.Schema:
    group = schemas_pb2.FieldGroup(name="data", fields=fields)
    return schemas_pb2.Schema(document_types=[schemas_pb2.DocumentType(name="paper", field_groups=[group])])


def a_value(name: str, **kind: object) -> results_pb2.FieldResult:
    return results_pb2.FieldResult(path=f"data.{name}", value=results_pb2.Value(**kind))  # type: ignore[arg-type]


def money(amount: str) -> results_pb2.Money:
    return results_pb2.Money(amount=amount)


def grounded(
    schema: schemas_pb2.Schema, document: ReadDocument, *values: results_pb2.FieldResult
) -> list[results_pb2.FieldResult]:
    result = results_pb2.ExtractionResult(
        documents=[results_pb2.DocumentResult(document=document.name, document_type="paper", fields=values)]
    )
    return list(ground(result, schema, [document]).documents[0].fields)


def place_of(page: Page, field: schemas_pb2.Field, **kind: object) -> results_pb2.Provenance:
    [found] = grounded(a_schema(field), printed_document(page), a_value(field.name, **kind))
    return found.provenance


def edges(place: results_pb2.Provenance) -> list[tuple[float, float, float, float]]:
    return [(box.x0, box.y0, box.x1, box.y1) for box in place.boxes]


@pytest.mark.parametrize(
    "printed", ["2021-04-03", "03/04/2021", "04/03/2021", "3. April 2021", "April 3, 2021", "3 avril 2021", "03.04.21"]
)
def test_a_date_is_found_in_any_print(printed: str) -> None:
    place = place_of(
        printed_lines("Some letter", f"Date: {printed}", "Yours"), a_field("date", "DATE"), date="2021-04-03"
    )
    assert (place.state, place.printed_text) == (GROUNDED, printed)
    assert place.match == (EXACT if printed == "2021-04-03" else TYPED)


def test_a_date_that_wraps_has_a_box_on_each_line() -> None:
    page = printed_page((0.5, 0.1, "as of April 3,"), (0.1, 0.12, "2021, by and between"))
    place = place_of(page, a_field("date", "DATE"), date="2021-04-03")
    assert words_in(page, edges(place)) == "April 3, 2021,"
    assert len(place.boxes) == 2


def test_the_order_of_day_and_month_is_the_document_s() -> None:
    page = printed_lines("Sent 04/03/2021", "Due 03/04/2021", "Paid 25/03/2021")
    place = place_of(page, a_field("day", "DATE"), date="2021-04-03")
    assert place.printed_text == "03/04/2021"


@pytest.mark.parametrize(
    "printed", ["1.234,56", "1,234.56", "1 234,56", "1234.56", "1'234.56", "€1,234.56", "RM1234.56"]
)
def test_an_amount_is_found_in_any_print(printed: str) -> None:
    place = place_of(
        printed_lines("Balance 99.00", f"Total: {printed}"), a_field("total", "MONEY"), money=money("1234.56")
    )
    assert (place.state, place.match) == (GROUNDED, EXACT if printed.endswith("1234.56") else TYPED)
    assert place.printed_text.endswith("56")


@pytest.mark.parametrize("printed", ["11234.56", "1234.57", "123456", "A1234.56", "1.234", "1234.560.1"])
def test_other_figures_are_not_the_amount(printed: str) -> None:
    page = printed_lines(f"Total {printed}", source=TextSource.OCR)
    assert place_of(page, a_field("total", "MONEY"), money=money("1234.56")).state == NOT_FOUND


def test_numbers_in_columns_beside_each_other_are_not_one_number() -> None:
    page = printed_page((0.1, 0.1, "2"), (0.5, 0.1, "380,00"))
    assert place_of(page, a_field("total", "MONEY"), money=money("2380.00")).state == NOT_FOUND
    assert place_of(page, a_field("total", "MONEY"), money=money("380.00")).state == GROUNDED


def test_an_identifier_is_found_however_it_is_grouped() -> None:
    page = printed_lines("IBAN: DE02 1203 0000 0000 2020 51, BIC: BYLADEM1001")
    place = place_of(page, a_field("iban"), text="DE02120300000000202051")
    assert (place.match, place.printed_text) == (EXACT, "DE02 1203 0000 0000 2020 51")


@pytest.mark.parametrize("source", [TextSource.PDF_TEXT, TextSource.OCR])
@pytest.mark.parametrize(
    ("value", "printed"),
    [
        ("DE02120300000000202051", "DE02 1203 0000 0000 2020 52"),
        ("INV-2021-0042", "INV-2021-0043"),
        ("64.15", "641.5"),
        ("5/3/2018", "15/3/2018"),
        ("4711", "47112"),
        ("12345", "12 345"),
        ("2018", "20 18"),
    ],
)
def test_an_identifier_is_never_nearly_found(value: str, printed: str, source: TextSource) -> None:
    page = printed_lines(f"Number {printed} of ours", source=source)
    assert place_of(page, a_field("number"), text=value).state == NOT_FOUND


def test_a_text_that_wraps_in_its_column_has_a_box_a_line() -> None:
    page = printed_page(
        (0.1, 0.10, "Office chair, very"),
        (0.6, 0.10, "2 pieces"),
        (0.1, 0.12, "comfortable, blue"),
        (0.6, 0.12, "19 %"),
    )
    place = place_of(page, a_field("item"), text="Office chair, very comfortable, blue")
    assert words_in(page, edges(place)) == "Office chair, very comfortable, blue"
    assert [round(box.y0, 2) for box in place.boxes] == [0.10, 0.12]
    assert all(box.x1 < 0.6 for box in place.boxes)


def test_a_text_goes_on_below_what_stands_on_its_line() -> None:
    page = printed_page((0.1, 0.1, "Office chair, 02/17/26 3 Piece"), (0.1, 0.12, "blue"), (0.1, 0.2, "blue"))
    place = place_of(page, a_field("item"), text="Office chair, blue")
    assert [round(box.y0, 2) for box in place.boxes] == [0.1, 0.12]


def test_a_hyphen_at_the_line_s_end_parts_no_word() -> None:
    page = printed_page((0.1, 0.1, "for the Umsatz-"), (0.1, 0.12, "steuervoranmeldung of May"))
    place = place_of(page, a_field("title"), text="Umsatzsteuervoranmeldung")
    assert place.state == GROUNDED
    assert len(place.boxes) == 2


def test_a_value_within_a_word_gets_its_part_of_the_box() -> None:
    page = printed_lines("Date:2021-04-03 Total:64.15")
    [word, other] = page.words
    date = place_of(page, a_field("date", "DATE"), date="2021-04-03").boxes[0]
    total = place_of(page, a_field("total", "MONEY"), money=money("64.15")).boxes[0]
    assert word.x0 + 0.2 * (word.x1 - word.x0) < date.x0 < word.x0 + 0.45 * (word.x1 - word.x0)
    assert date.x1 == pytest.approx(word.x1)
    assert other.x0 + 0.4 * (other.x1 - other.x0) < total.x0


@pytest.mark.parametrize("text", ["Berg", "Bamberg 4", "amber", "bergstrasse 44"])
def test_a_text_is_not_found_inside_other_words(text: str) -> None:
    page = printed_lines("Bamberg", "Bergstrasse 4", source=TextSource.OCR)
    assert place_of(page, a_field("city"), text=text).state == NOT_FOUND


def test_a_name_in_a_web_address_is_no_place_while_it_stands_by_itself() -> None:
    page = printed_lines("www.aubonmoulin.com", "Au bon moulin")
    place = place_of(page, a_field("name"), text="Au bon moulin")
    assert place.printed_text == "Au bon moulin"
    assert not place.others


def test_case_accents_and_punctuation_do_not_matter() -> None:
    page = printed_lines("Jose Müller GMBH, Koeln")
    place = place_of(page, a_field("name"), text="José Müller GmbH.")
    assert (place.match, place.score, place.printed_text) == (EXACT, 1.0, "Jose Müller GMBH")


def test_a_misread_text_is_found_with_what_is_printed() -> None:
    page = printed_lines("TASTE 0F THE W0RLD SDN BHD", "Lot 38", source=TextSource.OCR)
    place = place_of(page, a_field("company"), text="Taste of the World Sdn Bhd")
    assert (place.state, place.match, place.printed_text) == (GROUNDED, FUZZY, "TASTE 0F THE W0RLD SDN BHD")
    assert 0.85 <= place.score < 1


@pytest.mark.parametrize("text", ["Global Supplies Ltd", "Acme Holding North", "Acme Trading South", "COBADEFXXX"])
def test_a_similar_text_is_another_one(text: str) -> None:
    page = printed_lines("Acme Holding South", "Global Surplus Ltd", "COBADEFFXXX", source=TextSource.OCR)
    assert place_of(page, a_field("name"), text=text).state == NOT_FOUND


@pytest.mark.parametrize(
    ("field", "kind"),
    [
        (a_field("name"), {"text": "Nobody at all"}),
        (a_field("day", "DATE"), {"date": "2020-01-01"}),
        (a_field("count", "INTEGER"), {"integer": 7}),
        (a_field("share", "NUMBER"), {"decimal": "0.25"}),
        (a_field("paid", "BOOLEAN"), {"flag": True}),
    ],
)
def test_what_is_printed_nowhere_says_so_without_a_box(field: schemas_pb2.Field, kind: dict[str, object]) -> None:
    place = place_of(printed_lines("Invoice of 2020-01-02", "Total 77.00"), field, **kind)
    assert place == results_pb2.Provenance(state=NOT_FOUND)


def test_the_place_is_the_one_beside_the_label() -> None:
    labels = {0.1: "Subtotal", 0.12: "Total", 0.14: "Cash"}
    page = printed_page(*((x, y, text) for y, label in labels.items() for x, text in ((0.1, label), (0.6, "50.00"))))
    place = place_of(page, a_field("total", "MONEY"), money=money("50.00"))
    assert place.boxes[0].y0 == pytest.approx(0.12)
    assert {round(other.boxes[0].y0, 2) for other in place.others} == {0.1, 0.14}


def test_the_label_may_stand_above_in_a_table_s_head() -> None:
    heads = {0.1: "Net", 0.4: "Tax", 0.7: "Due"}
    page = printed_page(*((x, y, text) for x, head in heads.items() for y, text in ((0.1, head), (0.12, "5.00"))))
    assert place_of(page, a_field("tax", "MONEY"), money=money("5.00")).boxes[0].x0 == pytest.approx(0.4)


def test_an_alias_in_any_language_is_a_label() -> None:
    page = printed_lines("Abrechnung 4711", "Kundennummer 4711", "Vorgang 4711")
    place = place_of(page, a_field("customer", "STRING", "Kundennummer"), text="4711")
    assert place.boxes[0].y0 == pytest.approx(page.words[2].y0)


def test_fields_with_one_value_take_a_place_each() -> None:
    page = printed_page((0.1, 0.1, "Net"), (0.6, 0.1, "50.00"), (0.1, 0.12, "Amount due"), (0.6, 0.12, "50.00"))
    fields = a_field("net_total", "MONEY"), a_field("amount_due", "MONEY")
    values = [a_value(field.name, money=money("50.00")) for field in fields]
    places = [found.provenance for found in grounded(a_schema(*fields), printed_document(page), *values)]
    assert [round(place.boxes[0].y0, 2) for place in places] == [0.1, 0.12]


def test_fields_of_a_group_stand_together() -> None:
    page = printed_page(
        (0.1, 0.1, "Acme Ltd"),
        (0.1, 0.12, "12345 Springfield"),
        (0.1, 0.6, "Other Inc"),
        (0.1, 0.62, "12345 Springfield"),
    )
    fields = a_field("buyer_name"), a_field("buyer_city")
    values = a_value("buyer_name", text="Other Inc"), a_value("buyer_city", text="Springfield")
    city = grounded(a_schema(*fields), printed_document(page), *values)[1].provenance
    assert city.boxes[0].y0 == pytest.approx(0.62)


def test_the_extractor_s_estimate_decides_where_the_value_stands_there() -> None:
    page = printed_lines("Total 50.00", "Again 50.00", "And 50.00")
    value = a_value("total", money=money("50.00"))
    value.provenance.state = results_pb2.GROUNDING_STATE_ESTIMATED
    value.provenance.boxes.add(page=1, x0=0.1, y0=0.085, x1=0.4, y1=0.11)
    [found] = grounded(a_schema(a_field("total", "MONEY")), printed_document(page), value)
    assert found.provenance.boxes[0].y0 == pytest.approx(page.words[5].y0)


def test_an_estimate_without_the_value_counts_for_nothing() -> None:
    value = a_value("total", money=money("51.00"))
    value.provenance.state = results_pb2.GROUNDING_STATE_ESTIMATED
    value.provenance.boxes.add(page=1, x0=0.1, y0=0.05, x1=0.4, y1=0.07)
    [found] = grounded(a_schema(a_field("total", "MONEY")), printed_document(printed_lines("Total 50.00")), value)
    assert found.provenance == results_pb2.Provenance(state=NOT_FOUND)


@pytest.mark.parametrize(("flag", "row"), [(True, 1), (False, None)])
def test_a_boolean_stands_only_beside_its_label(flag: bool, row: int | None) -> None:
    page = printed_lines("Smoker: no answer", "Insured: yes", "No further questions")
    place = place_of(page, a_field("insured", "BOOLEAN"), flag=flag)
    if row is None:
        assert place.state == NOT_FOUND
    else:
        assert place.boxes[0].y0 == pytest.approx(0.07)


def test_a_choice_stands_only_beside_its_label() -> None:
    page = printed_lines("A red car", "Colour: red")
    field = a_field("colour", "ENUM")
    assert place_of(page, field, text="red").boxes[0].y0 == pytest.approx(0.07)
    assert place_of(printed_lines("A red car", "it was"), field, text="red").state == NOT_FOUND


def an_array_of_rows(*rows: tuple[str, str, str]) -> tuple[schemas_pb2.Schema, results_pb2.FieldResult]:
    members = [a_field("description"), a_field("quantity", "NUMBER"), a_field("amount", "MONEY")]
    entry = a_field("items", "ARRAY")
    entry.items.CopyFrom(schemas_pb2.Field(name="item", type=schemas_pb2.FIELD_TYPE_OBJECT, fields=members))
    array = results_pb2.FieldResult(path="data.items")
    for index, (description, quantity, amount) in enumerate(rows):
        element = array.children.add(path=f"data.items[{index}]")
        element.children.add(path=f"data.items[{index}].description", value=results_pb2.Value(text=description))
        element.children.add(path=f"data.items[{index}].quantity", value=results_pb2.Value(decimal=quantity))
        element.children.add(path=f"data.items[{index}].amount", value=results_pb2.Value(money=money(amount)))
    return a_schema(entry), array


def rows_of(found: results_pb2.FieldResult) -> list[list[float]]:
    return [[round(leaf.provenance.boxes[0].y0, 2) for leaf in element.children] for element in found.children]


def test_the_values_of_a_row_stand_beside_each_other_and_rows_keep_their_order() -> None:
    texts = [(0.1, 0.1, "Work"), (0.5, 0.1, "Qty"), (0.8, 0.1, "Amount")]
    for y, row in zip(
        (0.2, 0.24, 0.28), (("Work", "2", "10.00"), ("Work", "2", "10.00"), ("Travel", "2", "10.00")), strict=True
    ):
        texts += [(0.1, y, row[0]), (0.5, y, row[1]), (0.8, y, row[2])]
    texts.append((0.8, 0.5, "10.00"))
    schema, array = an_array_of_rows(("Work", "2", "10.00"), ("Work", "2.0", "10.00"), ("Travel", "2", "10.00"))
    [found] = grounded(schema, printed_document(printed_page(*texts)), array)
    assert rows_of(found) == [[0.2, 0.2, 0.2], [0.24, 0.24, 0.24], [0.28, 0.28, 0.28]]


def test_rows_keep_together_when_the_page_was_read_column_by_column() -> None:
    texts = [(0.1, y, name) for y, name in ((0.2, "Alpha"), (0.24, "Beta"))]
    texts += [(0.5, y, "2") for y in (0.2, 0.24)]
    texts += [(0.8, y, "7.00") for y in (0.2, 0.24)]
    schema, array = an_array_of_rows(("Alpha", "2", "7.00"), ("Beta", "2", "7.00"))
    [found] = grounded(schema, printed_document(printed_page(*texts)), array)
    assert rows_of(found) == [[0.2, 0.2, 0.2], [0.24, 0.24, 0.24]]


def test_the_rows_of_a_long_table_of_equal_lines_are_all_found() -> None:
    heights = [0.05 + 0.02 * row for row in range(40)]
    pages = [
        printed_page(
            *((x, y, text) for y in heights for x, text in ((0.1, "Work"), (0.5, "1"), (0.8, "7.00"))), number=n
        )
        for n in (1, 2, 3, 4, 5, 6)
    ]
    schema, array = an_array_of_rows(*[("Work", "1", "7.00")] * 240)
    [found] = grounded(schema, printed_document(*pages), array)
    boxes = [[leaf.provenance.boxes[0] for leaf in element.children] for element in found.children]
    places = [{(box.page, round(box.y0, 2)) for box in row} for row in boxes]
    assert places == [{(page.number, round(y, 2))} for page in pages for y in heights]


def test_a_row_goes_on_to_the_next_page() -> None:
    first = printed_page((0.1, 0.9, "Alpha"), (0.5, 0.9, "2"), (0.8, 0.9, "7.00"))
    second = printed_page((0.1, 0.1, "Beta"), (0.5, 0.1, "2"), (0.8, 0.1, "7.00"), number=2)
    schema, array = an_array_of_rows(("Alpha", "2", "7.00"), ("Beta", "2", "7.00"))
    [found] = grounded(schema, printed_document(first, second), array)
    pages = [[leaf.provenance.boxes[0].page for leaf in element.children] for element in found.children]
    assert pages == [[1, 1, 1], [2, 2, 2]]


def test_elements_of_a_list_are_found_each_by_itself() -> None:
    entry = a_field("party", "ARRAY", "between")
    entry.items.CopyFrom(a_field("name"))
    array = results_pb2.FieldResult(path="data.party")
    for index, name in enumerate(("Acme Ltd.", "Nowhere Inc.")):
        array.children.add(path=f"data.party[{index}]", value=results_pb2.Value(text=name))
    [found] = grounded(a_schema(entry), printed_document(printed_lines("between ACME LTD. and others")), array)
    assert [leaf.provenance.state for leaf in found.children] == [GROUNDED, NOT_FOUND]


def test_grounding_twice_changes_nothing() -> None:
    page = printed_lines("Total 50.00", "Again 50.00")
    schema = a_schema(a_field("total", "MONEY"), a_field("name"))
    document = printed_document(page)
    once = grounded(schema, document, a_value("total", money=money("50.00")), a_value("name", text="nobody"))
    assert grounded(schema, document, *once) == once


def test_what_is_grounded_stays_as_it_is() -> None:
    value = a_value("total", money=money("50.00"))
    value.provenance.state = GROUNDED
    value.provenance.boxes.add(page=1, x0=0.9, y0=0.9, x1=1, y1=1)
    [found] = grounded(a_schema(a_field("total", "MONEY")), printed_document(printed_lines("Total 50.00")), value)
    assert found == value


def test_what_was_given_is_not_changed() -> None:
    value = a_value("total", money=money("50.00"))
    result = results_pb2.ExtractionResult(
        documents=[results_pb2.DocumentResult(document="paper.pdf", document_type="paper", fields=[value])]
    )
    before = result.SerializeToString(deterministic=True)
    ground(result, a_schema(), [printed_document(printed_lines("Total 50.00"))])
    assert result.SerializeToString(deterministic=True) == before


def test_a_document_without_pages_stays_as_it_is() -> None:
    value = a_value("total", money=money("50.00"))
    result = results_pb2.ExtractionResult(
        documents=[results_pb2.DocumentResult(document="other.pdf", document_type="paper", fields=[value])]
    )
    assert ground(result, a_schema(), [printed_document(printed_lines("Total 50.00"))]) == result


def test_values_of_unknown_fields_are_located_all_the_same() -> None:
    [found] = grounded(schemas_pb2.Schema(), printed_document(printed_lines("Total 50.00")), a_value("x", text="Total"))
    assert found.provenance.state == GROUNDED


def test_the_source_of_the_words_is_named() -> None:
    sources = [
        place_of(printed_lines("Total 5.00", source=source), a_field("total", "MONEY"), money=money("5.00")).source
        for source in (TextSource.PDF_TEXT, TextSource.OCR)
    ]
    assert sources == [documents_pb2.TEXT_SOURCE_PDF_TEXT, documents_pb2.TEXT_SOURCE_OCR]


def test_at_most_twenty_other_places_are_listed() -> None:
    place = place_of(printed_lines(*["Total 5.00"] * 30), a_field("total", "MONEY"), money=money("5.00"))
    assert len(place.others) == 20


@pytest.mark.parametrize("page", [printed_lines(), Page(1, 0, 0, TextSource.OCR, ())])
def test_an_empty_page_holds_nothing(page: Page) -> None:
    assert place_of(page, a_field("name"), text="anything").state == NOT_FOUND
