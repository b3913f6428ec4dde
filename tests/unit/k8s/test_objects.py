"""What stands around the pods fits them: Services, budgets, autoscalers, policies."""

from itertools import product

import pytest

from support.manifests import OVERLAYS, Object, name, of_kind, pod_template, selects, workloads

each_overlay = pytest.mark.parametrize("overlay", OVERLAYS)

ALLOWED = {
    ("api", "worker", 50052),
    ("worker", "bbox-worker", 50053),
    ("reaper", "worker", 50052),
    ("reaper", "bbox-worker", 50053),
    *((each, "postgres", 5432) for each in ("api", "worker", "bbox-worker", "reaper", "migrate")),
    ("postgres", "postgres", 5432),
}
PRIVATE = {"10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"}
PORTS = (50050, 50051, 50052, 50053, 5432)


def pods(overlay: str) -> dict[str, dict[str, str]]:
    """Labels of the pods of every component; a Postgres is among them in every overlay."""
    found = {
        labels["app.kubernetes.io/component"]: labels
        for labels in (pod_template(workload)["metadata"]["labels"] for workload, _ in workloads(overlay))
    }
    return {"postgres": {"gleaner.dev/role": "database"}, **found}


def admits(rules: list[Object], side: str, labels: dict[str, str], port: int) -> bool:
    """Whether one of a policy's rules names a pod of the same namespace by `labels`, and `port`."""
    return any(
        port in {entry["port"] for entry in rule["ports"]}
        and any(
            "namespaceSelector" not in peer and "podSelector" in peer and selects(peer["podSelector"], labels)
            for peer in rule[side]
        )
        for rule in rules
    )


def flows(overlay: str) -> set[tuple[str, str, int]]:
    """Which component reaches which, by the policies' own logic: out of the one and into the other."""
    policies = [each["spec"] for each in of_kind(overlay, "NetworkPolicy")]
    found = set()
    for (source, out), (target, into), port in product(pods(overlay).items(), pods(overlay).items(), PORTS):
        egress = [each for each in policies if selects(each["podSelector"], out)]
        ingress = [each for each in policies if selects(each["podSelector"], into)]
        leaves = any(admits(each.get("egress", []), "to", into, port) for each in egress)
        enters = any(admits(each.get("ingress", []), "from", out, port) for each in ingress)
        if leaves and enters:
            found.add((source, target, port))
    return found


@each_overlay
def test_all_traffic_is_denied_that_is_not_listed(overlay: str) -> None:
    [deny] = [each for each in of_kind(overlay, "NetworkPolicy") if each["spec"]["podSelector"] == {}]
    assert deny["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


@each_overlay
def test_the_policies_let_through_what_is_drawn_in_the_design_and_nothing_else(overlay: str) -> None:
    # A Postgres calls nobody, but a replica or a pooler that carries its label has to get out; that needs its own rule.
    assert flows(overlay) == ALLOWED - {("postgres", "postgres", 5432)}


@each_overlay
def test_only_the_worker_reaches_the_internet_and_no_private_address(overlay: str) -> None:
    policies = [each for each in of_kind(overlay, "NetworkPolicy") if "ipBlock" in str(each["spec"].get("egress"))]
    assert [each["metadata"]["name"] for each in policies] == ["gleaner-worker"]
    [rule] = [each for each in policies[0]["spec"]["egress"] if "ipBlock" in each["to"][0]]
    assert rule["ports"] == [{"protocol": "TCP", "port": 443}]
    assert {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"} <= set(
        rule["to"][0]["ipBlock"]["except"]
    )


@each_overlay
def test_every_deployment_has_one_disruption_budget_that_can_be_met_by_one_replica(overlay: str) -> None:
    budgets = list(of_kind(overlay, "PodDisruptionBudget"))
    for each in of_kind(overlay, "Deployment"):
        labels = pod_template(each)["metadata"]["labels"]
        [budget] = [one["spec"] for one in budgets if selects(one["spec"]["selector"], labels)]
        assert budget["maxUnavailable"] == 1, name(each)
    assert len(budgets) == 3


@each_overlay
def test_every_service_selects_pods_of_one_component_and_a_port_they_have(overlay: str) -> None:
    for service in of_kind(overlay, "Service"):
        selector = {"matchLabels": service["spec"]["selector"]}
        [(_, pod)] = [
            (workload, pod)
            for workload, pod in workloads(overlay)
            if selects(selector, pod_template(workload)["metadata"]["labels"])
        ]
        ports = {port["name"]: port["containerPort"] for port in pod["containers"][0]["ports"]}
        [port] = service["spec"]["ports"]
        assert ports[port["targetPort"]] == port["port"], name(service)


@each_overlay
def test_what_clients_balance_themselves_is_headless(overlay: str) -> None:
    headless = {
        each["metadata"]["name"] for each in of_kind(overlay, "Service") if each["spec"].get("clusterIP") == "None"
    }
    assert headless == {"gleaner-api-headless", "gleaner-worker", "gleaner-bbox-worker"}


@each_overlay
def test_pods_spread_over_zones_and_nodes(overlay: str) -> None:
    for each in of_kind(overlay, "Deployment"):
        template = pod_template(each)
        spread = template["spec"]["topologySpreadConstraints"]
        assert {rule["topologyKey"] for rule in spread} == {"topology.kubernetes.io/zone", "kubernetes.io/hostname"}
        assert all(selects(rule["labelSelector"], template["metadata"]["labels"]) for rule in spread), name(each)


@each_overlay
def test_no_deployment_has_two_owners_of_its_size(overlay: str) -> None:
    targets = [
        each["spec"]["scaleTargetRef"]["name"] for each in of_kind(overlay, "HorizontalPodAutoscaler", "ScaledObject")
    ]
    assert len(targets) == len(set(targets))
    assert set(targets) <= {each["metadata"]["name"] for each in of_kind(overlay, "Deployment")}
    assert all("replicas" not in each["spec"] for each in of_kind(overlay, "Deployment"))


@pytest.mark.parametrize("overlay", ["prod", "keda", "tls"])
def test_workers_shrink_one_at_a_time_and_not_before_a_drain_could_end(overlay: str) -> None:
    deployments = {each["metadata"]["name"]: each for each in of_kind(overlay, "Deployment")}
    for each in of_kind(overlay, "HorizontalPodAutoscaler", "ScaledObject"):
        target = each["spec"]["scaleTargetRef"]["name"]
        if target == "gleaner-api":
            continue
        spec = each["spec"].get("advanced", {}).get("horizontalPodAutoscalerConfig", each["spec"])
        down = spec["behavior"]["scaleDown"]
        assert down["policies"] == [{"type": "Pods", "value": 1, "periodSeconds": 60}], name(each)
        grace = pod_template(deployments[target])["spec"]["terminationGracePeriodSeconds"]
        assert down["stabilizationWindowSeconds"] >= grace, name(each)


def test_no_secret_is_in_an_overlay_but_the_development_one() -> None:
    assert [overlay for overlay in OVERLAYS if list(of_kind(overlay, "Secret"))] == ["dev"]
