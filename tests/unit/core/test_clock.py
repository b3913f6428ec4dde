"""Only the database's clock decides about leases, back-off and retention."""

import ast
from collections.abc import Iterator
from pathlib import Path

LIBS = Path(__file__).parents[3] / "libs"
WALL_CLOCKS = {("time", "time"), ("time", "time_ns"), ("datetime", "now"), ("datetime", "utcnow"), ("date", "today")}
# What an id begins with (retention asks the row, too), and when a span began and ended: nothing is decided by them.
ONLY_TELL = {"ids.py", "tracing.py"}


def wall_clocks(path: Path) -> Iterator[str]:
    """Where a module asks this machine what time it is."""
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Attribute(value=ast.Name(id=module), attr=name) if (module, name) in WALL_CLOCKS:
                yield f"{path.name}:{node.lineno} {module}.{name}"


def test_neither_the_repository_nor_the_loop_asks_this_machine_what_time_it_is() -> None:
    modules = [
        path
        for library in ("core", "repo", "runner")
        for path in (LIBS / library / "src").rglob("*.py")
        if path.name not in ONLY_TELL
    ]
    assert len(modules) > 20
    assert [found for path in modules for found in wall_clocks(path)] == []


def test_the_check_can_fail(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text("import time\nnow = time.time()\n")
    assert list(wall_clocks(tmp_path / "module.py")) == ["module.py:2 time.time"]
