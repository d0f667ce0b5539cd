"""Publish, claim, fulfill: the round trip, its order, and what must survive it unchanged."""

import json

from ..adapters import V1_1, V1_3, V2_0
from ..harness import Bench, at_once, check, equal, that

# Each of these has broken a router, a signature or a query parser somewhere. They are published together, so that a bus
# which confuses two of them (a plus sign with a space, say) hands out the wrong one.
ODD_GOALS = [
    "two words",
    "two+words",
    "a/b/c",
    "a//b",
    "100% sure",
    "50%25",
    "a&b=c",
    "what?",
    "#tag",
    "a;b,c:d@e",
    "~star*'quoted'\"(x)[y]{z}<w>\\^`|",
    "naïve café",
    "задача",
    "任务 🚀",
    "👩‍👩‍👧 family",
]

EXACT_PAYLOAD = {
    "beyond 64 bits": 2**80 + 1,
    "least 64 bits": -(2**63),
    "tenth": 0.1,
    "huge": 1e300,
    "tiny": 5e-324,
    "one": 1.0,
    "minus nothing": -0.0,
    "letters": 'naïve 任务 🚀 " \\ / \b\f\n\r\t \u007f \u2028',
    "nul": "a\u0000b",
    "nested": {"list": [1, [2, [3, {}]], {"": None}], "no": False},
    "": "an empty name",
}


def round_trip(bench: Bench, key: str) -> None:
    client, goal, payload = bench.client(key), bench.goal(), {"n": 1, "text": "hello"}
    published = client.publish(goal, payload)
    job = client.claim(goal)
    that(job, "the published job is not claimable")
    equal(job.id, published["id"], "the claimed id")
    equal(job.payload, payload, "the claimed payload")
    equal(bench.status(job.id)["status"], "claimed", "the status after the claim")
    answer = client.fulfill(job)
    that(answer and answer.get("ok") is True, f"fulfill answered {answer!r}")
    equal(answer.get("id"), job.id, "the fulfilled id")
    equal(bench.status(job.id)["status"], "fulfilled", "the status after the fulfill")
    equal(client.claim(goal), None, "a claim after the fulfill")


@check("publish, claim, fulfill with a tenant key")
def tenant(bench: Bench) -> None:
    round_trip(bench, bench.tenant_key)


@check("publish, claim, fulfill with the root key")
def root(bench: Bench) -> None:
    round_trip(bench, bench.root_key)


@check("publish answers an id, a status and a namespace")
def publish_answer(bench: Bench) -> None:
    published = bench.client().publish(bench.goal(), {})
    equal(published["status"], "published", "the status")
    equal(published["namespace"], "default", "the namespace")
    hexadecimal = len(published["id"]) == 32 and set(published["id"]) <= set("0123456789abcdef")
    that(hexadecimal, f"the id is {published['id']!r}")


@check("a claim tells attempt, priority, namespace and lease")
def claim_answer(bench: Bench) -> None:
    client, goal = bench.client(), bench.goal()
    client.publish(goal, {})
    job = client.claim(goal)
    that(job, "the published job is not claimable")
    equal(job.goal, goal, "goal")
    for name, expected in {
        "claim_attempts": 1,
        "priority": 100,
        "namespace": "default",
        "claim_timeout": int(bench.claim_timeout),
        "target_worker": None,
        "required_capability": None,
    }.items():
        equal(job.fields[name], expected, name)


@check("a claim of an empty queue is empty")
def empty_claim(bench: Bench) -> None:
    answer = bench.client().inner.claim(bench.goal())
    that(not answer, f"claimed {answer!r}")
    if bench.sdk.version < V1_3:
        equal(answer, None, "the answer")
    else:
        equal(answer.status_code, 204, "the status code")
        equal(answer.retry_after, 1, "retry_after")


@check("a claim without a goal takes any job")
def claim_any(bench: Bench) -> None:
    # With a key of its own, and first in line: a public job of another check must not come before it.
    key = bench.new_key("any")
    published = bench.plain(key).publish(bench.goal(), {"any": True}, priority=1000)
    job = bench.client(key).claim()
    that(job, "nothing was claimed")
    equal(job.id, published["id"], "the claimed id")


@check("jobs come in the order of their publishing")
def order(bench: Bench) -> None:
    client, goal = bench.client(), bench.goal()
    published = [client.publish(goal, {"n": n})["id"] for n in range(5)]
    claimed = [client.claim(goal) for _ in published]
    equal([job and job.id for job in claimed], published, "the order")


@check("each job goes to one of many workers")
def one_worker_each(bench: Bench) -> None:
    goal = bench.goal()
    published = {bench.client().publish(goal, {"n": n})["id"] for n in range(8)}

    def work() -> list:
        client, ids = bench.client(), []
        while job := client.claim(goal):
            ids.append(job.id)
        return ids

    # A last worker takes what was locked by another's claim when the others looked.
    claimed = [job for ids in at_once([work] * 6) + [work()] for job in ids]
    equal(sorted(claimed), sorted(published), "the jobs that six workers claimed")


@check("a payload comes back exactly")
def exact_payload(bench: Bench) -> None:
    client, goal = bench.client(), bench.goal()
    payload = dict(EXACT_PAYLOAD)
    if not V1_1 <= bench.sdk.version < V2_0:
        payload["lone surrogate"] = "\ud83d"  # the versions between send raw UTF-8, which cannot hold one
    client.publish(goal, payload)
    job = client.claim(goal)
    that(job, "the published job is not claimable")
    # As text: 1 == 1.0 == True in Python, but not in JSON.
    equal(json.dumps(job.payload, sort_keys=True), json.dumps(payload, sort_keys=True), "the payload")


@check("a payload may be any JSON", since=V2_0)
def any_payload(bench: Bench) -> None:
    client = bench.client()
    for index, payload in enumerate([[1, "two", {"three": 3}], "text", "", 5, 1.5, True, None]):
        goal = bench.goal(f" {index}")
        client.publish(goal, payload)
        job = client.claim(goal)
        that(job, f"the job with the payload {payload!r} is not claimable")
        equal(json.dumps(job.payload), json.dumps(payload), "the payload")


@check("goals of odd letters")
def odd_goals(bench: Bench) -> None:
    client = bench.client()
    ids = {odd: client.publish(bench.goal(odd), {"goal": odd})["id"] for odd in ODD_GOALS}
    for odd, published in ids.items():
        job = client.claim(bench.goal(odd))
        that(job, f"the goal {odd!r} is not claimable")
        equal(job.id, published, f"the id under the goal {odd!r}")
        equal(job.goal, bench.goal(odd), "the goal")
        client.fulfill(job)


@check("a goal of 256 letters, trimmed")
def long_goal(bench: Bench) -> None:
    client = bench.client()
    goal = bench.goal().ljust(256, "é")
    equal(len(goal), 256, "the length of the goal")
    published = client.publish(f"  {goal} ", {})
    job = client.claim(goal)
    that(job, "not claimable by its trimmed goal")
    equal((job.id, job.goal), (published["id"], goal), "id and goal")
    published = client.publish(f"  {goal} ", {})
    job = client.claim(f"  {goal} ")
    that(job, "not claimable by the goal as it was published, blanks included")
    equal(job.id, published["id"], "the id")


@check("a second fulfill is refused")
def second_fulfill(bench: Bench) -> None:
    client, goal = bench.client(), bench.goal()
    client.publish(goal, {})
    job = client.claim(goal)
    that(job, "the published job is not claimable")
    client.fulfill(job)
    bench.refused(lambda: client.fulfill(job), "not_found", error=bench.sdk.LeaseLost)
    equal(bench.status(job.id)["status"], "fulfilled", "the status")
