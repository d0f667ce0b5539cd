"""Reads answers as a strict client would, and judges them. Knows HTTP/1.1 and the protocol's promises on errors."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from .attempts import Attempt

STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})( [\x20-\x7e]*)?")
HEADER_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\x20-\x7e\x80-\xff\t]*)")
REQUEST_ID = re.compile(rb"[A-Za-z0-9_.:-]{1,128}")

ALWAYS = {
    b"x-frame-options": b"DENY",
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cache-control": b"no-store",
}
# Words that an answer can only have from inside the bus: no request here contains them.
INTERNALS = (b"panicked", b"tokio_postgres", b"SqlState", b".rs:", b".sql")


class Malformed(Exception):
    """These bytes are no HTTP answer."""


class Incomplete(Exception):
    """More bytes are needed, or will never come."""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[bytes, bytes]
    body: bytes

    @property
    def closes(self) -> bool:
        return self.headers.get(b"connection", b"").lower() == b"close"


def read(data: bytes, method: str, ended: bool) -> tuple[Answer, bytes]:
    """The first answer in `data`, and what follows it. Interim answers (100) are passed over."""
    head, found, rest = data.partition(b"\r\n\r\n")
    if not found:
        raise Incomplete
    line, *lines = head.split(b"\r\n")
    status_line = STATUS_LINE.fullmatch(line)
    if not status_line:
        raise Malformed(f"status line {line[:80]!r}")
    status = int(status_line.group(1))
    headers: dict[bytes, bytes] = {}
    for line in lines:
        header = HEADER_LINE.fullmatch(line)
        if not header:
            raise Malformed(f"header line {line[:80]!r}")
        name = header.group(1).lower()
        if name in headers and name in (b"content-length", b"transfer-encoding", *ALWAYS):
            raise Malformed(f"two headers {name!r}")
        headers[name] = header.group(2).strip()
    if status < 200:
        return read(rest, method, ended)
    body, rest = _body(status, headers, rest, method, ended)
    return Answer(status, headers, body), rest


def _body(status: int, headers: dict, rest: bytes, method: str, ended: bool) -> tuple[bytes, bytes]:
    if method == "HEAD" or status in (204, 304):
        return b"", rest
    if headers.get(b"transfer-encoding", b"").lower() == b"chunked":
        return _chunks(rest)
    if b"content-length" not in headers:
        if not ended:
            raise Incomplete
        return rest, b""
    if not headers[b"content-length"].isdigit():
        raise Malformed(f"content-length {headers[b'content-length']!r}")
    length = int(headers[b"content-length"])
    if len(rest) < length:
        raise Incomplete
    return rest[:length], rest[length:]


def _chunks(rest: bytes) -> tuple[bytes, bytes]:
    body = b""
    while True:
        size, found, rest = rest.partition(b"\r\n")
        if not found:
            raise Incomplete
        if not re.fullmatch(rb"[0-9A-Fa-f]+", size):
            raise Malformed(f"chunk size {size[:40]!r}")
        length = int(size, 16)
        if len(rest) < length + 2:
            raise Incomplete
        if rest[length : length + 2] != b"\r\n":
            raise Malformed("a chunk without its end")
        body, rest = body + rest[:length], rest[length + 2 :]
        if length == 0:
            return body, rest


def judge(attempt: Attempt, answer: Answer) -> list[str]:
    """What is wrong with this answer; nothing, if all is well."""
    wrong = []
    if answer.status >= 500:
        wrong.append(f"status {answer.status}")
    wrong += [f"the answer shows {word!r}" for word in INTERNALS if word in answer.body and answer.status >= 400]
    if not attempt.routed:
        return wrong
    for name, value in ALWAYS.items():
        if answer.headers.get(name) != value:
            wrong.append(f"header {name.decode()}: {answer.headers.get(name)!r}")
    if b"x-intent-version" not in answer.headers:
        wrong.append("no header x-intent-version")
    wrong += _judge_request_id(attempt, answer.headers.get(b"x-request-id", b""))
    if answer.status >= 400 and attempt.method != "HEAD":
        wrong += _judge_envelope(answer)
    return wrong


def _judge_request_id(attempt: Attempt, answered: bytes) -> list[str]:
    if not REQUEST_ID.fullmatch(answered):
        return [f"header x-request-id: {answered!r}"]
    if attempt.request_id and REQUEST_ID.fullmatch(attempt.request_id) and answered != attempt.request_id:
        return [f"header x-request-id: {answered!r} instead of {attempt.request_id!r}"]
    return []


def _judge_envelope(answer: Answer) -> list[str]:
    if not answer.headers.get(b"content-type", b"").startswith(b"application/json"):
        return [f"an error with content-type {answer.headers.get(b'content-type')!r}"]
    try:
        error = json.loads(answer.body.decode("utf-8"))["error"]
        good = re.fullmatch(r"[a-z_]+", error["code"]) and isinstance(error["message"], str) and error["message"]
    except (ValueError, KeyError, TypeError):
        good = False
    return [] if good else [f"an error without the envelope: {answer.body[:200]!r}"]
