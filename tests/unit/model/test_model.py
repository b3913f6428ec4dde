"""The protocol's models hold what they promise, and each guard taken out is found missing."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CHECK = Path(__file__).parents[3] / "docs" / "model" / "check"


def check(*options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, CHECK, *options],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.skipif(not (shutil.which("spin") and shutil.which("gcc")), reason="spin or gcc is not installed")
def test_the_models_hold_their_properties_and_every_mutation_breaks_the_one_it_should() -> None:
    done = check("--quick")

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("ci", "code"), [("", 0), ("true", 1)])
def test_without_spin_the_check_says_why_and_fails_only_in_ci(tmp_path: Path, ci: str, code: int) -> None:
    done = check("--quick", PATH=str(tmp_path), CI=ci)

    assert done.returncode == code
    assert "spin" in done.stdout
