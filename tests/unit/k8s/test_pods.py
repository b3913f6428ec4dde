"""Every pod keeps to the restricted profile, and stops the way the leases need it."""

import re
from typing import Protocol

import pytest

from gleaner_api.settings import ApiSettings
from gleaner_bbox_worker.settings import BboxWorkerSettings
from gleaner_children import ChildLimits
from gleaner_rpc import GrpcSettings
from gleaner_rpc.health import LIVENESS
from gleaner_worker.settings import WorkerSettings
from support.manifests import OVERLAYS, containers, environment, name, of_kind, pod_template, rendered, workloads

PORTS = {"gleaner-api": 50051, "gleaner-worker": 50052, "gleaner-bbox-worker": 50053}
LEASE_S = 15
MESSAGE_MIB = 40
PROCESS_MIB = 256

each_overlay = pytest.mark.parametrize("overlay", OVERLAYS)


def mebibytes(quantity: str) -> int:
    number, unit = re.fullmatch(r"(\d+)(Mi|Gi)", quantity).groups()  # type: ignore[union-attr]
    return int(number) * (1024 if unit == "Gi" else 1)


class Children(Protocol):
    """The settings of child processes of one kind."""

    @property
    def children(self) -> int: ...

    @property
    def limits(self) -> ChildLimits: ...


def in_children(*kinds: Children) -> int:
    return sum(kind.children * kind.limits.memory_mb for kind in kinds)


def in_calls(grpc: GrpcSettings) -> int:
    return 3 * MESSAGE_MIB * grpc.max_document_rpcs


def api_mib() -> int:
    settings = ApiSettings()
    results = 3 * MESSAGE_MIB * settings.max_result_rpcs
    return in_calls(settings.grpc) + results + in_children(settings.reader)


def worker_mib() -> int:
    settings = WorkerSettings()
    jobs = settings.runner.slots * settings.reader.max_document_bytes // 2**20
    return in_calls(settings.grpc) + jobs + in_children(settings.reader, settings.extractor)


def bbox_worker_mib() -> int:
    settings = BboxWorkerSettings()
    jobs = settings.runner.slots * 2 * MESSAGE_MIB
    return in_calls(settings.grpc) + jobs + in_children(settings.grounder)


NEEDED_BY = {
    "Deployment/gleaner-api": api_mib,
    "Deployment/gleaner-worker": worker_mib,
    "Deployment/gleaner-bbox-worker": bbox_worker_mib,
}


@each_overlay
def test_every_pod_runs_as_nobody_and_without_a_token(overlay: str) -> None:
    for workload, pod in workloads(overlay):
        context = pod["securityContext"]
        assert context["runAsNonRoot"] is True and context["runAsUser"] > 10000, name(workload)
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}, name(workload)
        assert pod["automountServiceAccountToken"] is False, name(workload)
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys(), name(workload)
        assert not [volume for volume in pod.get("volumes", []) if "hostPath" in volume], name(workload)


@each_overlay
def test_every_container_has_a_read_only_root_and_no_capabilities(overlay: str) -> None:
    for what, container in containers(overlay):
        context = container["securityContext"]
        assert context["readOnlyRootFilesystem"] is True, what
        assert context["allowPrivilegeEscalation"] is False, what
        assert context["capabilities"] == {"drop": ["ALL"]}, what


@each_overlay
def test_every_container_says_what_it_needs(overlay: str) -> None:
    for what, container in containers(overlay):
        assert {"cpu", "memory", "ephemeral-storage"} <= container["resources"]["requests"].keys(), what
        assert {"memory", "ephemeral-storage"} <= container["resources"]["limits"].keys(), what


@each_overlay
def test_every_image_has_a_version(overlay: str) -> None:
    for what, container in containers(overlay):
        assert re.fullmatch(r"[a-z0-9./-]+:\d+(\.\d+)+(@sha256:[0-9a-f]{64})?", container["image"]), what


@each_overlay
def test_no_service_shadows_our_settings(overlay: str) -> None:
    for workload, pod in workloads(overlay):
        assert pod["enableServiceLinks"] is False, name(workload)


@each_overlay
def test_every_account_exists_and_mounts_no_token(overlay: str) -> None:
    accounts = {each["metadata"]["name"]: each for each in of_kind(overlay, "ServiceAccount")}
    assert all(account["automountServiceAccountToken"] is False for account in accounts.values())
    assert {pod["serviceAccountName"] for _, pod in workloads(overlay)} == accounts.keys()
    assert not list(of_kind(overlay, "Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"))


@each_overlay
def test_everything_is_in_the_namespace_that_enforces_the_restricted_profile(overlay: str) -> None:
    [namespace] = of_kind(overlay, "Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for each in rendered(overlay):
        if each["kind"] not in {"Namespace", "PriorityClass"}:
            assert each["metadata"]["namespace"] == namespace["metadata"]["name"], name(each)


@each_overlay
def test_every_server_is_probed_over_grpc_on_the_port_it_listens_on(overlay: str) -> None:
    deployments = {each["metadata"]["name"]: each for each in of_kind(overlay, "Deployment")}
    assert deployments.keys() == PORTS.keys()
    for what, port in PORTS.items():
        [container] = pod_template(deployments[what])["spec"]["containers"]
        assert environment(container)["GLEANER_LISTEN"] == f"0.0.0.0:{port}", what
        ports = {each["name"]: each["containerPort"] for each in container["ports"]}
        assert ports["grpc"] == port, what
        plain = environment(container).get("GLEANER_HEALTH_LISTEN", "")
        assert bool(plain) == ("GLEANER_SERVER_TLS_CERT" in environment(container)), "kubelets speak no TLS"
        probed = ports["health"] if plain else port
        assert not plain or plain == f"0.0.0.0:{probed}", what
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            assert container[probe]["grpc"]["port"] == probed, (what, probe)
        assert "service" not in container["readinessProbe"]["grpc"], what
        assert container["livenessProbe"]["grpc"]["service"] == LIVENESS, what
        assert container["startupProbe"]["grpc"]["service"] == LIVENESS, what


@each_overlay
def test_the_grace_period_covers_pre_stop_drain_and_hand_back(overlay: str) -> None:
    for each in of_kind(overlay, "Deployment"):
        pod = pod_template(each)["spec"]
        [container] = pod["containers"]
        settings = environment(container)
        pre_stop = container["lifecycle"]["preStop"]["sleep"]["seconds"]
        work = max(float(settings["GLEANER_DRAIN_GRACE_S"]), float(settings.get("GLEANER_RUN_GRACE_S", 0)))
        hand_back = LEASE_S if "worker" in name(each) else 0
        assert pod["terminationGracePeriodSeconds"] >= pre_stop + work + hand_back, name(each)


@each_overlay
def test_calls_jobs_and_child_processes_fit_into_memory(overlay: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for each in of_kind(overlay, "Deployment"):
        [container] = pod_template(each)["spec"]["containers"]
        with monkeypatch.context() as service:
            for variable, value in environment(container).items():
                if value or variable == "GLEANER_DATABASE_URL":  # the rest comes from elsewhere
                    service.setenv(variable, value or "postgresql://elsewhere")
            needed = PROCESS_MIB + NEEDED_BY[name(each)]()
        assert needed <= mebibytes(container["resources"]["limits"]["memory"]), name(each)


@each_overlay
def test_who_signs_webhooks_and_who_takes_their_addresses_have_the_same_secret(overlay: str) -> None:
    images = dict(containers(overlay))
    entries = [
        entry
        for service in ("api", "worker")
        for entry in images[f"Deployment/gleaner-{service}:{service}"]["env"]
        if entry["name"] == "GLEANER_WEBHOOK_SECRETS"
    ]
    # Optional: a cluster without webhooks has none, and the api then says so to who asks for them.
    secret = {"name": "gleaner-webhooks", "key": "secrets", "optional": True}
    assert [entry["valueFrom"]["secretKeyRef"] for entry in entries] == [secret, secret]


@each_overlay
def test_the_reaper_never_overlaps_itself_and_never_stops_for_good(overlay: str) -> None:
    [reaper] = of_kind(overlay, "CronJob")
    spec, job = reaper["spec"], reaper["spec"]["jobTemplate"]["spec"]
    assert spec["schedule"] == "* * * * *"
    assert spec["concurrencyPolicy"] == "Forbid"
    assert 10 < spec["startingDeadlineSeconds"] < 60
    assert spec["successfulJobsHistoryLimit"] >= 1 and spec["failedJobsHistoryLimit"] >= 1
    assert 2 * LEASE_S < job["activeDeadlineSeconds"] < 60, "a sweep looks twice, a lease apart"
    assert job["backoffLimit"] == 0


@each_overlay
def test_the_migration_is_of_the_version_that_is_rolled_out(overlay: str) -> None:
    images = dict(containers(overlay))
    migrate = images["Job/gleaner-migrate:migrate"]
    assert migrate["image"] == images["Deployment/gleaner-api:api"]["image"]
    [url] = [entry for entry in migrate["env"] if entry["name"] == "GLEANER_DATABASE_URL"]
    assert url["valueFrom"]["secretKeyRef"]["key"] == "direct-url", "not through a pooler"
