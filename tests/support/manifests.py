"""The Kubernetes manifests as a cluster gets them: every overlay rendered, every object a plain mapping."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
OVERLAYS = sorted(path.parent.name for path in (ROOT / "k8s/overlays").glob("*/kustomization.yaml"))

Object = dict[str, Any]


@cache
def rendered(overlay: str) -> tuple[Object, ...]:
    """All objects of an overlay. Skips without kubectl, but for CI, where it has to be there."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        if os.environ.get("CI") == "true":
            pytest.fail("no kubectl to render the manifests with")
        pytest.skip("no kubectl to render the manifests with")
    command = [kubectl, "kustomize", str(ROOT / "k8s/overlays" / overlay)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return tuple(yaml.safe_load_all(output))


def of_kind(overlay: str, *kinds: str) -> Iterator[Object]:
    """The objects of an overlay that are of one of `kinds`."""
    return (each for each in rendered(overlay) if each["kind"] in kinds)


def name(each: Object) -> str:
    """Kind and name, for messages."""
    return f"{each['kind']}/{each['metadata']['name']}"


def pod_template(workload: Object) -> Object:
    """The pod template of anything that makes pods."""
    spec: Object = workload["spec"]
    template: Object = (spec["jobTemplate"]["spec"] if workload["kind"] == "CronJob" else spec)["template"]
    return template


def workloads(overlay: str) -> Iterator[tuple[Object, Object]]:
    """Everything of an overlay that makes pods, with the pods' spec."""
    for each in of_kind(overlay, "Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob"):
        yield each, pod_template(each)["spec"]


def containers(overlay: str) -> Iterator[tuple[str, Object]]:
    """Every container of an overlay, init containers too, with a name for messages."""
    for workload, pod in workloads(overlay):
        for container in [*pod.get("initContainers", []), *pod["containers"]]:
            yield f"{name(workload)}:{container['name']}", container


def environment(container: Object) -> dict[str, str]:
    """The variables of a container; those that come from elsewhere are empty."""
    return {entry["name"]: entry.get("value", "") for entry in container.get("env", [])}


def selects(selector: Object, labels: dict[str, str]) -> bool:
    """Whether a label selector (matchLabels, and In of matchExpressions) picks `labels`."""
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items()) and all(
        labels.get(rule["key"]) in rule["values"] for rule in selector.get("matchExpressions", [])
    )
