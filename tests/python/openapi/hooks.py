"""Loaded by schemathesis: signs and counts what goes over the wire, and tells it what no schema can say.

A run has one protocol generation. They differ in inputs (section 9 of the protocol), and OpenAPI cannot tie a body to a
header, so the document describes what either takes; here it is narrowed to the one that the run's requests declare.
"""

from __future__ import annotations

import atexit
import collections
import itertools
import json
import os
import pathlib
import re
import uuid

import requests
import schemathesis
from requests.adapters import HTTPAdapter
from schemathesis.core.parameters import ParameterLocation
from schemathesis.generation.meta import TestPhase

from openapi.signing import sign
from openapi.things import Things

SETTINGS = json.loads(os.environ["OPENAPI_CHECK"])
KEY, SIGNED, GENERATION = SETTINGS["key"], SETTINGS["signed"], SETTINGS["generation"]
IDEMPOTENCY_KEY_MAX = 255
WAIT_MAX = 60
NOBODY = 2_000_000_000
CURSOR = re.compile("([0-9]{1,17}-)?[0-9A-Fa-f]{32}")

statuses: collections.Counter = collections.Counter()
of_operation: dict[str, collections.Counter] = collections.defaultdict(collections.Counter)
things = Things(SETTINGS["url"], KEY, SETTINGS["admin_token"])
turns: dict[str, itertools.cycle] = collections.defaultdict(lambda: itertools.cycle([True, False]))
send = HTTPAdapter.send


def send_signed_and_counted(adapter: HTTPAdapter, request: requests.PreparedRequest, **options: object) -> requests.Response:
    """Under everything else: the method, the URL and the bytes here are those that are sent."""
    if SIGNED and request.headers.get("X-API-KEY") == KEY:
        sign(request, KEY)
    response = send(adapter, request, **options)
    statuses[response.status_code] += 1
    return response


HTTPAdapter.send = send_signed_and_counted


@atexit.register
def write_answers() -> None:
    answers = {"statuses": statuses, "of_operation": of_operation}
    pathlib.Path(SETTINGS["answers"]).write_text(json.dumps(answers))


@schemathesis.hook
def before_load_schema(context: schemathesis.HookContext, raw_schema: dict) -> None:
    schemas = raw_schema["components"]["schemas"]
    if GENERATION == "1.1":
        # A payload is a JSON object.
        schemas["NewIntent"]["properties"]["payload"]["type"] = "object"
        return
    # A finish names its claim.
    for name in ("JsonResult", "TextResult", "FailBody", "ExtendBody"):
        schemas[name]["properties"]["claim_token"]["type"] = "string"
        schemas[name].setdefault("required", []).append("claim_token")
    for path in ("/fulfill/{id}", "/fail/{id}"):
        raw_schema["paths"][path]["post"]["requestBody"]["required"] = True


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: schemathesis.Case, kwargs: dict) -> None:
    declare_generation(case)
    shorten_wait(case)
    spare_the_keys_of_the_check(case)
    begin_where_the_search_can(case)
    # What is public is for every tenant to see. Only what is not must stay with its own.
    if SETTINGS["has_peer"] and isinstance(case.body, dict) and case.body.get("visibility") == "public":
        case.body["visibility"] = "private"
    # A made-up signature is refused (403) before anything else of the request is looked at: nothing would be tested.
    # Signed runs put the right one in its place.
    if not SIGNED:
        case.headers.pop("X-Signature", None)
    if case.meta is not None and case.meta.phase.name != TestPhase.STATEFUL:
        is_good = case.meta.generation.mode.is_positive
        # Every other good request gets what makes it succeed; the rest shows what happens without. A bad request gets it
        # where it is not what is bad: only then does 400 mean that the fault was found, and not 404 or 409 something else.
        if not is_good or next(turns[case.operation.label]):
            renew_idempotency_key(case)
            name_something_real(case, is_good)


def renew_idempotency_key(case: schemathesis.Case) -> None:
    if 0 < len(str(case.headers.get("Idempotency-Key", ""))) <= IDEMPOTENCY_KEY_MAX:
        case.headers["Idempotency-Key"] = uuid.uuid4().hex


def shorten_wait(case: schemathesis.Case) -> None:
    """A claim may wait for a minute. What is no good is left as it is."""
    wait = str((case.query or {}).get("wait", ""))
    if wait.isdecimal() and wait.isascii() and 1 < int(wait) <= WAIT_MAX:
        case.query["wait"] = 1
    if case.headers.get("Prefer", "").startswith("wait="):
        case.headers["Prefer"] = "wait=1"


def spare_the_keys_of_the_check(case: schemathesis.Case) -> None:
    """An operator's run would revoke and narrow the keys that the tenants' runs use at the same time."""
    for kind, spared in SETTINGS["spared"].items():
        number = str((case.path_parameters or {}).get("number", ""))
        named = number.isascii() and number.isdecimal() and int(number) in spared
        if named and case.operation.path.startswith(f"/admin/{kind}/"):
            case.path_parameters["number"] = NOBODY


def begin_where_the_search_can(case: schemathesis.Case) -> None:
    """A search of the dead, which is by the time of death, goes on from such a cursor only, and no other search does."""
    query = case.query or {}
    cursor = CURSOR.fullmatch(str(query.get("before", "")))
    if case.operation.label == "GET /admin/intents" and cursor:
        of_the_dead = query.get("state") == "dead" and not query.get("id")
        if of_the_dead != bool(cursor[1]):
            del query["before"]


def name_something_real(case: schemathesis.Case, is_good: bool) -> None:
    made = None if case.meta.is_negative_at(ParameterLocation.PATH) else things.for_operation(case.operation.label)
    if made:
        path_parameters, fields = made
        case.path_parameters.update(path_parameters)
        if isinstance(case.body, dict):
            case.body.update({name: value for name, value in fields.items() if is_good or isinstance(case.body.get(name), str)})


def declare_generation(case: schemathesis.Case) -> None:
    if GENERATION == "2.1":
        case.headers["X-Intent-Version"] = "7.61"
    elif declares_v2(case.headers.get("X-Intent-Version", "")):
        del case.headers["X-Intent-Version"]


def declares_v2(version: str) -> bool:
    major = version.strip().partition(".")[0]
    return major.isdecimal() and major.isascii() and int(major) in (2, 7)


@schemathesis.hook
def after_call(context: schemathesis.HookContext, case: schemathesis.Case, response: schemathesis.Response) -> None:
    if response.request.method == case.operation.method.upper():
        of_operation[case.operation.label][response.status_code] += 1
