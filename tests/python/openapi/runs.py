"""The runs of schemathesis: whose requests, signed or not, of which generation; and what one run has found."""

from __future__ import annotations

import argparse
import base64
import dataclasses
import json
import os
import pathlib
import subprocess
import sys

CLIENT = ["publishers", "workers", "values", "bus"]
HERE = pathlib.Path(__file__).parent


@dataclasses.dataclass
class Run:
    """One run: every check on every operation of these tags."""

    name: str
    generation: str
    key: str
    signed: bool
    tags: list[str]
    # Headers for all requests, and instead of them for those to one path.
    headers: dict[str, str]
    of_path: dict[str, dict[str, str]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Outcome:
    """What one run has found."""

    run: Run
    report: dict
    statuses: dict[str, int]
    output: str
    exit_code: int

    @property
    def cases(self) -> int:
        return self.report.get("test_cases", {}).get("generated", 0)

    @property
    def failed(self) -> int:
        """Test cases with a failed check or an error; 1 at least if the run has not come to a good end."""
        cases = self.report.get("test_cases", {})
        return max(cases.get("with_failures", 0) + cases.get("errored", 0), int(self.exit_code != 0))

    @property
    def faults(self) -> int:
        return sum(count for status, count in self.statuses.items() if int(status) >= 500)


def plan(arguments: argparse.Namespace, tenant_key: str) -> list[Run]:
    """Unsigned requests as curl makes them (1.1), signed ones as the SDK 2.x does (2.1); each way in for operators once."""
    root, admin = {"X-API-KEY": arguments.root_key}, {"X-Admin-Token": arguments.admin_token}
    password = base64.b64encode(f"admin:{arguments.dashboard_password}".encode()).decode()
    basic, bearer = {"Authorization": f"Basic {password}"}, {"Authorization": f"Bearer {arguments.metrics_token}"}
    everything = [*CLIENT, "operators"]
    return [
        Run("root key and admin token, unsigned, 1.1", "1.1", arguments.root_key, False, everything, root | admin),
        Run(
            "root key, signed, and dashboard password, 2.1",
            "2.1",
            arguments.root_key,
            True,
            everything,
            root | basic,
            {"/metrics": bearer},
        ),
        Run("tenant key, unsigned, 1.1", "1.1", tenant_key, False, CLIENT, {"X-API-KEY": tenant_key}, {"/metrics": bearer}),
        Run("tenant key, signed, 2.1", "2.1", tenant_key, True, CLIENT, {"X-API-KEY": tenant_key}, {"/metrics": bearer}),
    ]


def carry_out(run: Run, url: str, seed: int, examples: int, folder: pathlib.Path) -> Outcome:
    config, report, statuses = folder / "schemathesis.toml", folder / "report.json", folder / "statuses.json"
    config.write_text(configuration(run, url, seed, examples))
    environment = os.environ | {
        "PYTHONPATH": str(HERE.parent),
        "SCHEMATHESIS_HOOKS": "openapi.hooks",
        "OPENAPI_CHECK_GENERATION": run.generation,
        "OPENAPI_CHECK_STATUSES": str(statuses),
    }
    if run.signed:
        environment["OPENAPI_CHECK_SIGN_WITH"] = run.key
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run", f"{url}/openapi.json"]
    command += ["--no-color", "--report", "json", "--report-json-path", str(report)]
    for tag in run.tags:
        command += ["--include-tag", tag]
    done = subprocess.run(
        command, env=environment, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    return Outcome(run, read(report), read(statuses), done.stdout + done.stderr, done.returncode)


def read(path: pathlib.Path) -> dict:
    return json.loads(path.read_text()) if path.exists() else {}


def configuration(run: Run, url: str, seed: int, examples: int) -> str:
    """TOML. A JSON string is a TOML string, too."""
    quote = json.dumps
    lines = [
        f"base-url = {quote(url)}",
        f"seed = {seed}",
        "continue-on-failure = true",
        f"headers = {table(run.headers)}",
        "[generation]",
        f"max-examples = {examples}",
        'database = "none"',
        "[checks]",
        "enabled = true",
    ]
    for path, headers in run.of_path.items():
        lines += ["[[operations]]", f"include-path = {quote(path)}", f"headers = {table(headers)}"]
    return "\n".join(lines) + "\n"


def table(headers: dict[str, str]) -> str:
    return "{ " + ", ".join(f"{json.dumps(name)} = {json.dumps(value)}" for name, value in headers.items()) + " }"
