"""Copies of the chart: with files that it does not have yet, or with a fault in it."""

from __future__ import annotations

import shutil
from pathlib import Path

from .helm import CHART

RULES = """\
groups:
  - name: intent-bus
    rules:
      - alert: Loud
        expr: up == 0
        annotations: {summary: "{{ $labels.instance }} is down"}
      - alert: Quiet
        expr: up == 1
  - name: only-quiet
    rules:
      - alert: Quiet
        expr: up == 2
"""
DASHBOARD = '{"title": "Overview", "panels": [{"legendFormat": "{{status}}"}]}\n'


def copy(to: Path, changes: dict[str, tuple[str, str]] | None = None) -> Path:
    """A copy in which, of each file named, one text is another. The text must be there."""
    chart = Path(shutil.copytree(CHART, to / "intent-bus"))
    for path, (old, new) in (changes or {}).items():
        text = (chart / path).read_text(encoding="utf-8")
        if old not in text:
            raise LookupError(f"{path} does not have {old!r} any more")
        (chart / path).write_text(text.replace(old, new), encoding="utf-8")
    return chart


def with_files(to: Path) -> Path:
    """A copy with two groups of alerts and a dashboard."""
    chart = copy(to)
    (chart / "files" / "dashboards").mkdir(parents=True, exist_ok=True)
    (chart / "files" / "rules.yaml").write_text(RULES, encoding="utf-8")
    (chart / "files" / "dashboards" / "Over_view.json").write_text(DASHBOARD, encoding="utf-8")
    return chart
