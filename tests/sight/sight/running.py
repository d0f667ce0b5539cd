"""The files are held against two replicas under load and a real Prometheus. Each check gives what is wrong."""

from __future__ import annotations

import math
import os
import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from . import files, promql
from .processes import ADMIN_TOKEN, JOB, ROOT_KEY, Prometheus, Replica, fetch

Faults = Iterator[str]

# What may be empty in a run like this, and why.
EMPTY = {
    "annotation Critical alert": "no critical alert fires",
    "Backlog is gone in A": "the backlog may grow here",
}
# What fires here, since the load replays nonces: seen to come through from the replicas to Prometheus.
FIRES = "IntentBusReplays"
# Names that the protocol has always had for gauges.
EXCUSED = {"intent_bus_intents_total", "intent_bus_dead_letters_total", "intent_bus_tester_keys_total"}
# Ways to say "or nothing" that would hide a query without data.
HIDDEN = re.compile(r" or vector\(0\)")
# What Grafana would put in, at a scrape each second and a view of a few minutes.
GRAFANA = {"__rate_interval": "20s", "__interval_ms": "3600000", "__interval": "15s", "__range": "5m"}


@dataclass
class Run:
    """What runs, and what was found out that is worth a number."""

    replicas: list[Replica]
    prometheus: Prometheus
    binary: Path
    database: str
    began: float
    numbers: dict[str, int] = field(default_factory=dict)

    def texts(self) -> list[str]:
        return [fetch(replica.metrics) for replica in self.replicas]


def filled(expr: str, variables: dict[str, str]) -> str:
    for name, value in sorted((GRAFANA | variables).items(), key=lambda pair: -len(pair[0])):
        expr = expr.replace(f"${{{name}}}", value).replace(f"${name}", value)
    return expr


def escaped(value: str) -> str:
    """A value of a variable as Grafana puts it into a regular expression in a string."""
    return re.escape(value).replace("\\", "\\\\")


def has_data(series: list[dict]) -> bool:
    values = [value for each in series for _, value in each.get("values", [each.get("value")])]
    return any(not math.isnan(float(value)) for value in values)


def queries_have_data(run: Run) -> Faults:
    """every query of every panel and annotation returns data, as Grafana would ask it"""
    variables = {"job": JOB, "namespace": ".*", "goal": ".*", "instance": ".*"}
    empty, series = 0, 0
    for query in files.queries():
        expr = filled(HIDDEN.sub("", query.expr), variables)
        try:
            now = time.time()
            found = run.prometheus.instant(expr) if query.instant else run.prometheus.range(expr, run.began, now, 5)
        except ValueError as error:
            yield f"{query}: {error}: {expr}"
            continue
        series += len(found)
        if not has_data(found):
            empty += query.place in EMPTY
            if query.place not in EMPTY:
                yield f"{query} returns nothing: {expr}"
    boards = files.boards().values()
    run.numbers |= {
        "dashboards": len(boards),
        "panels": sum(len(files.panels(board)) for board in boards),
        "queries of panels and annotations": len(files.queries()),
        "of these without data, for a reason": empty,
        "series returned": series,
    }


def variables_have_values(run: Run) -> Faults:
    """every variable of every dashboard has values, and the queries have data for one of them"""
    for name, board in files.boards().items():
        for variable, query in files.variables(board).items():
            match = re.fullmatch(r"label_values\((.*), (\w+)\)", filled(query, {"job": JOB, "namespace": ".*"}))
            values = {series["metric"].get(match[2]) for series in run.prometheus.instant(match[1])} if match else set()
            if not values - {None}:
                yield f"{name}: {variable} has no values: {query}"
    one = {"job": JOB, "namespace": "default", "goal": "fragile", "instance": escaped(run.replicas[0].target)}
    for query in files.queries():
        if query.place in ("Flow A", "Attempts that failed A", "Work A", "CPU A", "Size A"):
            if not has_data(run.prometheus.range(filled(query.expr, one), run.began, time.time(), 5)):
                # Nothing of this goal is ever fulfilled.
                if not (query.board == "intent-bus-goal" and query.place == "Work A"):
                    yield f"{query} returns nothing for {one}"


def rules_are_evaluated(run: Run) -> Faults:
    """Prometheus evaluates every rule without an error, and an alert fires that should"""
    groups = run.prometheus.ask("rules")["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    if len(rules) != len(files.rules()):
        yield f"Prometheus has {len(rules)} rules of {len(files.rules())}"
    for rule in rules:
        if rule["health"] != "ok":
            yield f"{rule['name']}: {rule['health']} {rule.get('lastError', '')}"
    firing = {
        alert["labels"]["alertname"] for alert in run.prometheus.ask("alerts")["alerts"] if alert["state"] == "firing"
    }
    if FIRES not in firing:
        yield f"{FIRES} does not fire, but {sorted(firing)}"
    run.numbers |= {"rules evaluated": len(rules), "alerts": len(files.alerts()), "alerts firing": len(firing)}


def metrics_are_emitted(run: Run) -> Faults:
    """every documented metric is emitted, with its type and labels, and every emitted one is documented"""
    known = files.metrics()
    emitted: dict[str, str] = {}
    labels: dict[str, set[str]] = {}
    for text in run.texts():
        emitted |= dict(re.findall(r"^# TYPE (\w+) (\w+)$", text, re.MULTILINE))
        for name, inside in re.findall(r"^(\w+)(?:\{(.*)\})? \S+$", text, re.MULTILINE):
            named = set(re.findall(r'(\w+)="', inside)) - {"le"}
            labels.setdefault(promql.family(name, set(emitted)), set()).update(named)
    ours = {name for name in emitted if name.startswith("intent_bus_")}
    yield from (f"{name} is emitted and not documented" for name in sorted(ours - set(known)))
    yield from (f"{name} is documented and not emitted" for name in sorted(set(known) - ours))
    for name in sorted(ours & set(known)):
        if (emitted[name], labels[name]) != (known[name].type, known[name].labels):
            yield f"{name} is a {emitted[name]} with {sorted(labels[name])}, not as documented"
    for name in ("process_start_time_seconds", "process_cpu_seconds_total", "process_resident_memory_bytes"):
        if name not in emitted:
            yield f"{name} is not emitted"
    run.numbers |= {"metrics emitted": len(ours), "series of a replica": sum(1 for _ in samples(run.texts()[0]))}


def samples(text: str) -> Iterator[str]:
    return (line for line in text.splitlines() if line and not line.startswith("#"))


def used_metrics_are_emitted(run: Run) -> Faults:
    """every metric that dashboards and rules read is there"""
    recorded = {rule["record"] for rule in files.rules() if "record" in rule}
    expressions = [query.expr for query in files.queries()] + [rule["expr"] for rule in files.rules()]
    used = {name for expr in expressions for name, _ in promql.read(expr)}
    there = set(run.prometheus.ask("label/__name__/values"))
    yield from (f"{name} is read, and is not there" for name in sorted(used - there))
    run.numbers |= {"metrics and series names read": len(used - recorded)}


def promtool_finds_nothing(run: Run) -> Faults:
    """promtool check metrics finds nothing in what either replica emits but the names the protocol prescribes"""
    for replica, text in zip(run.replicas, run.texts(), strict=True):
        done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
        findings = (done.stdout + done.stderr).splitlines()
        for line in findings:
            if line.split(" ")[0] not in EXCUSED:
                yield f"{replica.target}: {line}"
        run.numbers["findings of promtool, excused"] = len(findings)


def commands_of_the_runbook_run(run: Run) -> Faults:
    """every command of the runbook runs"""
    replica = run.replicas[0]
    environment = replica.environment | {
        "PATH": f"{run.binary.parent}:{os.environ['PATH']}",
        "BUS": replica.url,
        "METRICS": replica.metrics,
        "PROMETHEUS": run.prometheus.url,
        "INTENT_API_KEY": ROOT_KEY,
        "INTENT_ADMIN_TOKEN": ADMIN_TOKEN,
        "DATABASE_URL": run.database,
        "PAGER": "cat",
    }
    blocks = re.findall(r"^```sh\n(.*?)^```$", files.RUNBOOK.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    for block in blocks:
        # psql goes on after an error in a script that it reads, and curl is content with any answer.
        script = block.replace("psql -X", "psql -v ON_ERROR_STOP=1 -X").replace("curl -s", "curl --fail -s")
        command = ["bash", "-euo", "pipefail", "-c", script]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
        if done.returncode or not done.stdout.strip():
            yield f"ends with {done.returncode}, {done.stderr.strip() or 'and says nothing'}:\n{block}"
    run.numbers |= {"commands of the runbook": len(blocks)}


CHECKS = [
    queries_have_data,
    variables_have_values,
    rules_are_evaluated,
    metrics_are_emitted,
    used_metrics_are_emitted,
    promtool_finds_nothing,
    commands_of_the_runbook_run,
]
