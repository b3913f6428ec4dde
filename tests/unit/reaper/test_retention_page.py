"""docs/retention.md says of every setting what it is when nobody sets it."""

import re
from datetime import timedelta
from pathlib import Path

from gleaner_reaper.settings import ReaperSettings, RetentionSettings

PAGE = (Path(__file__).parents[3] / "docs" / "retention.md").read_text()
UNITS = {"hour": timedelta(hours=1), "day": timedelta(days=1)}


def test_the_figures_on_the_page_are_the_defaults() -> None:
    rows = re.findall(r"\| `GLEANER_(\w+)` \| (\d+) (hour|day)s? \|", PAGE)
    assert {name.lower(): int(count) * UNITS[unit].total_seconds() for name, count, unit in rows} == {
        name: field.default for name, field in RetentionSettings.model_fields.items()
    }
    assert f"`GLEANER_REAPER_REMOVAL_S` ({ReaperSettings.model_fields['reaper_removal_s'].default:g} s)" in PAGE
