"""The table of a run: medians over its rounds, beside the best peer, the ceiling and the goal."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

Check = Callable[["Line"], bool]


@dataclass(frozen=True)
class Sample:
    """One measurement: of which queue, in which configuration, in which round."""

    measure: str
    subject: str
    config: str
    round: int
    figures: Mapping[str, float]


@dataclass(frozen=True)
class Row:
    """A line to print. `ours` and `ceiling` are (measure, subject, config); `peers` is the measure they share."""

    title: str
    unit: str
    figure: str
    ours: tuple[str, str, str]
    peers: str = ""
    ceiling: tuple[str, str, str] | None = None
    goal: str = ""
    met: Check | None = None
    lower_is_better: bool = False
    ceiling_figure: str = ""


@dataclass(frozen=True)
class Line:
    """What is known of a row."""

    row: Row
    ours: float
    best: float | None
    best_name: str
    ceiling: float | None

    @property
    def to_best(self) -> float | None:
        """How many times as good as the best peer: above 1 is better, whichever way the figure counts."""
        if not self.best or not self.ours:
            return None
        return self.best / self.ours if self.row.lower_is_better else self.ours / self.best

    @property
    def to_ceiling(self) -> float | None:
        return self.ours / self.ceiling if self.ceiling else None

    @property
    def verdict(self) -> str:
        return "" if self.row.met is None else "met" if self.row.met(self) else "missed"


def at_least(value: float) -> Check:
    return lambda line: line.ours >= value


def at_most(value: float) -> Check:
    return lambda line: line.ours <= value


def of_ceiling(share: float) -> Check:
    return lambda line: line.to_ceiling is not None and line.to_ceiling >= share


def _claim_goal(line: Line) -> bool:
    return line.ours >= 60_000 and (line.to_best is None or line.to_best >= 2)


_ECHO = ("echo", "ceiling", "")
_BEST = ("drain 1", "gleaner", "batch 500")

ROWS = (
    Row("bare gRPC echo, 64 outstanding", "calls/s", "rate", _ECHO),
    Row("pgbench, single-row insert, 16 clients", "rows/s", "rate", ("pgbench", "ceiling", "")),
    Row("submit, 1 caller", "jobs/s", "rate", ("submit 1x1", "gleaner", ""), "submit 1x1"),
    Row(
        "submit, 16 callers",
        "jobs/s",
        "rate",
        ("submit 16x1", "gleaner", ""),
        "submit 16x1",
        ("pgbench", "ceiling", ""),
    ),
    Row("submit, 100 a call", "jobs/s", "rate", ("submit 1x100", "gleaner", ""), "submit 1x100"),
    Row(
        "submit, 1,000 a call",
        "jobs/s",
        "rate",
        ("submit 1x1000", "gleaner", ""),
        "submit 1x1000",
        ("asyncpg submit", "ceiling", "1 x 1000"),
    ),
    Row(
        "SubmitJob, 64 outstanding",
        "jobs/s",
        "rate",
        ("submit 64x1", "gleaner by gRPC", ""),
        "submit 16x1",
        _ECHO,
        ">= 0.55 of the echo",
        of_ceiling(0.55),
    ),
    Row(
        "SubmitJob, 64 outstanding, p99",
        "ms",
        "p99",
        ("submit 64x1", "gleaner by gRPC", ""),
        goal="< 45",
        met=at_most(45),
        lower_is_better=True,
    ),
    Row(
        "BatchSubmitJobs of 100",
        "jobs/s",
        "rate",
        ("submit 4x100", "gleaner by gRPC", ""),
        "submit 1x100",
        ("asyncpg submit", "ceiling", "1 x 1000"),
        ">= 20,000",
        at_least(20_000),
    ),
    Row(
        "claim and finish, 1 worker, best configuration",
        "jobs/s",
        "rate",
        _BEST,
        "drain 1",
        ("asyncpg finish", "ceiling", "1 x 500"),
        ">= 60,000 and 2 x the best peer",
        _claim_goal,
    ),
    Row(
        "claim and finish, 2 workers",
        "jobs/s",
        "rate",
        ("drain 2", "gleaner", "batch 500"),
        "drain 2",
        _BEST,
        ">= 0.9 of 1 worker",
        of_ceiling(0.9),
    ),
    Row(
        "the workers' own loop, defaults (4 slots)",
        "jobs/s",
        "rate",
        ("drain 1", "gleaner", "default"),
        "drain 1 default",
        _BEST,
        ">= 0.5 of our best configuration",
        of_ceiling(0.5),
    ),
    Row(
        "the workers' own loop, 100 slots",
        "jobs/s",
        "rate",
        ("drain 1", "gleaner", "100 slots"),
        "drain 1",
        _BEST,
    ),
    Row(
        "pickup at 50/s, p50",
        "ms",
        "p50",
        ("pickup", "gleaner", "default"),
        "pickup",
        goal="<= 2",
        met=at_most(2),
        lower_is_better=True,
    ),
    Row(
        "pickup at 50/s, p99",
        "ms",
        "p99",
        ("pickup", "gleaner", "default"),
        "pickup",
        goal="<= 5",
        met=at_most(5),
        lower_is_better=True,
    ),
    Row(
        "pickup at 50/s through gRPC, p50",
        "ms",
        "p50",
        ("pickup", "gleaner by gRPC", "default"),
        "pickup",
        goal="<= 2.5",
        met=at_most(2.5),
        lower_is_better=True,
    ),
    Row(
        "pickup at 50/s through gRPC, p99",
        "ms",
        "p99",
        ("pickup", "gleaner by gRPC", "default"),
        "pickup",
        goal="<= 5.5",
        met=at_most(5.5),
        lower_is_better=True,
    ),
    Row(
        "500 jobs/s, CPU a job",
        "ms",
        "cpu_ms",
        ("steady", "gleaner", "default"),
        "steady",
        goal="<= 1.2",
        met=at_most(1.2),
        lower_is_better=True,
    ),
    Row(
        "500 jobs/s, submit to end, p99",
        "ms",
        "end_p99",
        ("steady", "gleaner", "default"),
        "steady",
        goal="<= 25",
        met=at_most(25),
        lower_is_better=True,
    ),
    Row(
        "500 jobs/s through gRPC, CPU a job",
        "ms",
        "cpu_ms",
        ("steady", "gleaner by gRPC", "default"),
        "steady",
        goal="<= 1.6",
        met=at_most(1.6),
        lower_is_better=True,
    ),
    Row(
        "500 jobs/s through gRPC, submit to end, p99",
        "ms",
        "end_p99",
        ("steady", "gleaner by gRPC", "default"),
        "steady",
        goal="<= 25",
        met=at_most(25),
        lower_is_better=True,
    ),
    Row("WAL a job, with its body", "B", "wal", _BEST, "drain 1", lower_is_better=True),
    Row(
        "WAL a job, without bodies",
        "B",
        "wal",
        ("drain bare", "gleaner", "batch 500"),
        goal="<= 1,700",
        met=at_most(1700),
        lower_is_better=True,
    ),
    Row("Postgres CPU a job, claim and finish", "ms", "postgres_ms", _BEST, "drain 1", lower_is_better=True),
    Row("worker CPU a job, claim and finish", "ms", "worker_ms", _BEST, "drain 1", lower_is_better=True),
    Row(
        "kill -9 of a worker until its job runs again, slowest",
        "s",
        "seconds",
        ("recovery", "gleaner", "default"),
        "recovery",
        goal="<= 20",
        met=at_most(20),
        lower_is_better=True,
    ),
)


def lines(samples: list[Sample]) -> list[Line]:
    """The rows that were measured."""
    return [line for row in ROWS if (line := _line(row, samples))]


def table(found: list[Line]) -> str:
    """The lines as a table in Markdown."""
    heads = ("measure", "unit", "ours", "best peer", "x", "ceiling", "x", "goal", "")
    cells = [heads, *(_cells(line) for line in found)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    rows = [
        "| " + " | ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) + " |" for row in cells
    ]
    return "\n".join([rows[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *rows[1:]])


def _cells(line: Line) -> tuple[str, ...]:
    return (
        line.row.title,
        line.row.unit,
        _number(line.ours),
        f"{_number(line.best)} ({line.best_name})" if line.best is not None else "",
        _ratio(line.to_best),
        _number(line.ceiling),
        _ratio(line.to_ceiling),
        line.row.goal,
        line.verdict,
    )


def as_json(samples: list[Sample], about: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that was measured."""
    return {
        **about,
        "samples": [
            {"measure": s.measure, "subject": s.subject, "config": s.config, "round": s.round, **s.figures}
            for s in samples
        ],
    }


def _line(row: Row, samples: list[Sample]) -> Line | None:
    ours = _middle(samples, row.ours, row.figure)
    if ours is None:
        return None
    best, name = _best_peer(row, samples)
    ceiling = _middle(samples, row.ceiling, row.ceiling_figure or row.figure) if row.ceiling else None
    return Line(row, ours, best, name, ceiling)


def _middle(samples: list[Sample], key: tuple[str, str, str], figure: str) -> float | None:
    values = [s.figures[figure] for s in samples if (s.measure, s.subject, s.config) == key and figure in s.figures]
    if not values:
        return None
    return max(values) if key[0] == "recovery" else median(values)


def _best_peer(row: Row, samples: list[Sample]) -> tuple[float | None, str]:
    """The best configuration of the best peer; of a measure `... default` only the peers' defaults."""
    measure = row.peers.removesuffix(" default")
    keys = {(s.subject, s.config) for s in samples if s.measure == measure and not s.subject.startswith(_OURS)}
    if measure != row.peers:
        keys = {key for key in keys if key[1] == "default"}
    found = [
        (value, f"{subject}, {config}" if config else subject)
        for subject, config in sorted(keys)
        if (value := _middle(samples, (measure, subject, config), row.figure)) is not None
    ]
    if not found:
        return None, ""
    return min(found) if row.lower_is_better else max(found)


_OURS = ("gleaner", "ceiling")


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.3g}"


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
