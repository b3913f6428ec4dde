"""Prints the pages of docs/ that come from the code; with --check fails if one is not what would be printed."""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import AliasChoices
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings

from gleaner_api.settings import ApiSettings
from gleaner_bbox_worker.settings import BboxWorkerSettings
from gleaner_reaper.settings import ReaperSettings
from gleaner_repo.moves import (
    DEFER,
    DUE,
    END,
    GRANT,
    HOLDER,
    LAPSED,
    LAST_HOLDER,
    MOVES,
    NEXT_LEG,
    OVER,
    PATIENT_HOLDER,
    REFINEMENT_OVER,
    REVIVE,
    SUSPECT,
    TENANT,
    UNCOUNT,
    WORN_OUT,
    Move,
)
from gleaner_rpc.errors_page import as_markdown as errors_page
from gleaner_telemetry.metrics import METRICS
from gleaner_worker.settings import WorkerSettings

DOCS = Path(__file__).parents[1] / "docs"

GUARDS = {
    DUE: "it is due, and lost fewer than two leases",
    SUSPECT: "it is due, and lost two leases or more: it runs alone",
    HOLDER: "the caller's fencing token is the row's",
    LAST_HOLDER: "the caller's fencing token is the row's",
    PATIENT_HOLDER: "the caller's fencing token is the row's, and it was not handed back too often",
    TENANT: "it is the caller's tenant's",
    LAPSED: "its lease ran out, and the leg may lose another",
    WORN_OUT: "its lease ran out, and the leg may lose no more",
    OVER: "it is over, in the series that was asked about if one was, and the tenant's",
    REFINEMENT_OVER: "its refinement failed or was cancelled, and it is the tenant's",
}
STAMPS = {
    GRANT: "token and attempt + 1; holder and lease",
    DEFER: "the error; due after a delay",
    UNCOUNT: "attempt - 1, hand-backs + 1; due at once",
    NEXT_LEG: "outcome with result and pages; the next leg's counts from 0; due at once",
    REVIVE: "attempt - 1, lapses + 1; due at once, later with back-off",
}
SERVICES: dict[str, type[BaseSettings]] = {
    "api": ApiSettings,
    "worker": WorkerSettings,
    "bbox_worker": BboxWorkerSettings,
    "reaper": ReaperSettings,
}


def moves_page() -> str:
    """docs/moves.md."""
    rows = "\n".join(_move_row(move) for move in MOVES.values())
    arrows = "\n".join(dict.fromkeys(_arrows(MOVES.values())))
    return f"""# The moves of a job

<!-- Printed from libs/repo/src/gleaner_repo/moves.py: make docs -->

Each move is one SQL statement, guarded by state and by what the fourth column says, with what must follow it: the
event, the outcome, the deliveries. It also raises `seq`. Who loses a race gets nothing back, and nothing is changed.

```mermaid
stateDiagram-v2
    [*] --> QUEUED: job.submitted
{arrows}
```

A `PARTIAL_SUCCEEDED` job waits for its boxes, unless its refinement failed or was cancelled: then it is over.

| move | from | to | if | writes | event |
|---|---|---|---|---|---|
{rows}

Each series of a job has exactly one final event (**bold**); a retry by hand starts the next series.
"""


def _move_row(move: Move) -> str:
    event = f"**{move.event}**" if move.ends else move.event
    stamps = STAMPS.get(move.stamps)
    if stamps is None:
        stamps = "the row goes; outcome" if move.stamps is END and move.ends else "the row comes back; series + 1"
    ending = f" (refinement {move.refinement})" if move.refinement else ""
    states = ", ".join(move.from_states)
    return f"| `{move.name}` | {states} | {move.to_state}{ending} | {GUARDS[move.guard]} | {stamps} | {event} |"


def _arrows(moves: Any) -> Iterator[str]:
    for move in moves:
        for state in move.from_states:
            end = "[*]" if move.ends and move.to_state == "PARTIAL_SUCCEEDED" else move.to_state
            yield f"    {state} --> {end}: {move.event.removeprefix('job.')}"


def settings_page() -> str:
    """docs/settings.md."""
    used: dict[str, dict[str, FieldInfo]] = {}
    for service, settings in SERVICES.items():
        for name, field in _variables(settings):
            used.setdefault(name, {})[service] = field
    rows = "\n".join(
        f"| `{name}` | {_defaults(fields)} | {_who(set(fields))} | {next(iter(fields.values())).description} |"
        for name, fields in sorted(used.items())
    )
    return f"""# Settings

<!-- Printed from the settings classes of the services: make docs -->

Every service is configured by its environment alone. Names end in their unit: `_s` is seconds, `_mb` is MiB.
What does not fit together is refused at start, with the way out. Beside these, OpenTelemetry reads its own standard
`OTEL_*` variables.

| variable | default | read by | meaning |
|---|---|---|---|
{rows}
"""


def _variables(settings: type[BaseSettings]) -> Iterator[tuple[str, FieldInfo]]:
    prefix = settings.model_config.get("env_prefix", "")
    for name, field in settings.model_fields.items():
        group = field.default_factory
        if isinstance(group, type) and issubclass(group, BaseSettings):
            yield from _variables(group)
        elif isinstance(field.validation_alias, str):
            yield field.validation_alias, field
        else:
            assert not isinstance(field.validation_alias, AliasChoices)
            yield (prefix + name).upper(), field


def _defaults(fields: Mapping[str, FieldInfo]) -> str:
    """The default; each service's own if they differ."""
    by_service = {service: _default(field) for service, field in fields.items()}
    if len(set(by_service.values())) == 1:
        return next(iter(by_service.values()))
    return ", ".join(f"{service}: {default}" for service, default in by_service.items())


def _default(field: FieldInfo) -> str:
    default = field.get_default(call_default_factory=True, validated_data={})
    if default is PydanticUndefined:
        return "(required)"
    if hasattr(default, "total_seconds"):
        default = f"{default.total_seconds():g}"
    if hasattr(default, "get_secret_value"):
        default = default.get_secret_value()
    return f"`{default}`" if str(default) else "(empty)"


def _who(services: set[str]) -> str:
    return "all" if services == set(SERVICES) else ", ".join(service for service in SERVICES if service in services)


def metrics_page() -> str:
    """docs/metrics.md."""
    rows = "\n".join(
        f"| `{each.name}` | {each.kind} | {each.unit} | {', '.join(f'`{label}`' for label in each.labels)} | {each.by} "
        f"| {each.description} |"
        for each in METRICS
    )
    return f"""# Metrics

<!-- Printed from libs/telemetry/src/gleaner_telemetry/metrics.py: make docs -->

Names and units are those of [OpenTelemetry's conventions](https://opentelemetry.io/docs/specs/semconv/) where there are
some. Prometheus has them with `_` for `.`, the unit at the end (`_seconds`), and `_total` after counters:
`gleaner.claims` is `gleaner_claims_total`; of `gleaner.run.duration` there are `gleaner_run_duration_seconds_bucket`,
`_count` and `_sum`; a label is `gleaner_leg`.

No label has values that grow with jobs, documents or tenants. Figures of the queue and of the log are told alike by
every api: they are joined by `max`, not by `sum`. [telemetry.md](telemetry.md) says how they get out.

| metric | kind | unit | labels | by | what |
|---|---|---|---|---|---|
{rows}
"""


PAGES = {
    "moves.md": moves_page,
    "settings.md": settings_page,
    "errors.md": errors_page,
    "metrics.md": metrics_page,
}


def main() -> int:
    """Prints the pages, or checks them."""
    stale = []
    for name, page in PAGES.items():
        path = DOCS / name
        text = page()
        if "--check" not in sys.argv:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(name)
    if stale:
        sys.stderr.write(f"out of date in docs/: {', '.join(stale)}; run make docs\n")
    return bool(stale)


if __name__ == "__main__":
    sys.exit(main())
