#!/usr/bin/env python3
"""Hold a running bus to its own /openapi.json, by schemathesis with every check on.

    openapi_check.py --url http://127.0.0.1:5000 --root-key KEY --admin-token TOKEN \
        --dashboard-password PASSWORD --metrics-token TOKEN

Each operation gets requests that fit its schema and requests that break it; every answer must have a documented status,
body and headers, good requests must be taken and bad ones refused. Four runs: unsigned under protocol 1.1 and signed
under 2.1, with the root key and with a tenant's. The requests publish, purge and revoke, so never point this at a bus
that matters. Prints the test cases and the answers by status; exits with 1 if anything failed or was answered with a
status of 500 or more.
"""

from __future__ import annotations

import argparse
import collections
import concurrent.futures
import pathlib
import sys
import tempfile
import time

import requests

from openapi import runs


def tenant_key(url: str, admin_token: str) -> str:
    headers = {"X-Admin-Token": admin_token}
    made = requests.post(f"{url}/admin/generate_key", headers=headers, json={"owner": "openapi check"}, timeout=30)
    made.raise_for_status()
    return made.json()["api_key"]


def tell(outcome: runs.Outcome) -> None:
    answers = ", ".join(f"{status}: {count}" for status, count in sorted(outcome.statuses.items()))
    seconds = outcome.report.get("running_time") or 0
    print(f"{outcome.run.name}: {outcome.cases} cases in {seconds:.0f} s, {outcome.failed} failed; answers {answers}")
    if outcome.failed:
        print(outcome.output)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("url", "root-key", "admin-token", "dashboard-password", "metrics-token"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--examples", type=int, default=20, help="test cases of an operation in a phase, at most")
    parser.add_argument("--only", type=int, help="carry out just this run, by its number from 0")
    return parser.parse_args()


def main() -> int:
    arguments = parse()
    url, began = arguments.url.rstrip("/"), time.monotonic()
    plan = runs.plan(arguments, tenant_key(url, arguments.admin_token))
    if arguments.only is not None:
        plan = [plan[arguments.only]]
    # Two at a time: while one makes up its requests, the bus answers the other's.
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(2) as pool:
        folders = [pathlib.Path(tempfile.mkdtemp(dir=folder)) for _ in plan]
        carry_out = lambda run, place: runs.carry_out(run, url, arguments.seed, arguments.examples, place)  # noqa: E731
        outcomes = list(pool.map(carry_out, plan, folders))
    for outcome in outcomes:
        tell(outcome)

    statuses: collections.Counter = collections.Counter()
    for outcome in outcomes:
        statuses.update(outcome.statuses)
    cases, failed = sum(outcome.cases for outcome in outcomes), sum(outcome.failed for outcome in outcomes)
    faults = sum(outcome.faults for outcome in outcomes)
    print(f"{cases} test cases, {statuses.total()} answers in {time.monotonic() - began:.0f} s")
    print("answers by status: " + ", ".join(f"{status}: {count}" for status, count in sorted(statuses.items())))
    print(f"{cases - failed} passed, {failed} failed")
    return int(bool(failed or faults or not cases))


if __name__ == "__main__":
    sys.exit(main())
