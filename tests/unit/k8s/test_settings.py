"""Every variable in the manifests is one that the service reads: a mistyped name would be ignored without a word."""

import pytest

from support.known_settings import MODULES, known
from support.manifests import OVERLAYS, containers, environment

OTHERS = ("OTEL_", "K8S_")
"""Read by OpenTelemetry itself, and by the manifest's own OTEL_RESOURCE_ATTRIBUTES."""


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize("component", MODULES)
def test_every_variable_is_a_setting_of_the_service(overlay: str, component: str) -> None:
    [container] = [each for what, each in containers(overlay) if what.endswith(f":{component}")]
    used = {each for each in environment(container) if not each.startswith(OTHERS)}
    assert used <= known(component)
