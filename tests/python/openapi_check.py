#!/usr/bin/env python3
"""Hold a running bus to its own /openapi.json, by schemathesis with every check on.

    openapi_check.py --url http://127.0.0.1:5000 --root-key KEY --admin-token TOKEN \
        --dashboard-password PASSWORD --metrics-token TOKEN

Each operation gets requests that fit its schema and requests that break it; every answer must have a documented status,
body and headers, good requests must be taken and bad ones refused. Unsigned under protocol 1.1 and signed under 2.1, with
the root key and with a tenant's. The requests publish, purge and revoke, so never point this at a bus that matters. Prints
the test cases and the answers by status; exits with 1 if anything failed, anything was answered with a status of 500 or
more, or an operation had no good answer in one of the runs.
"""

from __future__ import annotations

import argparse
import collections
import concurrent.futures
import itertools
import pathlib
import sys
import tempfile
import time

import requests

from openapi import runs


def new_tenant(url: str, admin_token: str) -> dict:
    headers = {"X-Admin-Token": admin_token}
    made = requests.post(f"{url}/admin/generate_key", headers=headers, json={"owner": "openapi check"}, timeout=30)
    made.raise_for_status()
    return made.json()


def carry_out(plan: list[runs.Run], arguments: argparse.Namespace) -> list[runs.Outcome]:
    # Two at a time: while one makes up its requests, the bus answers the other's.
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(2) as pool:
        folders = [pathlib.Path(tempfile.mkdtemp(dir=folder)) for _ in plan]
        return list(pool.map(runs.carry_out, plan, itertools.repeat(arguments), folders))


def tell(outcome: runs.Outcome) -> None:
    seconds = outcome.report.get("running_time") or 0
    print(f"{outcome.run.name}: {outcome.cases} test cases in {seconds:.0f} s, {outcome.failed} failed")
    print(f"  answers by status: {by_status(outcome.statuses)}")
    if outcome.failed:
        print(outcome.output)


def by_status(counts: dict[str, int]) -> str:
    return ", ".join(f"{status}: {count}" for status, count in sorted(counts.items()))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("url", "root-key", "admin-token", "dashboard-password", "metrics-token"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--examples", type=int, default=12, help="test cases of an operation in a phase, at most")
    arguments = parser.parse_args()
    arguments.url = arguments.url.rstrip("/")
    return arguments


def main() -> int:
    arguments, began = parse(), time.monotonic()
    tenants = [new_tenant(arguments.url, arguments.admin_token) for _ in range(2)]
    outcomes = carry_out(runs.plan(arguments, tenants), arguments)
    statuses: collections.Counter = collections.Counter()
    operations, never = set(), []
    for outcome in outcomes:
        tell(outcome)
        statuses.update(outcome.statuses)
        operations.update(outcome.operations)
        # Told by run: of a key that has come to be refused, every answer is a refusal, as described.
        without = sorted(label for label, well in outcome.operations.items() if not well)
        never += without
        if without:
            print(f"  These operations never had a good answer: {', '.join(without)}")

    cases, failed = sum(outcome.cases for outcome in outcomes), sum(outcome.failed for outcome in outcomes)
    print(f"{cases} test cases of {len(operations)} operations, {statuses.total()} answers in {time.monotonic() - began:.0f} s")
    print(f"answers by status: {by_status(statuses)}")
    print(f"{cases - failed} passed, {failed} failed")
    faults = sum(outcome.faults for outcome in outcomes)
    return int(bool(failed or faults or never or not cases))


if __name__ == "__main__":
    sys.exit(main())
