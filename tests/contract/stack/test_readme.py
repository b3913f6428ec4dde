"""Every command of the README and of CONTRIBUTING is one that works."""

import asyncio
import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from gleaner_stack.supervisor import SCRIPTS, Stack, StackOptions

ROOT = Path(__file__).parents[3]
PAGES = ("README.md", "CONTRIBUTING.md", "k8s/README.md", "docs/webhooks.md", "docs/events.md", "docs/accuracy.md")
COMMAND = re.compile(r"^\$ (.+?)(?:\s+#.*)?$", re.MULTILINE)


def commands(page: str) -> list[str]:
    path = ROOT / page
    return COMMAND.findall(path.read_text(encoding="utf-8")) if path.exists() else []


def test_every_make_target_that_a_page_names_is_one() -> None:
    named = {
        target
        for page in PAGES
        for target in re.findall(r"\bmake ([a-z][a-z-]+)", "\n".join([*commands(page), *_quoted(page)]))
    }
    assert {"demo", "test"} <= named
    for target in named:
        made = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=False)
        assert made.returncode == 0, f"make {target}: {made.stderr}"


def _quoted(page: str) -> list[str]:
    path = ROOT / page
    return re.findall(r"`([^`\n]+)`", path.read_text(encoding="utf-8")) if path.exists() else []


def test_every_file_that_the_readme_links_is_there() -> None:
    for page in ("README.md", "CONTRIBUTING.md", "docs/architecture.md"):
        for link in re.findall(r"\]\(((?!http)[^)#]+)\)", (ROOT / page).read_text(encoding="utf-8")):
            assert ((ROOT / page).parent / link).exists(), f"{page}: {link}"


@pytest.mark.timeout(180)
async def test_the_commands_of_the_readme_do_what_they_say(database_url: str) -> None:
    lines = [line for line in commands("README.md") if line.startswith(".venv/bin/gleaner ")]
    assert len(lines) >= 3
    async with Stack(StackOptions(database_url=database_url), lambda name, line: None) as stack:
        for line in lines:
            _, *arguments = shlex.split(line)
            process = await asyncio.create_subprocess_exec(
                SCRIPTS / "gleaner",
                *arguments,
                cwd=ROOT,
                env=os.environ | {"GLEANER_SERVER": stack.api_address},
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            out, err = await process.communicate()
            assert process.returncode == 0, f"{line}: {err.decode()}"
            assert out
