"""Where secrets are, and where not."""

from __future__ import annotations

from .. import objects as o
from ..settings import BY_THE_CHART, SETTINGS
from .registry import Faults, rule, rule_for

MIGRATES_ONLY = "migrate-does-not-use-the-root-key"


@rule_for("server")
def secrets_are_files(items: list[dict]) -> Faults:
    """No secret stands in the environment or in a ConfigMap; what settings name is mounted, and nothing else is."""
    for pod in o.pods(items):
        for name, entry in o.environment(pod.main).items():
            joined = entry.get("value", "").startswith("$(INTENT_BUS_DATABASE")
            placeholder = pod.component == "migrate" and entry.get("value") == MIGRATES_ONLY
            secret = name in BY_THE_CHART and (name not in SETTINGS or SETTINGS[name].secret)
            if secret and not joined and not placeholder:
                yield f"{pod.name}: {name} is in the environment"
        named = {entry["value"] for name, entry in o.environment(pod.main).items() if name.endswith("_FILE")}
        for path in sorted(named ^ _files(pod)):
            yield f"{pod.name}: {path} is either not mounted or not named by a setting"
    for item in o.of_kind(items, "ConfigMap"):
        for word in ("postgresql://", "BEGIN PRIVATE KEY", "BUS_SECRET"):
            if any(word in text for text in item.get("data", {}).values()):
                yield f"{o.name(item)} has {word}"
    for secret in filter(o.own, o.of_kind(items, "Secret")):
        for value in secret["data"].values():
            if any(value in str(item) for item in items if item is not secret):
                yield f"{o.name(secret)}: a value of it stands in another object"


def _files(pod: o.Pods) -> set[str]:
    """The files of projected secrets, as the first container sees them."""
    paths = set()
    for mount in pod.main.get("volumeMounts", []):
        volume = next((v for v in pod.spec.get("volumes", []) if v["name"] == mount["name"]), {})
        for source in volume.get("projected", {}).get("sources", []):
            paths |= {f"{mount['mountPath']}/{item['path']}" for item in source["secret"]["items"]}
    return paths


@rule
def volumes_are_mounted(items: list[dict]) -> Faults:
    """Every mount has its volume, every volume its mount, and secrets are mounted to be read."""
    for pod in o.pods(items):
        volumes = {volume["name"]: volume for volume in pod.spec.get("volumes", [])}
        mounts = [mount for container in pod.containers() for mount in container.get("volumeMounts", [])]
        for name in {mount["name"] for mount in mounts} ^ set(volumes):
            yield f"{pod.name}: {name} is either not mounted or not there"
        for mount in mounts:
            volume = volumes.get(mount["name"], {})
            if ("projected" in volume or "secret" in volume) and mount.get("readOnly") is not True:
                yield f"{pod.name}: {mount['name']} can be written to"
        group = "fsGroup" in pod.spec["securityContext"]
        for volume in volumes.values():
            mode = volume.get("projected", {}).get("defaultMode")
            if mode and mode != (0o440 if group else 0o444):
                yield f"{pod.name}: mode {mode:o} {'with' if group else 'without'} fsGroup"


@rule_for("server")
def secrets_outlive_the_release(items: list[dict]) -> Faults:
    """A secret that the chart makes is kept, random, and long."""
    for secret in filter(o.own, o.of_kind(items, "Secret")):
        if secret["metadata"].get("annotations", {}).get("helm.sh/resource-policy") != "keep":
            yield f"{o.name(secret)} goes with the release"
        values = list(secret["data"].values())
        if any(len(value) < 64 for value in values) or len(set(values)) != len(values):
            yield f"{o.name(secret)} is not random"
