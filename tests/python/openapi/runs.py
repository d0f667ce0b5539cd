"""The runs of schemathesis: whose requests, signed or not, of which generation; and what one run has found."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import pathlib
import subprocess
import sys

CLIENT = ["publishers", "workers", "values"]
PEERS = "peers.json"
HERE = pathlib.Path(__file__).parent


@dataclasses.dataclass
class Run:
    """One run: every check on every operation of these tags."""

    name: str
    generation: str
    key: str
    signed: bool
    tags: list[str]
    # What each security scheme of the document is to present. An operation gets the first one that it takes.
    credentials: dict[str, dict[str, str]]
    # Another tenant's key, whose requests take turns with the first one's and must not see what is the first one's.
    peer: str | None = None
    # Numbers of keys and tenants that operators' requests must leave as they are: other runs need them.
    spared_keys: list[int] = dataclasses.field(default_factory=list)
    spared_tenants: list[int] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Outcome:
    """What one run has found."""

    run: Run
    report: dict
    answers: dict
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
    def statuses(self) -> dict[str, int]:
        return self.answers.get("statuses", {})

    @property
    def faults(self) -> int:
        return sum(count for status, count in self.statuses.items() if int(status) >= 500)

    @property
    def operations(self) -> dict[str, bool]:
        """The operations, and whether they had a good answer."""
        of_operation = self.answers.get("of_operation", {})
        return {label: any(status.startswith("2") for status in counts) for label, counts in of_operation.items()}


def plan(arguments: argparse.Namespace, tenants: list[dict]) -> list[Run]:
    """Unsigned requests as curl makes them (1.1), signed ones as the SDK 2.x does (2.1); each way in for operators once."""
    tenant_key, peer_key = (made["api_key"] for made in tenants)
    root, tenant = {"api_key": {"api_key": arguments.root_key}}, {"api_key": {"api_key": tenant_key}}
    token = {"admin_token": {"api_key": arguments.admin_token}}
    password = {"dashboard": {"username": "admin", "password": arguments.dashboard_password}}
    metrics = {"metrics_token": {"bearer": arguments.metrics_token}}
    everything = [*CLIENT, "operators", "bus"]
    planned = [
        Run("root key, unsigned, 1.1; admin token", "1.1", arguments.root_key, False, everything, root | token),
        Run(
            "root key, signed, 2.1; dashboard password, metrics token",
            "2.1",
            arguments.root_key,
            True,
            everything,
            root | password | metrics,
        ),
        Run("two tenants' keys, unsigned, 1.1", "1.1", tenant_key, False, CLIENT, tenant, peer_key),
        Run("tenant key, signed, 2.1", "2.1", tenant_key, True, CLIENT, tenant),
        # Under 1.1 the root key is an operator's, too.
        Run("root key as the operator's, signed, 1.1", "1.1", arguments.root_key, True, ["operators"], root),
    ]
    for run in planned:
        run.spared_keys, run.spared_tenants = [made["id"] for made in tenants], [made["tenant"] for made in tenants]
    return planned


def carry_out(run: Run, arguments: argparse.Namespace, folder: pathlib.Path) -> Outcome:
    """Runs schemathesis by its command line, in a process of its own."""
    config, report, answers = folder / "schemathesis.toml", folder / "report.json", folder / "answers.json"
    config.write_text(configuration(run, arguments))
    write_peers(run, folder / PEERS)
    settings = {
        "url": arguments.url,
        "key": run.key,
        "signed": run.signed,
        "generation": run.generation,
        "has_peer": run.peer is not None,
        "admin_token": arguments.admin_token,
        "spared": {"keys": run.spared_keys, "tenants": run.spared_tenants},
        "answers": str(answers),
    }
    hooks = {"PYTHONPATH": str(HERE.parent), "SCHEMATHESIS_HOOKS": "openapi.hooks", "OPENAPI_CHECK": json.dumps(settings)}
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run"]
    command += [f"{arguments.url}/openapi.json", "--no-color", "--report", "json", "--report-json-path", str(report)]
    for tag in run.tags:
        command += ["--include-tag", tag]
    options = {"cwd": folder, "stdin": subprocess.DEVNULL, "capture_output": True, "text": True, "check": False}
    done = subprocess.run(command, env=os.environ | hooks, **options)
    return Outcome(run, read(report), read(answers), done.stdout + done.stderr, done.returncode)


def write_peers(run: Run, path: pathlib.Path) -> None:
    """A Web Fuzzing Commons file: who takes part, and the headers of each."""
    keys = {"one": run.key, "other": run.peer}
    users = [{"name": name, "fixedHeaders": [{"name": "X-API-KEY", "value": key}]} for name, key in keys.items()]
    path.write_text(json.dumps({"auth": users}))


def read(path: pathlib.Path) -> dict:
    return json.loads(path.read_text()) if path.exists() else {}


def configuration(run: Run, arguments: argparse.Namespace) -> str:
    """TOML. A JSON string is a TOML string, too."""
    quote = json.dumps
    lines = [
        f"base-url = {quote(arguments.url)}",
        f"seed = {arguments.seed}",
        "continue-on-failure = true",
        "[generation]",
        f"max-examples = {arguments.examples}",
        'database = "none"',
        "[checks]",
        "enabled = true",
    ]
    if run.peer:
        lines += ["[auth.wfc]", f"path = {quote(PEERS)}", 'peers = ["one", "other"]']
    for scheme, values in run.credentials.items() if not run.peer else ():
        lines += [f"[auth.openapi.{scheme}]", *(f"{name} = {quote(value)}" for name, value in values.items())]
    # What is wrong with one of many is told in its place, with 200.
    lines += [
        "[[operations]]",
        'include-path = ["/intents", "/fulfill", "/fail"]',
        "[operations.checks.negative_data_rejection]",
        'expected-statuses = ["200", "400", "401", "403", "404", "405", "406", "409", "415", "422", "428", "429", "5xx"]',
    ]
    if run.generation == "2.1":
        # Good requests may conflict with earlier ones. schemathesis knows that as 409; under 2.1 a used idempotency key is
        # 422, and nothing else is.
        lines += [
            "[[operations]]",
            'include-path = ["/intent", "/set/{key}"]',
            "[operations.checks.positive_data_acceptance]",
            'expected-statuses = ["2xx", "3xx", "401", "403", "404", "409", "422", "429", "5xx"]',
        ]
    return "\n".join(lines) + "\n"
