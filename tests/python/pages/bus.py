"""The bus under test, by its API: what fills it, and what tells whether a page has changed anything."""

from __future__ import annotations

import time

import requests

# Breaks out of text, attributes and scripts wherever it is not escaped; `fired` in the page's window says that it was run.
HOSTILE = "<img src=x onerror=fired()>\"'><script>fired()</script><a href=javascript:fired()>{{7*7}}"
NAMESPACES = ("default", "east")


class Bus:
    def __init__(self, arguments) -> None:
        self.url = arguments.url
        self.session = requests.Session()
        self.root = {"X-API-KEY": arguments.root_key}
        self.admin = {"X-Admin-Token": arguments.admin_token}

    def call(self, method: str, path: str, headers: dict | None = None, status: int | None = 200, **more):
        answer = self.session.request(method, self.url + path, headers=headers or self.root, timeout=60, **more)
        if status is not None and answer.status_code != status:
            raise AssertionError(f"{method} {path}: {answer.status_code}: {answer.text}")
        return answer.json() if answer.content and "json" in answer.headers["content-type"] else answer.text

    def publish(self, goal: str, **fields) -> str:
        body = {"goal": goal, "payload": {"n": 1}, **fields}
        return self.call("POST", "/intent", body.pop("as_", None), 201, json=body)["id"]

    def claim(self, goal: str, worker: str = "press-1", capabilities: str = "", namespace: str = "default"):
        headers = {**self.root, "X-Worker-ID": worker.encode(), "X-Worker-Capabilities": capabilities}
        found = self.call("POST", "/claim", headers, None, params={"goal": goal, "namespace": namespace})
        return found or None

    def finish(self, verb: str, claim: dict, **fields) -> None:
        self.call("POST", f"/{verb}/{claim['id']}", json={"claim_token": claim["claim_token"], **fields})

    def state(self, intent: str) -> str:
        return self.call("GET", f"/admin/intents/{intent}", self.admin)["status"]

    def pauses(self) -> list:
        return self.call("GET", "/admin/pauses", self.admin)["pauses"]

    def keys(self) -> list:
        return self.call("GET", "/admin/keys", self.admin)["keys"]

    def die(self, goal: str, error: str, **fields) -> str:
        intent = self.publish(goal, max_attempts=1, **fields)
        claim = self.claim(goal, namespace=fields.get("namespace", "default"))
        self.finish("fail", claim, error=error)
        return intent


def fill(bus: Bus) -> dict:
    """Intents in every state, workers, keys, a pause; and the hostile text wherever a client may put one."""
    it: dict = {}
    alice = bus.call("POST", "/admin/generate_key", bus.admin, 201, json={"owner": "alice"})
    bus.call("POST", "/admin/generate_key", bus.admin, 201, json={"owner": HOSTILE[:128]})
    it["alice"] = {"X-API-KEY": alice["api_key"]}
    for number in range(24):
        bus.publish("resize-image", payload={"file": f"img-{number}.png", "width": 1200})
        done = bus.claim("resize-image", f"press-{number % 3}", "gpu,resize")
        bus.finish("fulfill", done, result={"ok": True, "bytes": 1e6})
    it["fulfilled"] = done["id"]
    for number in range(9):
        bus.publish("send-mail", payload={"to": f"user{number}@example.org"}, max_attempts=5, backoff_base=600)
    for _ in range(4):
        failing = bus.claim("send-mail", "mailer-1", "smtp")
        bus.finish("fail", failing, error="connection refused (smtp-2:25)")
    it["backing_off"] = failing["id"]
    it["delayed"] = bus.publish("nightly-report", delay=3600)
    it["target"] = bus.publish("calibrate", target_worker="arm-7")
    it["capable"] = bus.publish("transcribe", required_capability="whisper-large", namespace="east")
    it["claimed"] = bus.publish("render-video", payload={"scenes": list(range(40)), "codec": "av1"})
    bus.claim("render-video", "studio-2", "gpu,av1")
    for number in range(7):
        it["dead"] = bus.die("sync-crm", f"HTTP 500 from crm.example.org (try {number})")
    it["retry"] = bus.die("import-feed", "invalid feed: line 3")
    payload = {HOSTILE: [HOSTILE, {"deep": [1e-300, 10**40]}], "text": "äöü 你好 \u202e\ud800"}
    it["hostile"] = bus.publish(HOSTILE, payload=payload, max_attempts=3, backoff_base=1, required_capability=None)
    bus.finish("fail", bus.claim(HOSTILE, HOSTILE), error=f"{HOSTILE}\n{HOSTILE}")
    it["hostile_dead"] = bus.die(HOSTILE + "2", HOSTILE)
    text = bus.publish("hostile-result", payload={})
    claim = bus.claim("hostile-result")
    bus.finish("fulfill", claim, result=HOSTILE, result_type="text")
    it["hostile_result"] = text
    for number in range(60):
        bus.publish("bulk", payload={"n": number}, namespace="east", as_=it["alice"])
    # Counts are taken every few seconds: a page that has them stays as it is.
    wait_for("the counts", lambda: "bulk" in [goal["goal"] for goal in bus.call("GET", "/admin/overview", bus.admin)["goals"]])
    return it


def wait_for(what: str, found, seconds: float = 60):
    """Ask again and again until there is an answer."""
    end = time.monotonic() + seconds
    while True:
        answer = found()
        if answer:
            return answer
        assert time.monotonic() < end, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.1)
