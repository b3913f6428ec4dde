"""k8s/deploy, with a kubectl that renders for real and writes down the rest."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from support.manifests import OVERLAYS, ROOT, rendered

REMEMBER = """#!/usr/bin/env bash
[ "$1" = kustomize ] && exec "$REAL_KUBECTL" "$@"
echo "$*" >>"$CALLS"
"""


@pytest.fixture
def calls(tmp_path: Path) -> list[str]:
    rendered("prod")  # skips without kubectl
    stand_in = tmp_path / "kubectl"
    stand_in.write_text(REMEMBER)
    stand_in.chmod(0o755)
    seen = tmp_path / "calls"
    environment = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "REAL_KUBECTL": str(shutil.which("kubectl")),
        "CALLS": str(seen),
    }
    subprocess.run([ROOT / "k8s/deploy", "prod"], env=environment, check=True)
    return seen.read_text().splitlines()


def test_services_are_rolled_out_after_the_migration_has_ended(calls: list[str]) -> None:
    verbs = [call.split()[0] for call in calls]
    assert verbs == ["delete", "apply", "wait", "apply", "rollout", "rollout", "rollout"]
    assert " -l " in calls[1] and " -l " not in calls[3]
    assert "--for=condition=complete" in calls[2]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_what_goes_first_is_all_that_the_migration_needs_and_no_service(calls: list[str], overlay: str) -> None:
    services = set(re.search(r"component notin \((.*)\)", calls[1])[1].split(", "))  # type: ignore[index]
    first = [
        each
        for each in rendered(overlay)
        if each["metadata"].get("labels", {}).get("app.kubernetes.io/component") not in services
    ]
    kinds = {each["kind"] for each in first}
    assert {"Namespace", "NetworkPolicy", "ServiceAccount", "Job"} <= kinds
    assert not {"Deployment", "CronJob", "HorizontalPodAutoscaler", "ScaledObject"} & kinds
