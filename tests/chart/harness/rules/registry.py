"""The rules by name. Each gives what is wrong; its first line says what is right."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from .. import objects as o

Faults = Iterator[str]
Check = Callable[[list[dict]], Faults]
RULES: dict[str, Check] = {}
# Rules that hold for the pods of one chart only: of the bus ("server"), or of workers ("worker").
ONLY_FOR: dict[str, str] = {}


def rule(check: Check) -> Check:
    RULES[check.__name__] = check
    return check


def rule_for(component: str) -> Callable[[Check], Check]:
    def register(check: Check) -> Check:
        ONLY_FOR[check.__name__] = component
        return rule(check)

    return register


def rules_for(items: list[dict]) -> dict[str, Check]:
    component = deployed(items).component
    return {name: check for name, check in RULES.items() if ONLY_FOR.get(name, component) == component}


def faults(items: list[dict]) -> list[str]:
    return [f"{name}: {fault}" for name, check in rules_for(items).items() for fault in check(items)]


def deployed(items: list[dict]) -> o.Pods:
    """The pods that the chart is there for."""
    return next(pod for pod in o.pods(items) if pod.owner["kind"] == "Deployment")
