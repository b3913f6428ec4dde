"""Yes and no, in words, marks and boxes."""

from gleaner_values.text import fold

_YES = frozenset("yes y true ja oui si sì sí x ✓ ✔ ☑ ☒ ■ 1 on waar vrai wahr vero verdadero checked".split())  # noqa: SIM905
_NO = frozenset("no n false nein non nee ☐ □ 0 off onwaar faux falsch falso unchecked none".split())  # noqa: SIM905


def read_boolean(text: str) -> bool | None:
    """Whether the text says yes or no; None if it says neither."""
    word = text.strip().strip("[](){}.:!").strip()
    folded = fold(word)
    if word in _YES or folded in _YES:
        return True
    if word in _NO or folded in _NO or text.strip() in ("[]", "[ ]"):
        return False
    return None
