"""What a check is written with: how it registers, what it is given, and how it says what it expects."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass
from typing import Any, Callable, Sequence

import requests

from .adapters import V1_2, V1_3, V2_0, Client, Job, Sdk
from .versions import parse

Version = tuple  # as `versions.parse` gives it
FIRST, LAST = (1, 0, 0), (99,)

# The SDK's `publish` takes these from that version on, and every other option from 2.0 on.
OPTION_SINCE = {"visibility": V1_2, "namespace": V1_3}

# Long enough for a lease, a backoff and a slow machine; nothing waits this long unless it fails.
PATIENCE_SECONDS = 20.0


class Failed(Exception):
    """A check saw something else than it expected."""


@dataclass(frozen=True)
class Check:
    title: str
    run: Callable[[Bench], None]
    since: Version
    before: Version
    broken_in: Sequence[str]

    def applies_to(self, version: str) -> bool:
        return self.since <= parse(version) < self.before and version not in self.broken_in


CHECKS: list[Check] = []


def check(title: str, since: Version = FIRST, before: Version = LAST, broken_in: Sequence[str] = ()) -> Callable:
    """Register a check for the versions from `since` up to, but not including, `before`.

    `broken_in` names versions in which the SDK itself cannot do what is checked, whatever the bus answers.
    """

    def register(run: Callable[[Bench], None]) -> Callable[[Bench], None]:
        CHECKS.append(Check(title, run, since, before, broken_in))
        return run

    return register


@dataclass(frozen=True)
class Bench:
    """What one check of one version works with. Goals are its own, so checks can run side by side."""

    sdk: Sdk
    url: str
    root_key: str
    tenant_key: str
    other_key: str
    new_key: Callable[[str], str]
    claim_timeout: float
    max_payload_bytes: int
    prefix: str

    def goal(self, suffix: str = "") -> str:
        return f"{self.prefix}{suffix}"

    def client(self, key: str | None = None) -> Client:
        """A client of the version under test, by default with the tenant's key."""
        return self.sdk.client(self.url, key or self.tenant_key)

    def plain(self, key: str | None = None, declares: str | None = None) -> Plain:
        """The bus without any SDK. The default key is the root key, which may see everything."""
        return Plain(self.url, key or self.root_key, declares)

    def publish(self, goal: str, payload: Any, **options: Any) -> str:
        """Publish as this tenant: by the SDK if it knows such options, else by plain HTTP as generation 1."""
        knows = max((OPTION_SINCE.get(option, V2_0) for option in options), default=FIRST)
        if self.sdk.version >= knows:
            return self.client().publish(goal, payload, **options)["id"]
        return self.plain(self.tenant_key).publish(goal, payload, **options)["id"]

    def status(self, intent_id: str) -> dict:
        return self.plain().get(f"/status/{intent_id}")

    def result(self, intent_id: str) -> dict:
        return self.plain().get(f"/result/{intent_id}")

    def refused(self, call: Callable[[], Any], *codes: str, error: type | None = None) -> None:
        """The bus must answer `call` with one of these error codes, and the SDK raise its error for it."""
        try:
            answer = call()
        except self.sdk.Error as refusal:
            code = self.sdk.error_code(refusal)
            that(code in codes, f"refused with code {code!r} instead of {' or '.join(codes)}: {refusal}")
            that(
                isinstance(refusal, error or self.sdk.Error),
                f"raised {type(refusal).__name__} instead of {(error or self.sdk.Error).__name__}: {refusal}",
            )
        else:
            raise Failed(f"accepted, instead of {' or '.join(codes)}: {answer!r}")

    def wait_for_held_job(self, client: Client, goal: str) -> Job:
        """A job whose lease outlasts the check, however slow the machine: one whose lease ends before it is longer is claimed again."""
        return wait_until(lambda: self._claim_and_hold(client, goal), f"a job of {goal!r} to hold")

    def _claim_and_hold(self, client: Client, goal: str) -> Job | None:
        job = client.claim(goal)
        return job if job and self.plain(client.key).hold(job) else None

    def wait_for_lease_end(self, job: Job) -> None:
        """Until the lease that `job` holds now is over by the bus's own account."""
        ends = self.status(job.id)["claim_expires_at"]
        that(isinstance(ends, (int, float)), f"a claimed intent has claim_expires_at {ends!r}")
        wait_until(lambda: time.time() > ends + 0.1, "the lease's end")

    def wait_for_job(self, client: Client, goal: str, **options: Any) -> Job:
        return wait_until(lambda: client.claim(goal, **options), f"a job of {goal!r}")


class Plain:
    """The bus by plain HTTP: an unsigned request with a key, as a user of curl would send it."""

    def __init__(self, url: str, key: str, declares: str | None = None):
        self.url = url
        self.headers = {"X-API-KEY": key, "Content-Type": "application/json"}
        if declares:
            self.headers["X-Intent-Version"] = declares

    def publish(self, goal: str, payload: Any, **fields: Any) -> dict:
        return self.post("/intent", {"goal": goal, "payload": payload, **fields})

    def hold(self, job: Job) -> bool:
        """Let this claim last for a minute more, without the SDK's help. False: its lease was over."""
        body = {"seconds": 60, "claim_token": job.fields["claim_token"]}
        response = requests.post(f"{self.url}/extend_claim/{job.id}", json=body, headers=self.headers, timeout=10)
        return response.status_code != 404 and bool(self._answer(response))

    def post(self, path: str, body: Any, headers: dict | None = None, raw: bool = False) -> dict:
        data = body if raw else json.dumps(body)
        return self._answer(
            requests.post(self.url + path, data=data, headers={**self.headers, **(headers or {})}, timeout=10)
        )

    def get(self, path: str) -> dict:
        return self._answer(requests.get(self.url + path, headers=self.headers, timeout=10))

    @staticmethod
    def _answer(response: requests.Response) -> dict:
        that(response.status_code in (200, 201), f"plain HTTP: {response.status_code} {response.text[:300]}")
        return response.json()


def that(condition: Any, what: str) -> None:
    if not condition:
        raise Failed(what)


def equal(actual: Any, expected: Any, what: str) -> None:
    if actual != expected:
        raise Failed(f"{what}: {actual!r:.400} instead of {expected!r:.400}")


def wait_until(probe: Callable[[], Any], what: str) -> Any:
    """The first truthy answer of `probe`, within `PATIENCE_SECONDS`."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        found = probe()
        if found:
            return found
        if time.monotonic() > deadline:
            raise Failed(f"waited {PATIENCE_SECONDS:.0f} s in vain for {what}")
        time.sleep(0.05)


def at_once(calls: list[Callable[[], Any]]) -> list[Any]:
    """Run the calls at the same moment, each in a thread of its own; the first exception is raised here."""
    gate = threading.Barrier(len(calls))
    outcomes: list[Any] = [None] * len(calls)

    def run(index: int, call: Callable[[], Any]) -> None:
        gate.wait(timeout=PATIENCE_SECONDS)
        try:
            outcomes[index] = (True, call())
        except Exception as error:  # handed to the caller's thread
            outcomes[index] = (False, error)

    threads = [threading.Thread(target=run, args=item, daemon=True) for item in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
    for outcome in outcomes:
        that(outcome is not None, "a call at once with others never came back")
        if not outcome[0]:
            raise outcome[1]
    return [value for _, value in outcomes]
