"""What the bus refuses, and that the SDK raises its own error with the right code for it."""

from ..adapters import V1_1, V2_0, Job
from ..harness import Bench, check, equal

UNKNOWN_ID = "0" * 32


@check("a wrong key is an authentication error")
def wrong_key(bench: Bench) -> None:
    client = bench.client("tk_" + "0" * 32)
    auth = bench.sdk.AuthError
    bench.refused(lambda: client.publish(bench.goal(), {}), "unauthorized", error=auth)
    bench.refused(lambda: client.claim(bench.goal()), "unauthorized", error=auth)
    bench.refused(lambda: client.get(bench.goal()), "unauthorized", error=auth)


@check("a payload that is no object is refused", before=V2_0)
def payload_not_object(bench: Bench) -> None:
    client = bench.client()
    for payload in [[1, 2], "text", 5, True, None]:
        bench.refused(lambda p=payload: client.publish(bench.goal(), p), "invalid_payload", "invalid_request")
    equal(client.claim(bench.goal()), None, "a claim after it")


@check("NaN is not JSON", since=V1_1, before=V2_0)
def not_a_number(bench: Bench) -> None:
    client = bench.client()
    bench.refused(lambda: client.publish(bench.goal(), {"x": float("nan")}), "invalid_json")
    bench.refused(lambda: client.set(bench.goal(), float("inf")), "invalid_json")


@check("a goal of 257 letters is refused")
def goal_too_long(bench: Bench) -> None:
    bench.refused(lambda: bench.client().publish(bench.goal().ljust(257, "é"), {}), "invalid_goal")


@check("an empty goal is refused", before=V2_0)
def goal_empty(bench: Bench) -> None:
    # Versions 2.x refuse it themselves.
    bench.refused(lambda: bench.client().publish("", {}), "invalid_goal")
    bench.refused(lambda: bench.client().publish("   ", {}), "invalid_goal")


@check("finishing an unknown id is not found")
def unknown_id(bench: Bench) -> None:
    client = bench.client()
    # "unknown" is what the command line of 1.3.0 sends when the queue was empty.
    for intent_id in [UNKNOWN_ID, "unknown", "0"]:
        job = Job(intent_id, token="t" * 32)
        bench.refused(lambda j=job: client.fulfill(j), "not_found", error=bench.sdk.LeaseLost)
        if bench.sdk.version >= V1_1:
            bench.refused(lambda j=job: client.fail(j, "x"), "not_found", error=bench.sdk.LeaseLost)
        if bench.sdk.version >= V2_0:
            bench.refused(lambda j=job: client.extend(j, 60), "not_found", error=bench.sdk.LeaseLost)


@check("finishing a job that was never claimed is not found")
def never_claimed(bench: Bench) -> None:
    client = bench.client()
    intent_id = client.publish(bench.goal(), {})["id"]
    bench.refused(lambda: client.fulfill(Job(intent_id, token="t" * 32)), "not_found", error=bench.sdk.LeaseLost)
    equal(bench.status(intent_id)["status"], "open", "the status")


@check("a payload that is too large is refused")
def too_large(bench: Bench) -> None:
    client = bench.client()
    payload = {"x": "y" * (bench.max_payload_bytes + 65536)}
    bench.refused(lambda: client.publish(bench.goal(), payload), "payload_too_large")
    client.publish(bench.goal(), {"x": "y" * (bench.max_payload_bytes // 2)})


@check("a payload nested too deep is refused")
def too_deep(bench: Bench) -> None:
    client = bench.client()

    def nested(depth: int) -> dict:
        return {"in": nested(depth - 1)} if depth > 1 else {}

    client.publish(bench.goal(), nested(10))
    bench.refused(lambda: client.publish(bench.goal(), nested(12)), "invalid_payload", "invalid_request")


@check("after a refusal the connection still serves")
def after_refusal(bench: Bench) -> None:
    client, goal = bench.client(), bench.goal()
    for _ in range(2):
        bench.refused(lambda: client.publish("x" * 300, {"x": "y" * 20_000}), "invalid_goal")
        bench.refused(lambda: client.fulfill(Job(UNKNOWN_ID, token="t")), "not_found")
        published = client.publish(goal, {})
        equal(client.claim(goal).id, published["id"], "the claimed id")
