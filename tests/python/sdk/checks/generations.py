"""How the bus presents itself to clients that declare a generation (2.x)."""

import threading

from ..adapters import V2_0
from ..harness import Bench, check, equal, that


@check("the bus answers with the client's major version", since=V2_0)
def major_version(bench: Bench) -> None:
    client = bench.client()
    client.publish(bench.goal(), {})
    answered = client.inner.server_version
    that(answered, "the answer has no X-Intent-Version")
    equal(answered.split(".")[0], bench.sdk.declares.split(".")[0], f"the major version of {answered!r}")
    bench.refused(lambda: client.publish("x" * 300, {}), "invalid_goal")
    answered = client.inner.server_version
    equal(answered and answered.split(".")[0], bench.sdk.declares.split(".")[0], "the major version of a refusal")


@check("the SDK logs no warning", since=V2_0)
def no_warning(bench: Bench) -> None:
    client, goal = bench.client(), bench.goal()
    client.publish(goal, {})
    job = client.claim(goal)
    client.extend(job, 60)
    client.fulfill(job, result={})
    client.publish(goal, {})
    client.fail(client.claim(goal), "x")
    client.claim(goal)
    client.status(job.id)
    client.result(job.id)
    client.set(goal, "v")
    client.get(goal)
    # Other checks provoke warnings on purpose, in other threads; a protocol mismatch is wrong in any of them.
    mine = threading.get_ident()
    logged = [r.getMessage() for r in bench.sdk.log if r.thread == mine or "Mismatch" in r.getMessage()]
    equal(logged, [], "the SDK's warnings")
