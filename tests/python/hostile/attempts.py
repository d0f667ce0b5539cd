"""One hostile request from one seed. What is in the fields comes from `texts`; the framing is made and broken here."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import time
from dataclasses import dataclass
from random import Random
from urllib.parse import parse_qsl, quote, quote_from_bytes, unquote_to_bytes

from . import texts
from .endpoints import Surface

METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE"]
# A method may also have #$%&' in it, but many HTTP parsers refuse those themselves.
TOKEN = "!*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

# A client that is refused in the middle of a long body may be cut off before it can read why.
LONG_BODY = 65_536


@dataclass(frozen=True)
class Attempt:
    """Bytes to send. A `routed` one is valid HTTP: the bus, not its HTTP parser, has to answer it."""

    data: bytes
    method: str
    routed: bool
    needs_answer: bool = False
    closes: bool = True
    request_id: bytes | None = None


@dataclass(frozen=True)
class Loot:
    """What an attacker with keys knows: it leads requests past the first refusals."""

    host: str
    keys: list[str]
    admin_token: str | None
    ids: list[str]
    tokens: list[str]


def make(rng: Random, surface: Surface, loot: Loot) -> Attempt:
    """Four of five requests are valid HTTP with hostile contents, the others are not even HTTP."""
    attempt = _valid(rng, surface, loot)
    if rng.random() < 0.8:
        return attempt
    data = rng.choice([_mutated, _mutated, _reframed, _special, _noise])(rng, attempt.data)
    return Attempt(data, attempt.method, routed=False)


def _valid(rng: Random, surface: Surface, loot: Loot) -> Attempt:
    method, template = rng.choice(surface.endpoints)
    if rng.random() < 0.2:
        method = rng.choice(METHODS) if rng.random() < 0.7 else "".join(rng.choices(TOKEN, k=rng.randrange(1, 20)))
    target = _path(rng, template, loot) + _query(rng, surface.query, loot)
    body = b""
    if method not in ("GET", "HEAD", "TRACE") or rng.random() < 0.1:
        body = texts.body(rng, surface.body, _sane(rng, template, loot))

    headers = {"Host": loot.host.encode()}
    _authenticate(rng, headers, loot)
    if rng.random() < 0.5:
        headers["Content-Type"] = b"application/json"
    if rng.random() < 0.3:
        headers["X-Intent-Version"] = rng.choice(
            [b"7.5", b"7.61", b"2.1", b"1.1", b"7.", b"7.9999999999999999999", b"x"]
        )
    for _ in range(rng.choice([0, 0, 1, 1, 2, 5])):
        name = rng.choice(surface.headers)
        headers[name] = _header_value(rng, name)
    if "X-API-KEY" in headers and rng.random() < 0.3:
        _sign(rng, headers, method, target, body)

    lines = [b"%s: %s" % (name.encode(), value) for name, value in headers.items()]
    rng.shuffle(lines)
    if body and rng.random() < 0.2:
        lines.append(b"Transfer-Encoding: chunked")
        framed = _chunked(rng, body)
    else:
        if body or method not in ("GET", "HEAD") or rng.random() < 0.1:
            lines.append(b"Content-Length: %d" % len(body))
        framed = body
    head = b"\r\n".join([b"%s %s HTTP/1.1" % (method.encode(), target), *lines, b"", b""])
    return Attempt(
        head + framed,
        method,
        routed=True,
        needs_answer=len(body) <= LONG_BODY,
        closes=b"close" in headers.get("Connection", b"") or len(body) > LONG_BODY,
        request_id=headers.get("X-Request-ID"),
    )


def _path(rng: Random, template: str, loot: Loot) -> bytes:
    def fill(_: re.Match) -> str:
        if loot.ids and rng.random() < 0.4:
            return rng.choice(loot.ids)
        return texts.escaped(rng).decode("ascii")

    path = re.sub(r"\{[^}]*\}", fill, template)
    if rng.random() < 0.1:
        path += texts.escaped(rng).decode("ascii")
    if rng.random() < 0.03:
        path = "/" + texts.escaped(rng).decode("ascii")
    return path.encode()


def _query(rng: Random, names: list[str], loot: Loot) -> bytes:
    pairs = []
    for _ in range(rng.choice([0, 0, 1, 2, 6])):
        name = rng.choice(names).encode() if rng.random() < 0.9 else texts.escaped(rng)
        value = quote(rng.choice(loot.keys)).encode() if loot.keys and rng.random() < 0.1 else texts.escaped(rng)
        pairs.append(rng.choice([name + b"=" + value] * 8 + [name, name + b"=", b"=" + value, b""]))
    if not pairs:
        return rng.choice([b""] * 9 + [b"?"])
    return b"?" + b"&".join(pairs)


def _sane(rng: Random, template: str, loot: Loot) -> dict[str, str]:
    """Members with which a body for this path would be good, as JSON text."""
    if template == "/intent":
        return {"goal": '"hostile"', "payload": '{"n":1}'}
    if template.startswith("/set/"):
        return {"value": '"v"', "ttl": "600"}
    if template.startswith(("/fulfill/", "/fail/", "/extend_claim/")) and loot.tokens:
        return {"claim_token": f'"{rng.choice(loot.tokens)}"', "seconds": "60"}
    return {}


def _authenticate(rng: Random, headers: dict[str, bytes], loot: Loot) -> None:
    if loot.keys and rng.random() < 0.8:
        headers["X-API-KEY"] = rng.choice(loot.keys).encode()
    if loot.admin_token and rng.random() < 0.4:
        if rng.random() < 0.8:
            headers["X-Admin-Token"] = loot.admin_token.encode()
        else:
            basic = rng.choice([b"admin:" + loot.admin_token.encode(), b"admin", b":", b"\xff\0:" + texts.raw(rng)])
            headers["Authorization"] = b"Basic " + base64.b64encode(basic) + rng.choice([b"", b"", b"=", b"!"])


def _header_value(rng: Random, name: str) -> bytes:
    if name == "Connection":
        return rng.choice([b"close", b"keep-alive", b"X-API-KEY", b"close, close"])
    if name == "Upgrade":
        # Without "Connection: upgrade" it asks for nothing, and the request stays an ordinary one.
        return rng.choice([b"websocket", b"h2c"])
    if name == "Expect":
        return b"100-continue"
    if name == "Content-Encoding":
        return rng.choice([b"gzip", b"br", b"identity", b"deflate, gzip", b"x"])
    return texts.header(rng)


def _sign(rng: Random, headers: dict[str, bytes], method: str, target: bytes, body: bytes) -> None:
    """Sign as an SDK would, so that hostile contents also arrive behind a good signature; now and then, spoil it."""
    path, _, query = target.partition(b"?")
    decoded = parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="surrogateescape")
    pairs = sorted([part.encode("utf-8", "surrogateescape") for part in pair] for pair in decoded)
    canonical = unquote_to_bytes(path)
    if pairs:
        canonical += b"?" + b"&".join(b"=".join(quote_from_bytes(part, safe="").encode() for part in p) for p in pairs)
    stamp, nonce = str(int(time.time())).encode(), rng.randbytes(16).hex().encode()
    if rng.random() < 0.2:
        stamp = rng.choice(
            [b"0", b"-1", b"1e9", b"nan", b"inf", b"99999999999999999999", b"1" * 400, texts.header(rng)]
        )
    if rng.random() < 0.2:
        nonce = texts.header(rng)
    message = b"\n".join([method.encode(), canonical, stamp, nonce, body])
    signature = hmac.new(headers["X-API-KEY"], message, hashlib.sha256).hexdigest().encode()
    if rng.random() < 0.2:
        signature = rng.choice([signature.upper(), signature[:-1], b"", signature[::-1], texts.header(rng)])
    headers.update({"X-Timestamp": stamp, "X-Nonce": nonce, "X-Signature": signature})


def _chunked(rng: Random, body: bytes) -> bytes:
    out, size = b"", max(1, len(body) // rng.randrange(1, 6))
    for start in range(0, len(body), size):
        chunk = body[start : start + size]
        out += b"%x\r\n%s\r\n" % (len(chunk), chunk)
    return out + b"0\r\n\r\n"


def _mutated(rng: Random, data: bytes) -> bytes:
    """The request with some bytes changed, lost, doubled or added; mostly in its head."""
    mutable = bytearray(data)
    for _ in range(rng.randrange(1, 8)):
        at = rng.randrange(min(len(mutable), 400) if rng.random() < 0.8 else len(mutable))
        kind = rng.randrange(4)
        if kind == 0:
            mutable[at] = rng.randrange(256)
        elif kind == 1:
            mutable[at:at] = rng.choice([b"\r", b"\n", b"\r\n", b"\0", b" ", b":", b"\t", texts.raw(rng, 8)])
        elif kind == 2:
            del mutable[at : at + rng.randrange(1, 10)]
        else:
            mutable[at:at] = mutable[at : at + rng.randrange(1, 30)]
        if not mutable:
            break
    return bytes(mutable)


def _reframed(rng: Random, data: bytes) -> bytes:
    """The request with a lie about where it ends, or with more than one opinion on it."""
    lies = [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked", b"Content-Length: 5\r\nContent-Length: 6",
        b"Content-Length: -1", b"Content-Length: +5", b"Content-Length: 0x10", b"Content-Length: 5, 5",
        b"Content-Length: 18446744073709551616", b"Content-Length: 1000000000", b"Content-Length:",
        b"Transfer-Encoding: chunked, chunked", b"Transfer-Encoding: xchunked", b"Transfer-Encoding: identity",
        b"Transfer-Encoding : chunked", b"Transfer-Encoding:\x0bchunked",
        b"Transfer-Encoding: gzip, chunked", b"Connection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__",
    ]  # fmt: skip
    bodies = [
        b"5\r\nhello\r\n0\r\n\r\n",
        b"5;ext=\r\n",
        b"fffffffffffffffff\r\n",
        b"-1\r\n",
        b"5\nhello\n0\n\n",
        b"0\r\nX: y\r\n\r\n",
        b"hello",
    ]
    head, _, _ = data.partition(b"\r\n\r\n")
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith((b"content-length", b"transfer-enc"))]
    return b"\r\n".join([*lines, rng.choice(lies), b"", b""]) + rng.choice(bodies)


def _special(rng: Random, data: bytes) -> bytes:
    """Other protocols, other forms of the request line, and heads without end."""
    line, _, rest = data.partition(b"\r\n")
    choices = [
        b"GET /\r\n\r\n", b"GET / HTTP/1.0\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/3.7\r\nHost: x\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\r\n\r\n\r\n", b"",
        b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET http://[::1]:99999/ HTTP/1.1\r\nHost: x\r\n\r\n", b"GET //x/../.. HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /" + b"a" * rng.choice([9_000, 70_000, 200_000]) + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        line + b"\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(rng.choice([90, 110, 3000]))) + rest,
        line + b"\r\nX-Long: " + b"z" * rng.choice([9_000, 140_000]) + b"\r\n" + rest,
        data.replace(b"\r\n", b"\n"), data.replace(b"\r\n", b"\r"), data.replace(b": ", b":\r\n "),
        data + data, data[: rng.randrange(len(data))], data.replace(b" HTTP/1.1", b"", 1), b" " + data, b"\r\n" + data,
    ]  # fmt: skip
    return rng.choice(choices)


def _noise(rng: Random, data: bytes) -> bytes:
    return texts.raw(rng, 3000)
