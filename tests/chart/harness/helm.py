"""Helm as the tests call it: without a cluster, without the caller's settings."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from . import objects

REPOSITORY = Path(__file__).resolve().parents[3]
CHART = REPOSITORY / "helm" / "intent-bus"
WORKER = REPOSITORY / "helm" / "intent-bus-worker"
RELEASE, NAMESPACE = "bus", "work"
# The newest that is validated against: what the chart does by version is then on.
KUBERNETES = "1.37.0"
# What a cluster with Prometheus's operator and the Gateway API knows.
WITH_CRDS = (
    "monitoring.coreos.com/v1/ServiceMonitor",
    "monitoring.coreos.com/v1/PrometheusRule",
    "gateway.networking.k8s.io/v1/HTTPRoute",
)
WITH_KEDA = ("keda.sh/v1alpha1/ScaledObject",)


class Refused(Exception):
    """Helm would not have these values. The text is what its user reads."""


@dataclass(frozen=True)
class Helm:
    """One version of Helm."""

    path: Path
    version: str

    @classmethod
    def at(cls, path: Path) -> Helm:
        version = subprocess.run(
            [path, "version", "--template", "{{.Version}}"], capture_output=True, text=True, check=True
        ).stdout
        return cls(path, version.removeprefix("v"))

    def run(self, *arguments: str | Path) -> str:
        """Runs Helm and gives what it prints."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("HELM_", "KUBE"))}
        # A file that is not there: nothing of the caller's clusters.
        environment["KUBECONFIG"] = "/dev/null"
        done = subprocess.run([self.path, *arguments], env=environment, capture_output=True, text=True, timeout=60)
        if done.returncode:
            raise Refused(done.stderr + done.stdout)
        return done.stdout

    def lint(self, values: Sequence[Path], sets: Sequence[str] = (), chart: Path = CHART) -> str:
        return self.run("lint", "--strict", "--kube-version", KUBERNETES, chart, *options(values, sets))

    def render(
        self,
        values: Sequence[Path] = (),
        sets: Sequence[str] = (),
        apis: Sequence[str] = (),
        kubernetes: str = KUBERNETES,
        chart: Path = CHART,
        release: str = RELEASE,
        extra: Sequence[str] = (),
    ) -> str:
        """The objects as text."""
        known = [word for api in apis for word in ("--api-versions", api)]
        named = ["template", release, chart, "--namespace", NAMESPACE, "--kube-version", kubernetes]
        return self.run(*named, *known, *options(values, sets), *extra)

    def objects(self, *arguments, **named) -> list[dict]:
        """The same, read."""
        return objects.read(self.render(*arguments, **named))


def options(values: Sequence[Path], sets: Sequence[str]) -> list[str | Path]:
    files = [word for file in values for word in ("--values", file)]
    return files + [word for text in sets for word in ("--set", text)]


def found() -> list[Helm]:
    """The versions to test, from the environment: `run` sets it."""
    paths = os.environ.get("CHART_HELMS", "").split(os.pathsep)
    if paths == [""]:
        raise SystemExit("CHART_HELMS names no Helm. Start tests/chart/run instead.")
    return [Helm.at(Path(path)) for path in paths]


HELMS = found()
NEWEST = HELMS[-1]
