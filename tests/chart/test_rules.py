"""The rules bite: a fault put into a copy of the chart is found by the rule that is there for it."""

from __future__ import annotations

import tempfile
import unittest
from dataclasses import dataclass
from pathlib import Path

from harness import charts
from harness.helm import CHART, NEWEST, WORKER, Refused
from harness.rules import RULES, faults
from harness.sets import SETS


@dataclass(frozen=True)
class Break:
    """In a template, one text becomes another. Rendered with a set of values, this rule must say so."""

    rule: str
    template: str
    old: str
    new: str
    values: str = "only what is required"
    chart: Path = CHART


def of_workers(rule: str, template: str, old: str, new: str, values: str = "minimal") -> Break:
    return Break(rule, template, old, new, f"workers, {values}", WORKER)


BREAKS = [
    Break("no_token", "deployment.yaml", "automountServiceAccountToken: false", "automountServiceAccountToken: true"),
    Break("no_token", "tests/check.yaml", "  enableServiceLinks: false\n", ""),
    Break("no_token", "serviceaccount.yaml", "automountServiceAccountToken: false", ""),
    Break("image_is_said", "_names.tpl", "(.Values.image.tag | default .Chart.AppVersion)", '"latest"'),
    Break("resources_are_asked_for", "deployment.yaml", "with .Values.resources", "with dict"),
    Break("resources_are_asked_for", "tests/check.yaml", "with .Values.tests.resources", "with dict"),
    Break("environment_is_read_once", "_pod.tpl", "- name: BUS_MIGRATE\n", "- name: BUS_LISTEN\n"),
    Break("settings_exist", "_pod.tpl", "- name: BUS_MIGRATE\n", "- name: BUS_MIGRATIONS\n"),
    # Large numbers as floating point: the fault that every chart makes once.
    Break(
        "settings_exist",
        "_pod.tpl",
        '{{- if kindIs "float64" . -}}{{ int64 . }}',
        '{{- if kindIs "float64" . -}}{{ . }}',
        "numbers",
    ),
    Break("secrets_are_files", "_pod.tpl", "{{ .setting }}_FILE\n  value:", "{{ .setting }}\n  value:"),
    Break("secrets_are_files", "_pod.tpl", "path: DATABASE_URL}", "path: URL}"),
    Break("secrets_are_files", "_pod.tpl", "{{ first . }}_FILE\n", "{{ first . }}_FILE_\n"),
    Break(
        "volumes_are_mounted",
        "_pod.tpl",
        '  readOnly: true\n{{- end -}}\n\n{{- define "intent-bus.caVolume',
        '{{- end -}}\n\n{{- define "intent-bus.caVolume',
    ),
    Break("volumes_are_mounted", "_pod.tpl", "}}292{{", "}}288{{", "nothing-and-zero"),
    Break("volumes_are_mounted", "deployment.yaml", 'with include "intent-bus.caMount" .', "with list", "example rds"),
    Break("probes_ask_the_right_thing", "deployment.yaml", "path: /livez", "path: /readyz"),
    Break(
        "probes_ask_the_right_thing", "deployment.yaml", "toYaml .Values.startupProbe", "toYaml .Values.livenessProbe"
    ),
    Break(
        "grace_is_longer_than_the_drain",
        "_pod.tpl",
        "add .Values.preStopSleepSeconds $drain",
        "add $drain",
        "everything",
    ),
    Break(
        "grace_is_longer_than_the_drain",
        "_pod.tpl",
        '"BUS_SHUTDOWN_SECONDS" 30',
        '"BUS_SHUTDOWN_SECONDS" 3',
        "nothing-and-zero",
    ),
    Break("grace_is_longer_than_the_drain", "deployment.yaml", '{{ include "intent-bus.grace" . }}', "30"),
    Break("roll_outs_take_nothing_away", "deployment.yaml", "{{ .Values.strategy.maxUnavailable }}", "1"),
    Break("one_thing_sets_the_replicas", "deployment.yaml", "(not .Values.autoscaling.enabled)", "true", "autoscaling"),
    Break("migrations_run_once_decided", "_pod.tpl", 'eq .Values.migrations.mode "start"', "true", "migrations-by-job"),
    Break(
        "migrations_run_once_decided",
        "migrate-job.yaml",
        '{{ $job.serviceAccountName | default "default" }}',
        '{{ include "intent-bus.serviceAccount" . }}',
        "migrations-by-job",
    ),
    Break("names_fit", "_names.tpl", '$name | replace "." "-" | trunc 63', "$name | trunc 63", "a name with dots"),
    Break("names_fit", "_names.tpl", "| trunc $room", "", "a long name"),
    Break("labels_are_standard", "_names.tpl", '"app.kubernetes.io/managed-by" $root.Release.Service', ""),
    Break("selectors_find_the_replicas", "service.yaml", 'selector" (list . "server")', 'selector" (list . "test")'),
    Break(
        "selectors_find_the_replicas",
        "migrate-job.yaml",
        'podLabels" (list . "migrate"',
        'podLabels" (list . "server"',
        "migrations-by-job",
    ),
    Break(
        "selectors_find_the_replicas",
        "poddisruptionbudget.yaml",
        'intent-bus.selector" (list',
        'intent-bus.podLabels" (list',
    ),
    Break("references_lead_somewhere", "service.yaml", "targetPort: http", "targetPort: web"),
    Break("references_lead_somewhere", "httproute.yaml", "port: {{ .Values.service.port }}", "port: 5000", "gateway"),
    Break("references_lead_somewhere", "ingress.yaml", "name: http\n", "name: web\n", "ingress-https"),
    Break(
        "references_lead_somewhere",
        "servicemonitor.yaml",
        'selector" (list . "metrics")',
        'selector" (list . "server")',
        "monitoring",
    ),
    Break(
        "policies_name_their_peers",
        "networkpolicy.yaml",
        "if and .Values.metrics.enabled $policy.metricsClients",
        "if .Values.metrics.enabled",
        "policy-for-nobody",
    ),
    Break("secrets_outlive_the_release", "secret.yaml", "helm.sh/resource-policy: keep", "example.com/kept: no"),
    Break("secrets_outlive_the_release", "secret.yaml", "randAlphaNum 48 | b64enc", '"c2VjcmV0"'),
    Break("pods_are_restricted", "_pod.tpl", "runAsNonRoot: true", "runAsNonRoot: false"),
    Break("pods_are_restricted", "_pod.tpl", "allowPrivilegeEscalation: false", "privileged: true"),
    Break("pods_are_restricted", "_pod.tpl", "readOnlyRootFilesystem: true\n", ""),
    Break("pods_are_restricted", "_pod.tpl", "drop: [ALL]", "drop: [NET_RAW]"),
    Break("pods_are_restricted", "_pod.tpl", "type: {{ $values.seccompProfile.type }}", "type: Unconfined"),
    Break(
        "pods_are_restricted",
        "migrate-job.yaml",
        "      restartPolicy: Never",
        "      restartPolicy: Never\n      hostNetwork: true",
        "migrations-by-job",
    ),
    of_workers("key_is_referred_to", "_pod.tpl", "key: {{ .Values.bus.key | quote }}", "key: a\n      optional: true"),
    of_workers(
        "key_is_referred_to",
        "_pod.tpl",
        "- name: INTENT_API_KEY\n",
        "- name: INTENT_API_KEY\n  value: a-key\n- name: OTHER_KEY\n",
    ),
    of_workers("program_comes_last", "_pod.tpl", 'replace "$" "$$"', 'replace "$(" "$$("', "everything"),
    of_workers("program_comes_last", "_pod.tpl", 'list "--exec"', 'list "--shell"'),
    of_workers(
        "program_comes_last",
        "_pod.tpl",
        "int64 $values.maxOutputBytes | toString",
        "toString $values.maxOutputBytes",
        "everything",
    ),
    of_workers("grace_is_longer_than_a_run", "_pod.tpl", "add (int64 .Values.timeoutSeconds)", "add 1", "everything"),
    of_workers("grace_is_longer_than_a_run", "_pod.tpl", "(int64 .Values.terminationGraceSlackSeconds)", "0"),
    of_workers(
        "grace_is_longer_than_a_run",
        "_pod.tpl",
        '"--stop-timeout" (printf "%ds" (int64 $values.timeoutSeconds))',
        '"--stop-timeout" "1000000s"',
    ),
    of_workers(
        "nothing_is_listened_on",
        "deployment.yaml",
        "          env:\n",
        "          ports: [{containerPort: 80}]\n          env:\n",
    ),
    of_workers("scalers_ask_for_the_goals", "scaledobject.yaml", "(regexQuoteMeta .)", ".", "keda"),
    of_workers("scalers_ask_for_the_goals", "scaledobject.yaml", 'replace "\\\\" "\\\\\\\\" | ', "", "keda"),
    of_workers(
        "scalers_ask_for_the_goals",
        "scaledobject.yaml",
        "{%s}) or 0 * max(%s)",
        "{%s}) or vector(0) + 0 * max(%s)",
        "keda",
    ),
    of_workers(
        "one_thing_sets_the_replicas", "deployment.yaml", '(not (include "intent-bus-worker.scales" .))', "true", "keda"
    ),
    of_workers(
        "one_thing_sets_the_replicas",
        "scaledobject.yaml",
        "scaleTargetRef:\n    name: {{ include",
        "scaleTargetRef:\n    name: x{{ include",
        "keda",
    ),
    of_workers("no_token", "deployment.yaml", "enableServiceLinks: false", "enableServiceLinks: true"),
    of_workers("image_is_said", "_names.tpl", "{{- if .Values.image.tag -}}", "{{- if false -}}"),
    of_workers("pods_are_restricted", "_pod.tpl", "runAsNonRoot: true", "runAsNonRoot: false"),
    of_workers(
        "pods_are_restricted", "deployment.yaml", "readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false"
    ),
    of_workers("volumes_are_mounted", "deployment.yaml", "{name: scratch, mountPath", "{name: other, mountPath"),
    of_workers(
        "selectors_find_the_replicas",
        "deployment.yaml",
        'podLabels" (list . .Values',
        'podLabels" (list (dict "Values" .Values "Chart" .Chart "Release" (dict "Name" "x")) .Values',
    ),
    of_workers(
        "names_fit", "_names.tpl", '$name | replace "." "-" | trunc 63', "$name | trunc 63", "a long name with dots"
    ),
]


class Rules(unittest.TestCase):
    def found(self, broken: Break) -> list[str]:
        values = next(values for values in SETS if values.name == broken.values)
        with tempfile.TemporaryDirectory() as folder:
            changes = {f"templates/{broken.template}": (broken.old, broken.new)}
            chart = charts.copy(Path(folder), changes, broken.chart)
            try:
                items = NEWEST.objects(
                    values.values, values.sets, values.apis, values.kubernetes, chart, values.release
                )
            except Refused as refusal:
                self.fail(f"not even rendered: {refusal}")
            return faults(items)

    def test_each_fault_is_found_by_its_rule(self):
        for broken in BREAKS:
            with self.subTest(broken.rule, template=broken.template, new=broken.new):
                found = {fault.split(":")[0] for fault in self.found(broken)}
                self.assertIn(broken.rule, found)

    def test_each_rule_has_been_seen_to_bite(self):
        self.assertEqual({broken.rule for broken in BREAKS}, set(RULES))
