"""The dashboard and the alerts ask for what the suite exports, and each alert leads to a section of the runbook."""

import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest
import yaml

from support.metric_series import series
from support.needs import program
from support.promql import OBSERVABILITY, RULES, alerts, dashboard, dashboard_expressions, expressions, named, recorded

RUNBOOK = Path(__file__).parents[3] / "docs/runbook.md"
TESTS = sorted((OBSERVABILITY / "tests").glob("*.yaml"))
SCRAPED = {"job", "instance"}


def test_every_metric_that_is_asked_for_is_exported() -> None:
    asked = {metric for expression in expressions() for metric in named(expression).metrics}

    assert asked - set(series()) - recorded() == set()
    assert len(asked) > 50


def test_every_metric_that_is_exported_is_looked_at_somewhere() -> None:
    asked = {metric for expression in expressions() for metric in named(expression).metrics}
    families = {re.sub("_(bucket|count|sum|total|created)$", "", name) for name in series()}

    assert families - {re.sub("_(bucket|count|sum|total)$", "", name) for name in asked} == {"target_info"}


@pytest.mark.parametrize("expression", sorted(set(expressions())))
def test_every_label_that_is_asked_for_is_one_of_the_metric(expression: str) -> None:
    asked = named(expression)
    own = asked.metrics - recorded()

    assert {
        (metric, label) for metric, label in asked.matched if metric in own and label not in series()[metric] | SCRAPED
    } == set()
    if own:
        assert asked.grouped - SCRAPED <= frozenset[str]().union(*(series()[metric] for metric in own))


def test_the_dashboard_names_each_panel_once_and_shows_exemplars_where_there_are_some() -> None:
    panels = [panel for panel in dashboard()["panels"] if panel["type"] != "row"]

    assert max(Counter(panel["title"] for panel in panels).values()) == 1
    assert max(Counter(panel["id"] for panel in dashboard()["panels"]).values()) == 1
    for panel in panels:
        for target in panel["targets"]:
            assert target["exemplar"] == ("_bucket" in target["expr"])


def test_the_rules_and_their_tests_pass_promtool() -> None:
    promtool = program("promtool")

    checked = subprocess.run(
        [promtool, "check", "rules", "--lint-fatal", *RULES], capture_output=True, text=True, check=False
    )
    tested = subprocess.run(
        [promtool, "test", "rules", *TESTS], capture_output=True, text=True, check=False, cwd=OBSERVABILITY
    )

    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_the_dashboards_queries_pass_promtool(tmp_path: Path) -> None:
    queries = [{"record": f"a:query{number}", "expr": query} for number, query in enumerate(dashboard_expressions())]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": queries}]}))

    checked = subprocess.run(
        [program("promtool"), "check", "rules", tmp_path / "rules.yaml"], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_each_alert_is_tested_both_ways() -> None:
    cases = [
        (case["alertname"], bool(case["exp_alerts"]))
        for path in TESTS
        for test in yaml.safe_load(path.read_text())["tests"]
        for case in test.get("alert_rule_test", ())
    ]
    names = {alert["alert"] for alert in alerts()}

    assert {name for name, fires in cases if fires} == names
    assert {name for name, fires in cases if not fires} == names


def test_each_alert_leads_to_a_section_of_the_runbook_and_each_section_has_one() -> None:
    headings = re.findall(r"^## (.+)$", RUNBOOK.read_text(), re.MULTILINE)
    sections = {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
    linked = {alert["annotations"]["runbook_url"].rpartition("#")[2] for alert in alerts()}

    assert linked <= sections
    assert sections - linked == {"how-to-look"}


def test_the_autoscalers_ask_for_what_is_exported() -> None:
    k8s = OBSERVABILITY.parent / "k8s"
    scalers = list(yaml.safe_load_all((k8s / "components/hpa-queue/autoscalers.yaml").read_text()))
    asked = [one["external"]["metric"] for scaler in scalers for one in scaler["spec"]["metrics"]]
    served = (k8s / "examples/prometheus-adapter.yaml").read_text()

    assert len(asked) >= 4
    for metric in asked:
        assert metric["name"] in served
        labels = metric["selector"].get("matchLabels", {}).keys() | {
            rule["key"] for rule in metric["selector"].get("matchExpressions", ())
        }
        assert labels <= series()[metric["name"]]
