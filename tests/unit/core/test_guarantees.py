"""docs/guarantees.md names files and tests that there are, tools/mutations.toml guards that there are."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "guarantees.md").read_text()
QUOTED = set(re.findall(r"`([^`\n]+)`", PAGE))
ROWS = [line.strip("|").split("|") for line in PAGE.splitlines() if re.match(r"\| [\d, ]+ \|", line)]


def test_every_test_is_one() -> None:
    tests = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^\s*(?:async )?def (test_\w+)", path.read_text(), re.MULTILINE)
    }
    named = {name for name in QUOTED if name.startswith("test_")}
    assert len(named) > 90
    assert named - tests == set()


def test_every_file_is_one() -> None:
    files = {name for name in QUOTED if "/" in name}
    sources = [*ROOT.glob("libs/*/src"), *ROOT.glob("services/*/src")]
    assert len(files) > 15
    assert [name for name in files if not any((source / name).exists() for source in sources)] == []
    links = [link for link in re.findall(r"\]\(([^)#]+)", PAGE) if not (ROOT / "docs" / link).exists()]
    assert links == []


def test_every_rule_is_there_and_has_a_test_or_is_said_to_have_none() -> None:
    numbers = [int(number) for row in ROWS for number in row[0].split(",")]
    assert numbers == list(range(1, 34))
    assert {row[0].strip() for row in ROWS if "test_" not in row[3]} == {"18", "31"}


def test_every_guard_that_prove_the_proof_takes_out_is_there() -> None:
    mutations = tomllib.loads((ROOT / "tools" / "mutations.toml").read_text())["mutation"]
    changes = [(mutation["name"], change) for mutation in mutations for change in mutation["change"]]
    assert len(changes) > 8
    assert [name for name, change in changes if (ROOT / change["file"]).read_text().count(change["old"]) != 1] == []
