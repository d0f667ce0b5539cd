"""Loaded by schemathesis: signs and counts what goes over the wire, and tells it what no schema can say.

A run has one protocol generation. They differ in inputs (section 9 of the protocol), and OpenAPI cannot tie a body to a
header, so the document describes what either takes; here it is narrowed to the one that the run's requests declare.
"""

from __future__ import annotations

import atexit
import collections
import json
import os
import pathlib

import requests
import schemathesis
from requests.adapters import HTTPAdapter

from openapi.signing import sign

KEY = os.environ.get("OPENAPI_CHECK_SIGN_WITH")  # unset: the run's requests are not signed
GENERATION = os.environ["OPENAPI_CHECK_GENERATION"]
STATUSES = pathlib.Path(os.environ["OPENAPI_CHECK_STATUSES"])

statuses: collections.Counter = collections.Counter()
send = HTTPAdapter.send


def send_signed_and_counted(adapter: HTTPAdapter, request: requests.PreparedRequest, **options: object) -> requests.Response:
    """Under everything else: the method, the URL and the bytes here are those that are sent."""
    if KEY and request.headers.get("X-API-KEY") == KEY:
        sign(request, KEY)
    response = send(adapter, request, **options)
    statuses[response.status_code] += 1
    return response


HTTPAdapter.send = send_signed_and_counted
atexit.register(lambda: STATUSES.write_text(json.dumps(statuses)))


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
    if GENERATION == "2.1":
        case.headers["X-Intent-Version"] = "7.61"
    elif declares_v2(case.headers.get("X-Intent-Version", "")):
        del case.headers["X-Intent-Version"]
    # A made-up signature is refused (403) before anything else of the request is looked at: nothing would be tested.
    # Signed runs put the right one in its place.
    if not KEY:
        case.headers.pop("X-Signature", None)


def declares_v2(version: str) -> bool:
    major = version.strip().partition(".")[0]
    return major.isdecimal() and major.isascii() and int(major) in (2, 7)
