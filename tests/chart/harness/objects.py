"""The objects that a chart writes, and what is inside them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import yaml

# Kinds without a schema in Kubernetes' own. They are not validated by kubernetes-validate; the rules look at them.
CUSTOM = {"HTTPRoute", "ServiceMonitor", "PrometheusRule", "ExternalSecret", "ScaledObject"}


class Strict(yaml.CSafeLoader if hasattr(yaml, "CSafeLoader") else yaml.SafeLoader):
    """Refuses a key that is there twice: Helm takes the last one, an API server does not."""


def _map(loader: Strict, node: yaml.MappingNode) -> dict:
    keys = [loader.construct_object(key, deep=True) for key, _ in node.value]
    twice = {key for key in keys if keys.count(key) > 1}
    if twice:
        raise yaml.constructor.ConstructorError(None, None, f"the same key twice: {sorted(twice)}", node.start_mark)
    return yaml.SafeLoader.construct_mapping(loader, node, deep=True)


Strict.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _map)


def read(text: str) -> list[dict]:
    return [item for item in yaml.load_all(text, Loader=Strict) if item]


@dataclass(frozen=True)
class Pods:
    """A pod, or what makes pods."""

    owner: dict
    metadata: dict
    spec: dict

    @property
    def name(self) -> str:
        return f"{self.owner['kind']}/{self.owner['metadata']['name']}"

    @property
    def labels(self) -> dict:
        return self.metadata.get("labels", {})

    @property
    def component(self) -> str:
        """What its label ought to say."""
        if self.owner["metadata"]["labels"]["helm.sh/chart"].startswith("intent-bus-worker-"):
            return "worker"
        return {"Deployment": "server", "Job": "migrate", "Pod": "test"}[self.owner["kind"]]

    def containers(self) -> list[dict]:
        return self.spec.get("initContainers", []) + self.spec["containers"]

    @property
    def main(self) -> dict:
        """The container of the bus's image: sidecars come after it."""
        return self.spec["containers"][0]


def pods(objects: list[dict]) -> Iterator[Pods]:
    for item in objects:
        if item["kind"] == "Pod":
            yield Pods(item, item["metadata"], item["spec"])
        elif item["kind"] in ("Deployment", "Job"):
            template = item["spec"]["template"]
            yield Pods(item, template["metadata"], template["spec"])


def of_kind(objects: list[dict], *kinds: str) -> list[dict]:
    return [item for item in objects if item["kind"] in kinds]


def name(item: dict) -> str:
    return f"{item['kind']}/{item['metadata']['name']}"


def own(item: dict) -> bool:
    """Written by the chart, and not by `extraObjects`."""
    return "helm.sh/chart" in item["metadata"].get("labels", {})


def is_hook(item: dict) -> bool:
    return "helm.sh/hook" in item["metadata"].get("annotations", {})


def environment(container: dict) -> dict[str, dict]:
    return {entry["name"]: entry for entry in container.get("env", [])}


def env_value(container: dict, name_: str, default: str = "") -> str:
    return environment(container).get(name_, {}).get("value", default)


def selects(selector: dict, labels: dict) -> bool:
    return bool(selector) and all(labels.get(key) == value for key, value in selector.items())


def shape(objects: list[dict]) -> dict[tuple, dict]:
    """The objects by name, less what is random, to compare renderings."""
    by_name = {}
    for item in objects:
        copy = dict(item)
        if item["kind"] == "Secret":
            copy["data"] = sorted(item["data"])
        by_name[item["apiVersion"], item["kind"], item["metadata"].get("namespace"), item["metadata"]["name"]] = copy
    return by_name
