"""Random values that have hurt parsers, databases and routers before. What carries them is in `attempts`."""

from __future__ import annotations

import json
from random import Random
from urllib.parse import quote_from_bytes

NASTY_TEXTS = [
    "", " ", "null", "undefined", "0", "-1", "1e400", "NaN", "true", "..", "../../etc/passwd", "%00", "%", "%zz",
    "a\0b", "\u0000", "\ufeff", "\u202e", "\u2028", "\ud800", "\udfff\ud800", "İ", "ß", "👩‍👩‍👧", "é" * 300,
    "a" * 257, "A" * 4000,
    "'; DROP TABLE intents; --", "$1", "${x}", "{{7*7}}", "<script>alert(1)</script>", "\r\nX-Injected: 1", "\t",
    "default", "private", "public", "json", "text", "0" * 32, "f" * 32, "unknown",
    "00000000-0000-0000-0000-000000000000", "9223372036854775808", "-9223372036854775809", "1" * 400, "0x10", "١٢٣",
]  # fmt: skip

# Written as JSON text, since most of them do not survive a parser of ours.
NASTY_JSON = [
    "null", "true", "0", "-0", "-1", "1", "101", "0.5", "1e400", "-1e400", "1e-400", "1E+2", "1" * 400,
    "0." + "3" * 400,
    "9223372036854775807", "9223372036854775808", "18446744073709551616", "2147483648", "1e19", "[]", "{}", '""',
    '"\\u0000"', '"\\ud800"', '"\\udfff\\ud83d"', '"a\\u0000b"', "[" * 11 + "]" * 11, "[" * 10 + "]" * 10,
    '{"a":' * 12 + "1" + "}" * 12, '{"a":1,"a":2}', '{"":{"":""}}', "[1,[2,[3]]]", '{"goal":"x"}', '{"__proto__":null}',
]  # fmt: skip

BROKEN_JSON = [
    b"", b" ", b"{", b"[", b'"', b"{]", b"[1,]", b'{"a":}', b"{'a':1}", b"NaN", b"Infinity", b"01", b"+1", b"1.", b".5",
    b"nul", b"tru", b"\xef\xbb\xbf{}", b"{}{}", b"{} x", b"\xff\xfe{\x00}\x00", b'"\xff"', b'"\xed\xa0\x80"', b'"\x00"',
    b'"\n"', b'"\\x"', b'"\\u12"', b"[" * 5000, b'{"a":' * 5000, b"[" * 200_000, b"1" * 100_000, b"\0" * 1000,
]  # fmt: skip


def text(rng: Random) -> str:
    """A text; it may hold anything, lone surrogates included."""
    kind = rng.random()
    if kind < 0.6:
        return rng.choice(NASTY_TEXTS)
    if kind < 0.8:
        return "".join(
            chr(rng.choice([rng.randrange(128), rng.randrange(0x300), rng.randrange(0x11_0000)]))
            for _ in range(rng.randrange(40))
        )
    return rng.choice(NASTY_TEXTS) + rng.choice(NASTY_TEXTS)


def raw(rng: Random, longest: int = 60) -> bytes:
    return rng.randbytes(rng.randrange(longest))


def escaped(rng: Random) -> bytes:
    """Something that is allowed in a path's segment or in a query: escapes of anything, some of them broken."""
    kind = rng.random()
    if kind < 0.5:
        value = text(rng).encode("utf-8", "surrogatepass")[:1500]
        return quote_from_bytes(value, safe=rng.choice(["", "+:@!$'()*,;"])).encode()
    if kind < 0.8:
        return quote_from_bytes(raw(rng), safe="").encode()
    broken = [
        b"%",
        b"%zz",
        b"%4",
        b"%%41",
        b"%C0%AF",
        b"%ED%A0%80",
        b"%u0041",
        b"+",
        b"//",
        b"/../",
        b"/./",
        b"%2F",
        b"%2e%2e",
    ]
    return b"".join(rng.choice([rng.choice(broken), b"a"]) for _ in range(rng.randrange(1, 8)))


def header(rng: Random) -> bytes:
    """What may stand in a header: no control characters, but any other byte."""
    value = rng.choice([text(rng).encode("utf-8", "surrogatepass"), raw(rng)])
    return bytes(b for b in value if b >= 0x20 and b != 0x7F).strip(b" ")[:3000]


def json_value(rng: Random) -> str:
    """A JSON value as text: valid by the grammar, hostile by its contents."""
    if rng.random() < 0.5:
        return rng.choice(NASTY_JSON)
    return json.dumps(text(rng), ensure_ascii=True)


def json_object(rng: Random, names: list[str], sane: dict[str, str]) -> bytes:
    """An object with some of the names a request knows; `sane` are members that let it get further."""
    members = dict(sane) if rng.random() < 0.7 else {}
    for _ in range(rng.randrange(4)):
        name = rng.choice(names) if rng.random() < 0.9 else text(rng)
        members[name] = json_value(rng)
    pairs = [f"{json.dumps(name)}:{value}" for name, value in members.items()]
    rng.shuffle(pairs)
    return ("{" + ",".join(pairs) + "}").encode()


def body(rng: Random, names: list[str], sane: dict[str, str]) -> bytes:
    kind = rng.random()
    if kind < 0.7:
        return json_object(rng, names, sane)
    if kind < 0.8:
        return json_value(rng).encode()
    if kind < 0.92:
        return rng.choice(BROKEN_JSON)
    if kind < 0.99:
        return raw(rng, 2000)
    return b'{"goal":"big","payload":{"x":"' + b"y" * rng.choice([100_000, 260_000, 300_000, 1_000_000]) + b'"}}'
