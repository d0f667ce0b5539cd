"""Results and status, as far as a version knows of them."""

import json
import time

from ..adapters import V1_3, V2_0, Job
from ..harness import Bench, check, equal, that

EXACT_RESULT = {"big": 2**70, "one": 1.0, "letters": "naïve 🚀", "nul": "\u0000", "list": [None, True, {}]}


def as_text(value: object) -> str:
    """For comparisons: 1 == 1.0 == True in Python, but not in JSON."""
    return json.dumps(value, sort_keys=True)


def claimed(bench: Bench, **options: object) -> Job:
    bench.publish(bench.goal(), {}, **options)
    job = bench.client().claim(bench.goal())
    that(job, "the published job is not claimable")
    return job


@check("fulfill keeps a JSON result", since=V1_3)
def json_result(bench: Bench) -> None:
    job = claimed(bench)
    bench.client().fulfill(job, result=EXACT_RESULT, result_type="json")
    answer = bench.result(job.id)
    equal((answer["id"], answer["status"], answer["result_type"]), (job.id, "fulfilled", "json"), "the answer")
    equal(as_text(answer["result"]), as_text(EXACT_RESULT), "the result")


@check("fulfill keeps a text result", since=V1_3)
def text_result(bench: Bench) -> None:
    job = claimed(bench)
    bench.client().fulfill(job, result="{not json} naïve\n", result_type="text")
    answer = bench.result(job.id)
    equal((answer["result"], answer["result_type"]), ("{not json} naïve\n", "text"), "result and type")


@check("fulfill without a result leaves none")
def no_result(bench: Bench) -> None:
    job = claimed(bench)
    bench.client().fulfill(job)
    answer = bench.result(job.id)
    equal((answer["status"], answer.get("result")), ("fulfilled", None), "status and result")


@check("fields that fulfill does not know are ignored", since=V1_3, before=V2_0)
def unknown_fields(bench: Bench) -> None:
    # `fulfill` of 1.3 sends any keyword as it is, and the command line of 1.3.1 does this with every job.
    job = claimed(bench)
    equal(bench.client().fulfill(job, status="processed", extra=[1])["ok"], True, "the answer")
    answer = bench.result(job.id)
    equal((answer["status"], answer.get("result")), ("fulfilled", None), "status and result")


@check("get_result gives JSON, text and none", since=V2_0)
def get_result(bench: Bench) -> None:
    client = bench.client()
    for sent, expected, kind in [
        ({"result": EXACT_RESULT}, EXACT_RESULT, "json"),
        ({"result": [1, 2]}, [1, 2], "json"),
        ({"result": "plain"}, "plain", "json"),
        ({"result": False}, False, "json"),
        ({"result": None}, None, "json"),
        ({"result": "", "result_type": "text"}, "", "text"),
        ({"result": "null", "result_type": "text"}, "null", "text"),
        ({}, None, "json"),
    ]:
        job = claimed(bench)
        client.fulfill(job, **sent)
        answer = client.result(job.id)
        equal((answer.id, answer.status, answer.goal), (job.id, "fulfilled", bench.goal()), f"the answer after {sent}")
        equal(answer.result_type, kind, f"the type of {sent}")
        equal(as_text(answer.result), as_text(expected), f"the result of {sent}")
        finished = answer.completed_at
        that(finished and abs(finished - time.time()) < 300, f"completed_at is {finished!r}")
        equal(answer.error, None, "the error of a fulfilled intent")


@check("get_result of an unfinished and of a dead intent", since=V2_0)
def result_without_fulfill(bench: Bench) -> None:
    client = bench.client()
    intent_id = client.publish(bench.goal(), {}, max_attempts=1)["id"]
    answer = client.result(intent_id)
    equal((answer.status, answer.result, answer.completed_at), ("open", None, None), "the answer while it is open")
    job = client.claim(bench.goal())
    answer = client.result(intent_id)
    equal((answer.status, answer.result, answer.error), ("claimed", None, None), "the answer while it is claimed")
    client.fail(job, "no luck")
    answer = client.result(intent_id)
    equal((answer.status, answer.result, answer.error), ("dead", None, "no luck"), "the answer when it is dead")


@check("get_status follows the intent", since=V2_0)
def get_status(bench: Bench) -> None:
    client, before = bench.client(), time.time()
    intent_id = client.publish(bench.goal(), {}, namespace="status.ns", priority=7, backoff_base=60)["id"]
    status = client.status(intent_id)
    equal((status.id, status.status, status.goal), (intent_id, "open", bench.goal()), "id, status and goal")
    equal((status.namespace, status.claim_attempts), ("status.ns", 0), "namespace and attempts")
    that(status.run_at and before - 5 < status.run_at < time.time() + 5, f"run_at is {status.run_at!r}")
    equal(status.extra["priority"], 7, "priority")
    equal(status.extra["visibility"], "private", "visibility")
    equal(status.extra["claim_expires_at"], None, "claim_expires_at while it is open")

    job = client.claim(bench.goal(), namespace="status.ns")
    status = client.status(intent_id)
    equal((status.status, status.claim_attempts, status.error), ("claimed", 1, None), "status, attempts and error")
    ends = status.extra["claim_expires_at"]
    that(isinstance(ends, float) and abs(ends - time.time() - bench.claim_timeout) < 2, f"the lease ends at {ends!r}")

    client.fail(job, "no luck")
    status = client.status(intent_id)
    equal((status.status, status.error), ("open", "no luck"), "status and error after a fail")
    that(status.run_at > time.time() + 60, f"run_at after a fail with a backoff of 120 s is {status.run_at!r}")


@check("status and result of a missing intent", since=V2_0)
def missing(bench: Bench) -> None:
    for intent_id in ["0" * 32, "unknown"]:
        bench.refused(lambda i=intent_id: bench.client().status(i), "not_found", error=bench.sdk.Error)
        bench.refused(lambda i=intent_id: bench.client().result(i), "not_found", error=bench.sdk.Error)


@check("results are for publisher, last claimer and root", since=V2_0)
def who_may_see(bench: Bench) -> None:
    claimer, stranger = bench.client(bench.other_key), bench.client(bench.new_key("stranger"))
    bench.publish(bench.goal(), {}, visibility="public")
    job = claimer.claim(bench.goal())
    that(job, "the public intent is not claimable")
    claimer.fulfill(job, result={"n": 1})
    for reader in [bench.client(), claimer, bench.client(bench.root_key)]:
        equal(reader.result(job.id).result, {"n": 1}, "the result")
    bench.refused(lambda: stranger.result(job.id), "forbidden", "not_found")


@check("another tenant's private intent shows nothing", since=V2_0)
def private_status(bench: Bench) -> None:
    intent_id = bench.publish(bench.goal(), {})
    other = bench.client(bench.other_key)
    bench.refused(lambda: other.status(intent_id), "forbidden", "not_found")
    bench.refused(lambda: other.result(intent_id), "forbidden", "not_found")
