"""Prints what watches the suite: the Grafana dashboard, the rules of the service level objectives and docs/slo.md, and
all rules once more as a PrometheusRule. With --check fails if a file is not what would be printed.
"""

# ruff: noqa: E501 - a panel is a line

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
RULES = ROOT / "observability/rules"
RUNBOOK = "https://github.com/gleaner/gleaner/blob/main/docs/runbook.md"
PRINTED = "Printed by tools/observability.py: make docs"

# The dashboard.

SOURCE = {"type": "prometheus", "uid": "${datasource}"}
ACROSS, DOWN = 8, 8


@dataclass(frozen=True)
class Panel:
    """A picture: queries with the legend of their series. `RATE` in a query is what fits the picture's width."""

    title: str
    queries: Sequence[tuple[str, str]]
    unit: str = "short"
    about: str = ""
    kind: str = "timeseries"


def per_s(counter: str, *by: str, where: str = "") -> str:
    return f"sum by ({', '.join(by)}) (rate({counter}{_where(where)}[RATE]))"


def quantile(share: float, histogram: str, *by: str, where: str = "") -> str:
    labels = ", ".join(("le", *by))
    return f"histogram_quantile({share}, sum by ({labels}) (rate({histogram}_bucket{_where(where)}[RATE])))"


def latest(gauge: str, *by: str, where: str = "") -> str:
    """A figure that every replica tells alike."""
    return f"max by ({', '.join(by)}) ({gauge}{_where(where)})"


def _where(matchers: str) -> str:
    return "{" + ", ".join(each for each in ('job=~"$job"', matchers) if each) + "}"


FAULTS = 'rpc_response_status_code=~"UNKNOWN|DEADLINE_EXCEEDED|UNIMPLEMENTED|INTERNAL|UNAVAILABLE|DATA_LOSS"'
PUBLIC = 'rpc_method=~"gleaner.v1.+"'
CALLS = "rpc_server_call_duration_seconds"

ROWS: dict[str, Sequence[Panel]] = {
    "At a glance": (
        Panel("Jobs that may be claimed", [(latest("gleaner_queue_depth", "gleaner_leg", where='gleaner_queue_state="claimable"'), "{{gleaner_leg}}")], kind="stat"),
        Panel("The oldest of them is due for", [(latest("gleaner_queue_oldest_age_seconds", "gleaner_leg"), "{{gleaner_leg}}")], "s", kind="stat"),
        Panel("Public calls that fail by our fault", [(f'{per_s(f"{CALLS}_count", where=f"{PUBLIC}, {FAULTS}")} / {per_s(f"{CALLS}_count", where=PUBLIC)} or vector(0)', "share")], "percentunit", kind="stat"),
    ),
    "Calls": (
        Panel("Calls served, by method", [(per_s(f"{CALLS}_count", "rpc_method"), "{{rpc_method}}")], "reqps"),
        Panel("99th percentile, by method", [(quantile(0.99, CALLS, "rpc_method", where='rpc_method!~".*(WatchJob|SubscribeEvents|StreamIsActive)"'), "{{rpc_method}}")], "s", "Without streams, which last as long as somebody listens."),
        Panel("Calls that did not end with OK", [(per_s(f"{CALLS}_count", "rpc_method", "rpc_response_status_code", where='rpc_response_status_code!="OK"'), "{{rpc_method}} {{rpc_response_status_code}}")], "reqps"),
        Panel("Calls to other services, 99th percentile", [(quantile(0.99, "rpc_client_call_duration_seconds", "rpc_method"), "{{rpc_method}}")], "s"),
        Panel("Calls to other services that failed", [(per_s("rpc_client_call_duration_seconds_count", "rpc_method", "rpc_response_status_code", where='rpc_response_status_code!="OK"'), "{{rpc_method}} {{rpc_response_status_code}}")], "reqps"),
        Panel("Offers, by what became of them", [(per_s("gleaner_offers_total", "gleaner_offer_outcome"), "{{gleaner_offer_outcome}}")], "ops"),
    ),
    "Queue": (
        Panel("Jobs alive", [(latest("gleaner_queue_depth", "gleaner_leg", "gleaner_queue_state"), "{{gleaner_leg}} {{gleaner_queue_state}}")], about="Each count stops at 10,000."),
        Panel("The oldest job is due for", [(latest("gleaner_queue_oldest_age_seconds", "gleaner_leg"), "{{gleaner_leg}}")], "s"),
        Panel("From due to claimed", [(quantile(q, "gleaner_queue_wait_seconds", "gleaner_leg"), f"{{{{gleaner_leg}}}} p{int(100 * q)}") for q in (0.5, 0.99)], "s"),
        Panel("Jobs a statement of SubmitJob stores", [("sum(rate(gleaner_submit_batch_size_sum{job=~\"$job\"}[RATE])) / sum(rate(gleaner_submit_batch_size_count{job=~\"$job\"}[RATE]))", "mean")]),
        Panel("Suspects", [(latest("gleaner_queue_suspects", "gleaner_leg"), "{{gleaner_leg}}")], about="Jobs that lost two leases: each runs alone."),
        Panel("Orphans of the reaper's last sweep", [("max by (gleaner_orphans, gleaner_outcome) (max_over_time(gleaner_reaper_orphans{job=~\"$job\"}[10m])) > 0", "{{gleaner_orphans}} {{gleaner_outcome}}")]),
    ),
    "Workers": (
        Panel("Claimed jobs, and looks that found nothing", [(per_s("gleaner_claims_total", "gleaner_leg"), "{{gleaner_leg}} jobs"), (per_s("gleaner_polls_total", "gleaner_leg", where='gleaner_found="nothing"'), "{{gleaner_leg}} empty looks")], "ops"),
        Panel("Runs, by the move that ended them", [(per_s("gleaner_run_duration_seconds_count", "gleaner_move"), "{{gleaner_move}}")], "ops"),
        Panel("Duration of runs", [(quantile(q, "gleaner_run_duration_seconds", "gleaner_leg"), f"{{{{gleaner_leg}}}} p{int(100 * q)}") for q in (0.5, 0.99)], "s"),
        Panel("Errors, by reason and move", [(per_s("gleaner_run_errors_total", "error_type", "gleaner_move"), "{{error_type}} {{gleaner_move}}")], "ops"),
        Panel("Slots", [("sum by (gleaner_slot_state) (gleaner_slots{job=~\"$job\"})", "{{gleaner_slot_state}}")]),
        Panel("Leases asked for, by answer", [(per_s("gleaner_lease_renewals_total", "gleaner_answer"), "{{gleaner_answer}}")], "ops"),
        Panel("Leases taken back, and endings that came too late", [(per_s("gleaner_lease_rescues_total", "gleaner_move"), "{{gleaner_move}}"), (per_s("gleaner_lost_races_total", "gleaner_move"), "late: {{gleaner_move}}")], "ops"),
        Panel("Pages read", [(per_s("gleaner_pages_total", "gleaner_text_source"), "{{gleaner_text_source}}")], "ops"),
        Panel("Questions to child processes", [("sum by (gleaner_child_work, gleaner_child_state) (gleaner_children_questions{job=~\"$job\"})", "{{gleaner_child_work}} {{gleaner_child_state}}")]),
    ),
    "Models": (
        Panel("Tokens", [(per_s("gen_ai_client_token_usage_sum", "gen_ai_request_model", "gen_ai_token_type"), "{{gen_ai_request_model}} {{gen_ai_token_type}}")], "ops"),
        Panel("Duration of calls", [(quantile(q, "gen_ai_client_operation_duration_seconds", "gen_ai_request_model"), f"{{{{gen_ai_request_model}}}} p{int(100 * q)}") for q in (0.5, 0.99)], "s"),
        Panel("Cost, dollars an hour", [("3600 * " + per_s("gleaner_model_cost_total", "gen_ai_request_model"), "{{gen_ai_request_model}}")], "currencyUSD", "By the public price list; models without a price cost nothing here."),
    ),
    "Webhooks": (
        Panel("Deliveries that are not done", [(latest("gleaner_webhook_backlog", "gleaner_queue_state"), "{{gleaner_queue_state}}")]),
        Panel("Tries, by outcome and error", [(per_s("gleaner_webhook_tries_total", "gleaner_outcome", "error_type"), "{{gleaner_outcome}} {{error_type}}")], "ops"),
        Panel("Delivered and dead", [(per_s("gleaner_webhook_deliveries_total", "gleaner_outcome"), "{{gleaner_outcome}}")], "ops"),
        Panel("Age when it ended", [(quantile(q, "gleaner_webhook_delivery_age_seconds", "gleaner_outcome"), f"{{{{gleaner_outcome}}}} p{int(100 * q)}") for q in (0.5, 0.99)], "s"),
        Panel("Duration of tries, 99th percentile", [(quantile(0.99, "gleaner_webhook_try_duration_seconds", "gleaner_outcome"), "{{gleaner_outcome}}")], "s"),
        Panel("The oldest delivery is due for", [(latest("gleaner_webhook_oldest_age_seconds"), "due for")], "s"),
    ),
    "Events": (
        Panel("Lag of consumer groups", [(latest("gleaner_events_lag_seconds", "gleaner_group"), "{{gleaner_group}}")], "s", "`tenants` is the slowest group of all tenants."),
        Panel("The log waits for an open writer", [(latest("gleaner_events_stall_seconds"), "stalled"), (latest("gleaner_events_oldest_writer_age_seconds", "db_namespace", "gleaner_application", "gleaner_session_state"), "{{db_namespace}} {{gleaner_application}} {{gleaner_session_state}}")], "s", "And who that is."),
        Panel("Parked events", [(latest("gleaner_events_parked"), "parked")]),
    ),
    "Processes": (
        Panel("Statements, 99th percentile", [(quantile(0.99, "db_client_operation_duration_seconds", "instance"), "{{instance}}")], "s"),
        Panel("Statements that failed", [(per_s("db_client_operation_duration_seconds_count", "error_type", where='error_type!=""'), "{{error_type}}")], "ops"),
        Panel("Connections", [("sum by (db_client_connection_state) (db_client_connection_count{job=~\"$job\"})", "{{db_client_connection_state}}"), ("sum(db_client_connection_max{job=~\"$job\"})", "at most")]),
        Panel("Wait for a connection, 99th percentile", [(quantile(0.99, "db_client_connection_wait_time_seconds", "instance"), "{{instance}}")], "s"),
        Panel("Statements that wait for a connection", [("sum by (instance) (db_client_connection_pending_requests{job=~\"$job\"})", "{{instance}}")]),
        Panel("Event loop's lag, 99th percentile", [(quantile(0.99, "gleaner_event_loop_lag_seconds", "instance"), "{{instance}}")], "s", "Heartbeats are late by as much."),
        Panel("Child processes replaced", [(per_s("gleaner_children_restarts_total", "gleaner_child_work"), "{{gleaner_child_work}}")], "ops"),
        Panel("Since the reaper's last sweep", [("time() - max(max_over_time(gleaner_reaper_swept_seconds{job=~\"$job\"}[1d]))", "since")], "s"),
    ),
}  # fmt: skip


def dashboard() -> str:
    """observability/dashboard.json."""
    panels: list[dict[str, Any]] = []
    top = 0
    for title, row in ROWS.items():
        panels.append(
            {"type": "row", "title": title, "collapsed": False, "gridPos": _place(top, 0, 24, 1), "panels": []}
        )
        for number, panel in enumerate(row):
            place = _place(top + 1 + DOWN * (number // 3), ACROSS * (number % 3), ACROSS, DOWN)
            panels.append(_panel(panel, place))
        top += 1 + DOWN * -(-len(row) // 3)
    for number, one in enumerate(panels, 1):
        one["id"] = number
    content = {
        "uid": "gleaner",
        "title": "Gleaner",
        "description": PRINTED,
        "tags": ["gleaner"],
        "schemaVersion": 39,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "links": [{"title": "Runbook", "type": "link", "url": RUNBOOK, "targetBlank": True}],
        "templating": {
            "list": [
                {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus"},
                {
                    "name": "job",
                    "type": "query",
                    "datasource": SOURCE,
                    "definition": "label_values(db_client_connection_max, job)",
                    "query": {"query": "label_values(db_client_connection_max, job)", "refId": "jobs"},
                    "refresh": 2,
                    "includeAll": True,
                    "allValue": ".*",
                    "multi": True,
                    "current": {"text": "All", "value": "$__all"},
                },
            ]
        },
        "panels": panels,
    }
    return json.dumps(content, indent=1) + "\n"


def _place(y: int, x: int, w: int, h: int) -> dict[str, int]:
    return {"h": h, "w": w, "x": x, "y": y}


def _panel(panel: Panel, place: dict[str, int]) -> dict[str, Any]:
    made: dict[str, Any] = {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.about,
        "datasource": SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": [
            {
                "refId": chr(ord("A") + number),
                "datasource": SOURCE,
                "expr": query.replace("RATE", "$__rate_interval"),
                "legendFormat": legend,
                "exemplar": "_bucket" in query,
            }
            for number, (query, legend) in enumerate(panel.queries)
        ],
    }
    if panel.kind == "timeseries":
        made["options"] = {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}
    return made


# Service level objectives.


@dataclass(frozen=True)
class Objective:
    """What share of something is to be good, over 30 days. `WINDOW` in the queries is the time that is looked at."""

    name: str
    title: str
    good: float
    promise: str
    bad: str
    all: str
    section: str


WAITS = "gleaner_queue_wait_seconds"
SUBMITS = 'rpc_method=~"gleaner.v1.JobService/(SubmitJob|BatchSubmitJobs)", rpc_response_status_code="OK"'
OURS = 'error_type=~"INTERNAL|CHILD_DIED|WORK_TIMEOUT"'
OBJECTIVES = (
    Objective(
        "calls",
        "Calls are answered",
        0.999,
        "of the public calls do not fail by our fault (INTERNAL, UNAVAILABLE, DEADLINE_EXCEEDED and their like).",
        f"sum(rate({CALLS}_count{{{PUBLIC}, {FAULTS}}}[WINDOW]))",
        f"sum(rate({CALLS}_count{{{PUBLIC}}}[WINDOW]))",
        "calls-fail",
    ),
    Objective(
        "submits",
        "Submits are quick",
        0.99,
        "of the submits that succeed are answered within 250 ms.",
        f'(sum(rate({CALLS}_count{{{SUBMITS}}}[WINDOW])) - sum(rate({CALLS}_bucket{{{SUBMITS}, le="0.25"}}[WINDOW])))',
        f"sum(rate({CALLS}_count{{{SUBMITS}}}[WINDOW]))",
        "submits-are-slow",
    ),
    Objective(
        "starts",
        "Jobs start soon",
        0.99,
        "of the claims come within 30 s of when the job was due.",
        f'(sum(rate({WAITS}_count[WINDOW])) - sum(rate({WAITS}_bucket{{le=~"30|30.0"}}[WINDOW])))',
        f"sum(rate({WAITS}_count[WINDOW]))",
        "jobs-are-stuck",
    ),
    Objective(
        "jobs",
        "Jobs do not fail by our fault",
        0.999,
        "of the runs that end a leg do not fail it by our fault: a bug, a child process or a worker that died, a time-out.",
        f'((sum(rate(gleaner_run_errors_total{{gleaner_move=~"mark_.*failed", {OURS}}}[WINDOW])) or vector(0))'
        ' + (sum(rate(gleaner_lease_rescues_total{gleaner_move=~"fail_crashed.*"}[WINDOW])) or vector(0)))',
        'sum(rate(gleaner_run_duration_seconds_count{gleaner_move=~"mark_.*"}[WINDOW]))',
        "jobs-fail-by-our-fault",
    ),
)
WINDOWS = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")
# How many times faster than the budget allows, over a long window and, to end soon, a short one.
# https://sre.google/workbook/alerting-on-slos/#6-multiwindow-multi-burn-rate-alerts
BURNS = ((14.4, "1h", "5m", "2m", "page"), (6.0, "6h", "30m", "15m", "page"), (1.0, "3d", "6h", "1h", "ticket"))


def objective_rules() -> str:
    """observability/rules/slo.yaml."""
    groups = [{"name": f"gleaner-slo-{each.name}", "rules": list(_rules(each))} for each in OBJECTIVES]
    return f"# {PRINTED}\n" + _yaml({"groups": groups})


def _rules(of: Objective) -> Iterator[dict[str, Any]]:
    for window in WINDOWS:
        bad, everything = of.bad.replace("WINDOW", window), of.all.replace("WINDOW", window)
        # Without a single bad one there is no series of bad ones: that is 0, if there were any at all.
        yield {
            "record": f"gleaner:bad:ratio_rate{window}",
            "expr": f"({bad} or 0 * {everything}) / ({everything} > 0)",
            "labels": {"slo": of.name},
        }
    for factor, long, short, hold, severity in BURNS:
        limit = f"{factor:g} * {1 - of.good:.4g}"
        yield {
            "alert": "GleanerErrorBudgetBurns",
            "expr": f'gleaner:bad:ratio_rate{long}{{slo="{of.name}"}} > {limit}'
            f' and gleaner:bad:ratio_rate{short}{{slo="{of.name}"}} > {limit}',
            "for": hold,
            "labels": {"severity": severity, "slo": of.name, "window": long},
            "annotations": {
                "summary": f"{of.title}: the error budget is used up {factor:g} times too fast",
                "description": f"{100 * of.good:g} % {of.promise} Over the last {long}: {{{{ $value | humanizePercentage }}}} bad.",
                "runbook_url": f"{RUNBOOK}#{of.section}",
            },
        }


def objectives_page() -> str:
    """docs/slo.md."""
    rows = "\n".join(
        f"| **{each.title}** (`{each.name}`) | {100 * each.good:g} % | {each.promise} | {_budget(each)} "
        f"| [{each.section}](runbook.md#{each.section}) |"
        for each in OBJECTIVES
    )
    burns = "\n".join(
        f"| {factor:g} | {long} and {short} | {hold} | {severity} | {100 * factor * _hours(long) / 720:.2g} % |"
        for factor, long, short, hold, severity in BURNS
    )
    return f"""# Service level objectives

<!-- {PRINTED} -->

What the suite is meant to do, over any 30 days. The rules are `observability/rules/slo.yaml`; what a call's or a run's
caller did wrong is no fault of ours and does not count.

| objective | of all | what | may fail in 30 days | when it burns |
|---|---|---|---|---|
{rows}

Each is watched by three burn rates (Google's SRE workbook): so many times faster than the budget lasts 30 days, over a
long window and, so that the alert ends soon, a short one.

| times too fast | windows | held for | then | budget gone by then |
|---|---|---|---|---|
{burns}

`gleaner:bad:ratio_rate30m{{slo="calls"}}` and its like are the recorded shares of bad ones; the windows are {", ".join(WINDOWS)}.
Webhooks have no objective of their own, for their receivers decide; dead and late ones have alerts (docs/runbook.md).
"""


def _budget(of: Objective) -> str:
    return f"{10_000 * (1 - of.good):g} of 10,000"


def _hours(window: str) -> float:
    return float(window[:-1]) * {"h": 1, "d": 24}[window[-1]]


# All rules, as the operator wants them.


def prometheus_rule() -> str:
    """k8s/examples/prometheus-rule.yaml."""
    groups = [group for name in ("alerts", "slo") for group in _groups(name)]
    resource = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "gleaner", "namespace": "gleaner", "labels": {"app.kubernetes.io/name": "gleaner"}},
        "spec": {"groups": groups},
    }
    head = "# EXAMPLE, not run here: needs the Prometheus Operator. The rules themselves are tested: observability/rules.\n"
    return f"{head}# {PRINTED}\n" + _yaml(resource)


def _groups(name: str) -> list[Any]:
    text = objective_rules() if name == "slo" else (RULES / f"{name}.yaml").read_text(encoding="utf-8")
    groups: list[Any] = yaml.safe_load(text)["groups"]
    return groups


def _yaml(content: object) -> str:
    return yaml.safe_dump(content, sort_keys=False, width=10_000, allow_unicode=True)


FILES = {
    "observability/dashboard.json": dashboard,
    "observability/rules/slo.yaml": objective_rules,
    "docs/slo.md": objectives_page,
    "k8s/examples/prometheus-rule.yaml": prometheus_rule,
}


def main() -> int:
    """Prints the files, or checks them."""
    stale = []
    for name, content in FILES.items():
        path = ROOT / name
        if "--check" not in sys.argv:
            path.write_text(content(), encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != content():
            stale.append(name)
    if stale:
        sys.stderr.write(f"out of date: {', '.join(stale)}; run make docs\n")
    return bool(stale)


if __name__ == "__main__":
    sys.exit(main())
