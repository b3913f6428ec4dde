"""The component for clusters without a collector: each service has a port, and only a Prometheus gets to it."""

import os
import subprocess
from pathlib import Path

import pytest
import yaml

from gleaner_telemetry import OtelSettings
from support.manifests import ROOT, Object, environment, of_kind, pod_template, selects
from support.needs import program


@pytest.fixture
def objects(tmp_path: Path) -> list[Object]:
    k8s = os.path.relpath(ROOT / "k8s", tmp_path.resolve())
    overlay = {"resources": [f"{k8s}/base"], "components": [f"{k8s}/components/prometheus"]}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(overlay))
    command = [str(program("kubectl")), "kustomize", str(tmp_path)]
    return list(yaml.safe_load_all(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


def test_every_service_has_the_port_that_it_is_told(objects: list[Object], monkeypatch: pytest.MonkeyPatch) -> None:
    deployments = [each for each in objects if each["kind"] == "Deployment"]
    for deployment in deployments:
        [container] = pod_template(deployment)["spec"]["containers"]
        [port] = [one["containerPort"] for one in container["ports"] if one["name"] == "metrics"]
        for name, value in environment(container).items():
            if name.startswith("OTEL_"):
                monkeypatch.setenv(name, value)
        settings = OtelSettings()
        assert (settings.scraped, settings.prometheus_host, settings.prometheus_port) == (True, "0.0.0.0", port)
    assert len(deployments) == 3


def test_the_reaper_waits_for_no_scrape(objects: list[Object]) -> None:
    [reaper] = [each for each in objects if each["kind"] == "CronJob"]
    [container] = pod_template(reaper)["spec"]["containers"]
    assert not [name for name in environment(container) if "PROMETHEUS" in name or "METRICS" in name]


def test_only_a_prometheus_gets_to_the_port(objects: list[Object]) -> None:
    rules = [
        (policy["spec"]["podSelector"], rule)
        for policy in objects
        if policy["kind"] == "NetworkPolicy"
        for rule in policy["spec"].get("ingress", ())
        if 9464 in [port["port"] for port in rule["ports"]]
    ]
    [(selector, rule)] = rules
    pods = [pod_template(each)["metadata"]["labels"] for each in objects if each["kind"] == "Deployment"]
    assert all(selects(selector, labels) for labels in pods)
    [peer] = rule["from"]
    assert peer["podSelector"]["matchLabels"] == {"app.kubernetes.io/name": "prometheus"}
    assert peer["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "observability"}


def test_the_example_monitors_that_port_of_those_pods(objects: list[Object]) -> None:
    monitor = yaml.safe_load((ROOT / "k8s/examples/pod-monitor.yaml").read_text())
    [endpoint] = monitor["spec"]["podMetricsEndpoints"]
    pods = [pod_template(each)["metadata"]["labels"] for each in objects if each["kind"] == "Deployment"]

    assert endpoint["port"] == "metrics"
    assert all(selects(monitor["spec"]["selector"], labels) for labels in pods)


@pytest.mark.parametrize("overlay", ["prod", "keda"])
def test_sweeps_leave_no_series_of_their_own_behind(overlay: str) -> None:
    [reaper] = of_kind(overlay, "CronJob")
    [container] = pod_template(reaper)["spec"]["containers"]
    told = dict(pair.split("=") for pair in environment(container)["OTEL_RESOURCE_ATTRIBUTES"].split(","))

    assert reaper["spec"]["concurrencyPolicy"] == "Forbid"
    assert told["service.instance.id"] == "reaper"
    assert "k8s.pod.name" not in told
