"""What docs/runbook.md says to look at and to do exists; its SQL is run in tests/integration/observability."""

import importlib
import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml
from google.protobuf import json_format
from google.protobuf.descriptor_pool import Default
from google.protobuf.message_factory import GetMessageClass

from gleaner_rpc import rules
from support.manifests import rendered
from support.metric_series import series
from support.needs import program
from support.promql import named

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs/runbook.md").read_text()


def lines(language: str, start: str = "") -> list[str]:
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.startswith(start)]


@pytest.mark.parametrize("query", lines("promql"))
def test_a_query_asks_for_what_is_exported(query: str) -> None:
    asked = named(query)

    assert asked.metrics <= {*series(), "up"}
    assert asked.grouped - {"instance"} <= frozenset[str]().union(*(series().get(name, ()) for name in asked.metrics))


def test_the_queries_pass_promtool(tmp_path: Path) -> None:
    queries = [{"record": f"a:query{number}", "expr": query} for number, query in enumerate(lines("promql"))]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "runbook", "rules": queries}]}))

    checked = subprocess.run(
        [program("promtool"), "check", "rules", tmp_path / "rules.yaml"], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("line", lines("sh", "grpcurl"))
def test_a_call_is_one_that_the_api_takes(line: str) -> None:
    for module in ("events", "webhooks"):
        importlib.import_module(f"gleaner.v1.{module}_pb2")
    arguments = shlex.split(line)
    service, _, method = arguments[-1].partition("/")
    found = Default().FindServiceByName(service).FindMethodByName(method)
    request = json_format.ParseDict(
        json.loads(arguments[arguments.index("-d") + 1]), GetMessageClass(found.input_type)()
    )

    assert rules.findings(request) == []


def test_the_objects_of_the_cluster_that_are_named_are_in_the_manifests() -> None:
    asked = set(re.findall(r"\b(deployment|cronjob|service)/([a-z-]+)", "\n".join(lines("sh", "kubectl"))))
    there = {(each["kind"].lower(), each["metadata"]["name"]) for each in rendered("keda")}

    assert asked <= there
    assert len(asked) >= 4


def test_the_settings_that_are_named_are_settings() -> None:
    known = set(re.findall(r"^\| `([A-Z_]+)`", (ROOT / "docs/settings.md").read_text(), re.MULTILINE))

    assert set(re.findall(r"\b(?:GLEANER|OTEL)_[A-Z_]+", TEXT)) <= known


def test_links_lead_to_sections_of_the_page() -> None:
    headings = re.findall(r"^## (.+)$", TEXT, re.MULTILINE)
    sections = {heading.lower().replace(" ", "-") for heading in headings}

    assert set(re.findall(r"\]\(#([^)]+)\)", TEXT)) <= sections
