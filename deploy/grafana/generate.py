#!/usr/bin/env python3
"""Writes the Grafana dashboards from `boards/`, one JSON file each.

    deploy/grafana/generate.py           # writes deploy/grafana/dashboards
    deploy/grafana/generate.py --check   # ends with 1 if the files are others, or the schema does not know all of them

Needs what requirements.txt pins. The chart's copies are made by `.ci/chart-files`.
"""

import json
import sys
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from boards import goal, overview, replicas

FOLDER = Path(__file__).resolve().parent / "dashboards"


def text(board: Dashboard) -> str:
    return json.dumps(board, cls=JSONEncoder, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def faults(path: Path, wanted: str) -> list[str]:
    """What is wrong with a file: not what is generated, or more than Grafana's schema takes."""
    written = path.read_text(encoding="utf-8") if path.exists() else ""
    found = [] if written == wanted else [f"{path.name} is not what deploy/grafana/generate.py writes"]
    # Through the schema and back: whatever Grafana would not know is gone then.
    if written and text(Dashboard.from_json(json.loads(written))) != written:
        found.append(f"{path.name} does not survive the schema of Grafana")
    return found


def main() -> int:
    register_default_plugins()
    boards = {f"{each.build().uid}.json": text(each.build()) for each in (overview, goal, replicas)}
    if "--check" not in sys.argv[1:]:
        FOLDER.mkdir(exist_ok=True)
        for name, content in boards.items():
            (FOLDER / name).write_text(content, encoding="utf-8")
        return 0
    wrong = [fault for name, content in boards.items() for fault in faults(FOLDER / name, content)]
    wrong += [f"nothing writes {path.name}" for path in FOLDER.glob("*.json") if path.name not in boards]
    print("\n".join(wrong) or f"{len(boards)} dashboards are as generated and go through the schema without a loss")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
