"""Who may claim what, and when: namespaces, workers, capabilities, visibility, publishers, priority, delay."""

import time

from ..adapters import V1_2, V1_3, V2_0
from ..harness import Bench, check, equal, that


def only(bench: Bench, intent_id: str, wrong: list, right: dict) -> None:
    """The intent must be out of reach for each of the `wrong` claims, and come out with the `right` one."""
    client = bench.client()
    for options in wrong:
        job = client.claim(bench.goal(), **options)
        equal(job and job.id, None, f"a claim with {options}")
    job = client.claim(bench.goal(), **right)
    that(job, f"not claimable with {right}")
    equal(job.id, intent_id, "the claimed id")
    client.fulfill(job)


@check("a namespace keeps its intents apart", since=V1_3)
def namespace(bench: Bench) -> None:
    client, name = bench.client(), "Team_1.a-b"
    published = client.publish(bench.goal(), {}, namespace=name)
    equal(published["namespace"], name, "the namespace in the answer")
    only(bench, published["id"], [{}, {"namespace": "team_1.a-b"}, {"namespace": "other"}], {"namespace": name})


@check("a namespace of bad letters is refused", since=V1_3)
def bad_namespace(bench: Bench) -> None:
    for name in ["two words", "a/b", "ü", "n" * 65]:
        bench.refused(lambda n=name: bench.client().publish(bench.goal(), {}, namespace=n), "invalid_namespace")


@check("routed intents stay out of reach of a plain claim")
def out_of_reach(bench: Bench) -> None:
    # Also for the versions that know nothing of routing: they claim in "default", as no one in particular.
    plain = bench.plain(bench.tenant_key)
    plain.publish(bench.goal(), {}, namespace="elsewhere")
    plain.publish(bench.goal(), {}, target_worker="somebody")
    plain.publish(bench.goal(), {}, required_capability="gpu")
    equal(bench.client().claim(bench.goal()), None, "a plain claim")


@check("a target worker alone can claim", since=V1_3)
def target(bench: Bench) -> None:
    intent_id = bench.publish(bench.goal(), {}, target_worker="node-1.a:b")
    wrong = [{}, {"worker_id": "node-2"}, {"worker_id": "NODE-1.a:b"}, {"worker_id": "node-1.a"}]
    only(bench, intent_id, wrong, {"worker_id": "node-1.a:b"})


@check("a capability must be among the worker's", since=V1_3)
def capability(bench: Bench) -> None:
    intent_id = bench.publish(bench.goal(), {}, required_capability="ocr")
    wrong = [{}, {"capabilities": "gpu"}, {"capabilities": "OCR"}, {"capabilities": "ocr2,xocr"}]
    only(bench, intent_id, wrong, {"capabilities": "gpu,ocr"})


@check("capabilities may be listed with blanks", since=V1_3)
def capability_blanks(bench: Bench) -> None:
    intent_id = bench.publish(bench.goal(), {}, required_capability="ocr")
    only(bench, intent_id, [{"capabilities": "gpu, cpu"}], {"capabilities": "gpu , ocr ,"})


@check("capabilities may be a list", since=V2_0)
def capability_list(bench: Bench) -> None:
    intent_id = bench.publish(bench.goal(), {}, required_capability="ocr")
    only(bench, intent_id, [{"capabilities": ["gpu"]}, {"capabilities": []}], {"capabilities": ["gpu", " ocr "]})


@check("target and capability must both fit", since=V1_3)
def target_and_capability(bench: Bench) -> None:
    intent_id = bench.publish(bench.goal(), {}, target_worker="w", required_capability="ocr")
    right = {"worker_id": "w", "capabilities": "ocr"}
    only(bench, intent_id, [{"worker_id": "w"}, {"capabilities": "ocr"}], right)
    # And a worker with a name and skills also takes what asks for neither.
    only(bench, bench.publish(bench.goal(), {}), [], right)


@check("a target or capability of bad letters is refused", since=V2_0)
def bad_routing(bench: Bench) -> None:
    client = bench.client()
    bench.refused(lambda: client.publish(bench.goal(), {}, target_worker="two words"), "invalid_target_worker")
    bench.refused(lambda: client.publish(bench.goal(), {}, required_capability="a,b"), "invalid_required_capability")


@check("another tenant cannot claim a private intent")
def private(bench: Bench) -> None:
    intent_id = bench.publish(bench.goal(), {})
    equal(bench.client(bench.other_key).claim(bench.goal()), None, "a claim by another tenant")
    job = bench.client().claim(bench.goal())
    equal(job and job.id, intent_id, "the claim by its own tenant")


@check("another tenant can claim and finish a public intent")
def public(bench: Bench) -> None:
    intent_id = bench.publish(bench.goal(), {"n": 1}, visibility="public")
    other = bench.client(bench.other_key)
    job = other.claim(bench.goal())
    that(job, "the public intent is not claimable")
    equal((job.id, job.payload), (intent_id, {"n": 1}), "id and payload")
    other.fulfill(job)
    equal(bench.status(intent_id)["status"], "fulfilled", "the status")


@check("the publisher filter takes one's own key", since=V1_2)
def publisher_own(bench: Bench) -> None:
    # An older public intent of another tenant, which the filter must pass by.
    bench.client(bench.other_key).publish(bench.goal(), {}, visibility="public")
    own = bench.client().publish(bench.goal(), {})
    job = bench.client().claim(bench.goal(), publisher=bench.tenant_key)
    equal(job and job.id, own["id"], "the claim with one's own key as publisher")
    job = bench.client().claim(bench.goal(), publisher=bench.tenant_key)
    equal(job and job.id, None, "a second claim with one's own key as publisher")
    that(bench.client().claim(bench.goal()), "the other tenant's public intent is not claimable without the filter")


@check("the publisher filter refuses a tenant another's key", since=V1_2)
def publisher_foreign(bench: Bench) -> None:
    bench.client(bench.other_key).publish(bench.goal(), {}, visibility="public")
    call = lambda: bench.client().claim(bench.goal(), publisher=bench.other_key)  # noqa: E731
    bench.refused(call, "forbidden", error=bench.sdk.AuthError)


@check("the root key may filter by any publisher", since=V1_2)
def publisher_root(bench: Bench) -> None:
    bench.client(bench.other_key).publish(bench.goal(), {}, visibility="public")
    wanted = bench.client().publish(bench.goal(), {}, visibility="public")
    root = bench.client(bench.root_key)
    job = root.claim(bench.goal(), publisher=bench.tenant_key)
    equal(job and job.id, wanted["id"], "the claim filtered by the second publisher")
    root.fulfill(job)


@check("a higher priority comes first", since=V2_0)
def priority(bench: Bench) -> None:
    client = bench.client()
    ids = {p: client.publish(bench.goal(), {}, priority=p)["id"] for p in [100, 0, 1000, 101]}
    jobs = [client.claim(bench.goal()) for _ in ids]
    equal([job and job.id for job in jobs], [ids[p] for p in sorted(ids, reverse=True)], "the order")
    equal([job.fields["priority"] for job in jobs], sorted(ids, reverse=True), "the priorities")


@check("a delayed intent waits", since=V2_0)
def delay(bench: Bench) -> None:
    client, started = bench.client(), time.monotonic()
    # Long enough for three requests on a machine that is busy with other tests.
    late = client.publish(bench.goal(), {}, delay=5)
    equal(client.claim(bench.goal()), None, "a claim before the delay is over")
    prompt = client.publish(bench.goal(), {})
    equal(client.claim(bench.goal()).id, prompt["id"], "a claim beside the delayed intent")
    job = bench.wait_for_job(client, bench.goal())
    that(time.monotonic() - started >= 5, "claimed before the delay was over")
    equal(job.id, late["id"], "the id after the delay")


@check("options out of range are refused, fractions are not", since=V2_0)
def options(bench: Bench) -> None:
    client = bench.client()
    client.publish(bench.goal(), {}, delay=0.25, backoff_base=1.5, max_attempts=20)
    for wrong in [{"max_attempts": 21}, {"backoff_base": 0.5}, {"backoff_base": 3601}]:
        bench.refused(lambda w=wrong: client.publish(bench.goal(), {}, **w), "invalid_request")
