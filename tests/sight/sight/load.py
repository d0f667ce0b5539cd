"""What makes every metric move: a stream of work, and all that can go wrong with it, over two replicas."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import itertools
import json
import secrets
import subprocess
import threading
import time
from pathlib import Path

from .processes import ROOT_KEY, Postgres, Replica


class Client:
    """Asks two replicas in turn."""

    def __init__(self, replicas: list[Replica], key: str = ROOT_KEY):
        self.addresses, self.key = itertools.cycle([replica.address for replica in replicas]), key

    def ask(self, method: str, target: str, body: dict | None = None, **headers: str) -> tuple[int, dict]:
        connection = http.client.HTTPConnection(next(self.addresses), timeout=90)
        text = json.dumps(body) if body is not None else ""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, target, text, {"X-API-KEY": self.key} | named)
        answer = connection.getresponse()
        read = answer.read()
        connection.close()
        return answer.status, json.loads(read) if read.startswith(b"{") else {}

    def publish(self, goal: str, **fields) -> None:
        body = {"goal": goal, "payload": {}, "backoff_base": 1} | fields
        status, answer = self.ask("POST", "/intent", body)
        if status != 201:
            raise RuntimeError(f"publish: {status} {answer}")

    def claim(self, goal: str) -> dict | None:
        status, answer = self.ask("POST", f"/claim?goal={goal}", X_Worker_ID="sight")
        if status not in (200, 204):
            raise RuntimeError(f"claim: {status} {answer}")
        return answer if status == 200 else None

    def signed(self, timestamp: float, nonce: str, key: str | None = None) -> int:
        """A signed look at a value; the answer's status."""
        stamp = str(int(timestamp))
        text = "\n".join(["GET", "/get/sight", stamp, nonce, ""])
        digest = hmac.new((key or self.key).encode(), text.encode(), hashlib.sha256).hexdigest()
        return self.ask("GET", "/get/sight", X_Timestamp=stamp, X_Nonce=nonce, X_Signature=digest)[0]


class Load:
    """Runs for some seconds, and then stands still."""

    def __init__(self, binary: Path, replicas: list[Replica], postgres: Postgres, database: str):
        self.binary, self.replicas, self.postgres, self.database = binary, replicas, postgres, database
        self.faults: list[BaseException] = []
        self.report: dict = {}

    def run(self, seconds: int) -> None:
        # What stands all the time: delayed, held by a worker, wanted by nobody, paused.
        client = Client(self.replicas)
        client.publish("later", delay=3600)
        client.publish("nobody")
        client.publish("held", max_attempts=3)
        held = client.claim("held")
        client.ask("POST", f"/extend_claim/{held['id']}", {"claim_token": held["claim_token"], "seconds": 3600})
        self.postgres.query("INSERT INTO pauses (namespace, goal) VALUES ('default', 'held')", self.database)

        end = time.monotonic() + seconds
        parts = [self.stream, self.fail, self.lapse, self.wait, self.refused]
        threads = [threading.Thread(target=self.guarded, args=(part, end)) for part in parts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self.faults:
            raise self.faults[0]

    def guarded(self, part, end: float) -> None:
        try:
            part(end)
        except BaseException as fault:  # noqa: BLE001 - told by the thread that waits
            self.faults.append(fault)

    def stream(self, end: float) -> None:
        """`intent-bus bench` on both replicas."""
        urls = ",".join(replica.url for replica in self.replicas)
        command = [self.binary, "bench", "--url", urls, "--key", ROOT_KEY, "--publishers", "4", "--workers", "4"]
        command += ["--rate", "100", "--seconds", str(int(end - time.monotonic()) - 2), "--goal", "stream", "--json"]
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"bench: {done.stderr}")
        self.report = json.loads(done.stdout)

    def fail(self, end: float) -> None:
        """Attempts fail; every other intent has one attempt only, and dies."""
        client = Client(self.replicas)
        for number in itertools.count():
            client.publish("fragile", max_attempts=1 + number % 2)
            while claim := client.claim("fragile"):
                body = {"claim_token": claim["claim_token"], "error": "no such file"}
                client.ask("POST", f"/fail/{claim['id']}", body)
            time.sleep(0.1)
            if time.monotonic() > end:
                return

    def lapse(self, end: float) -> None:
        """A worker that never answers: leases end after a second, and so do the last attempts."""
        client = Client(self.replicas)
        while time.monotonic() < end:
            client.publish("slow", max_attempts=2)
            client.claim("slow")
            time.sleep(0.3)

    def wait(self, end: float) -> None:
        """Claims that wait for work which never comes."""
        client = Client(self.replicas)
        waiting = [threading.Thread(target=client.ask, args=("POST", "/claim?goal=rare&wait=60")) for _ in range(6)]
        for thread in waiting:
            thread.daemon = True
            thread.start()

    def refused(self, end: float) -> None:
        """Replays, signatures that are stale or bad, and a tenant that asks too often."""
        client = Client(self.replicas)
        made = client.ask("POST", "/admin/generate_key", {"owner": "hasty", "rate_limit_per_minute": 1})[1]
        hasty = Client(self.replicas, made["api_key"])
        while time.monotonic() < end:
            nonce = secrets.token_hex(16)
            expected = {
                "a nonce, twice": ([client.signed(time.time(), nonce), client.signed(time.time(), nonce)], [404, 403]),
                "an old one": ([client.signed(time.time() - 900, secrets.token_hex(16))], [403]),
                "a wrong one": ([client.signed(time.time(), secrets.token_hex(16), "another key")], [403]),
            }
            for what, (statuses, wanted) in expected.items():
                if statuses != wanted:
                    raise RuntimeError(f"{what}: {statuses}")
            hasty.ask("GET", "/get/sight")
            time.sleep(0.5)

    def outage(self) -> int:
        """Somebody locks a table for longer than statements wait: requests fail. How many did."""
        lock = "BEGIN; LOCK TABLE intents IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(6); COMMIT"
        locked = threading.Thread(target=self.postgres.query, args=(lock, self.database))
        locked.start()
        time.sleep(0.5)
        statuses: list[int] = []
        client = Client(self.replicas)

        def publish() -> None:
            statuses.append(client.ask("POST", "/intent", {"goal": "stream", "payload": {}})[0])

        threads = [threading.Thread(target=publish) for _ in range(8)]
        for thread in [*threads, locked]:
            if thread is not locked:
                thread.start()
        for thread in [*threads, locked]:
            thread.join()
        return statuses.count(503)
