#!/usr/bin/env python3
"""Send seeded hostile bytes to every endpoint of a running bus, and see that nothing breaks.

    hostile_bytes.py --url http://127.0.0.1:5000 --root-key KEY --admin-token TOKEN --seed 1 --requests 5000

Over raw sockets: random methods, paths, queries, headers and bodies in valid HTTP, and broken HTTP. No answer may have
a status of 500 or more, every answer must be well-formed, an error to valid HTTP must carry the error envelope, and the
bus must stay alive. With keys the requests get past authentication; they purge, cancel and revoke, so never point this
at a bus that matters. Prints the answers by status; exits with 1 on a violation. `--only N` repeats one request.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import itertools
import socket
import sys
import threading
import time
from random import Random
from urllib.parse import urlsplit

import requests

from hostile import answers, attempts, endpoints

ANSWER_SECONDS = 30.0  # a routed request without an answer by then is a violation
BROKEN_SECONDS = 1.0  # broken HTTP may make the bus wait for more bytes; it gets none
MORE_SECONDS = 0.1  # and after one answer there may be another
ALIVE_EVERY = 250
SHOWN_VIOLATIONS = 20
CLOSED = "closed without an answer"


class Bus:
    """The bus by plain HTTP, to prepare a run and to see whether the bus is well."""

    def __init__(self, arguments: argparse.Namespace):
        self.url = arguments.url.rstrip("/")
        self.key, self.admin_token = arguments.root_key, arguments.admin_token
        self.session = requests.Session()
        self.session.trust_env = False

    def call(self, method: str, path: str, headers: dict | None = None, **body: object) -> requests.Response:
        headers = headers or {"X-API-KEY": self.key or ""}
        return self.session.request(method, self.url + path, headers=headers, timeout=ANSWER_SECONDS, **body)

    def surface(self) -> endpoints.Surface:
        response = self.call("GET", "/openapi.json")
        response.raise_for_status()
        return endpoints.surface(response.json())

    def loot(self) -> attempts.Loot:
        """Keys, ids and claim tokens for the requests to use. Without a root key, none."""
        keys, ids, tokens = [], [], []
        if self.key:
            keys.append(self.key)
            for _ in range(20):
                self.call("POST", "/intent", json={"goal": "hostile", "payload": {"n": 1}}).raise_for_status()
            for _ in range(10):
                claimed = self.call("POST", "/claim?goal=hostile")
                claimed.raise_for_status()
                if claimed.status_code == 200:
                    ids.append(claimed.json()["id"])
                    tokens.append(claimed.json()["claim_token"])
        if self.admin_token:
            admin = {"X-Admin-Token": self.admin_token}
            made = self.call("POST", "/admin/generate_key", admin, json={"owner": "hostile"})
            made.raise_for_status()
            keys.append(made.json()["api_key"])
        return attempts.Loot(urlsplit(self.url).netloc, keys, self.admin_token, ids, tokens)

    def ill(self) -> str | None:
        """None if the bus is alive."""
        try:
            response = self.call("GET", "/health")
        except requests.RequestException as error:
            return f"/health does not answer: {error}"
        return None if response.status_code == 200 else f"/health answered {response.status_code}"

    def cannot_work(self) -> str | None:
        """None if a job still goes all the way."""
        if not self.key:
            return None
        goal = {"goal": "after the hostile run", "payload": {}}
        steps = [("/intent", {"json": goal}), ("/claim", {"params": {"goal": goal["goal"]}})]
        for path, body in steps:
            response = self.call("POST", path, **body)
            if response.status_code not in (200, 201):
                return f"{path} answered {response.status_code} {response.text[:200]!r} afterwards"
        done = self.call("POST", f"/fulfill/{response.json()['id']}")
        return None if done.status_code == 200 else f"/fulfill answered {done.status_code} afterwards"


class Run:
    """One run: workers take numbers, make the request that belongs to the number, and record what came back."""

    def __init__(self, arguments: argparse.Namespace, bus: Bus):
        self.seed, self.bus = arguments.seed, bus
        self.surface, self.loot = bus.surface(), bus.loot()
        url = urlsplit(bus.url)
        self.address = (url.hostname, url.port or 80)
        self.lock = threading.Lock()
        self.statuses: collections.Counter = collections.Counter()
        self.violations: list[str] = []
        self.sent = 0
        self.slowest = (0.0, 0)
        self.stopped = False

    def attempt(self, number: int) -> attempts.Attempt:
        return attempts.make(Random(f"{self.seed}/{number}"), self.surface, self.loot)

    def work(self, numbers: itertools.count, end: int) -> None:
        connection: socket.socket | None = None
        try:
            while not self.stopped:
                with self.lock:
                    number = next(numbers)
                if number >= end:
                    return
                connection = self.one(number, connection)
        except Exception as error:  # a fault of ours must not look like a run without violations
            self.violation(-1, b"", [f"the worker broke: {type(error).__name__}: {error}"])
        finally:
            if connection:
                connection.close()

    def one(self, number: int, connection: socket.socket | None) -> socket.socket | None:
        """Send one request; answer the connection if the next request may use it too."""
        attempt, started = self.attempt(number), time.monotonic()
        try:
            if attempt.routed:
                connection, found, wrong = self.exchange(attempt, connection)
            else:
                connection = connection or self.connect()
                found, wrong = provoke(connection, attempt)
        except OSError as error:
            self.violation(number, attempt.data, [f"no connection: {error}"])
            self.stopped = True
            return None
        for answer in found:
            wrong += answers.judge(attempt, answer)
        with self.lock:
            self.sent += 1
            if found:
                self.slowest = max(self.slowest, (time.monotonic() - started, number))
            self.statuses.update([str(answer.status) for answer in found] or ["no answer"])
        if wrong:
            self.violation(number, attempt.data, wrong)
        if number % ALIVE_EVERY == 0 and (ill := self.bus_is_ill()):
            self.violation(number, attempt.data, [ill])
            self.stopped = True
        if found and not wrong and not attempt.closes and not found[0].closes:
            return connection
        connection.close()
        return None

    def connect(self) -> socket.socket:
        return socket.create_connection(self.address, timeout=ANSWER_SECONDS)

    def exchange(
        self, attempt: attempts.Attempt, connection: socket.socket | None
    ) -> tuple[socket.socket, list[answers.Answer], list[str]]:
        """Send valid HTTP. A kept connection may have been closed meanwhile: only a new one must bring an answer."""
        if connection:
            found, wrong = exchange(connection, attempt)
            if found or wrong != [CLOSED]:
                return connection, found, wrong
            connection.close()
            with self.lock:
                self.statuses["kept connection was closed, sent again"] += 1
        connection = self.connect()
        found, wrong = exchange(connection, attempt)
        return connection, found, wrong if attempt.needs_answer or wrong != [CLOSED] else []

    def bus_is_ill(self) -> str | None:
        with self.lock:
            return self.bus.ill()

    def violation(self, number: int, data: bytes, wrong: list[str]) -> None:
        with self.lock:
            self.violations.append(f"request {number}: {'; '.join(wrong)}\n    sent {data[:600]!r}")


def exchange(connection: socket.socket, attempt: attempts.Attempt) -> tuple[list[answers.Answer], list[str]]:
    """Send valid HTTP and read its one answer."""
    data, ended = b"", False
    connection.settimeout(ANSWER_SECONDS)
    with contextlib.suppress(OSError):  # refused before its end; the answer may be there all the same
        connection.sendall(attempt.data)
    while True:
        try:
            answer, rest = answers.read(data, attempt.method, ended)
            return [answer], [f"{len(rest)} bytes after the answer: {rest[:100]!r}"] if rest else []
        except answers.Malformed as error:
            return [], [f"malformed answer: {error}"]
        except answers.Incomplete:
            if ended:
                return [], [f"cut off after {data[:200]!r}" if data else CLOSED]
        try:
            more = connection.recv(65536)
        except socket.timeout:
            return [], [f"no answer within {ANSWER_SECONDS:.0f} s"]
        except OSError:
            more = b""
        ended, data = not more, data + more


def provoke(connection: socket.socket, attempt: attempts.Attempt) -> tuple[list[answers.Answer], list[str]]:
    """Send broken HTTP and read all answers, if any. Being cut off, or ignored, is no fault here."""
    data = b""
    connection.settimeout(BROKEN_SECONDS)
    with contextlib.suppress(OSError):
        connection.sendall(attempt.data)
        connection.shutdown(socket.SHUT_WR)
        while more := connection.recv(65536):
            data += more
            connection.settimeout(MORE_SECONDS)
    # A mutated method may or may not be HEAD, which decides whether a body follows.
    outcomes = [split(data, method) for method in (["GET", "HEAD"] if b"HEAD" in attempt.data else ["GET"])]
    return min(outcomes, key=lambda outcome: len(outcome[1]))


def split(data: bytes, method: str) -> tuple[list[answers.Answer], list[str]]:
    found = []
    while data:
        try:
            answer, data = answers.read(data, method, ended=True)
        except answers.Incomplete:
            break  # the connection was cut, as it may be
        except answers.Malformed as error:
            return found, [f"malformed answer: {error}"]
        found.append(answer)
    return found, []


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True, help="address of the bus, without a path")
    parser.add_argument("--root-key", help="its BUS_SECRET; without it, requests stop at authentication")
    parser.add_argument("--admin-token", help="its BUS_ADMIN_SECRET")
    parser.add_argument("--seed", type=int, default=1, help="the same seed sends the same requests")
    parser.add_argument("--requests", type=int, default=5000)
    parser.add_argument("--workers", type=int, default=8, help="connections at the same time")
    parser.add_argument("--only", type=int, metavar="N", help="send only the request with this number")
    return parser.parse_args()


def main() -> int:
    arguments = parse_arguments()
    bus = Bus(arguments)
    run = Run(arguments, bus)
    first, end = (0, arguments.requests) if arguments.only is None else (arguments.only, arguments.only + 1)
    numbers = itertools.count(first)
    workers = [threading.Thread(target=run.work, args=(numbers, end)) for _ in range(arguments.workers)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for wrong in [bus.ill(), None if run.stopped else bus.cannot_work()]:
        if wrong:
            run.violation(end, b"", [wrong])

    print(f"seed {arguments.seed}: {run.sent} requests to {len(run.surface.endpoints)} endpoints")
    for status, count in sorted(run.statuses.items()):
        print(f"{status:>10}  {count}")
    print(f"the slowest took {run.slowest[0]:.1f} s: request {run.slowest[1]}")
    for violation in run.violations[:SHOWN_VIOLATIONS]:
        print(f"VIOLATION {violation}")
    print(f"{len(run.violations)} violations")
    return 1 if run.violations else 0


if __name__ == "__main__":
    sys.exit(main())
