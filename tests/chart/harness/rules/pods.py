"""What every pod must be like."""

from __future__ import annotations

from .. import objects as o
from ..settings import SETTINGS
from .registry import Faults, deployed, rule, rule_for


@rule
def no_token(items: list[dict]) -> Faults:
    """No pod has the token of a service account, or the addresses of its neighbours as variables."""
    for pod in o.pods(items):
        if pod.spec.get("automountServiceAccountToken") is not False:
            yield f"{pod.name} mounts a token"
        if pod.spec.get("enableServiceLinks") is not False:
            yield f"{pod.name} has service links"
    for account in o.of_kind(items, "ServiceAccount"):
        if account.get("automountServiceAccountToken") is not False:
            yield f"{o.name(account)} mounts a token"


@rule
def image_is_said(items: list[dict]) -> Faults:
    """Every image has a tag or a digest, and none is `latest`."""
    for pod in o.pods(items):
        for container in pod.containers():
            image = container["image"]
            tag = image.rsplit("/", 1)[-1].partition(":")[2]
            if not tag or tag.startswith("latest"):
                yield f"{pod.name} runs {image}"


@rule
def resources_are_asked_for(items: list[dict]) -> Faults:
    """Every container asks for CPU and memory and has a limit of memory; the bus has none of CPU."""
    for pod in o.pods(items):
        for container in pod.containers():
            resources = container.get("resources", {})
            for part, kind in [("requests", "cpu"), ("requests", "memory"), ("limits", "memory")]:
                if kind not in resources.get(part, {}):
                    yield f"{pod.name}, {container['name']}: no {part}.{kind}"
        if "cpu" in pod.main.get("resources", {}).get("limits", {}):
            yield f"{pod.name}: CPU is throttled"


@rule
def environment_is_read_once(items: list[dict]) -> Faults:
    """No variable is there twice: server-side apply refuses that."""
    for pod in o.pods(items):
        for container in pod.containers():
            names = [entry["name"] for entry in container.get("env", [])]
            for name in sorted({name for name in names if names.count(name) > 1}):
                yield f"{pod.name}: {name} is there twice"


@rule_for("server")
def settings_exist(items: list[dict]) -> Faults:
    """The bus ends its start at a name it does not know, or at a number it cannot read."""
    for pod in o.pods(items):
        for name, entry in o.environment(pod.main).items():
            setting = name.removesuffix("_FILE")
            if setting.startswith("BUS_") and setting not in SETTINGS:
                yield f"{pod.name}: there is no setting {name}"
            limits = SETTINGS[setting].range if setting in SETTINGS else None
            value = entry.get("value", "")
            if limits and not (value.isdigit() and limits[0] <= int(value) <= limits[1]):
                yield f"{pod.name}: {name} is {value!r}"


@rule_for("server")
def probes_ask_the_right_thing(items: list[dict]) -> Faults:
    """Liveness does not depend on Postgres, readiness does, and the start has 20 minutes for migrations."""
    container = deployed(items).main
    ports = {port["name"] for port in container["ports"]}
    for name, path in [("startupProbe", "/livez"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")]:
        probe = container.get(name, {})
        asks = probe.get("httpGet", {})
        if asks.get("path") != path or asks.get("port") not in ports:
            yield f"{name} asks {asks}"
        elif probe["timeoutSeconds"] > probe["periodSeconds"]:
            yield f"{name} would overlap itself"
    start = container.get("startupProbe", {})
    patience = start.get("periodSeconds", 0) * start.get("failureThreshold", 0)
    if patience < 1200:
        yield f"the start has {patience} s"
    if deployed(items).owner["spec"]["progressDeadlineSeconds"] <= patience:
        yield "a start that takes its time counts as a failed roll-out"


@rule_for("server")
def grace_is_longer_than_the_drain(items: list[dict]) -> Faults:
    """Kubernetes waits longer than sleep, drain and shutdown take together."""
    pod = deployed(items)
    sleep = pod.main.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    takes = sleep + sum(
        int(o.env_value(pod.main, name, SETTINGS[name].default))
        for name in ("BUS_DRAIN_SECONDS", "BUS_SHUTDOWN_SECONDS")
    )
    if pod.spec["terminationGracePeriodSeconds"] < takes + 5:
        yield f"{pod.spec['terminationGracePeriodSeconds']} s of grace, but stopping takes {takes} s"
    if "exec" in pod.main.get("lifecycle", {}).get("preStop", {}):
        yield "there is no shell in the image"
