"""Typed reading of printed values: dates, amounts, numbers, identifiers."""
