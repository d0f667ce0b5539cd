"""Publishing twice under one idempotency key. Versions 1.0.x send no such keys."""

import json

from ..adapters import V1_1
from ..harness import Bench, at_once, check, equal


@check("an idempotency key gives the first id again", since=V1_1)
def same_id(bench: Bench) -> None:
    client, goal = bench.client(), bench.goal()
    first = client.publish(goal, {"n": 1}, idempotency_key=bench.prefix)
    second = client.publish(goal, {"n": 1}, idempotency_key=bench.prefix)
    equal(second["id"], first["id"], "the second id")
    equal(client.claim(goal).id, first["id"], "the claimed id")
    equal(client.claim(goal), None, "a second claim")


@check("also for publishers at the same moment", since=V1_1)
def same_moment(bench: Bench) -> None:
    goal = bench.goal()
    clients = [bench.client() for _ in range(6)]
    calls = [lambda c=c: c.publish(goal, {"n": 1}, idempotency_key=bench.prefix)["id"] for c in clients]
    ids = at_once(calls)
    equal(len(set(ids)), 1, f"the number of different ids among {ids}")


@check("an idempotency key with another body is refused", since=V1_1)
def other_body(bench: Bench) -> None:
    client, goal = bench.client(), bench.goal()
    first = client.publish(goal, {"n": 1}, idempotency_key=bench.prefix)
    code = "conflict" if bench.sdk.generation == 1 else "idempotency_conflict"
    bench.refused(lambda: client.publish(goal, {"n": 2}, idempotency_key=bench.prefix), code)
    bench.refused(lambda: client.publish(goal + "x", {"n": 1}, idempotency_key=bench.prefix), code)
    equal(client.claim(goal).id, first["id"], "the claimed id")
    equal(client.claim(goal), None, "a second claim")


@check("the same JSON in another layout is the same body", since=V1_1)
def other_layout(bench: Bench) -> None:
    goal = bench.goal()
    client = bench.client()
    first = client.publish(goal, {"a": 1, "b": [True, None]}, idempotency_key=bench.prefix)
    sent = {"goal": goal, "payload": {"b": [True, None], "a": 1}}
    if bench.sdk.generation == 2:
        sent = {"max_attempts": 3, "delay": 0.0, **sent, "priority": 100, "backoff_base": 5.0}
    if bench.sdk.version < (1, 2, 0):
        sent["reward"] = 0
    else:
        sent["visibility"] = "private"
    if bench.sdk.version >= (1, 3, 0):
        sent["namespace"] = "default"
    plain = bench.plain(bench.tenant_key, bench.sdk.declares)
    again = plain.post("/intent", json.dumps(sent, indent=3), {"Idempotency-Key": bench.prefix}, raw=True)
    equal(again["id"], first["id"], "the id of the same JSON, spaced and ordered otherwise")


@check("an idempotency key belongs to one tenant and one call", since=V1_1)
def scope(bench: Bench) -> None:
    goal = bench.goal()
    own = bench.client().publish(goal, {"n": 1}, idempotency_key=bench.prefix)
    other = bench.client(bench.other_key).publish(goal, {"n": 2}, idempotency_key=bench.prefix)
    equal(own["id"] == other["id"], False, "that two tenants share an id")
    equal(bench.client().set(bench.prefix, "v", idempotency_key=bench.prefix).get("ok"), True, "set with that key")
