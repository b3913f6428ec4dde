import pytest

from gleaner.v1 import schemas_pb2
from gleaner.v1.results_pb2 import Money, Value
from gleaner_values import Conventions, DateOrder, DecimalMark, fold, letters, parse, read_boolean, same_value, settle

STRING = schemas_pb2.FIELD_TYPE_STRING
NUMBER = schemas_pb2.FIELD_TYPE_NUMBER
INTEGER = schemas_pb2.FIELD_TYPE_INTEGER
BOOLEAN = schemas_pb2.FIELD_TYPE_BOOLEAN
DATE = schemas_pb2.FIELD_TYPE_DATE
MONEY = schemas_pb2.FIELD_TYPE_MONEY
ENUM = schemas_pb2.FIELD_TYPE_ENUM

GERMAN = Conventions(DateOrder.DAY_FIRST, DecimalMark.COMMA, "EUR")


@pytest.mark.parametrize(
    ("field_type", "text", "value"),
    [
        (STRING, "  a \n b ", Value(text="a b")),
        (NUMBER, "1.234", Value(decimal="1234")),
        (NUMBER, "19,0 %", Value(decimal="19.0")),
        (INTEGER, "10,000", Value(integer=10)),
        (INTEGER, "2 Stück", Value(integer=2)),
        (BOOLEAN, "Ja", Value(flag=True)),
        (BOOLEAN, "[ ]", Value(flag=False)),
        (DATE, "03.04.2021", Value(date="2021-04-03")),
        (MONEY, "1.234,50", Value(money=Money(amount="1234.50", currency_code="EUR"))),
        (MONEY, "1.234,50 USD", Value(money=Money(amount="1234.50", currency_code="USD"))),
        (ENUM, "overnight EXPRESS!", Value(text="Overnight Express")),
    ],
)
def test_a_text_becomes_the_value_of_its_field(
    field_type: schemas_pb2.FieldType.ValueType, text: str, value: Value
) -> None:
    field = schemas_pb2.Field(
        name="f", type=field_type, enum_values=["Overnight Express"] if field_type == ENUM else []
    )

    assert parse(field, text, GERMAN) == value
    assert same_value(value, text.split(" Stück")[0])


@pytest.mark.parametrize("field_type", [NUMBER, INTEGER, BOOLEAN, DATE, MONEY, ENUM])
def test_a_text_that_holds_no_such_value_gives_none(field_type: schemas_pb2.FieldType.ValueType) -> None:
    assert parse(schemas_pb2.Field(name="f", type=field_type, enum_values=["a"]), "nothing here", GERMAN) is None


def test_conventions_are_settled_from_the_lines_of_a_document() -> None:
    assert settle(["25.12.2021", "1.234,50 EUR", "Summe 3,00 EUR", "$ 5"]) == GERMAN


def test_the_same_value_is_known_in_another_print() -> None:
    assert same_value(Value(date="2021-04-03"), "April 3, 2021")
    assert not same_value(Value(date="2021-04-03"), "April 4, 2021")
    assert same_value(Value(money=Money(amount="1234.50")), "1.234,50")
    assert same_value(Value(text="Müller GmbH"), "MULLER  GmbH.")
    assert not same_value(Value(text=""), "")


def test_folding_takes_case_accents_and_marks_away() -> None:
    assert fold("  Straße – Ärzte’s ") == "strasse - arzte's"
    assert letters("Été 12-3/A") == "ete123a"


def test_neither_yes_nor_no_is_none() -> None:
    assert read_boolean("maybe") is None
