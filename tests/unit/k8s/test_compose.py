"""compose.yaml fits the Dockerfile and the settings, and gives no container more than it needs."""

import re
from typing import Any

import pytest
import yaml

from support.known_settings import MODULES, known
from support.manifests import ROOT

SERVICES: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text() + "\n"
OURS = pytest.mark.parametrize("service", MODULES)


@OURS
def test_a_service_is_built_from_a_target_of_its_own_that_has_its_command(service: str) -> None:
    stages = dict(re.findall(r"^FROM runtime AS (\w+)\n(.*?)\n\n", DOCKERFILE, re.MULTILINE | re.DOTALL))
    built = SERVICES[service]
    target = built["build"]["target"]
    assert built["image"].startswith(f"ghcr.io/gleaner/gleaner-{target.replace('_', '-')}:")
    [command] = built.get("entrypoint") or re.findall(r'ENTRYPOINT \["(.*)"\]', stages[target])
    assert command == f"gleaner-{service}"


@OURS
def test_a_service_gets_settings_that_some_service_reads(service: str) -> None:
    # They share one list; each takes from it what it knows.
    everybodys = {each for component in MODULES for each in known(component)}
    assert {each for each in SERVICES[service]["environment"] if not each.startswith("OTEL_")} <= everybodys


@OURS
def test_a_service_may_do_nothing_that_it_need_not(service: str) -> None:
    given = SERVICES[service]
    assert given["read_only"] and given["cap_drop"] == ["ALL"]
    assert given["security_opt"] == ["no-new-privileges:true"]
    assert re.findall(r"^USER (.*)$", DOCKERFILE, re.MULTILINE) == ["65532:65532"]


def test_every_port_is_on_loopback_and_every_image_has_a_version() -> None:
    for name, service in SERVICES.items():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
        assert re.search(r":v?\d+(\.\d+)+}?$", service["image"]), name


def test_everything_that_is_mounted_is_there() -> None:
    mounts = [volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])]
    files = [mount for mount in mounts if mount.startswith("./")]
    assert files and all((ROOT / file).exists() for file in files)
