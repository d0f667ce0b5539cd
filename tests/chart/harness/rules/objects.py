"""Names, labels, and references between objects."""

from __future__ import annotations

from .. import objects as o
from .registry import Faults, deployed, rule, rule_for

STANDARD_LABELS = ("name", "instance", "component", "version", "managed-by", "part-of")


@rule
def names_fit(items: list[dict]) -> Faults:
    """Names are labels of DNS, in the right namespace, and there once."""
    seen = set()
    for item in items:
        metadata = item["metadata"]
        name = metadata["name"]
        if o.own(item) and (len(name) > 63 or not name.replace("-", "").isalnum() or name != name.strip("-").lower()):
            yield f"{o.name(item)} is no name"
        if o.own(item) and not metadata.get("namespace"):
            yield f"{o.name(item)} goes to whatever namespace is the default"
        key = (item["kind"], metadata.get("namespace"), name)
        if key in seen:
            yield f"{o.name(item)} is there twice"
        seen.add(key)


@rule
def labels_are_standard(items: list[dict]) -> Faults:
    """Every object has the standard labels, and every value of a label fits."""
    for item in items:
        if not o.own(item):
            continue
        for short in STANDARD_LABELS:
            if not item["metadata"]["labels"].get(f"app.kubernetes.io/{short}"):
                yield f"{o.name(item)} has no label {short}"
    labelled = [(o.name(item), item["metadata"].get("labels", {})) for item in items]
    for name, labels in labelled + [(pod.name, pod.labels) for pod in o.pods(items)]:
        for key, value in labels.items():
            if not isinstance(value, str) or len(value) > 63 or value != value.strip("-._"):
                yield f"{name}: {key}={value}"


@rule
def selectors_find_the_replicas(items: list[dict]) -> Faults:
    """Whatever selects pods selects the replicas and only them; what may change is in no selector."""
    replicas = deployed(items)
    others = [pod for pod in o.pods(items) if pod.owner is not replicas.owner]
    wanted = []
    for item in filter(o.own, items):
        spec = item.get("spec", {})
        component = item["metadata"]["labels"]["app.kubernetes.io/component"]
        if item["kind"] == "Service":
            wanted.append((item, spec["selector"], replicas.component))
        elif item["kind"] in ("Deployment", "PodDisruptionBudget"):
            wanted.append((item, spec["selector"]["matchLabels"], replicas.component))
        elif item["kind"] == "NetworkPolicy":
            wanted.append((item, spec["podSelector"]["matchLabels"], component))
    for constraint in replicas.spec.get("topologySpreadConstraints", []):
        wanted.append((replicas.owner, constraint["labelSelector"]["matchLabels"], replicas.component))
        if set(constraint.get("matchLabelKeys", [])) & set(constraint["labelSelector"]["matchLabels"]):
            yield "a key is in labelSelector and in matchLabelKeys"
    for item, selector, component in wanted:
        for pod in [replicas, *others]:
            if o.selects(selector, pod.labels) != (pod.component == component):
                yield f"{o.name(item)} selects {selector}, {pod.name} has {pod.labels}"
        if set(selector) != {f"app.kubernetes.io/{short}" for short in ("name", "instance", "component")}:
            yield f"{o.name(item)} selects by {sorted(selector)}"


@rule_for("server")
def references_lead_somewhere(items: list[dict]) -> Faults:
    """Ports and services that objects name are there."""
    ports = {port["name"] for port in deployed(items).main["ports"]}
    services = {item["metadata"]["name"]: item for item in o.of_kind(items, "Service")}
    for service in services.values():
        for port in service["spec"]["ports"]:
            if port["targetPort"] not in ports:
                yield f"{o.name(service)} leads to {port['targetPort']}"
    for ingress in o.of_kind(items, "Ingress"):
        for line in ingress["spec"]["rules"]:
            for path in line["http"]["paths"]:
                backend = path["backend"]["service"]
                if backend["port"]["name"] not in _port_names(services.get(backend["name"])):
                    yield f"{o.name(ingress)} leads to {backend}"
    for route in o.of_kind(items, "HTTPRoute"):
        for backend in (backend for line in route["spec"]["rules"] for backend in line["backendRefs"]):
            service = services.get(backend["name"], {"spec": {"ports": []}})
            if backend["port"] not in [port["port"] for port in service["spec"]["ports"]]:
                yield f"{o.name(route)} leads to {backend}"
    for monitor in o.of_kind(items, "ServiceMonitor"):
        selector, endpoint = monitor["spec"]["selector"]["matchLabels"], monitor["spec"]["endpoints"][0]
        found = [s for s in services.values() if o.selects(selector, s["metadata"]["labels"])]
        if len(found) != 1 or endpoint["port"] not in _port_names(found[0]):
            yield f"{o.name(monitor)} finds {[o.name(service) for service in found]}"
        elif found[0]["metadata"]["namespace"] not in monitor["spec"]["namespaceSelector"]["matchNames"]:
            yield f"{o.name(monitor)} looks into another namespace"


def _port_names(service: dict | None) -> list[str]:
    return [port["name"] for port in service["spec"]["ports"]] if service else []


@rule_for("server")
def policies_name_their_peers(items: list[dict]) -> Faults:
    """No rule lets in everybody: a rule without `from` would."""
    for policy in filter(o.own, o.of_kind(items, "NetworkPolicy")):
        if set(policy["spec"]["policyTypes"]) != {"Ingress", "Egress"}:
            yield f"{o.name(policy)} leaves a direction open"
        for line in policy["spec"].get("ingress") or []:
            if not line.get("from"):
                yield f"{o.name(policy)} lets in everybody"
        for line in policy["spec"].get("egress") or []:
            if "to" in line and not line["to"]:
                yield f"{o.name(policy)} has an empty list, which means everybody"
