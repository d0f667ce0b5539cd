"""Writes signatures.json: what a signature must be, computed by Python's standard library and by nothing of ours.

python3 signatures.py > signatures.json
"""

import hashlib
import hmac
import json
from urllib.parse import parse_qsl, quote, quote_plus, unquote_to_bytes


def canonical_path(target, quote):
    path, _, query = target.partition("?")
    pairs = sorted(parse_qsl(query, keep_blank_values=True), key=lambda pair: pair[0])
    text = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs)
    return unquote_to_bytes(path) + (b"?" + text.encode() if pairs else b"")


def vector(name, target, method="POST", body=b"", key="tk_5f1c0ffee", form=False, **fields):
    fields = {"timestamp": "1700000000", "nonce": "00112233445566778899aabbccddeeff"} | fields
    path = canonical_path(target, quote_plus if form else quote)
    parts = [method.encode(), path, fields["timestamp"].encode(), fields["nonce"].encode(), body]
    return {
        "name": name,
        "key": key,
        "method": method,
        "target": target,
        **fields,
        "body_hex": body.hex(),
        "canonical_path": path.decode(errors="backslashreplace"),
        "canonical_path_hex": path.hex(),
        "form": form,
        "signature": hmac.new(key.encode(), b"\n".join(parts), hashlib.sha256).hexdigest(),
    }


PUBLISH = '{"goal":"grüßen","payload":{"to":"Zoë","n":1e400}}'.encode()

VECTORS = [
    vector("no query, no body", "/health", "GET"),
    vector("a JSON body", "/intent", body=PUBLISH),
    vector("a body that is not UTF-8, with a line feed and a zero", "/intent", body=b"\xff\n\x00"),
    vector("a body of one space", "/intent", body=b" "),
    vector("a query", "/claim?goal=send"),
    vector("pairs out of order", "/claim?namespace=default&goal=send&capabilities=gpu"),
    vector("names that sort by byte and not by alphabet", "/claim?b=1&B=2&a_=3&a=4&a-=5&~=6"),
    vector("a space as a plus", "/claim?goal=my+goal"),
    vector("a space as an escape", "/claim?goal=my%20goal"),
    vector("a space, signed in the form writing", "/claim?goal=my+goal", form=True),
    vector("a space in a name, in the form writing", "/claim?my%20goal=1%2B1&a+b=~", form=True),
    vector("a plus in a value", "/claim?goal=1%2B1"),
    vector("a plus and a space", "/claim?goal=1%2B1+%3D%202"),
    vector("a slash, bare and escaped", "/claim?goal=a/b%2Fc"),
    vector("reserved characters", "/claim?goal=:?[]@!$'()*,;"),
    vector("unreserved characters that were escaped", "/claim?goal=%41%2D%2e%5F%7e"),
    vector("escapes in small letters", "/claim?goal=%c3%a9%2f"),
    vector("Unicode", "/claim?goal=%C3%A9%F0%9F%9A%80"),
    vector("repeated names", "/claim?goal=b&publisher=x&goal=a"),
    vector("blank values", "/claim?goal=&publisher&=1"),
    vector("empty segments", "/claim?&goal=send&&"),
    vector("a question mark with nothing after it", "/claim?"),
    vector("an equals sign in a value", "/claim?goal=a=b"),
    vector("a percent sign that starts no escape", "/claim?goal=50%&namespace=%zz"),
    vector("an escape of an escape", "/get/%2525", "GET"),
    vector("a path with a space and a plus", "/set/my%20key+1", body=b'{"value":"x"}'),
    vector("a path with a slash in a key", "/get/a%2Fb/c", "GET"),
    vector("a path in Unicode", "/get/%D0%BA%D0%BB%D1%8E%D1%87", "GET"),
    vector("a path that is not UTF-8", "/get/%FF%zz%", "GET"),
    vector("a question mark in a path", "/get/really%3F", "GET"),
    vector("another timestamp", "/claim?goal=send", timestamp="1700000001"),
    vector("another nonce", "/claim?goal=send", nonce="n"),
    vector("a key of 64 bytes", "/claim?goal=send", key="k" * 64),
    vector("a key longer than a block", "/claim?goal=send", key="k" * 65),
    vector("a key that is not ASCII", "/claim?goal=send", key="schlüssel"),
]

lines = ",\n".join(json.dumps(vector, ensure_ascii=False) for vector in VECTORS)
print(f"[\n{lines}\n]")
