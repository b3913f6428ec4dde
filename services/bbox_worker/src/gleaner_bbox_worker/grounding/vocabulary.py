"""Words of business papers in several languages, brought to the one that a schema's field names would use.

A field `net_total` is printed as `Nettobetrag`, `Total HT` or `Subtotal excl. VAT`: what no alias says, this does.
"""

from functools import lru_cache

from gleaner_bbox_worker.grounding.folding import tokens

_MEANINGS = {
    "number": "no nr num nbr numero nummer n number numbers id",
    "amount": "amt amount betrag montant bedrag importe importo valeur value",
    "date": "dt date dated datum fecha data vom",
    "quantity": "qty quantity menge anzahl quantite aantal cantidad quantita qte",
    "total": "total totals summe gesamt gesamtbetrag gesamtsumme totaal totale somme",
    "tax": "tax vat gst mwst ust tva btw iva mehrwertsteuer umsatzsteuer steuer steuern taxe taxes impuesto",
    "net": "net netto nett ht warenwert imponible excluding excl exclusive excluded exkl ohne hors without",
    "gross": "gross brutto ttc including incl inclusive included inkl",
    "due": "due payable pay zahlbar zahlen fallig faellig echeance vencimiento scadenza vervaldatum",
    "invoice": "invoice inv rechnung rechnungs facture factuur factura fattura",
    "order": "order bestellung bestell auftrag commande bestelling pedido ordine po",
    "delivery": "delivery shipping lieferung liefer leistung livraison levering entrega consegna",
    "buyer": "buyer customer client kunde kunden kaufer kaeufer acheteur koper klant cliente comprador "
    "rechnungsempfanger leistungsempfanger besteller",
    "seller": "seller vendor supplier lieferant verkaufer verkaeufer vendeur fournisseur verkoper leverancier "
    "proveedor vendedor rechnungssteller",
    "price": "price rate preis prix prijs precio prezzo",
    "unit": "unit einzel unitaire einheit eenheid unitario",
    "currency": "currency wahrung waehrung devise valuta moneda",
    "description": "description desc bezeichnung beschreibung artikel designation omschrijving descripcion item",
    "name": "name nom naam nombre",
    "street": "street strasse str rue straat calle via",
    "city": "city ort stadt ville plaats ciudad",
    "postcode": "postcode plz zip postal",
    "address": "address anschrift adresse adres direccion indirizzo",
    "from": "from von ab du desde start begin first beginning",
    "to": "to bis au hasta end last ending through thru",
    "contract": "contract vertrag contrat contracto",
    "line": "line lines position positionen pos ligne regel",
}
_COMPOUNDS = {
    "subtotal": "sub total",
    "zwischensumme": "sub total",
    "positionssumme": "line total",
    "nettobetrag": "net total",
    "nettosumme": "net total",
    "bruttobetrag": "gross total",
    "bruttosumme": "gross total",
    "rechnungsbetrag": "invoice total",
    "rechnungssumme": "invoice total",
    "endbetrag": "total due",
    "endsumme": "total due",
    "zahlbetrag": "amount due",
    "steuerbetrag": "tax total",
    "rechnungsnummer": "invoice number",
    "rechnungsnr": "invoice number",
    "rechnungsdatum": "invoice date",
    "lieferdatum": "delivery date",
    "leistungsdatum": "delivery date",
    "bestellnummer": "order number",
    "bestelldatum": "order date",
    "auftragsnummer": "order number",
    "steuernummer": "tax number",
    "einzelpreis": "unit price",
    "gesamtpreis": "amount total",
    "factuurnummer": "invoice number",
    "factuurdatum": "invoice date",
    "ustid": "tax number",
    "ustidnr": "tax number",
    "idnr": "number",
}
_WORDS = {form: (word,) for word, forms in _MEANINGS.items() for form in forms.split()} | {
    form: tuple(words.split()) for form, words in _COMPOUNDS.items()
}

SLIGHT = frozenset(
    {
        "of",
        "the",
        "a",
        "an",
        "in",
        "for",
        "and",
        "or",
        "by",
        "on",
        "is",
        "der",
        "die",
        "das",
        "des",
        "und",
        "le",
        "la",
        "les",
        "de",
        "el",
        "y",
        "et",
        "our",
        "your",
        "ihre",
        "no",
    }
)
"""Words that tell nothing."""

TURNING = frozenset(
    {
        "sub",
        "net",
        "tax",
        "before",
        "discount",
        "rounding",
        "quantity",
        "item",
        "items",
        "cash",
        "change",
        "paid",
        "deposit",
        "allowance",
        "charge",
        "rabatt",
        "remise",
        "abschlag",
        "zuschlag",
        "abschlage",
        "zuschlage",
        "tendered",
        "tender",
        "card",
        "service",
        "prepaid",
        "anzahlungen",
        "saved",
        "savings",
    }
)
"""Words that make of a label another one: `sub total` is no total."""

COMMON = frozenset(("number", "amount", "date", "name", "total"))
"""Words that many labels share: alone they tell little."""


@lru_cache(maxsize=1 << 14)
def meanings(text: str) -> tuple[str, ...]:
    """The words of a text, each as a schema would name it."""
    found: list[str] = []
    for token in tokens(text):
        known = _WORDS.get(token)
        if known is None and len(token) > 4 and token.endswith("s"):
            known = _WORDS.get(token[:-1], (token[:-1],))
        found += known or (token,)
    return tuple(found)
