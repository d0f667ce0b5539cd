"""What must hold of pods that work: the key, the command line, the end, what they scale by."""

from __future__ import annotations

import re

from .. import objects as o
from .registry import Faults, deployed, rule_for

KEY = "INTENT_API_KEY"


@rule_for("worker")
def key_is_referred_to(items: list[dict]) -> Faults:
    """The key comes from a secret that is there already, into the one variable that the worker keeps from its program."""
    entry = o.environment(deployed(items).main).get(KEY, {})
    if set(entry) != {"name", "valueFrom"} or "secretKeyRef" not in entry["valueFrom"]:
        yield f"{KEY} is {entry}"
    elif entry["valueFrom"]["secretKeyRef"].get("optional"):
        yield "a worker without a key would start"
    if o.of_kind(items, "Secret"):
        yield "the chart makes a secret"


NUMBERS = ("--concurrency", "--max-output", "--timeout", "--grace", "--stop-timeout")


@rule_for("worker")
def program_comes_last(items: list[dict]) -> Faults:
    """`listen`, goals, options, and after `--exec` the program: nothing of it is taken for an option, or replaced."""
    words = deployed(items).main["args"]
    if words[0] != "listen" or words[1].startswith("-"):
        yield f"begins with {words[:2]}"
    if "--exec" not in words[:-1] or "--shell" in words[: words.index("--exec")]:
        yield f"no program in {words}"
    for word in words:
        # Kubernetes reads $$ as one $; a $( that is left would be replaced.
        if "$(" in word.replace("$$", ""):
            yield f"Kubernetes would replace a part of {word}"
    numbers = [words[words.index(name) + 1] for name in NUMBERS]
    if not all(re.fullmatch(r"[0-9]+s?", number) for number in numbers):
        yield f"numbers {numbers}"


@rule_for("worker")
def grace_is_longer_than_a_run(items: list[dict]) -> Faults:
    """Kubernetes waits longer than a run may take, from SIGTERM to the end of its processes, and than the worker waits."""
    pod = deployed(items)
    words = pod.main["args"]
    for limit in ("--timeout", "--stop-timeout"):
        takes = sum(int(words[words.index(name) + 1].removesuffix("s")) for name in (limit, "--grace"))
        if pod.spec["terminationGracePeriodSeconds"] < takes + 5:
            yield f"{pod.spec['terminationGracePeriodSeconds']} s of grace, but {limit} and --grace are {takes} s"


@rule_for("worker")
def nothing_is_listened_on(items: list[dict]) -> Faults:
    """Workers ask the bus. Nothing asks them."""
    pod = deployed(items)
    if pod.main.get("ports") or o.of_kind(items, "Service"):
        yield f"{pod.name} has ports"


@rule_for("worker")
def scalers_ask_for_the_goals(items: list[dict]) -> Faults:
    """What a ScaledObject asks names every goal and the namespace of the workers, and knows 0 from nothing."""
    words = deployed(items).main["args"]
    goals, namespace = words[1 : words.index("--namespace")], words[words.index("--namespace") + 1]
    for scaler in o.of_kind(items, "ScaledObject"):
        if scaler["spec"]["fallback"].get("behavior") != "currentReplicasIfHigher":
            yield "a bus that is not seen for a minute loses workers that have work"
        for trigger in scaler["spec"]["triggers"]:
            query = trigger["metadata"]["query"]
            # As PromQL reads a text in quotes, and then Go a regular expression; of ours Python reads the same.
            of = re.search(r'namespace="([^"]*)", goal=~"((?:[^"\\]|\\.)*)"', query)
            if not of or of[1] != namespace:
                yield f"{query} does not ask for {namespace}"
                continue
            pattern = re.compile(re.sub(r"\\(.)", r"\1", of[2]))
            for goal in goals:
                if not pattern.fullmatch(goal):
                    yield f"{query} does not ask for {goal}"
            if pattern.fullmatch(f"{goals[0]}-and-more"):
                yield f"{query} asks for more than the goals"
            if " or 0 * max(intent_bus_counted_timestamp_seconds" not in query:
                yield f"{query} takes an empty answer for an empty queue"
            if trigger["metadata"]["ignoreNullValues"] != "false":
                yield "a bus that is not seen has no work"
