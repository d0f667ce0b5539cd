#!/usr/bin/env python3
"""Half of a run in two languages: a published SDK, unmodified, as the worker or as the publisher; the other half is in Rust.

    interop.py --url http://127.0.0.1:5000 --key KEY --version 2.1.2 work GOAL
    interop.py --url http://127.0.0.1:5000 --key KEY --version 1.2.0 publish GOAL 5

`work` answers every payload `{"n": n}` with twice n until its standard input ends, and prints `n` for each. `publish` publishes
n = 0, 1, … and prints the ids.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sdk import adapters, versions

REPOSITORY = Path(__file__).resolve().parents[2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--version", required=True, choices=versions.PUBLISHED)
    parser.add_argument("role", choices=["work", "publish"])
    parser.add_argument("goal")
    parser.add_argument("count", type=int, nargs="?", default=0)
    arguments = parser.parse_args()
    sdk = adapters.Sdk(arguments.version, versions.fetch(arguments.version, REPOSITORY / "target" / "sdk"))
    client = sdk.client(arguments.url, arguments.key)
    if arguments.role == "publish":
        for n in range(arguments.count):
            print(client.publish(arguments.goal, {"n": n})["id"], flush=True)
        return

    def handle(payload: dict) -> object:
        print(payload["n"], flush=True)
        # Workers of 1.x say only that it is done.
        return {"twice": payload["n"] * 2} if sdk.version >= adapters.V2_0 else True

    client.listen(arguments.goal, handle)
    sys.stdin.read()


if __name__ == "__main__":
    main()
