"""Words that options take."""

from enum import StrEnum

from gleaner_core.states import Refinement, State

__all__ = ["Colour", "Delivery", "Ocr", "Refinement", "State"]


class Delivery(StrEnum):
    """Where a delivery is."""

    PENDING = "PENDING"
    SENDING = "SENDING"
    DELIVERED = "DELIVERED"
    DEAD = "DEAD"


class Ocr(StrEnum):
    """Which pages are recognised from their picture."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


class Colour(StrEnum):
    """What the colours of an overlay tell."""

    GROUP = "group"
    CONFIDENCE = "confidence"
