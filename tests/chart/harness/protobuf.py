"""Reads the one kind of object that Helm sends as protobuf: the secrets in which it stores its releases."""

from __future__ import annotations

import base64

MAGIC = b"k8s\x00"
# Numbers of fields, as Kubernetes' definitions have them.
RAW = 2
METADATA, DATA, TYPE = 1, 2, 3
NAME, NAMESPACE, LABELS = 1, 3, 11


def secret(message: bytes) -> dict:
    """What the same secret looks like as JSON."""
    fields = _fields(_fields(message.removeprefix(MAGIC))[RAW][0])
    metadata = _fields(fields[METADATA][0])
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": metadata[NAME][0].decode(),
            "namespace": metadata[NAMESPACE][0].decode(),
            "labels": {key.decode(): value.decode() for key, value in map(_entry, metadata.get(LABELS, []))},
        },
        "data": {key.decode(): base64.b64encode(value).decode() for key, value in map(_entry, fields.get(DATA, []))},
        "type": fields[TYPE][0].decode(),
    }


def _entry(message: bytes) -> tuple[bytes, bytes]:
    fields = _fields(message)
    return fields[1][0], fields.get(2, [b""])[0]


def _fields(message: bytes) -> dict[int, list[bytes]]:
    """The fields of a message that have a length, by number. Numbers are stepped over."""
    found: dict[int, list[bytes]] = {}
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        value, at = _varint(message, at)
        if key & 7 == 2:
            found.setdefault(key >> 3, []).append(message[at : at + value])
            at += value
    return found


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        value, shift, at = value | (byte & 127) << shift, shift + 7, at + 1
        if byte < 128:
            return value, at
