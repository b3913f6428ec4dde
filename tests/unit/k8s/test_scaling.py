"""What the autoscalers ask for is what the suite tells."""

from collections.abc import Iterator

import pytest

from gleaner_api.scaling import scaling_of
from gleaner_telemetry import metrics
from support.manifests import OVERLAYS, ROOT, Object, name, of_kind

WORKERS = {"gleaner-worker": "extraction", "gleaner-bbox-worker": "refinement"}
KEDA = [overlay for overlay in OVERLAYS if overlay not in ("dev", "prod")]


def triggers(overlay: str) -> Iterator[tuple[Object, Object]]:
    for scaled in of_kind(overlay, "ScaledObject"):
        [trigger] = scaled["spec"]["triggers"]
        yield scaled, trigger


@pytest.mark.parametrize("overlay", KEDA)
def test_the_api_understands_each_trigger(overlay: str) -> None:
    legs = {
        scaled["spec"]["scaleTargetRef"]["name"]: scaling_of(trigger["metadata"]).leg
        for scaled, trigger in triggers(overlay)
    }
    assert legs == WORKERS


@pytest.mark.parametrize("overlay", KEDA)
def test_each_trigger_goes_to_the_api_and_is_let_in(overlay: str) -> None:
    [service] = [each for each in of_kind(overlay, "Service") if each["metadata"]["name"] == "gleaner-api"]
    [port] = service["spec"]["ports"]
    host = f"gleaner-api.{service['metadata']['namespace']}.svc.cluster.local"
    for scaled, trigger in triggers(overlay):
        assert trigger["type"] == "external-push", name(scaled)
        assert trigger["metadata"]["scalerAddress"] == f"{host}:{port['port']}", name(scaled)
    [policy] = [
        each for each in of_kind(overlay, "NetworkPolicy") if each["metadata"]["name"] == "gleaner-api-from-keda"
    ]
    [rule] = policy["spec"]["ingress"]
    assert rule["ports"] == [{"protocol": "TCP", "port": port["port"]}]


@pytest.mark.parametrize("overlay", KEDA)
def test_a_scaler_that_does_not_answer_leaves_what_runs(overlay: str) -> None:
    for scaled, trigger in triggers(overlay):
        fallback = scaled["spec"]["fallback"]
        assert fallback["behavior"] == "currentReplicasIfHigher" and fallback["replicas"] >= 1, name(scaled)
        assert trigger["metricType"] == "AverageValue", "KEDA has no fallback for another"


def test_the_autoscalers_without_keda_ask_for_metrics_that_the_api_exports() -> None:
    exported = {
        f"{metric.name}{'_seconds' if metric.unit == 's' else ''}".replace(".", "_"): set(metric.labels)
        for metric in (metrics.QUEUE_DEPTH, metrics.QUEUE_OLDEST_AGE)
    }
    asked = [
        metric["external"]["metric"]
        for scaler in of_kind("prod", "HorizontalPodAutoscaler")
        for metric in scaler["spec"]["metrics"]
        if metric["type"] == "External"
    ]
    assert {metric["name"] for metric in asked} == exported.keys()
    assert {metric["selector"]["matchLabels"]["gleaner_leg"] for metric in asked} == set(WORKERS.values())
    for metric in asked:
        keys = {*metric["selector"]["matchLabels"], *(e["key"] for e in metric["selector"].get("matchExpressions", []))}
        assert keys == {label.replace(".", "_") for label in exported[metric["name"]]}, metric["name"]


def test_the_readme_explains_each_key_of_the_metadata() -> None:
    text = (ROOT / "k8s/README.md").read_text(encoding="utf-8")
    for _, trigger in triggers("keda"):
        assert all(f"| `{key}` |" in text for key in trigger["metadata"] if key != "scalerAddress")
