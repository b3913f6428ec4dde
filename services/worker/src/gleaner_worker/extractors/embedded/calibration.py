"""From scores to confidences: of values given as 0.9, about nine in ten are right.

How often a way of finding a value is right was counted on labelled documents (`python -m bench.accuracy.calibrate`
writes calibration.json): for each kind of value and each way that led to it the share of right ones, drawn towards a
cautious guess where few were seen, and the mean score. A score above or below that mean moves the share.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

from gleaner_worker.extractors.embedded.candidates import Candidate
from gleaner_worker.extractors.embedded.targets import Target

CAUTIOUS = 0.82  # the guess for what was never seen
SLOPE = 3.0  # what a difference of 1.0 in the score adds to the logarithm of the odds
AGREES = 1.05  # a score that only sums reach which others confirm
_LEAST, _MOST = 0.05, 0.99


@dataclass(frozen=True, slots=True)
class Share:
    """How often one way of finding one kind of value is right, and the mean score of its values."""

    right: float
    score: float


def _load() -> dict[str, Share]:
    loaded = json.loads(resources.files(__package__).joinpath("calibration.json").read_text("utf-8"))
    return {name: Share(entry["right"], entry["score"]) for name, entry in loaded.items()}


_SHARES = _load()


def confidence(wanted: Target, candidate: Candidate, shares: Mapping[str, Share] = _SHARES) -> float:
    """How sure the candidate is, 0..1."""
    share = shares.get(group(wanted, candidate)) or shares.get(candidate.source) or Share(CAUTIOUS, 0.85)
    odds = math.log(share.right / (1 - share.right)) + SLOPE * (min(candidate.score, 1.2) - share.score)
    return round(min(max(1 / (1 + math.exp(-odds)), _LEAST), _MOST), 4)


def group(wanted: Target, candidate: Candidate) -> str:
    """What the candidate is counted with: its kind and the way that led to it."""
    kind = wanted.attribute if wanted.kind == "text" and wanted.attribute else wanted.kind
    agrees = " agreed" if wanted.kind == "amount" and candidate.score >= AGREES else ""
    return f"{kind} {candidate.source}{agrees}"
