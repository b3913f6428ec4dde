"""Every variable in the manifests is one that the service reads: a mistyped name would be ignored without a word."""

import importlib.util
import inspect
from collections.abc import Iterator
from types import ModuleType

import pytest
from pydantic import AliasChoices
from pydantic_settings import BaseSettings

from support.manifests import OVERLAYS, containers, environment

MODULES = {
    "api": "gleaner_api.settings",
    "worker": "gleaner_worker.settings",
    "bbox-worker": "gleaner_bbox_worker.settings",
    "reaper": "gleaner_reaper.settings",
    "migrate": "gleaner_repo.settings",
}
OTHERS = ("OTEL_", "K8S_")
"""Read by OpenTelemetry itself, and by the manifest's own OTEL_RESOURCE_ATTRIBUTES."""


def variables(group: type[BaseSettings]) -> Iterator[str]:
    """Every variable that a settings class reads, those of its groups too."""
    prefix = group.model_config.get("env_prefix", "")
    for field, info in group.model_fields.items():
        if inspect.isclass(info.annotation) and issubclass(info.annotation, BaseSettings):
            yield from variables(info.annotation)
            continue
        aliases = info.validation_alias
        if isinstance(aliases, AliasChoices):
            yield from (str(alias) for alias in aliases.choices)
        else:
            yield str(aliases) if aliases else f"{prefix}{field}".upper()


def groups(module: ModuleType) -> list[type[BaseSettings]]:
    return [each for _, each in inspect.getmembers(module, inspect.isclass) if issubclass(each, BaseSettings)]


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize("component", MODULES)
def test_every_variable_is_a_setting_of_the_service(overlay: str, component: str) -> None:
    if importlib.util.find_spec(MODULES[component]) is None:
        pytest.skip(f"{MODULES[component]} is not written yet")
    known = {each for group in groups(importlib.import_module(MODULES[component])) for each in variables(group)}
    [container] = [each for what, each in containers(overlay) if what.endswith(f":{component}")]
    used = {each for each in environment(container) if not each.startswith(OTHERS)}
    assert used <= known
