"""One interface over the published SDKs. Every difference between their interfaces is here, and nowhere else.

The SDKs stay unmodified: an adapter only calls what a version documents for its users.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import logging
import re
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable

from .versions import parse

V1_1 = (1, 1, 0)  # signs its requests, knows `fail` and idempotency keys
V1_1_1 = (1, 1, 1)  # calls the address `base_url` instead of `host`
V1_2 = (1, 2, 0)  # knows visibility and the publisher filter, encodes the query by RFC 3986
V1_3 = (1, 3, 0)  # knows namespaces, worker ids, capabilities and results; an empty claim carries Retry-After
V2_0 = (2, 0, 0)  # declares its generation; policies, routing, status, results, WorkerRuntime
V2_1 = (2, 1, 0)  # finishes with the claim's token only


@dataclass(frozen=True)
class Job:
    """A claimed intent, whatever shape the SDK gave it."""

    id: str
    goal: str = ""
    payload: Any = None
    token: str | None = None
    fields: dict = field(default_factory=dict)

    @property
    def attempts(self) -> int:
        return self.fields["claim_attempts"]


class Sdk:
    """One published version, loaded from its own folder. A process can hold one: all are named `intent_bus`."""

    def __init__(self, version: str, home: Path):
        self.text = version
        self.version = parse(version)
        self.module = _load(home)
        errors = importlib.import_module("intent_bus.exceptions")
        self.Error = errors.IntentBusError
        self.AuthError = errors.IntentBusAuthError
        # Before tokens there was no such class: a lost lease was an error like any other.
        self.LeaseLost = getattr(errors, "IntentBusLeaseLostError", errors.IntentBusError)
        self.log = _record_log()

    @property
    def generation(self) -> int:
        return self.version[0]

    @property
    def declares(self) -> str | None:
        """What this version sends as `X-Intent-Version`; versions 1.x send none."""
        if self.version < V2_0:
            return None
        return importlib.import_module("intent_bus.constants").SERVER_API_VERSION

    def client(self, url: str, key: str) -> Client:
        return Client(self, url, key)

    def error_code(self, error: Exception) -> str | None:
        """The code of the answer behind an SDK's error, or None if no answer of the bus is behind it."""
        message = str(error)
        if self.version >= V1_1:
            code, colon, _ = message.partition(":")
            return code if colon and re.fullmatch(r"[a-z_]+", code) else None
        if isinstance(error, self.AuthError):
            return "unauthorized"  # 1.0 drops the body of a 401, and raises this for nothing else
        body = re.fullmatch(r"Request failed: \d{3} (.*)", message, re.DOTALL)
        try:
            return json.loads(body.group(1))["error"]["code"] if body else None
        except (ValueError, KeyError, TypeError):
            return None


class Client:
    """An `IntentClient` of the version under test. `inner` is the SDK's own object."""

    def __init__(self, sdk: Sdk, url: str, key: str):
        self.sdk = sdk
        self.key = key
        address = "base_url" if sdk.version >= V1_1_1 else "host"
        self.inner = sdk.module.IntentClient(**{address: url}, api_key=key)

    def publish(self, goal: str, payload: Any, **options: Any) -> dict:
        return _as_dict(self.inner.publish(goal, payload, **options))

    def claim(self, goal: str | None = None, **options: Any) -> Job | None:
        answer = self.inner.claim(goal, **options)
        if not answer:
            return None
        fields = _as_dict(getattr(answer, "data", answer))
        return Job(fields["id"], fields["goal"], fields["payload"], fields.get("claim_token"), fields)

    def fulfill(self, job: Job, **result: Any) -> dict:
        return self.inner.fulfill(job.id, *self._token(job), **result)

    def fail(self, job: Job, error: str) -> dict:
        return self.inner.fail(job.id, *self._token(job), error=error)

    def extend(self, job: Job, seconds: int) -> dict:
        return self.inner.extend_claim(job.id, *self._token(job), seconds=seconds)

    def set(self, key: str, value: Any, **options: Any) -> dict:
        return self.inner.set(key, value, **options)

    def get(self, key: str) -> Any:
        return self.inner.get(key)

    def status(self, intent_id: str) -> Any:
        return self.inner.get_status(intent_id)

    def result(self, intent_id: str) -> Any:
        return self.inner.get_result(intent_id)

    def listen(self, goal: str, handler: Callable, full_envelope: bool = False) -> None:
        """Start the SDK's own endless loop; it ends with the process."""
        if self.sdk.version >= V2_0:
            worker = self.sdk.module.WorkerRuntime(self.inner, worker_id="listener", poll_interval=0.1)
            loop, options = worker.listen, {"full_envelope": full_envelope}
        else:
            loop, options = self.inner.listen, {"poll_interval": 0.1}
        threading.Thread(target=loop, args=(goal, handler), kwargs=options, daemon=True).start()

    def _token(self, job: Job) -> tuple:
        return (job.token,) if self.sdk.version >= V2_1 else ()


def _as_dict(answer: Any) -> dict:
    return dict(answer) if isinstance(answer, dict) else answer.to_dict()


def _load(home: Path) -> Any:
    if (home / "intent_bus").is_dir():
        sys.path.insert(0, str(home))
        return importlib.import_module("intent_bus")
    # 1.0.0 was published with a hyphen in its folder's name, which no import statement can say.
    folder = home / "intent-bus"
    spec = importlib.util.spec_from_file_location(
        "intent_bus", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules["intent_bus"] = module
    spec.loader.exec_module(module)
    return module


class _Recorder(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


def _record_log() -> list[logging.LogRecord]:
    recorder = _Recorder()
    logger = logging.getLogger("intent_bus")
    logger.addHandler(recorder)
    logger.propagate = False
    return recorder.records
