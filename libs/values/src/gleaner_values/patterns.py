"""Patterns of the caller's: RE2, which takes time linear in the text, whatever the pattern."""

import re2


def compiled(pattern: str) -> "re2._Regexp[str]":
    """The pattern; use `fullmatch`. Raises ValueError if it is none, or too large."""
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 1 << 20
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        told = error.args[0] if error.args else b""
        raise ValueError(told.decode(errors="replace") if isinstance(told, bytes) else str(told)) from error
