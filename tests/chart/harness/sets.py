"""The sets of values that are rendered, and the objects that must come of each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .helm import CHART, KUBERNETES, RELEASE, WITH_CRDS, WITH_KEDA, WORKER

VALUES = Path(__file__).resolve().parents[1] / "values"
EXAMPLES = CHART / "examples"
# Objects, not values.
NOT_VALUES = {"keda-workers.yaml"}

COMMON = "Deployment PodDisruptionBudget Service*2 ServiceAccount Pod"
MADE = f"{COMMON} Secret"
# HTTPS only: no pod to test with.
HTTPS = COMMON.removesuffix(" Pod")
WATCHED = "ServiceMonitor PrometheusRule"


@dataclass(frozen=True)
class ValueSet:
    """Values, what the cluster is said to know, and the kinds that must come of it."""

    name: str
    kinds: str
    values: tuple[Path, ...] = ()
    sets: tuple[str, ...] = ()
    apis: tuple[str, ...] = ()
    kubernetes: str = KUBERNETES
    release: str = RELEASE
    chart: Path = CHART

    def expected(self) -> dict[str, int]:
        words = (word.partition("*") for word in self.kinds.split())
        return {kind: int(count or 1) for kind, _, count in words}


def of(name: str, kinds: str, **more) -> ValueSet:
    return ValueSet(name, kinds, values=(VALUES / f"{name}.yaml",), **more)


def example(name: str, kinds: str, **more) -> ValueSet:
    return ValueSet(f"example {name}", kinds, values=(EXAMPLES / f"{name}.yaml",), **more)


def of_workers(name: str, kinds: str, **more) -> ValueSet:
    return ValueSet(f"workers, {name}", kinds, values=(VALUES / "workers" / f"{name}.yaml",), chart=WORKER, **more)


REQUIRED = ("database.existingSecret=postgres",)

SETS = [
    ValueSet("only what is required", MADE, sets=REQUIRED),
    ValueSet("the oldest Kubernetes", MADE, sets=REQUIRED, kubernetes="1.28.0"),
    ValueSet("a name of the vendor", MADE, sets=REQUIRED, kubernetes="v1.30.5-gke.1014001"),
    ValueSet("a long name", MADE, sets=REQUIRED, release="a-release-with-a-name-as-long-as-helm-lets-it-be-53ch"),
    ValueSet("a name with dots", MADE, sets=REQUIRED, release="bus.example.com"),
    of("minimal", "Deployment Service Secret"),
    of(
        "everything",
        f"{MADE} ConfigMap*4 HorizontalPodAutoscaler HTTPRoute Ingress Job NetworkPolicy*3 {WATCHED}",
        apis=WITH_CRDS,
    ),
    of("keys-of-ours", COMMON),
    of("autoscaling", f"{MADE} HorizontalPodAutoscaler"),
    of("migrations-by-job", f"{MADE} Job NetworkPolicy*3"),
    of("migrations-by-hand", "Deployment PodDisruptionBudget Service*2 Pod Secret"),
    of("pgbouncer", f"{MADE} Job"),
    of("ids-of-the-namespace", MADE),
    of("gateway", f"{MADE} HTTPRoute", apis=WITH_CRDS),
    ValueSet("gateway, unknown to the cluster", MADE, values=(VALUES / "gateway.yaml",)),
    ValueSet(
        "gateway, unknown but forced",
        f"{MADE} HTTPRoute",
        values=(VALUES / "gateway.yaml",),
        sets=("httpRoute.skipIfMissing=false",),
    ),
    of("ingress-https", f"{HTTPS} Secret Ingress"),
    of("policy-for-nobody", "Deployment PodDisruptionBudget Service*2 ServiceAccount Secret NetworkPolicy"),
    of("monitoring", f"{MADE} {WATCHED} ConfigMap*3", apis=WITH_CRDS),
    ValueSet("monitoring, unknown to the cluster", f"{MADE} ConfigMap*3", values=(VALUES / "monitoring.yaml",)),
    of("labels-and-objects", f"{MADE} ConfigMap*2"),
    of("numbers", MADE),
    of("nothing-and-zero", MADE),
    of("ipv6-and-no-metrics", "Deployment PodDisruptionBudget Service ServiceAccount Pod Secret"),
    example("cloudnative-pg", MADE),
    example("cloudnative-pg-pooler", MADE),
    example("rds", f"{MADE} NetworkPolicy*2"),
    example("cloud-sql", MADE),
    example("external-secrets", f"{COMMON} ExternalSecret*2"),
    example("openshift", f"{MADE} Ingress NetworkPolicy*2 ServiceMonitor", apis=WITH_CRDS),
    example(
        "production",
        f"{HTTPS} ConfigMap*3 HorizontalPodAutoscaler Ingress Job NetworkPolicy*2 {WATCHED}",
        apis=WITH_CRDS,
    ),
    of_workers("minimal", "Deployment ServiceAccount"),
    of_workers("everything", "Deployment ServiceAccount ScaledObject", apis=WITH_KEDA),
    of_workers("nothing-and-zero", "Deployment"),
    of_workers("keda", "Deployment ServiceAccount ScaledObject", apis=WITH_KEDA),
    ValueSet(
        "workers, keda, unknown to the cluster",
        "Deployment ServiceAccount",
        values=(VALUES / "workers" / "keda.yaml",),
        chart=WORKER,
    ),
    ValueSet(
        "workers, keda, unknown but forced",
        "Deployment ServiceAccount ScaledObject",
        values=(VALUES / "workers" / "keda.yaml",),
        sets=("keda.skipIfMissing=false",),
        chart=WORKER,
    ),
    ValueSet(
        "workers, a long name with dots",
        "Deployment ServiceAccount",
        values=(VALUES / "workers" / "minimal.yaml",),
        release="v1.2.release-with-a-name-as-long-as-helm-lets-it-be53",
        chart=WORKER,
    ),
]
