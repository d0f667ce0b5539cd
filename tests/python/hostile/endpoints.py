"""Every path of the bus with its methods, and the names that its requests know. No bytes are made here."""

from __future__ import annotations

from dataclasses import dataclass, field

# The protocol's own table. What the bus serves beyond it comes from its /openapi.json.
PROTOCOL = """
GET /
GET /health
GET /openapi.json
GET /metrics
POST /intent
POST /claim
POST /fulfill/{id}
POST /fail/{id}
POST /extend_claim/{id}
GET /status/{id}
GET /result/{id}
POST /set/{key}
GET /get/{key}
GET /admin/dashboard
POST /admin/generate_key
POST /admin/revoke_key
POST /admin/purge
POST /admin/cleanup
GET /admin/intents/{id}
POST /admin/intents/{id}/cancel
POST /admin/intents/{id}/retry
GET /admin/dead
GET /admin/dead/{id}
"""
QUERY = "goal namespace publisher worker_id capabilities"
BODY = (
    "goal payload namespace visibility priority delay max_attempts backoff_base target_worker required_capability "
    "reward claim_token result result_type error seconds value ttl owner api_key confirm"
)
HEADERS = (
    "X-API-KEY X-Admin-Token Authorization X-Timestamp X-Nonce X-Signature X-Intent-Version X-Request-ID "
    "X-Worker-ID X-Worker-Capabilities Idempotency-Key X-Forwarded-For X-Forwarded-Proto Content-Type Accept "
    "Content-Encoding Accept-Encoding Cookie Origin Range If-None-Match Connection Expect Upgrade"
)


@dataclass
class Surface:
    """What there is to attack."""

    endpoints: list[tuple[str, str]] = field(default_factory=list)
    query: list[str] = field(default_factory=list)
    body: list[str] = field(default_factory=list)
    headers: list[str] = field(default_factory=list)


def surface(openapi: dict) -> Surface:
    """The protocol's table, and everything that the bus's own description adds to it."""
    endpoints = [tuple(line.split()) for line in PROTOCOL.split("\n") if line]
    query, body, headers = QUERY.split(), BODY.split(), HEADERS.split()
    for path, operations in openapi.get("paths", {}).items():
        for method, operation in operations.items():
            if not isinstance(operation, dict):
                continue  # "summary", "description" and the like stand beside the methods
            endpoints.append((method.upper(), path))
            for parameter in operation.get("parameters", []):
                names = {"query": query, "header": headers}.get(parameter.get("in"))
                if names is not None:
                    names.append(parameter["name"])
    for schema in openapi.get("components", {}).get("schemas", {}).values():
        body.extend(schema.get("properties", {}))
    # Sorted, or a seed would mean another run with another order of the description.
    return Surface(sorted(set(endpoints)), sorted(set(query)), sorted(set(body)), _headers(headers))


def _headers(names: list[str]) -> list[str]:
    """Each name once, whatever its capitals: the protocol's own writing wins."""
    once = {name.lower(): name for name in reversed(names)}
    return sorted(once.values())
