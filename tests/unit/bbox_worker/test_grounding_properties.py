from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gleaner.v1 import results_pb2, schemas_pb2
from gleaner_bbox_worker.grounding import ground
from gleaner_documents import Page, TextSource
from support.printed_pages import printed_document, printed_lines

MONTHS = [date(2000, month, 1).strftime("%B") for month in range(1, 13)]
FORMS = ("%Y-%m-%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%y")
# Fillers without figures: whatever is found was put there.
fillers = st.lists(
    st.sampled_from(["lorem", "ipsum", "dolor", "sit", "amet", "Total", "Date", "of", "the", "paper"]), max_size=5
)
days = st.dates(date(1990, 1, 1), date(2060, 12, 31))
amounts = st.decimals(Decimal("0.01"), Decimal("9999999.99"), places=2)
names = st.lists(
    st.text("abcdefghijklmnopqrstuvwxyzäöüéñABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=3, max_size=12),
    min_size=2,
    max_size=6,
)


@st.composite
def printed_days(draw: st.DrawFn, day: date) -> str:
    month = MONTHS[day.month - 1]
    spelled = [f"{day.day}. {month} {day.year}", f"{month} {day.day}, {day.year}", f"{day.day} {month[:3]} {day.year}"]
    return draw(st.sampled_from([day.strftime(form) for form in FORMS] + spelled))


@st.composite
def printed_amounts(draw: st.DrawFn, amount: Decimal) -> str:
    plain = f"{amount:,.2f}"
    swapped = plain.translate(str.maketrans(",.", ".,"))
    forms = [plain, swapped, plain.replace(",", ""), swapped.replace(".", " "), plain.replace(",", "'")]
    sign = draw(st.sampled_from(["", "€ ", "€", "$", "EUR "]))
    return sign + draw(st.sampled_from(forms))


def located(page: Page, value: results_pb2.Value, kind: str) -> results_pb2.Provenance:
    entry = schemas_pb2.Field(name="wanted", type=schemas_pb2.FieldType.Value(f"FIELD_TYPE_{kind}"))
    group = schemas_pb2.FieldGroup(name="data", fields=[entry])
    schema = schemas_pb2.Schema(document_types=[schemas_pb2.DocumentType(name="paper", field_groups=[group])])
    fields = [results_pb2.FieldResult(path="data.wanted", value=value)]
    documents = [results_pb2.DocumentResult(document="paper.pdf", document_type="paper", fields=fields)]
    result = ground(results_pb2.ExtractionResult(documents=documents), schema, [printed_document(page)])
    return result.documents[0].fields[0].provenance


def page_with(draw: st.DrawFn, text: str) -> Page:
    before, after = draw(fillers), draw(fillers)
    return printed_lines(" ".join(before) or "-", f"{' '.join(draw(fillers))} {text} {' '.join(draw(fillers))}", *after)


def assert_placed(place: results_pb2.Provenance, page: Page) -> None:
    assert place.state == results_pb2.GROUNDING_STATE_GROUNDED
    assert place.boxes
    for box in place.boxes:
        assert 0 <= box.x0 < box.x1 <= 1
        assert 0 <= box.y0 < box.y1 <= 1
        assert box.page == page.number


@settings(max_examples=150, deadline=None)
@given(st.data(), days)
def test_a_printed_day_is_found_within_the_page(data: st.DataObject, day: date) -> None:
    page = data.draw(st.composite(page_with)(data.draw(printed_days(day))))
    assert_placed(located(page, results_pb2.Value(date=day.isoformat()), "DATE"), page)


@settings(max_examples=150, deadline=None)
@given(st.data(), amounts)
def test_a_printed_amount_is_found_within_the_page(data: st.DataObject, amount: Decimal) -> None:
    page = data.draw(st.composite(page_with)(data.draw(printed_amounts(amount))))
    value = results_pb2.Value(money=results_pb2.Money(amount=f"{amount:f}"))
    assert_placed(located(page, value, "MONEY"), page)


@settings(max_examples=150, deadline=None)
@given(st.data(), names)
def test_a_printed_text_is_found_within_the_page(data: st.DataObject, words: list[str]) -> None:
    text = " ".join(words)
    page = data.draw(st.composite(page_with)(data.draw(st.sampled_from([text, text.upper(), f"({text}),"]))))
    assert_placed(located(page, results_pb2.Value(text=text), "STRING"), page)


anything = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@settings(max_examples=300, deadline=None)
@given(st.lists(anything, max_size=6), anything, st.sampled_from(TextSource))
def test_no_text_whatever_breaks_it(lines: list[str], sought: str, source: TextSource) -> None:
    page = printed_lines(*lines, sought + "x", source=source)
    for value in (
        results_pb2.Value(text=sought),
        results_pb2.Value(date=sought),
        results_pb2.Value(decimal=sought),
        results_pb2.Value(money=results_pb2.Money(amount=sought)),
    ):
        place = located(page, value, "STRING")
        assert place.state in (results_pb2.GROUNDING_STATE_GROUNDED, results_pb2.GROUNDING_STATE_NOT_FOUND)


@pytest.mark.parametrize("number", ["NaN", "sNaN", "-Infinity", "1E+999999999999", "1E-999999999999", "0E+99", "-0.00"])
def test_no_number_whatever_breaks_it(number: str) -> None:
    place = located(printed_lines("Total 0.00"), results_pb2.Value(decimal=number), "NUMBER")
    assert place.state in (results_pb2.GROUNDING_STATE_GROUNDED, results_pb2.GROUNDING_STATE_NOT_FOUND)


@settings(max_examples=150, deadline=None)
@given(st.data(), days, days)
def test_another_day_is_never_boxed(data: st.DataObject, printed: date, sought: date) -> None:
    swapped = {(printed.year, printed.day, printed.month), (printed.year, printed.month, printed.day)}
    if (sought.year, sought.month, sought.day) in swapped or sought.year % 100 == printed.year % 100:
        return
    page = data.draw(st.composite(page_with)(data.draw(printed_days(printed))))
    place = located(page, results_pb2.Value(date=sought.isoformat()), "DATE")
    assert place == results_pb2.Provenance(state=results_pb2.GROUNDING_STATE_NOT_FOUND)


@settings(max_examples=150, deadline=None)
@given(st.data(), amounts, amounts)
def test_another_amount_is_never_boxed(data: st.DataObject, printed: Decimal, sought: Decimal) -> None:
    if printed == sought or sought == sought.to_integral():
        return
    page = data.draw(st.composite(page_with)(data.draw(printed_amounts(printed))))
    place = located(page, results_pb2.Value(money=results_pb2.Money(amount=f"{sought:f}")), "MONEY")
    assert place == results_pb2.Provenance(state=results_pb2.GROUNDING_STATE_NOT_FOUND)


@settings(max_examples=150, deadline=None)
@given(st.data(), names, names)
def test_another_text_is_never_boxed(data: st.DataObject, printed: list[str], sought: list[str]) -> None:
    if " ".join(sought).casefold() in " ".join(printed).casefold() or set(map(str.casefold, sought)) & set(printed):
        return
    page = data.draw(st.composite(page_with)(" ".join(printed)))
    place = located(page, results_pb2.Value(text=" ".join(sought) + " 4711"), "STRING")
    assert place == results_pb2.Provenance(state=results_pb2.GROUNDING_STATE_NOT_FOUND)
