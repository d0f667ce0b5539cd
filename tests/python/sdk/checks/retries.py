"""What becomes of a job that is not fulfilled: fail, lease expiry, extension, and who may still finish it."""

import time
from dataclasses import replace

from ..adapters import V1_1, V2_0, V2_1, Client, Job
from ..harness import Bench, check, equal, that, wait_until

# An intent with this policy is claimable again 2 to 4 s after its first failure, and dead after its second.
TWICE = {"max_attempts": 2, "backoff_base": 1}
FIRST_BACKOFF_SECONDS = 2.0


def claimed(bench: Bench, client: Client, **options: object) -> Job:
    bench.publish(bench.goal(), {"n": 1}, **options)
    job = client.claim(bench.goal())
    that(job, "the published job is not claimable")
    return job


def fails_twice(bench: Bench, last: str) -> None:
    client = bench.client()
    job = claimed(bench, client, **TWICE)
    failed_at = time.monotonic()
    equal(client.fail(job, "first")["status"], "open", "the answer's status after the first fail")
    status = bench.status(job.id)
    equal((status["status"], status["last_error"]), ("open", "first"), "status and error after the first fail")
    again = bench.wait_for_job(client, bench.goal())
    that(time.monotonic() - failed_at >= FIRST_BACKOFF_SECONDS, "claimable again before its backoff was over")
    equal((again.id, again.attempts, again.payload), (job.id, 2, {"n": 1}), "id, attempts and payload of the retry")
    equal(client.fail(again, "second")["status"], last, "the answer's status after the last fail")
    status = bench.status(job.id)
    equal((status["status"], status["last_error"]), ("dead", "second"), "status and error after the last fail")


@check("fail is terminal at once", since=V1_1, before=V2_0)
def terminal_fail(bench: Bench) -> None:
    client = bench.client()
    job = claimed(bench, client)
    answer = client.fail(job, "no luck")
    equal((answer["ok"], answer["id"], answer["status"]), (True, job.id, "failed"), "the answer")
    status = bench.status(job.id)
    equal((status["status"], status["last_error"]), ("dead", "no luck"), "status and error")
    equal(client.claim(bench.goal()), None, "a claim after it")


@check("fail follows the policy the intent was published with", since=V1_1, before=V2_0)
def published_policy(bench: Bench) -> None:
    fails_twice(bench, last="failed")


@check("fail requeues an intent that a 2.x client published", since=V1_1, before=V2_0)
def published_by_2x(bench: Bench) -> None:
    bench.plain(bench.tenant_key, declares="7.61").publish(bench.goal(), {})
    client = bench.client()
    job = client.claim(bench.goal())
    that(job, "the published job is not claimable")
    equal(client.fail(job, "x")["status"], "open", "the answer's status")


@check("fail requeues with a backoff, then buries", since=V2_0)
def requeue(bench: Bench) -> None:
    fails_twice(bench, last="dead")


@check("with one attempt, the first fail buries", since=V2_0)
def one_attempt(bench: Bench) -> None:
    client = bench.client()
    job = claimed(bench, client, max_attempts=1)
    equal(client.fail(job, "x")["status"], "dead", "the answer's status")


@check("an error is kept to 500 letters", since=V1_1)
def long_error(bench: Bench) -> None:
    client = bench.client()
    job = claimed(bench, client)
    client.fail(job, "é" * 600)
    equal(bench.status(job.id)["last_error"], "é" * 500, "the error that was kept")


@check("a finish after fail is refused", since=V1_1)
def finish_after_fail(bench: Bench) -> None:
    client = bench.client()
    job = claimed(bench, client)
    client.fail(job, "x")
    bench.refused(lambda: client.fulfill(job), "not_found", error=bench.sdk.LeaseLost)
    bench.refused(lambda: client.fail(job, "y"), "not_found", error=bench.sdk.LeaseLost)


@check("an expired lease gives the job to the next claim")
def lease_expiry(bench: Bench) -> None:
    client = bench.client()
    started = time.monotonic()
    job = claimed(bench, client, backoff_base=1)
    again = bench.wait_for_job(client, bench.goal())
    that(time.monotonic() - started >= bench.claim_timeout, "claimed again before the lease was over")
    equal((again.id, again.attempts), (job.id, 2), "id and attempts of the second claim")
    if bench.sdk.version >= V2_1:
        that(again.token != job.token, "two claims have the same token")
        bench.refused(lambda: client.fulfill(job), "not_found", error=bench.sdk.LeaseLost)
    client.fulfill(again)
    equal(bench.status(job.id)["status"], "fulfilled", "the status")


@check("an earlier claim's finish is refused after a later claim")
def superseded(bench: Bench) -> None:
    slow, quick = bench.client(bench.other_key), bench.client()
    job = claimed(bench, slow, visibility="public", backoff_base=1)
    again = bench.wait_for_held_job(quick, bench.goal())
    equal(again.id, job.id, "the id of the second claim")
    bench.refused(lambda: slow.fulfill(job), "not_found", error=bench.sdk.LeaseLost)
    if bench.sdk.version >= V1_1:
        bench.refused(lambda: slow.fail(job, "late"), "not_found", error=bench.sdk.LeaseLost)
    equal(bench.status(job.id)["status"], "claimed", "the status after the late finish")
    quick.fulfill(again)


@check("another key cannot finish a claim", before=V2_1)
def foreign_finish(bench: Bench) -> None:
    client, other = bench.client(), bench.client(bench.other_key)
    bench.publish(bench.goal(), {"n": 1})
    job = bench.wait_for_held_job(client, bench.goal())
    bench.refused(lambda: other.fulfill(job), "not_found")
    equal(bench.status(job.id)["status"], "claimed", "the status after a foreign fulfill")
    client.fulfill(job)


@check("a wrong token has lost the lease", since=V2_1)
def wrong_token(bench: Bench) -> None:
    client = bench.client()
    bench.publish(bench.goal(), {"n": 1})
    job = bench.wait_for_held_job(client, bench.goal())
    for token in ["x", "0" * len(job.token), job.token[:-1], job.token + "0"]:
        wrong = replace(job, token=token)
        bench.refused(lambda j=wrong: client.fulfill(j), "not_found", error=bench.sdk.LeaseLost)
        bench.refused(lambda j=wrong: client.fail(j, "x"), "not_found", error=bench.sdk.LeaseLost)
        bench.refused(lambda j=wrong: client.extend(j, 60), "not_found", error=bench.sdk.LeaseLost)
    equal(bench.status(job.id)["status"], "claimed", "the status after wrong tokens")
    client.fulfill(job)


@check("extend_claim prolongs the lease", since=V2_0)
def extend(bench: Bench) -> None:
    client = bench.client()
    job = claimed(bench, client)
    first_end = bench.status(job.id)["claim_expires_at"]
    answer = client.extend(job, 10)
    equal((answer["ok"], answer["id"], answer["extended_by"]), (True, job.id, 10), "the answer")
    prolonged = bench.status(job.id)["claim_expires_at"] - first_end
    that(prolonged >= 10 - bench.claim_timeout, f"the lease ends only {prolonged:.1f} s later")
    # Past the first end an unextended lease could not be extended any more.
    wait_until(lambda: time.time() > first_end + 0.1, "the first end of the lease")
    equal(client.extend(job, 30)["extended_by"], 30, "the second extension")
    client.fulfill(job)
    equal(bench.status(job.id)["status"], "fulfilled", "the status")


@check("extend_claim after the lease's end is refused", since=V2_0)
def extend_too_late(bench: Bench) -> None:
    client = bench.client()
    job = claimed(bench, client)
    bench.wait_for_lease_end(job)
    bench.refused(lambda: client.extend(job, 60), "not_found", error=bench.sdk.LeaseLost)


@check("extend_claim takes 10 to 3600 seconds", since=V2_0)
def extend_range(bench: Bench) -> None:
    client = bench.client()
    job = claimed(bench, client)
    for seconds in [1, 9, 3601, 2**40]:
        bench.refused(lambda s=seconds: client.extend(job, s), "invalid_request")
    equal(client.extend(job, 3600)["extended_by"], 3600, "the longest extension")
    client.fulfill(job)
