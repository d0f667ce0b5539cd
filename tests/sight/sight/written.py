"""The files are held together. Each check gives what is wrong; its first line of documentation is its name."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator

from . import files, promql

Faults = Iterator[str]
CHECKS: list[Callable[[], Faults]] = []
# Read by several replicas at different times: the worst of them is worth knowing.
OF_EACH_REPLICA = {"intent_bus_read_timestamp_seconds"}
# Of Prometheus itself, and of every process.
FOREIGN = {"up", "ALERTS"}


def check(function: Callable[[], Faults]) -> Callable[[], Faults]:
    CHECKS.append(function)
    return function


def program(*command: str) -> Faults:
    """What a program that finds fault says."""
    done = subprocess.run(command, cwd=files.ROOT, capture_output=True, text=True)
    if done.returncode:
        said = (done.stdout + done.stderr)[-4000:]
        yield f"{' '.join(map(str, command[-2:]))} ends with {done.returncode}:\n{said}"


def expressions() -> dict[str, str]:
    """Every expression by where it stands."""
    found = {str(query): query.expr for query in files.queries()}
    return found | {f"rules.yaml: {rule.get('alert') or rule['record']}": rule["expr"] for rule in files.rules()}


@check
def generated() -> Faults:
    """dashboards are what deploy/grafana/generate.py writes, and go through Grafana's schema without a loss"""
    yield from program(sys.executable, "-B", "deploy/grafana/generate.py", "--check")


@check
def copied() -> Faults:
    """the chart's alerts and dashboards are those of deploy/"""
    yield from program(sys.executable, ".ci/chart-files", "--check")


@check
def rules_are_rules() -> Faults:
    """promtool check rules, and the configuration of compose"""
    yield from program("promtool", "check", "rules", str(files.RULES))
    yield from program("promtool", "check", "config", "--syntax-only", "deploy/prometheus/prometheus.yml")


@check
def rules_are_tested() -> Faults:
    """promtool test rules"""
    yield from program("promtool", "test", "rules", str(files.RULES_TEST))


@check
def each_alert_is_seen() -> Faults:
    """each alert is tested to fire, to clear after that, and not to fire for a near miss"""
    fires, clears, misses = set(), set(), set()
    for test in files.rule_tests():
        fired: set[str] = set()
        for case in sorted(test["alert_rule_test"], key=lambda case: seconds(case["eval_time"])):
            name = case["alertname"]
            if case.get("exp_alerts"):
                fires.add(name)
                fired.add(name)
            elif name in fired:
                clears.add(name)
            elif test["name"].startswith("near miss: ") and not fired:
                misses.add(name)
    for what, seen in [("to fire", fires), ("to clear", clears), ("not to fire for a near miss", misses)]:
        for name in sorted(set(files.alerts()) ^ seen):
            yield f"{name} is not shown {what}" if name in files.alerts() else f"{name} is tested and does not exist"


def seconds(text: str) -> int:
    parts = re.findall(r"(\d+)([smhd])", text)
    return sum(int(number) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[unit] for number, unit in parts)


@check
def each_alert_says_what_to_do() -> Faults:
    """each alert has a severity, texts with its value, and a section of the runbook, and each section an alert"""
    text = files.RUNBOOK.read_text(encoding="utf-8")
    sections = set(re.findall(r"^## (IntentBus\w+)$", text, re.MULTILINE))
    for name, alert in files.alerts().items():
        notes = alert.get("annotations", {})
        if alert.get("labels", {}).get("severity") not in ("critical", "warning", "info"):
            yield f"{name} has no severity"
        if not notes.get("summary") or "$" not in notes.get("description", "") + notes.get("summary", ""):
            yield f"{name} has no summary, or no text with its labels or value"
        if notes.get("runbook_url") != f"{BLOB}/docs/runbook.md#{name.lower()}":
            yield f"{name} does not lead to its section of the runbook"
    for name in sorted(sections ^ set(files.alerts())):
        yield f"{name} is {'in the runbook only' if name in sections else 'not in the runbook'}"


BLOB = "https://github.com/intent-bus/intent-bus/blob/main"


@check
def links_lead_somewhere() -> Faults:
    """links of the runbook lead somewhere"""
    text = files.RUNBOOK.read_text(encoding="utf-8")
    for target, anchor in re.findall(r"\]\(([^)#]*)(?:#([^)]+))?\)", text):
        if target.startswith("http"):
            continue
        page = files.RUNBOOK if not target else (files.RUNBOOK.parent / target).resolve()
        if not page.exists():
            yield f"{target} is not there"
        elif anchor and anchor not in anchors(page.read_text(encoding="utf-8")):
            yield f"{target}#{anchor} is not there"


def anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@check
def metrics_are_documented() -> Faults:
    """every metric of a dashboard or a rule is in docs/metrics.md, and every one there is looked at somewhere"""
    known = files.metrics()
    recorded = {rule["record"] for rule in files.rules() if "record" in rule}
    used = set()
    for place, expr in expressions().items():
        for name, _ in promql.read(expr):
            family = promql.family(name, set(known))
            used.add(family)
            if not (family in known or name in recorded | FOREIGN or name.startswith("process_")):
                yield f"{place} reads {name}, which docs/metrics.md does not have"
    yield from (f"{name} is looked at nowhere" for name in sorted(set(known) - used))


@check
def metrics_are_added_up_rightly() -> Faults:
    """counters and histograms of replicas are added up, what all replicas say of the bus is taken by its maximum"""
    known = files.metrics()
    for place, expr in expressions().items():
        for name, functions in promql.read(expr):
            metric = known.get(promql.family(name, set(known)))
            done = promql.aggregate(functions)
            if not metric or metric.name in OF_EACH_REPLICA:
                continue
            if metric.of_the_bus and done != "max":
                yield f"{place} takes {name} by {done or 'nothing'}, not by max"
            if not metric.of_the_bus and metric.type in ("counter", "histogram") and done != "sum":
                yield f"{place} takes {name} by {done or 'nothing'}, not by sum"


@check
def dashboards_are_explained() -> Faults:
    """each panel has a title, a description and a unit, each dashboard its variables, links and annotations"""
    for name, board in files.boards().items():
        listed = [each["name"] for each in board["templating"]["list"]]
        if listed[:2] != ["datasource", "job"] or not board["links"] or len(board["annotations"]["list"]) < 3:
            yield f"{name} lacks variables, links or annotations"
        if len({panel["id"] for panel in board["panels"]}) != len(board["panels"]):
            yield f"{name} has two panels with one id"
        for panel in files.panels(board):
            # Columns of a table have units of their own, and so has the axis of a heatmap.
            unit = panel["type"] in ("table", "heatmap") or panel["fieldConfig"]["defaults"].get("unit")
            if not (panel.get("title") and len(panel.get("description", "")) > 10 and unit):
                yield f"{name}: {panel.get('title')} has no description, or no unit"
            if any(each["datasource"]["uid"] != "${datasource}" for each in [panel, *panel["targets"]]):
                yield f"{name}: {panel['title']} has another data source than the variable"
        for expr in (query.expr for query in files.queries() if query.board == name):
            for variable in set(re.findall(r"\$\{?([a-z]\w*)", expr)) - set(listed):
                yield f"{name} uses ${variable}, which it does not have"
