from datetime import date
from decimal import Decimal

from gleaner.v1 import results_pb2 as pb
from gleaner_client import Money, values
from support.client_messages import a_field


def typed(path: str, **kind: object) -> pb.FieldResult:
    return pb.FieldResult(path=path, value=pb.Value(**kind))  # type: ignore[arg-type]


def test_values_become_plain_python() -> None:
    line = pb.FieldResult(
        path="lines.items[0]",
        children=[typed("lines.items[0].quantity", integer=3), typed("lines.items[0].price", decimal="1.50")],
    )
    fields = [
        typed("totals.net", money=pb.Money(amount="1234.50", currency_code="EUR")),
        typed("totals.tax", money=pb.Money(amount="7")),
        typed("totals.due", date="2026-11-24"),
        typed("totals.paid", flag=False),
        a_field("totals.note"),
        pb.FieldResult(path="lines.items", children=[line]),
        pb.FieldResult(path="seller.address", children=[typed("seller.address.city", text="Köln")]),
    ]
    result = pb.ExtractionResult(documents=[pb.DocumentResult(document="a.pdf", fields=fields)])

    assert values(result) == {
        "a.pdf": {
            "totals": {
                "net": Money(Decimal("1234.50"), "EUR"),
                "tax": Money(Decimal(7), None),
                "due": date(2026, 11, 24),
                "paid": False,
                "note": None,
            },
            "lines": {"items": [{"quantity": 3, "price": Decimal("1.50")}]},
            "seller": {"address": {"city": "Köln"}},
        }
    }
