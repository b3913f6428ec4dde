"""With components/tls nobody speaks in the open, and the example's certificates fit who calls whom by which name."""

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from support.manifests import ROOT, Object, environment, name, of_kind, workloads

FOLDER = "/etc/gleaner/tls/"
SERVERS = {"gleaner-api", "gleaner-worker", "gleaner-bbox-worker"}


def secured() -> Iterator[tuple[str, dict[str, str], Object]]:
    """Name, variables and pod of everything that speaks gRPC."""
    for workload, pod in workloads("tls"):
        if workload["kind"] != "Job":
            yield workload["metadata"]["name"], environment(pod["containers"][0]), pod


def certificates() -> dict[str, Any]:
    """The specs of the example's certificates, by the Secret that holds them."""
    example = yaml.safe_load_all((ROOT / "k8s/examples/cert-manager.yaml").read_text())
    return {
        each["spec"]["secretName"]: each["spec"]
        for each in example
        if each["kind"] == "Certificate" and not each["spec"].get("isCA")
    }


def test_every_server_shows_a_certificate_and_every_channel_asks_for_one() -> None:
    for what, variables, _ in secured():
        assert (variables.get("GLEANER_SERVER_TLS_CERT") == f"{FOLDER}tls.crt") == (what in SERVERS), what
        calls = any(variable.endswith("_ADDRESSES") for variable in variables)
        assert (variables.get("GLEANER_CHANNEL_TLS_CA") == f"{FOLDER}ca.crt") == calls, what


def test_who_is_called_by_the_suite_alone_lets_nobody_else_in() -> None:
    asking = {what for what, variables, _ in secured() if "GLEANER_SERVER_TLS_CLIENT_CA" in variables}
    assert asking == {"gleaner-worker", "gleaner-bbox-worker"}


def test_every_file_that_is_named_is_one_of_a_secret_s() -> None:
    for what, variables, pod in secured():
        files = [value for variable, value in variables.items() if "_TLS_" in variable]
        assert {file.removeprefix(FOLDER) for file in files} <= {"tls.crt", "tls.key", "ca.crt"}, what
        [mount] = [each for each in pod["containers"][0]["volumeMounts"] if each["name"] == "tls"]
        assert mount["mountPath"] + "/" == FOLDER and mount["readOnly"] and "subPath" not in mount, what
        [volume] = [each for each in pod["volumes"] if each["name"] == "tls"]
        assert volume["secret"] == {"secretName": f"{what}-tls", "defaultMode": 0o440}, what
        assert volume["secret"]["secretName"] in certificates(), what


def test_every_address_that_is_called_is_a_name_on_the_certificate() -> None:
    [scaler] = {each["spec"]["triggers"][0]["metadata"]["scalerAddress"] for each in of_kind("tls", "ScaledObject")}
    addresses = [value for _, each, _ in secured() for key, value in each.items() if key.endswith("_ADDRESSES")]
    for address in (scaler, *addresses, "dns:///gleaner-api-headless.gleaner:50051"):  # the last: README.md's
        host = address.removeprefix("dns:///").rpartition(":")[0]
        secret = f"{host.partition('.')[0].removesuffix('-headless')}-tls"
        assert host in certificates()[secret]["dnsNames"]
        assert "server auth" in certificates()[secret]["usages"]


def test_who_calls_may_show_its_certificate_as_a_client() -> None:
    callers = {f"{what}-tls" for what, variables, _ in secured() if "GLEANER_CHANNEL_TLS_CERT" in variables}
    for secret in callers | {"gleaner-keda-tls"}:
        assert "client auth" in certificates()[secret]["usages"], secret


def test_keda_asks_by_tls() -> None:
    [credentials] = of_kind("tls", "TriggerAuthentication")
    given = {each["parameter"]: (each["name"], each["key"]) for each in credentials["spec"]["secretTargetRef"]}
    assert given == {
        "caCert": ("gleaner-keda-tls", "ca.crt"),
        "tlsClientCert": ("gleaner-keda-tls", "tls.crt"),
        "tlsClientKey": ("gleaner-keda-tls", "tls.key"),
    }
    for each in of_kind("tls", "ScaledObject"):
        assert each["spec"]["triggers"][0]["authenticationRef"] == {"name": credentials["metadata"]["name"]}, name(each)


@pytest.mark.parametrize("overlay", ["prod", "keda"])
def test_without_the_component_nobody_waits_for_a_secret_of_certificates(overlay: str) -> None:
    assert not [pod for _, pod in workloads(overlay) for volume in pod.get("volumes", []) if "secret" in volume]
