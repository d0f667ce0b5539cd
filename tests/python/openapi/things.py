"""Things for requests to be about: intents in each state, claims, values, keys. Made-up ids name nothing, so without these
an operation would say 404 to nearly everything, and its good answers would go unchecked."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import requests

OUTCOMES = itertools.cycle([{"result": {"n": 1}}, {"result": "done", "result_type": "text"}, {"result": None}, {}])
TRIES = 5


class Gone(Exception):
    """Another run has purged it in the meantime."""


class Things:
    """Makes things with the key, and where an operator is needed with the admin token."""

    def __init__(self, url: str, key: str, admin_token: str):
        self.url, self.key, self.admin_token = url, key, admin_token
        self.session = requests.Session()
        self.session.trust_env = False
        self.numbers = itertools.count()
        self.states = itertools.cycle([self.published, self.claimed, self.fulfilled, self.dead])

    def call(self, path: str, body: object = None, **query: str) -> dict:
        headers = {"X-Admin-Token": self.admin_token} if path.startswith("/admin/") else {"X-API-KEY": self.key}
        answer = self.session.post(self.url + path, headers=headers, json=body, params=query, timeout=30)
        answer.raise_for_status()
        if answer.status_code == 204:
            raise Gone
        return answer.json()

    def publish(self) -> tuple[str, str]:
        goal = f"openapi check {next(self.numbers)} {id(self)}"
        return self.call("/intent", {"goal": goal, "payload": {"n": 1}})["id"], goal

    def claim(self) -> tuple[str, str]:
        """An intent's id and the token of the claim on it."""
        claimed = self.call("/claim", goal=self.publish()[1])
        return claimed["id"], claimed["claim_token"]

    def published(self) -> str:
        return self.publish()[0]

    def claimed(self) -> str:
        return self.claim()[0]

    def fulfilled(self) -> str:
        intent, token = self.claim()
        self.call(f"/fulfill/{intent}", {"claim_token": token} | next(OUTCOMES))
        return intent

    def dead(self) -> str:
        intent, token = self.claim()
        self.call(f"/fail/{intent}", {"claim_token": token, "error": "it broke"})
        return intent

    def any(self) -> str:
        """An intent in one state or another."""
        return next(self.states)()

    def value(self) -> str:
        key = f"openapi check/{next(self.numbers)}"
        self.call(f"/set/{key}", {"value": {"n": 1}})
        return key

    def new_key(self) -> dict:
        return self.call("/admin/generate_key", {"owner": "openapi check"})

    def for_operation(self, label: str) -> tuple[dict, dict] | None:
        """Path parameters and fields of the body that name something real, if the operation needs that."""

        def held() -> tuple[dict, dict]:
            intent, token = self.claim()
            return {"id": intent}, {"claim_token": token}

        makers: dict[str, Callable[[], tuple[dict, dict]]] = {
            "GET /status/{id}": lambda: ({"id": self.any()}, {}),
            "GET /result/{id}": lambda: ({"id": self.any()}, {}),
            "GET /admin/intents/{id}": lambda: ({"id": self.any()}, {}),
            "POST /admin/intents/{id}/cancel": lambda: ({"id": self.any()}, {}),
            "POST /admin/intents/{id}/retry": lambda: ({"id": self.dead()}, {}),
            "GET /admin/dead/{id}": lambda: ({"id": self.dead()}, {}),
            "POST /fulfill/{id}": held,
            "POST /fail/{id}": held,
            "POST /extend_claim/{id}": held,
            "GET /get/{key}": lambda: ({"key": self.value()}, {}),
            "POST /admin/keys/{number}/rotate": lambda: ({"number": self.new_key()["id"]}, {}),
            "POST /admin/keys/{number}/scopes": lambda: ({"number": self.new_key()["id"]}, {}),
            "POST /admin/keys/{number}/revoke": lambda: ({"number": self.new_key()["id"]}, {}),
            "POST /admin/tenants/{number}/limits": lambda: ({"number": self.new_key()["tenant"]}, {}),
            "POST /admin/revoke_key": lambda: ({}, {"api_key": self.new_key()["api_key"]}),
        }
        for _ in range(TRIES if label in makers else 0):
            try:
                return makers[label]()
            except (Gone, requests.HTTPError):
                continue
        return None
