"""The files: what they say, read once."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[3]
RULES = ROOT / "deploy" / "prometheus" / "rules.yaml"
RULES_TEST = ROOT / "deploy" / "prometheus" / "rules_test.yaml"
DASHBOARDS = ROOT / "deploy" / "grafana" / "dashboards"
RUNBOOK = ROOT / "docs" / "runbook.md"
METRICS = ROOT / "docs" / "metrics.md"


@dataclass(frozen=True)
class Metric:
    """A row of docs/metrics.md."""

    name: str
    type: str
    labels: frozenset[str]
    of_the_bus: bool


def metrics() -> dict[str, Metric]:
    """What docs/metrics.md documents."""
    found, of_the_bus = {}, False
    for line in METRICS.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            of_the_bus = line == "## Of the whole bus"
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if len(cells) == 4 and re.fullmatch(r"`\w+`", cells[0]):
            name = cells[0].strip("`")
            found[name] = Metric(name, cells[1], frozenset(re.findall(r"`(\w+)`", cells[2])), of_the_bus)
    return found


def groups() -> list[dict]:
    return yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]


def rules() -> list[dict]:
    return [rule for group in groups() for rule in group["rules"]]


def alerts() -> dict[str, dict]:
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}


def rule_tests() -> list[dict]:
    return yaml.safe_load(RULES_TEST.read_text(encoding="utf-8"))["tests"]


@dataclass(frozen=True)
class Query:
    """A query of a dashboard, with the place that it has there."""

    board: str
    place: str
    expr: str
    instant: bool = False

    def __str__(self) -> str:
        return f"{self.board}: {self.place}"


def boards() -> dict[str, dict]:
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(DASHBOARDS.glob("*.json"))}


def panels(board: dict) -> list[dict]:
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def queries() -> list[Query]:
    """What panels and annotations ask."""
    found = []
    for name, board in boards().items():
        for panel in panels(board):
            for target in panel["targets"]:
                place = f"{panel['title']} {target['refId']}"
                found.append(Query(name, place, target["expr"], target.get("instant", False)))
        for each in board["annotations"]["list"]:
            found.append(Query(name, f"annotation {each['name']}", each["expr"]))
    return found


def variables(board: dict) -> dict[str, str]:
    """The queries by which variables get their values."""
    listed = board["templating"]["list"]
    return {each["name"]: each["query"]["query"] for each in listed if each["type"] == "query"}
