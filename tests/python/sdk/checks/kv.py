"""The key-value store: what comes back for what was set, and which keys it can be set under."""

import json
from urllib.parse import quote

from ..adapters import V2_0
from ..harness import Bench, check, equal, wait_until

# The SDKs put a key into the path as it is, so these reach the bus as the HTTP library saw fit to encode them.
# Not among them: `?` and `#`, which end a path for every version.
ODD_KEYS = [
    "two words",
    "two+words",
    "a/b/c",
    "a//b",
    "100% sure",
    "naïve café",
    "任务 🚀",
    "a:b@c!d$e&f'g(h)i*j,k;l=m~n",
    '<a>"\\^`{|}[x]',
    "set/x",
]

TEXTS = ["hello", "", 'naïve 任务 🚀 " \\ \n', "null", "007", '"quoted"', "{not json", " spaced "]
SCALARS = {5: "5", 1.5: "1.5", -(2**70): str(-(2**70)), True: "true"}
CONTAINERS = [{"a": [1, 2, {"b": None}], "c": "x y"}, [], {}, [1, "two, three: 4"]]


def read_back(bench: Bench, text: str) -> object:
    """What this version's `get` makes of a stored text: 1.x gives the text, 2.x decodes what looks like JSON."""
    if bench.sdk.version < V2_0:
        return text
    if bench.sdk.version != (2, 1, 1) and not text.startswith(("{", "[")):
        return text  # 2.1.1 alone tries every text
    try:
        return json.loads(text)
    except ValueError:
        return text


@check("kv: text comes back as it was set")
def texts(bench: Bench) -> None:
    client = bench.client()
    for index, text in enumerate(TEXTS):
        equal(client.set(bench.goal(f".{index}"), text), {"ok": True}, "the answer of set")
        equal(client.get(bench.goal(f".{index}")), read_back(bench, text), f"the value of {text!r}")


@check("kv: numbers and booleans come back as text")
def scalars(bench: Bench) -> None:
    client = bench.client()
    for index, (value, text) in enumerate(SCALARS.items()):
        client.set(bench.goal(f".{index}"), value)
        equal(client.get(bench.goal(f".{index}")), read_back(bench, text), f"the value of {value!r}")


@check("kv: objects and lists come back as compact JSON")
def containers(bench: Bench) -> None:
    client = bench.client()
    for index, value in enumerate(CONTAINERS):
        client.set(bench.goal(f".{index}"), value)
        text = json.dumps(value, separators=(",", ":"))
        equal(client.get(bench.goal(f".{index}")), read_back(bench, text), f"the value of {value!r}")
        stored = bench.plain(bench.tenant_key).get("/get/" + quote(bench.goal(f".{index}"), safe=""))
        equal(stored["value"], text, "the stored text")


@check("kv: a later value replaces an earlier one")
def replaced(bench: Bench) -> None:
    client = bench.client()
    client.set(bench.goal(), "first")
    client.set(bench.goal(), "second")
    equal(client.get(bench.goal()), "second", "the value")


@check("kv: a missing key is not found")
def missing(bench: Bench) -> None:
    bench.refused(lambda: bench.client().get(bench.goal()), "not_found")


@check("kv: a value ends with its ttl")
def ttl(bench: Bench) -> None:
    client, key = bench.client(), bench.goal()
    client.set(key + ".long", "long")
    client.set(key, "short", ttl=3)
    equal(client.get(key), "short", "the value before its end")

    def gone() -> bool:
        try:
            return client.get(key) is None
        except bench.sdk.Error as error:
            return bench.sdk.error_code(error) == "not_found"

    wait_until(gone, "the end of a value with a ttl of 3 s")
    equal(client.get(key + ".long"), "long", "the value with the default ttl")


@check("kv: keys of odd letters")
def odd_keys(bench: Bench) -> None:
    client = bench.client()
    for odd in ODD_KEYS:
        client.set(bench.goal(odd), f"value of {odd}")
    for odd in ODD_KEYS:
        equal(client.get(bench.goal(odd)), f"value of {odd}", f"the value under the key {odd!r}")
        plain = bench.plain(bench.tenant_key).get("/get/" + quote(bench.goal(odd)))
        equal(plain["value"], f"value of {odd}", f"the same by plain HTTP under the key {odd!r}")
