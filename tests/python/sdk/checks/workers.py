"""The SDKs' own worker loops and command lines, run as a user would run them."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from ..adapters import V1_1, V1_2, V1_3, V2_0
from ..harness import Bench, check, equal, that, wait_until

RUN_CLI = Path(__file__).parent.parent / "run_cli.py"


def after_the_loop(version: tuple) -> dict:
    """What becomes of a job when its handler returns False, or raises; the SDKs changed their minds over time.

    "unfinished": the loop tells the bus nothing, so the job stays claimed until its lease ends.
    """
    if version < V1_1:
        return {"returns False": "fulfilled", "raises": "unfinished"}
    if version < V1_2:
        return {"returns False": "fulfilled", "raises": "dead"}
    if version < (1, 3, 2):
        return {"returns False": "unfinished", "raises": "dead"}
    return {"returns False": "dead", "raises": "dead"}


def handler(seen: list):
    def handle(payload: dict) -> object:
        seen.append(payload["n"])
        if payload["n"] == "raises":
            raise KeyError("boom")
        return payload["n"] != "returns False"

    return handle


@check("listen: handlers that succeed, return False, raise")
def listen(bench: Bench) -> None:
    client, seen = bench.client(), []
    options = {"max_attempts": 1} if bench.sdk.version >= V2_0 else {}
    expected = {**after_the_loop(bench.sdk.version), "succeeds": "fulfilled"}
    # The one that succeeds comes last: when it is done, the loop is done with the others too.
    ids = {n: client.publish(bench.goal(), {"n": n}, **options)["id"] for n in ["raises", "returns False", "succeeds"]}
    client.listen(bench.goal(), handler(seen))
    wait_until(lambda: bench.status(ids["succeeds"])["status"] == "fulfilled", "the loop to do its three jobs")
    equal(seen[:3], list(ids), "the payloads that the handler saw")
    for n, state in expected.items():
        status = bench.status(ids[n])
        if state == "unfinished":
            that(status["status"] in ("claimed", "open"), f"a handler that {n} left it {status['status']}")
        else:
            equal(status["status"], state, f"the status after a handler that {n}")
        if state == "dead":
            told = "'boom'" if n == "raises" else "Worker handler returned False"
            equal(status["last_error"], told, f"the error after a handler that {n}")


@check("listen: what a handler returns is the result", since=V1_3)
def listen_results(bench: Bench) -> None:
    client, goal = bench.client(), bench.goal()
    returns = [
        ({"result": {"done": 1}, "result_type": "json"}, {"done": 1}, "json"),
        ({"result": "done", "result_type": "text"}, "done", "text"),
        (None, None, "json"),
    ]
    if bench.sdk.version >= V2_0:
        returns += [([1, 2], [1, 2], "json"), ({"plain": 1}, {"plain": 1}, "json")]
    ids = [client.publish(goal, {"n": n})["id"] for n in range(len(returns))]
    client.listen(goal, lambda payload: returns[payload["n"]][0])
    wait_until(lambda: bench.status(ids[-1])["status"] == "fulfilled", "the loop to do its jobs")
    for intent_id, (returned, result, kind) in zip(ids, returns):
        answer = bench.result(intent_id)
        equal((answer["status"], answer.get("result")), ("fulfilled", result), f"status and result of {returned!r}")
        if result is not None:
            equal(answer["result_type"], kind, f"the result's type of {returned!r}")


@check("listen: a job that failed is done again", since=V2_0)
def listen_again(bench: Bench) -> None:
    client, seen = bench.client(), []
    job = client.publish(bench.goal(), {"n": 1}, max_attempts=2, backoff_base=1)

    def fails_once(payload: object) -> None:
        seen.append(payload)
        if len(seen) == 1:
            raise RuntimeError("not yet")

    client.listen(bench.goal(), fails_once)
    wait_until(lambda: bench.status(job["id"])["status"] == "fulfilled", "the second attempt")
    equal((len(seen), bench.status(job["id"])["claim_attempts"]), (2, 2), "calls and attempts")


@check("listen: a handler may take the whole envelope", since=V2_0)
def listen_envelope(bench: Bench) -> None:
    client, seen = bench.client(), []
    job = client.publish(bench.goal(), {"n": 1}, target_worker="listener", priority=5)
    client.listen(bench.goal(), seen.append, full_envelope=True)
    wait_until(lambda: seen, "the envelope")
    envelope = seen[0]
    equal((envelope["id"], envelope["goal"], envelope["payload"]), (job["id"], bench.goal(), {"n": 1}), "the envelope")
    equal((envelope["target_worker"], envelope["priority"]), ("listener", 5), "target and priority")
    equal(envelope["claim_timeout"], int(bench.claim_timeout), "the lease in the envelope")


def run_cli(bench: Bench, *arguments: str) -> str:
    """The SDK's command line in a process of its own; `run_cli.py` says what is changed for it, and why."""
    home = Path(bench.sdk.module.__file__).parent.parent
    environment = {**os.environ, "INTENT_API_KEY": bench.tenant_key, "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, str(RUN_CLI), str(home), bench.url, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, encoding="utf-8", timeout=60)
    that(done.returncode == 0, f"{arguments[0]} exited with {done.returncode}: {done.stdout} {done.stderr[-300:]}")
    return done.stdout


def published_by_cli(bench: Bench, *options: str) -> str:
    output = run_cli(bench, "publish", bench.goal(), '{"n": 1}', *options)
    found = re.search(r"pub_done .*ID: ([0-9a-f]{32})", output)
    that(found, f"publish printed {output!r}")
    return found.group(1)


# The command line of 2.0.3 cannot be imported, and that of 2.0.4 crashes on every `publish`, as published.
@check("command line (default address replaced): publish", since=V1_3, broken_in=["2.0.3", "2.0.4"])
def cli_publish(bench: Bench) -> None:
    intent_id = published_by_cli(bench, "-n", "cli.ns", "--public")
    status = bench.status(intent_id)
    equal((status["namespace"], status["visibility"]), ("cli.ns", "public"), "namespace and visibility")
    job = bench.client().claim(bench.goal(), namespace="cli.ns")
    that(job, "the published job is not claimable")
    equal((job.id, job.payload), (intent_id, {"n": 1}), "id and payload")


@check("command line (default address replaced): listen --once", since=V1_3, broken_in=["2.0.3"])
def cli_listen(bench: Bench) -> None:
    intent_id = bench.publish(bench.goal(), {"n": 1}, namespace="cli.ns", target_worker="me", required_capability="ocr")
    listen = ["listen", bench.goal(), "--once", "-n", "cli.ns", "-w", "me", "-c", "gpu, ocr"]
    output = run_cli(bench, *listen)
    that(re.search(rf"fulfilled .*ID: {intent_id}", output), f"listen printed {output!r}")
    answer = bench.result(intent_id)
    # 1.3.1 and 1.3.2 send their result in a field that no protocol knows.
    result = None if (1, 3, 1) <= bench.sdk.version < V2_0 else {"status": "processed_by_cli"}
    equal((answer["status"], answer.get("result")), ("fulfilled", result), "status and result")
    if bench.sdk.version >= (1, 3, 1):
        # 1.3.0 takes the empty answer for a job.
        output = run_cli(bench, *listen)
        that("idle" in output, f"listen of an empty queue printed {output!r}")


@check("command line (default address replaced): status and result", since=(2, 1, 1))
def cli_reads(bench: Bench) -> None:
    intent_id = published_by_cli(bench, "--priority", "900", "--max-attempts", "1", "--backoff", "1.5")
    that("State: open" in run_cli(bench, "status", intent_id), "status does not print the state")
    client = bench.client()
    job = client.claim(bench.goal())
    equal(job and job.fields["priority"], 900, "the priority")
    client.fulfill(job, result={"answer": 42})
    that("State: fulfilled" in run_cli(bench, "status", intent_id), "status does not print the state")
    printed = run_cli(bench, "result", intent_id)
    shown = re.search(r"\{.*\}", printed, re.DOTALL)
    equal(shown and json.loads(shown.group()), {"answer": 42}, f"the result printed in {printed!r}")
