"""The worker of the published Python SDK (`WorkerRuntime`, one job at a time) on a bus: publishes jobs, works them off, says how fast.

The bus and its key come from INTENT_BUS_URL and INTENT_API_KEY. Prints one line of JSON.
"""

import argparse
import json
import os
import resource
import secrets
import time
import urllib.request

from intent_bus import IntentClient, WorkerRuntime


def publish(url: str, key: str, goal: str, count: int) -> None:
    """By 500 at a time, which the SDK cannot: publishing is not what is measured."""
    for first in range(0, count, 500):
        intents = [{"goal": goal, "payload": {"n": n}} for n in range(first, min(count, first + 500))]
        request = urllib.request.Request(f"{url}/intents", json.dumps({"intents": intents}).encode(), {"X-API-KEY": key})
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert all("id" in outcome for outcome in json.load(answer)["outcomes"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int)
    count = parser.parse_args().count
    url, key, goal = os.environ["INTENT_BUS_URL"], os.environ["INTENT_API_KEY"], f"sdk-{secrets.token_hex(4)}"
    # When the one beyond them begins, the last of them has been fulfilled.
    publish(url, key, goal, count + 1)
    ran, ended = 0, 0.0

    def handler(payload):
        nonlocal ran, ended
        ran += 1
        if ran > count:
            ended = time.monotonic()
            raise KeyboardInterrupt
        return payload

    cpu, began = time.process_time(), time.monotonic()
    try:
        WorkerRuntime(IntentClient(url), poll_interval=0.05).listen(goal, handler)
    except KeyboardInterrupt:
        pass
    took, used = ended - began, time.process_time() - cpu
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"jobs_per_second": count / took, "cpu_seconds": used, "memory_kib": memory}))


if __name__ == "__main__":
    main()
