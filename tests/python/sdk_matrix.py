#!/usr/bin/env python3
"""Run every published version of the Python SDK, unmodified, against a running bus.

    sdk_matrix.py --url http://127.0.0.1:5000 --root-key KEY --admin-token TOKEN --claim-timeout 2

The bus must have been started with the same BUS_CLAIM_TIMEOUT_SECONDS (small, since leases are waited for) and with a
BUS_RATE_LIMIT_PER_MINUTE that lets thousands of requests through. The packages are fetched by pip once and kept in
`--sdk-dir`. Prints a table of checks by version; exits with 1 if any check failed.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

from sdk import checks, one, table, versions  # noqa: F401  (`checks` registers the rows of the table)

REPOSITORY = Path(__file__).resolve().parents[2]


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True, help="address of the bus, without a path")
    parser.add_argument("--root-key", required=True, help="its BUS_SECRET")
    parser.add_argument("--admin-token", required=True, help="its BUS_ADMIN_SECRET, to generate tenant keys with")
    parser.add_argument("--claim-timeout", type=float, required=True, help="its BUS_CLAIM_TIMEOUT_SECONDS")
    parser.add_argument("--max-payload-bytes", type=int, default=262144, help="its BUS_MAX_PAYLOAD_BYTES")
    parser.add_argument("--sdk-dir", type=Path, default=REPOSITORY / "target" / "sdk", help="cache of the packages")
    parser.add_argument("--versions", nargs="+", default=versions.PUBLISHED, choices=versions.PUBLISHED, metavar="V")
    parser.add_argument("--jobs", type=int, default=4, help="versions that run at the same time")
    parser.add_argument("--timeout", type=float, default=120, help="seconds for one version")
    inner = parser.add_argument_group("used by this script for its own children")
    inner.add_argument("--one", metavar="VERSION", choices=versions.PUBLISHED, help="run one version in this process")
    inner.add_argument("--path", type=Path, help="the folder with that version")
    inner.add_argument("--run", default=secrets.token_hex(4), help="prefix of the goals, unique to a run")
    arguments = parser.parse_args()
    arguments.url = arguments.url.rstrip("/")
    return arguments


def child(version: str, arguments: argparse.Namespace) -> table.Outcomes:
    """Run one version in a process of its own: all versions have the same module name."""
    outcomes: table.Outcomes = {}
    try:
        home = versions.fetch(version, arguments.sdk_dir)
    except (RuntimeError, subprocess.TimeoutExpired) as error:
        table.missing(version, outcomes, str(error))
        return outcomes

    command = [sys.executable, str(Path(__file__).resolve()), "--one", version, "--path", str(home)]
    for name in ["url", "root_key", "admin_token", "claim_timeout", "max_payload_bytes", "run"]:
        command += [f"--{name.replace('_', '-')}", str(getattr(arguments, name))]
    try:
        done = subprocess.run(
            command, env=environment(arguments.url), capture_output=True, text=True, timeout=arguments.timeout
        )
        last_words = done.stderr.strip().split("\n")[-1]
        printed, end = done.stdout, f"the process ended with {done.returncode}: {last_words}"
    except subprocess.TimeoutExpired as late:
        printed, end = (late.stdout or b"").decode(), f"not done after {arguments.timeout:.0f} s"
    # The last line is cut short if the process was.
    for line in printed.split("\n")[:-1]:
        result = json.loads(line)
        outcomes[version, result["check"]] = None if result["ok"] else result["detail"]
    table.missing(version, outcomes, f"no outcome; {end}")
    return outcomes


def environment(url: str) -> dict:
    """This process's environment, less what would make the SDKs talk to someone else or as someone else."""
    mine = {name: value for name, value in os.environ.items() if name != "INTENT_API_KEY"}
    mine["NO_PROXY"] = mine["no_proxy"] = urlsplit(url).hostname or ""
    return mine


def main() -> int:
    arguments = parse_arguments()
    if arguments.one:
        one.run(arguments.one, arguments.path, arguments)
    started = time.monotonic()
    outcomes: table.Outcomes = {}
    with ThreadPoolExecutor(arguments.jobs) as pool:
        for found in pool.map(lambda version: child(version, arguments), arguments.versions):
            outcomes.update(found)
    print(f"{len(arguments.versions)} versions in {time.monotonic() - started:.0f} s\n")
    return 1 if table.show(arguments.versions, outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
