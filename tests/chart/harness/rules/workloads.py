"""How replicas roll, scale and migrate."""

from __future__ import annotations

from .. import objects as o
from .registry import Faults, deployed, rule, rule_for


@rule
def roll_outs_take_nothing_away(items: list[dict]) -> Faults:
    """An old replica goes when a new one is ready."""
    rolling = deployed(items).owner["spec"]["strategy"].get("rollingUpdate", {})
    if rolling.get("maxUnavailable") != 0 or rolling.get("maxSurge") in (0, None):
        yield f"{rolling}"


@rule
def one_thing_sets_the_replicas(items: list[dict]) -> Faults:
    """With an autoscaler the Deployment has no number of replicas, and the autoscaler finds the Deployment."""
    deployment = deployed(items).owner
    for scaler in o.of_kind(items, "ScaledObject"):
        if "replicas" in deployment["spec"]:
            yield "both set the replicas"
        if scaler["spec"]["scaleTargetRef"] != {"name": deployment["metadata"]["name"]}:
            yield f"it scales {scaler['spec']['scaleTargetRef']}"
        if scaler["spec"]["minReplicaCount"] > scaler["spec"]["maxReplicaCount"]:
            yield "it cannot scale"
    for scaler in o.of_kind(items, "HorizontalPodAutoscaler"):
        if "replicas" in deployment["spec"]:
            yield "both set the replicas"
        target = scaler["spec"]["scaleTargetRef"]
        if (target["kind"], target["name"]) != ("Deployment", deployment["metadata"]["name"]):
            yield f"it scales {target}"
        if scaler["spec"]["minReplicas"] > scaler["spec"]["maxReplicas"] or not scaler["spec"]["metrics"]:
            yield "it cannot scale"


@rule_for("server")
def migrations_run_once_decided(items: list[dict]) -> Faults:
    """Where a Job migrates the replicas do not, and the Job leans on nothing that the chart makes."""
    jobs = o.of_kind(items, "Job")
    if jobs and o.env_value(deployed(items).main, "BUS_MIGRATE") != "false":
        yield "both migrate"
    made = {item["metadata"]["name"] for item in items if not o.is_hook(item)} | {
        item["metadata"]["name"] for item in items if item["kind"] == "Secret"
    }
    for pod in (pod for pod in o.pods(jobs) if pod.component == "migrate"):
        leans = {pod.spec["serviceAccountName"]}
        for volume in pod.spec.get("volumes", []):
            leans |= {source["secret"]["name"] for source in volume.get("projected", {}).get("sources", [])}
            leans |= {volume.get("secret", {}).get("secretName"), volume.get("configMap", {}).get("name")}
        for name in sorted(leans & made, key=str):
            yield f"the Job leans on {name}, which is made after it"
        if pod.spec["restartPolicy"] == "Always" or "before-hook-creation" not in str(pod.owner["metadata"]):
            yield "the Job is not fit for a hook"
