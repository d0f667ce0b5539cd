"""Wrong values, with every Helm: refused before anything reaches a cluster, and the message says which value it is."""

from __future__ import annotations

import tempfile
import unittest
from dataclasses import dataclass
from pathlib import Path

from harness.helm import CHART, HELMS, NEWEST, WORKER, Refused
from harness.sets import EXAMPLES

TABLE: dict[str, dict[str, str]] = {}
COLUMNS = [*(f"refused by {helm.version}" for helm in HELMS), "by", "message"]


@dataclass(frozen=True)
class Wrong:
    """Values, and what the message must say. The versions of Helm word the schema's refusals differently."""

    name: str
    values: str
    says: tuple[str, ...]
    kubernetes: str = "1.34.0"
    required: bool = True
    chart: Path = CHART


def by_template(name: str, values: str, says: str, **more) -> Wrong:
    return Wrong(name, values, (says, "These values cannot be used"), **more)


def of_workers(name: str, values: str, *says: str, **more) -> Wrong:
    return Wrong(f"workers, {name}", values, says, chart=WORKER, **more)


WRONG = [
    by_template(
        "no database",
        "{}",
        "database.existingSecret is required: the name of a secret in this namespace whose key `uri` holds",
        required=False,
    ),
    by_template(
        "an address in place of a secret",
        "database: {existingSecret: 'postgresql://user:canary@host/database'}",
        "database.existingSecret must be the name of a secret, not the address itself",
        required=False,
    ),
    by_template(
        "image tag latest", "image: {tag: latest}", "image.tag: latest is refused, since nobody could say what runs"
    ),
    by_template(
        "a label that selectors use",
        "commonLabels: {app.kubernetes.io/name: mine}",
        "commonLabels: app.kubernetes.io/name is the chart's own",
    ),
    by_template(
        "value and valueFrom",
        "extraEnv: [{name: A, value: b, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}]",
        "extraEnv: A has value and valueFrom",
    ),
    by_template(
        "HTTPS enforced, nobody trusted",
        "config: {BUS_ENFORCE_HTTPS: true}",
        "config.BUS_ENFORCE_HTTPS needs config.BUS_TRUST_PROXY",
    ),
    by_template(
        "HTTPS enforced, nobody trusted in words",
        'config: {BUS_ENFORCE_HTTPS: true, BUS_TRUST_PROXY: "false"}',
        "config.BUS_ENFORCE_HTTPS needs config.BUS_TRUST_PROXY",
    ),
    by_template(
        "more replicas at least than at most",
        "autoscaling: {enabled: true, minReplicas: 9, maxReplicas: 3}",
        "autoscaling.minReplicas is more than autoscaling.maxReplicas",
    ),
    by_template(
        "an autoscaler with nothing to go by",
        "autoscaling: {enabled: true, targetCPUUtilizationPercentage: null}",
        "autoscaling needs something to go by",
    ),
    by_template(
        "a roll-out that cannot begin",
        "strategy: {maxSurge: 0, maxUnavailable: 0%}",
        "strategy.maxSurge and strategy.maxUnavailable are both 0",
    ),
    by_template(
        "sleep before the stop on an old Kubernetes",
        "preStopSleepSeconds: 5",
        "preStopSleepSeconds needs Kubernetes 1.30, this is v1.29.4",
        kubernetes="1.29.4",
    ),
    by_template("the same port twice", "listen: {port: 9090}", "listen.port and listen.metricsPort must differ"),
    by_template(
        "monitored, but without metrics",
        "metrics: {enabled: false, serviceMonitor: {enabled: true}}",
        "metrics.serviceMonitor.enabled needs metrics.enabled",
    ),
    by_template("an Ingress without hosts", "ingress: {enabled: true}", "ingress.enabled needs ingress.hosts"),
    by_template(
        "a route without a gateway", "httpRoute: {enabled: true}", "httpRoute.enabled needs httpRoute.parentRefs"
    ),
    by_template(
        "a setting as extraEnv that the chart sets",
        "extraEnv: [{name: BUS_DRAIN_SECONDS, value: '60'}]",
        "extraEnv: the chart sets BUS_DRAIN_SECONDS itself",
    ),
    by_template(
        "a secret as extraEnv that the chart mounts",
        "extraEnv: [{name: BUS_SECRET, value: a-root-key-in-the-open}]",
        "extraEnv: the chart sets BUS_SECRET itself",
    ),
    by_template(
        "two authorities",
        "database: {ca: {existingSecret: a, existingConfigMap: b}}",
        "database.ca: give existingSecret or existingConfigMap, not both",
    ),
    by_template(
        "a secret of the direct address without a key",
        "database: {directExistingSecret: postgres-direct}",
        "database.directExistingSecret needs database.directUriKey",
    ),
    by_template(
        "one key for two secrets", "auth: {admin: {key: BUS_SECRET}}", "auth: two secrets have the key BUS_SECRET"
    ),
    by_template(
        "a profile without a name",
        "podSecurityContext: {seccompProfile: {type: Localhost}}",
        "seccompProfile.type Localhost needs localhostProfile",
    ),
    by_template(
        "headers for no collector",
        "telemetry: {otlp: {headers: {existingSecret: collector}}}",
        "telemetry.otlp.headers.existingSecret needs telemetry.otlp.endpoint",
    ),
    by_template(
        "a share of no traces", "telemetry: {traces: {samplerArg: 0}}", "telemetry: there are no traces to sample"
    ),
    by_template(
        "a sampler of no traces",
        "telemetry: {traces: {sampler: always_off}}",
        "telemetry: there are no traces to sample",
    ),
    by_template(
        "a collector by extraEnv and by values",
        "{telemetry: {otlp: {endpoint: 'http://c:4318'}}, extraEnv: [{name: OTEL_TRACES_SAMPLER, value: always_off}]}",
        "extraEnv: the chart sets OTEL_TRACES_SAMPLER itself",
    ),
    by_template(
        "a collector with a password",
        "telemetry: {otlp: {endpoint: 'http://us:canary@collector:4318'}}",
        "telemetry.otlp.endpoint must be http:// or https://",
    ),
    by_template(
        "a collector that is no address",
        "telemetry: {otlp: {endpoint: 'collector:4318'}}",
        "telemetry.otlp.endpoint must be http:// or https://",
    ),
    Wrong("more than all traces", "telemetry: {traces: {samplerArg: 2}}", ("telemetry", "samplerArg", "1")),
    Wrong("a page of traces that names none", "config: {BUS_TRACE_URL: 'https://a/'}", ("config", "BUS_TRACE_URL")),
    Wrong("a misspelt value", "replicaCount: 3", ("replicaCount", "dditional propert")),
    Wrong("a part of the values taken away", "networkPolicy: {dns: null}", ("networkPolicy", "dns")),
    Wrong("a map of labels taken away", "commonLabels: null", ("commonLabels",)),
    Wrong("a misspelt value inside", "image: {tags: 1.0.0}", ("image", "tags", "dditional propert")),
    Wrong("a misspelt setting", "config: {BUS_DRAIN_SECOND: 5}", ("config", "BUS_DRAIN_SECOND", "dditional propert")),
    Wrong("a setting out of range", "config: {BUS_RETENTION_DAYS: 400}", ("config", "BUS_RETENTION_DAYS", "365")),
    Wrong("a number as text", "config: {BUS_DRAIN_SECONDS: '5'}", ("config", "BUS_DRAIN_SECONDS", "integer", "string")),
    Wrong("a generation as a number", "config: {BUS_PROTOCOL: 2.1}", ("config", "BUS_PROTOCOL", "one of", "1.1")),
    Wrong(
        "the root key in config", "config: {BUS_SECRET: a-root-key-in-the-open}", ("config", "BUS_SECRET", "dditional")
    ),
    Wrong("proxies that are no addresses", "config: {BUS_TRUST_PROXY: nginx}", ("config", "BUS_TRUST_PROXY")),
    Wrong("a digest that is none", "image: {digest: sha256:beef}", ("image", "digest", "pattern")),
    Wrong("root", "podSecurityContext: {runAsUser: 0}", ("podSecurityContext", "runAsUser", "1")),
    Wrong("a port that only root may take", "listen: {port: 80}", ("listen", "port")),
    Wrong("a mode that does not exist", "migrations: {mode: hook}", ("migrations", "mode", "start")),
    Wrong("no slack for the stop", "terminationGraceSlackSeconds: 0", ("terminationGraceSlackSeconds", "5")),
    Wrong("fewer replicas than none", "replicas: -1", ("replicas", "0")),
    Wrong("a label with two slashes", "commonLabels: {a/b/c: mine}", ("commonLabels", "a/b/c", "dditional propert")),
    Wrong("a label that is no label", "podLabels: {team: a b}", ("podLabels", "team", "pattern")),
    Wrong("memory that is no quantity", "resources: {limits: {memory: 512MB}}", ("resources", "limits", "memory")),
    Wrong("a peer that is misspelt", "networkPolicy: {clients: [{podSelektor: {}}]}", ("clients", "podSelektor")),
    Wrong("an old Kubernetes", "{}", ("chart requires kubeVersion: >=1.28.0-0", "v1.27.9"), kubernetes="1.27.9"),
    of_workers("no image", "image: {repository: ''}", "image.repository is required"),
    of_workers("no tag", "image: {tag: ''}", "image.tag or image.digest is required"),
    of_workers("image tag latest", "image: {tag: latest}", "image.tag: latest is refused"),
    of_workers("no bus", "bus: {url: ''}", "bus.url is required: the address of the bus"),
    of_workers(
        "an address with a path", "bus: {url: https://bus.example.com/bus}", "bus.url must be http:// or https://"
    ),
    of_workers(
        "a key in the address", "bus: {url: 'https://canary@bus.example.com'}", "bus.url must be http:// or https://"
    ),
    of_workers("no key", "bus: {existingSecret: ''}", "bus.existingSecret is required"),
    of_workers("no goal", "goals: []", "goals is required"),
    of_workers("a goal that looks like an option", "goals: [--shell]", "goals", "pattern"),
    of_workers("nothing to run", "exec: []", "exec is required"),
    of_workers("a line for a shell", "exec: resize --quiet", "exec", "array", "string"),
    of_workers("a capability with a comma", "capabilities: ['a,b']", "capabilities", "pattern"),
    of_workers("no time to run", "timeoutSeconds: 0", "timeoutSeconds", "1"),
    of_workers("no slack for the stop", "terminationGraceSlackSeconds: 0", "terminationGraceSlackSeconds", "5"),
    of_workers("root", "podSecurityContext: {runAsUser: 0}", "podSecurityContext", "runAsUser"),
    of_workers(
        "a label that selectors use", "podLabels: {app.kubernetes.io/name: x}", "podLabels: app.kubernetes.io/name is"
    ),
    of_workers("KEDA without Prometheus", "keda: {enabled: true}", "keda.enabled needs keda.serverAddress"),
    of_workers(
        "more at least than at most",
        "keda: {enabled: true, serverAddress: 'http://p', minReplicas: 30}",
        "keda.minReplicas is more than keda.maxReplicas",
    ),
    of_workers("matchers that end the query", "keda: {matchers: 'a=\"b\"}'}", "keda", "matchers", "pattern"),
    of_workers(
        "another key", "extraEnv: [{name: INTENT_API_KEY, value: x}]", "extraEnv: the chart sets INTENT_API_KEY itself"
    ),
    of_workers("a misspelt value", "replicaCount: 3", "replicaCount", "dditional propert"),
]
# What workers require, before the wrong values.
MINIMAL = Path(__file__).resolve().parent / "values" / "workers" / "minimal.yaml"


class RefusedValues(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = Path(cls.enterClassContext(tempfile.TemporaryDirectory()))

    def refusal(self, helm, wrong: Wrong) -> str:
        file = self.folder / "values.yaml"
        file.write_text(wrong.values, encoding="utf-8")
        of_the_bus = wrong.chart == CHART
        required = ["database.existingSecret=postgres"] if wrong.required and of_the_bus else []
        files = [file] if of_the_bus else [MINIMAL, file]
        try:
            helm.render(files, required, kubernetes=wrong.kubernetes, chart=wrong.chart)
        except Refused as refusal:
            return str(refusal)
        self.fail(f"Helm {helm.version} takes {wrong.values}")

    def test_wrong_values_are_refused_and_named(self):
        for wrong in WRONG:
            row = TABLE.setdefault(wrong.name, dict.fromkeys(COLUMNS, "FAILED"))
            for helm, column in zip(HELMS, COLUMNS, strict=False):
                with self.subTest(wrong.name, helm=helm.version):
                    text = self.refusal(helm, wrong)
                    for part in wrong.says:
                        self.assertIn(part, text)
                    self.assertNotIn("nil pointer", text)
                    self.assertNotIn("canary", text)
                    row[column] = "ok"
                    row["by"] = "template" if "cannot be used" in text else "schema" if "schema" in text else "Helm"
                    row["message"] = gist(text)

    def test_all_faults_are_named_at_once(self):
        text = self.refusal(NEWEST, Wrong("", "listen: {port: 9090}\ningress: {enabled: true}", (), required=False))
        self.assertEqual(text.count("\n- "), 3, text)

    def test_a_chart_that_this_one_is_part_of_may_switch_it_and_have_globals(self):
        NEWEST.render([EXAMPLES / "rds.yaml"], ["enabled=true", "global.team=platform"])


def gist(text: str) -> str:
    """The line that names the value, short enough for a table."""
    lines = [line.strip("- ") for line in text.splitlines() if line.strip()]
    named = [
        line
        for line in lines
        if not line.startswith(("Error", "values don't", "intent-bus", "These values", "Use --debug"))
    ]
    return (named or lines)[0][:100]
