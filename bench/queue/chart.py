"""The chart of a run: for each measure a panel, for each queue a bar."""

from dataclasses import dataclass
from pathlib import Path
from statistics import median

from PIL import Image, ImageDraw, ImageFont

from bench.queue.report import Sample

WIDTH, PANEL_WIDTH, BAR, GAP, TITLE = 1280, 620, 22, 6, 34
LABEL, MARGIN = 190, 20
INK, FAINT, OURS, PEER = "#1f2933", "#7b8794", "#0b7285", "#b8c4ce"


@dataclass(frozen=True)
class Panel:
    """A measure: which figure of it, and which of ours stand beside the peers'."""

    title: str
    measure: str
    figure: str
    ours: tuple[tuple[str, str, str, str], ...]
    lower_is_better: bool = False


PANELS = (
    Panel(
        "Submit, 16 callers, jobs/s",
        "submit 16x1",
        "rate",
        (
            ("gleaner", "submit 16x1", "gleaner", ""),
            ("gleaner, SubmitJob x 64", "submit 64x1", "gleaner by gRPC", ""),
        ),
    ),
    Panel("Submit, 1,000 a call, jobs/s", "submit 1x1000", "rate", (("gleaner", "submit 1x1000", "gleaner", ""),)),
    Panel(
        "Claim and finish, one worker, jobs/s",
        "drain 1",
        "rate",
        (
            ("gleaner, batch 500", "drain 1", "gleaner", "batch 500"),
            ("gleaner, default", "drain 1", "gleaner", "default"),
        ),
    ),
    Panel(
        "Pickup at 50 jobs/s, p99, ms (less is better)",
        "pickup",
        "p99",
        (
            ("gleaner", "pickup", "gleaner", "default"),
            ("gleaner, gRPC", "pickup", "gleaner by gRPC", "default"),
        ),
        lower_is_better=True,
    ),
    Panel(
        "500 jobs/s, CPU a job, ms (less is better)",
        "steady",
        "cpu_ms",
        (
            ("gleaner", "steady", "gleaner", "default"),
            ("gleaner, gRPC", "steady", "gleaner by gRPC", "default"),
        ),
        lower_is_better=True,
    ),
    Panel(
        "WAL a job, bytes (less is better)",
        "drain 1",
        "wal",
        (("gleaner, with events and key", "drain 1", "gleaner", "batch 500"),),
        lower_is_better=True,
    ),
)


def draw(samples: list[Sample], file: Path) -> None:
    """Draws what was measured."""
    panels = [(panel, bars) for panel in PANELS if (bars := _bars(panel, samples))]
    rows = [panels[at : at + 2] for at in range(0, len(panels), 2)]
    heights = [max(_height(bars) for _, bars in row) for row in rows]
    image = Image.new("RGB", (WIDTH, sum(heights) + 2 * MARGIN), "white")
    canvas = ImageDraw.Draw(image)
    top = MARGIN
    for row, height in zip(rows, heights, strict=True):
        for column, (panel, bars) in enumerate(row):
            _panel(canvas, panel, bars, MARGIN + column * PANEL_WIDTH, top)
        top += height
    file.parent.mkdir(parents=True, exist_ok=True)
    image.save(file, optimize=True)


Bar = tuple[str, float, bool]
"""What it is called, how long it is, and whether it is ours."""


def _bars(panel: Panel, samples: list[Sample]) -> list[Bar]:
    found = [
        (name, value, True)
        for name, measure, subject, config in panel.ours
        if (value := _median(samples, measure, subject, config, panel.figure)) is not None
    ]
    peers = {
        (s.subject, s.config) for s in samples if s.measure == panel.measure and not s.subject.startswith("gleaner")
    }
    for subject, config in peers:
        value = _median(samples, panel.measure, subject, config, panel.figure)
        if value is not None:
            found.append((f"{subject}, {config}" if config else subject, value, False))
    return sorted(found, key=lambda bar: bar[1], reverse=not panel.lower_is_better)


def _median(samples: list[Sample], measure: str, subject: str, config: str, figure: str) -> float | None:
    values = [s.figures[figure] for s in samples if (s.measure, s.subject, s.config) == (measure, subject, config)]
    return median(values) if values else None


def _height(bars: list[Bar]) -> int:
    return TITLE + len(bars) * (BAR + GAP) + MARGIN


def _panel(canvas: ImageDraw.ImageDraw, panel: Panel, bars: list[Bar], left: int, top: int) -> None:
    canvas.text((left, top), panel.title, INK, ImageFont.load_default(17))
    small = ImageFont.load_default(13)
    scale = (PANEL_WIDTH - LABEL - 100) / max(value for _, value, _ in bars)
    for number, (name, value, is_ours) in enumerate(bars):
        y = top + TITLE + number * (BAR + GAP)
        x = left + LABEL
        canvas.text((x - 8, y + BAR / 2), name, INK if is_ours else FAINT, small, anchor="rm")
        end = x + max(round(value * scale), 1)
        canvas.rectangle((x, y, end, y + BAR - 1), OURS if is_ours else PEER)
        canvas.text(
            (end + 6, y + BAR / 2), f"{value:,.0f}" if value >= 100 else f"{value:.3g}", INK, small, anchor="lm"
        )
