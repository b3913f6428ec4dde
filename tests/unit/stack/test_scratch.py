"""Temporary folders: whoever is killed leaves one, the next removes it."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from gleaner_stack.scratch import YOUNG, Scratch, sweep

KILLED = """
import os, sys
from gleaner_stack.scratch import Scratch
print(Scratch().path, flush=True)
os.kill(os.getpid(), 9)
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def aged(folder: Path) -> Path:
    long_ago = time.time() - 2 * YOUNG
    os.utime(folder, (long_ago, long_ago))
    return folder


def test_the_folder_of_a_killed_process_is_removed_by_the_next(temporary: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED], stdout=-1, text=True, check=False)
    left = aged(Path(killed.stdout.strip()))
    assert left.parent == temporary

    Scratch().remove()

    assert list(temporary.iterdir()) == []


def test_a_folder_in_use_stays() -> None:
    scratch = Scratch()
    aged(scratch.path)

    sweep()

    assert scratch.path.exists()
    scratch.remove()


def test_a_folder_of_others_with_such_a_name_stays(temporary: Path) -> None:
    theirs = aged(temporary)  # no lock of ours in it
    (theirs / "gleaner-notes").mkdir()
    aged(theirs / "gleaner-notes")

    sweep()

    assert (theirs / "gleaner-notes").exists()
