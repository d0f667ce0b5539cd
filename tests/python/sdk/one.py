"""Run the checks of one version in this process, and print one JSON line for each: `{"check", "ok", "detail"}`."""

from __future__ import annotations

import json
import os
import sys
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests

from . import checks  # noqa: F401  (registers them)
from .adapters import Sdk
from .harness import CHECKS, Bench, Check, Failed

# Most of a check's time is waiting for leases and backoffs, so they wait side by side.
THREADS = 16


def run(version: str, home: Path, arguments) -> None:
    """Ends the process: the SDKs' worker loops have no end of their own."""
    # The SDKs print, and a line of theirs among ours would spoil it.
    lines, sys.stdout = sys.stdout, open(os.devnull, "w", encoding="utf-8")
    lock = threading.Lock()
    sdk = Sdk(version, home)
    new_key = _key_maker(arguments.url, arguments.admin_token, f"{arguments.run} {version}")
    shared = {
        "sdk": sdk,
        "url": arguments.url,
        "root_key": arguments.root_key,
        "tenant_key": new_key("tenant"),
        "other_key": new_key("other"),
        "new_key": new_key,
        "claim_timeout": arguments.claim_timeout,
        "max_payload_bytes": arguments.max_payload_bytes,
    }

    def one(number: int, check: Check) -> None:
        bench = Bench(prefix=f"{arguments.run}.{version}.{number}", **shared)
        detail = _outcome(check, bench)
        with lock:
            print(json.dumps({"check": check.title, "ok": detail is None, "detail": detail}), file=lines, flush=True)

    with ThreadPoolExecutor(THREADS) as pool:
        for number, check in enumerate(CHECKS):
            if check.applies_to(version):
                pool.submit(one, number, check)
    lines.flush()
    os._exit(0)


def _outcome(check: Check, bench: Bench) -> str | None:
    """None if the check passed, else what was wrong and in which line of the check."""
    try:
        check.run(bench)
    except Exception as error:
        frames = [f for f in traceback.extract_tb(error.__traceback__) if "checks" in Path(f.filename).parts]
        where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}: " if frames else ""
        kind = "" if isinstance(error, Failed) else f"{type(error).__name__}: "
        return f"{where}{kind}{error}"
    return None


def _key_maker(url: str, admin_token: str, owner: str):
    def new_key(name: str) -> str:
        response = requests.post(
            f"{url}/admin/generate_key",
            json={"owner": f"{owner} {name}"},
            headers={"X-Admin-Token": admin_token},
            timeout=10,
        )
        if response.status_code != 201:
            raise RuntimeError(f"generate_key answered {response.status_code}: {response.text[:300]}")
        return response.json()["api_key"]

    return new_key
