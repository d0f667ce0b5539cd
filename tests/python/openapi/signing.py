"""Signatures, computed here from the protocol's text and not by the code under test."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from urllib.parse import quote_from_bytes, unquote_to_bytes

import requests

UNRESERVED = "-._~"  # besides letters and digits, which quote leaves bare anyway


def canonical_path(target: str) -> bytes:
    """The percent-decoded path and the sorted, newly encoded pairs of the query."""
    path, _, query = target.partition("?")
    pairs = [pair.partition("=")[::2] for pair in query.split("&") if pair]
    decoded = [tuple(unquote_to_bytes(part.replace("+", " ")) for part in pair) for pair in pairs]
    decoded.sort(key=lambda pair: pair[0])
    encoded = "&".join("=".join(quote_from_bytes(part, safe=UNRESERVED) for part in pair) for pair in decoded)
    return unquote_to_bytes(path) + (b"?" + encoded.encode() if encoded else b"")


def sign(request: requests.PreparedRequest, key: str) -> None:
    """Sign a request as it is about to be sent."""
    timestamp, nonce = str(int(time.time())), secrets.token_hex(16)
    body = request.body or b""
    signed = b"\n".join(
        [
            request.method.encode(),
            canonical_path(request.path_url),
            timestamp.encode(),
            nonce.encode(),
            body.encode() if isinstance(body, str) else body,
        ]
    )
    request.headers["X-Timestamp"] = timestamp
    request.headers["X-Nonce"] = nonce
    request.headers["X-Signature"] = hmac.new(key.encode(), signed, hashlib.sha256).hexdigest()
