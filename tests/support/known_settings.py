"""Every variable that a process of the suite reads."""

import importlib
import inspect
from collections.abc import Iterator
from types import ModuleType

from pydantic import AliasChoices
from pydantic_settings import BaseSettings

MODULES = {
    "api": "gleaner_api.settings",
    "worker": "gleaner_worker.settings",
    "bbox-worker": "gleaner_bbox_worker.settings",
    "reaper": "gleaner_reaper.settings",
    "migrate": "gleaner_repo.settings",
}


def known(component: str) -> set[str]:
    """The variables that the component's settings read, those of its groups too."""
    return {each for group in _groups(importlib.import_module(MODULES[component])) for each in _variables(group)}


def _variables(group: type[BaseSettings]) -> Iterator[str]:
    prefix = group.model_config.get("env_prefix", "")
    for field, info in group.model_fields.items():
        if inspect.isclass(info.annotation) and issubclass(info.annotation, BaseSettings):
            yield from _variables(info.annotation)
            continue
        aliases = info.validation_alias
        if isinstance(aliases, AliasChoices):
            yield from (str(alias) for alias in aliases.choices)
        else:
            yield str(aliases) if aliases else f"{prefix}{field}".upper()


def _groups(module: ModuleType) -> list[type[BaseSettings]]:
    return [each for _, each in inspect.getmembers(module, inspect.isclass) if issubclass(each, BaseSettings)]
