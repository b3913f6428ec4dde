"""Which metrics and labels an expression of Prometheus names, and the expressions of our dashboard and rules."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

OBSERVABILITY = Path(__file__).parents[2] / "observability"
RULES = sorted((OBSERVABILITY / "rules").glob("*.yaml"))
_WORDS = {"and", "or", "unless", "bool", "offset"}
_LISTS = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
_SELECTOR = re.compile(r"([a-zA-Z_:][\w:]*)\s*\{([^}]*)\}")


@dataclass(frozen=True)
class Named:
    """The metrics of an expression, the labels that each one's matchers name, and those that it is grouped by."""

    metrics: frozenset[str]
    matched: frozenset[tuple[str, str]]
    grouped: frozenset[str]


def named(expression: str) -> Named:
    """What the expression names. Strings must not hold braces."""
    plain = re.sub(r'"(?:[^"\\]|\\.)*"', '""', expression)
    grouped = {label.strip() for found in _LISTS.findall(plain) for label in found.split(",") if label.strip()}
    plain = _LISTS.sub(" ", plain)
    matched = {
        (metric, label) for metric, inside in _SELECTOR.findall(plain) for label in re.findall(r"(\w+)\s*[=!]", inside)
    }
    plain = re.sub(r"\{[^}]*\}|\[[^\]]*\]", " ", plain)
    words = re.finditer(r"(?<![\w.])([a-zA-Z_:][\w:]*)(\s*\()?", plain)
    metrics = {word.group(1) for word in words if not word.group(2) and word.group(1) not in _WORDS}
    return Named(frozenset(metrics), frozenset(matched), frozenset(grouped))


def dashboard() -> dict[str, Any]:
    """The dashboard as Grafana reads it."""
    read: dict[str, Any] = json.loads((OBSERVABILITY / "dashboard.json").read_text())
    return read


def dashboard_expressions() -> Iterator[str]:
    """Every query of the dashboard, as Prometheus gets it."""
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", ()):
            yield as_asked(target["expr"])


def as_asked(query: str) -> str:
    """A query of the dashboard as Prometheus gets it."""
    return query.replace("$__rate_interval", "1m").replace("$job", ".*")


def rules() -> Iterator[dict[str, Any]]:
    """Every rule."""
    for path in RULES:
        for group in yaml.safe_load(path.read_text())["groups"]:
            yield from group["rules"]


def alerts() -> list[dict[str, Any]]:
    """Every rule that alerts."""
    return [rule for rule in rules() if "alert" in rule]


def recorded() -> set[str]:
    """The metrics that rules record."""
    return {rule["record"] for rule in rules() if "record" in rule}


def expressions() -> Iterator[str]:
    """Every expression that is looked at or alerted on."""
    yield from dashboard_expressions()
    yield from (rule["expr"] for rule in rules())
