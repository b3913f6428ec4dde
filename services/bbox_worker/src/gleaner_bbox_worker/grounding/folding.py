"""Text as it is compared: letters and digits without case and accents, and the way back to what is printed."""

from functools import lru_cache

from gleaner_values.text import letters

_NARROW = frozenset("iljtfrI1.,:;'|!()[]{}/\\-`´’‘·")
_WIDE = frozenset("mwMW@%&ÆŒ—…")


@lru_cache(maxsize=1 << 16)
def fold(text: str) -> str:
    """The letters and digits of `text`, without case and accents, ligatures resolved."""
    return letters(text) if text.isascii() else "".join(map(letters, text))  # as `origins` counts them


@lru_cache(maxsize=1 << 14)
def origins(text: str) -> tuple[int, ...]:
    """For each character of `fold(text)` the index in `text` it comes from."""
    return tuple(index for index, char in enumerate(text) for _ in fold(char))


@lru_cache(maxsize=1 << 14)
def tokens(text: str) -> tuple[str, ...]:
    """The folded words of a label or a name: split at everything that is no letter or digit, and at camel humps."""
    parts: list[str] = []
    current = ""
    previous = ""
    for char in text:
        hump = previous.islower() and char.isupper()
        if current and (hump or not char.isalnum()):
            parts.append(fold(current))
            current = ""
        if char.isalnum():
            current += char
        previous = char
    if current:
        parts.append(fold(current))
    return tuple(part for part in parts if part)


def advance(char: str) -> float:
    """Roughly how wide a character is printed, in shares of a digit's width."""
    if char in _NARROW:
        return 0.55
    if char in _WIDE:
        return 1.5
    return 1.2 if char.isupper() else 1.0


def share(text: str, end: int) -> float:
    """Which share of a word's printed width its first `end` characters take."""
    total = sum(map(advance, text))
    return sum(map(advance, text[:end])) / total if total else 0.0
