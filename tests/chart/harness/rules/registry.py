"""The rules by name. Each gives what is wrong; its first line says what is right."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from .. import objects as o

Faults = Iterator[str]
RULES: dict[str, Callable[[list[dict]], Faults]] = {}


def rule(check: Callable[[list[dict]], Faults]) -> Callable[[list[dict]], Faults]:
    RULES[check.__name__] = check
    return check


def faults(items: list[dict]) -> list[str]:
    return [f"{name}: {fault}" for name, check in RULES.items() for fault in check(items)]


def server(items: list[dict]) -> o.Pods:
    return next(pod for pod in o.pods(items) if pod.owner["kind"] == "Deployment")
