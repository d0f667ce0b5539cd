"""What single values do."""

from __future__ import annotations

import json
import re
import unittest

import yaml
from harness import objects as o
from harness.helm import CHART, NEWEST, REPOSITORY
from harness.sets import SETS


class Details(unittest.TestCase):
    def items(self, name: str, *more: str) -> list[dict]:
        """The objects of a set of values, with further ones by --set."""
        values = next(values for values in SETS if values.name == name)
        return NEWEST.objects(
            values.values, [*values.sets, *more], values.apis, values.kubernetes, values.chart, values.release
        )

    def one(self, items: list[dict], kind: str, suffix: str = "") -> dict:
        found = [item for item in o.of_kind(items, kind) if item["metadata"]["name"].endswith(suffix)]
        self.assertEqual(len(found), 1, [o.name(item) for item in found])
        return found[0]

    def server(self, items: list[dict]) -> o.Pods:
        return next(o.pods(o.of_kind(items, "Deployment")))

    def env(self, items: list[dict], name: str) -> str | None:
        return o.environment(self.server(items).main).get(name, {}).get("value")

    def test_an_image_with_a_digest_keeps_its_tag_as_a_note_and_all_pods_pull_it_alike(self):
        for pod in o.pods(self.items("everything")):
            self.assertRegex(
                pod.main["image"], r"^registry\.example\.com:5000/mirror/intent-bus:0\.1\.0@sha256:[0-9a-f]{64}$"
            )
            self.assertEqual(pod.spec["imagePullSecrets"], [{"name": "registry"}])
            self.assertEqual(pod.main["imagePullPolicy"], "Always")

    def test_common_labels_are_on_every_object_and_pod_and_in_no_selector(self):
        items = self.items("labels-and-objects")
        for name, labels in [(o.name(i), i["metadata"]["labels"]) for i in items if o.own(i)] + [
            (pod.name, pod.labels) for pod in o.pods(items)
        ]:
            self.assertLessEqual({"team": "platform", "cost-center": "4711"}.items(), labels.items(), name)
            self.assertEqual(labels["app.kubernetes.io/part-of"], "backend", name)
        self.assertEqual(self.server(items).labels["tier"], "backend")
        self.assertNotIn(
            "platform", json.dumps([i["spec"]["selector"] for i in o.of_kind(items, "Service", "Deployment")])
        )

    def test_extra_objects_are_templates_as_maps_and_as_text(self):
        items = self.items("labels-and-objects")
        self.assertEqual(self.one(items, "ConfigMap", "bus-intent-bus-as-text")["data"], {"port": "80"})
        self.assertEqual(self.one(items, "ConfigMap", "bus-as-map")["data"], {"literal": "{{ not ours }}"})

    def test_another_version_of_the_chart_alone_does_not_replace_pods(self):
        for pod in o.pods(self.items("migrations-by-job")):
            if pod.owner["kind"] != "Pod":
                self.assertNotIn("helm.sh/chart", pod.labels)

    def test_the_test_asks_the_service_with_the_root_key_and_nothing_else(self):
        pod = next(o.pods(o.of_kind(self.items("only what is required"), "Pod")))
        self.assertEqual(pod.main["args"], ["check", "http://bus-intent-bus:80"])
        self.assertEqual(list(o.environment(pod.main)), ["BUS_SECRET_FILE"])

    def test_the_job_gets_the_address_and_no_key(self):
        job = next(o.pods(o.of_kind(self.items("migrations-by-job"), "Job")))
        self.assertEqual(set(o.environment(job.main)), {"DATABASE_URL_FILE", "BUS_SECRET"})
        self.assertEqual(job.main["args"], ["migrate"])
        self.assertEqual(job.spec["serviceAccountName"], "default")
        self.assertIn("/etc/intent-bus/database-ca", [mount["mountPath"] for mount in job.main["volumeMounts"]])

    def test_the_policy_of_the_job_is_there_before_it_and_goes_with_it(self):
        items = self.items("migrations-by-job")
        job, policy = self.one(items, "Job"), self.one(items, "NetworkPolicy", "-migrate")
        job, policy = job["metadata"]["annotations"], policy["metadata"]["annotations"]
        self.assertEqual(job["helm.sh/hook"], policy["helm.sh/hook"])
        self.assertLess(int(policy["helm.sh/hook-weight"]), int(job["helm.sh/hook-weight"]))
        self.assertIn("hook-succeeded", policy["helm.sh/hook-delete-policy"])

    def test_who_migrates_is_one_setting(self):
        wanted = {"only what is required": "true", "migrations-by-job": "false", "migrations-by-hand": "false"}
        self.assertEqual({name: self.env(self.items(name), "BUS_MIGRATE") for name in wanted}, wanted)

    def test_a_suffix_of_the_address_is_joined_by_kubernetes(self):
        entries = self.server(self.items("pgbouncer")).main["env"]
        names = [entry["name"] for entry in entries]
        for name, key in [("DATABASE_URL", "pool"), ("DATABASE_DIRECT_URL", "direct")]:
            part, whole = entries[names.index(f"INTENT_BUS_{name}")], entries[names.index(name)]
            # Kubernetes knows only variables that stand before.
            self.assertLess(names.index(f"INTENT_BUS_{name}"), names.index(name))
            self.assertEqual(part["valueFrom"]["secretKeyRef"], {"name": "postgres", "key": key})
            self.assertEqual(whole["value"], f"$(INTENT_BUS_{name})?sslmode=require")

    def test_the_direct_address_may_be_in_a_secret_of_its_own(self):
        items = self.items("example cloudnative-pg-pooler")
        sources = self.server(items).spec["volumes"][0]["projected"]["sources"]
        files = {item["path"]: (s["secret"]["name"], item["key"]) for s in sources for item in s["secret"]["items"]}
        self.assertEqual(files["DATABASE_URL"], ("bus-db-pooler", "uri"))
        self.assertEqual(files["DATABASE_DIRECT_URL"], ("bus-db-app", "uri"))

    def test_authorities_are_where_the_address_of_the_example_says(self):
        pod = self.server(self.items("example cloudnative-pg"))
        mount = next(m for m in pod.main["volumeMounts"] if m["name"] == "intent-bus-database-ca")
        key = next(v for v in pod.spec["volumes"] if v["name"] == mount["name"])["secret"]["items"][0]["path"]
        self.assertTrue(o.env_value(pod.main, "DATABASE_URL").endswith(f"sslrootcert={mount['mountPath']}/{key}"))

    def test_addresses_of_ipv6_stand_in_brackets_and_metrics_can_be_off(self):
        items = self.items("ipv6-and-no-metrics")
        self.assertEqual((self.env(items, "BUS_LISTEN"), self.env(items, "BUS_METRICS_LISTEN")), ("[::]:5000", "off"))
        self.assertEqual([port["name"] for port in self.server(items).main["ports"]], ["http"])
        self.assertEqual(self.server(items).main["lifecycle"], {"preStop": {"sleep": {"seconds": 5}}})

    def test_the_time_to_stop_is_the_sum_of_its_parts(self):
        for name, seconds in [
            ("only what is required", 10 + 30 + 15),
            ("nothing-and-zero", 0 + 30 + 15),
            ("numbers", 7215),
        ]:
            self.assertEqual(self.server(self.items(name)).spec["terminationGracePeriodSeconds"], seconds)

    def test_large_ids_stay_digits_and_null_leaves_them_out(self):
        context = self.server(self.items("ids-of-the-namespace")).spec["securityContext"]
        self.assertEqual([context[name] for name in ("runAsUser", "runAsGroup", "fsGroup")], [1000680000] * 3)
        for pod in o.pods(self.items("example openshift")):
            self.assertEqual(set(pod.spec["securityContext"]), {"runAsNonRoot", "seccompProfile"})

    def test_replicas_can_be_left_to_others(self):
        self.assertNotIn("replicas", self.server(self.items("nothing-and-zero")).owner["spec"])
        self.assertEqual(self.server(self.items("only what is required", "replicas=0")).owner["spec"]["replicas"], 0)

    def test_the_autoscaler_looks_at_the_bus_and_not_at_what_is_beside_it(self):
        metrics = self.one(self.items("everything"), "HorizontalPodAutoscaler")["spec"]["metrics"]
        self.assertEqual([m["type"] for m in metrics], ["ContainerResource", "ContainerResource", "Pods"])
        names = {m["containerResource"]["container"] for m in metrics[:2]}
        self.assertEqual(names, {self.server(self.items("everything")).main["name"]})

    def test_replicas_spread_by_roll_out_unless_told_otherwise(self):
        constraints = self.server(self.items("only what is required")).spec["topologySpreadConstraints"]
        self.assertEqual([c["matchLabelKeys"] for c in constraints], [["pod-template-hash"]] * 2)
        for constraint in self.server(self.items("nothing-and-zero")).spec["topologySpreadConstraints"]:
            self.assertNotIn("matchLabelKeys", constraint)

    def test_a_policy_with_empty_lists_lets_nobody_in(self):
        self.assertFalse(self.one(self.items("policy-for-nobody"), "NetworkPolicy")["spec"]["ingress"])

    def test_a_policy_lets_in_clients_at_one_port_and_scrapers_at_the_other(self):
        policy = self.one(self.items("example production"), "NetworkPolicy", "intent-bus")["spec"]
        self.assertEqual([rule["ports"][0]["port"] for rule in policy["ingress"]], ["http", "metrics"])
        for rule, namespace in zip(policy["ingress"], ["ingress-nginx", "monitoring"], strict=True):
            labels = {"kubernetes.io/metadata.name": namespace}
            self.assertEqual(rule["from"], [{"namespaceSelector": {"matchLabels": labels}}])

    def test_a_policy_lets_the_test_in_and_the_test_out_to_the_bus(self):
        items = self.items("everything")
        test = next(o.pods(o.of_kind(items, "Pod")))
        lets_in = self.one(items, "NetworkPolicy", "bus")["spec"]["ingress"][0]["from"][-1]
        self.assertTrue(o.selects(lets_in["podSelector"]["matchLabels"], test.labels))
        lets_out = self.one(items, "NetworkPolicy", "-test")["spec"]["egress"][-1]
        self.assertTrue(o.selects(lets_out["to"][0]["podSelector"]["matchLabels"], self.server(items).labels))
        self.assertEqual(lets_out["ports"], [{"protocol": "TCP", "port": 8080}])

    def test_alerts_are_as_in_the_file_but_for_those_left_out(self):
        groups = yaml.safe_load((CHART / "files" / "rules.yaml").read_text(encoding="utf-8"))["groups"]
        everything = self.one(self.items("everything"), "PrometheusRule")
        self.assertEqual(everything["spec"]["groups"], groups)
        self.assertEqual(everything["metadata"]["namespace"], "monitoring")

        def alerts(groups: list[dict]) -> dict[str, list[str]]:
            return {group["name"]: [rule["alert"] for rule in group["rules"] if "alert" in rule] for group in groups}

        kept = alerts(self.one(self.items("monitoring"), "PrometheusRule")["spec"]["groups"])
        wanted = alerts(groups)
        wanted["intent-bus.backlog"].remove("IntentBusBacklogOld")
        del wanted["intent-bus.requests-refused"]
        self.assertEqual(kept, wanted)

    def test_dashboards_are_as_in_the_files_and_have_the_label_of_the_sidecar(self):
        items = o.of_kind(self.items("monitoring"), "ConfigMap")
        files = sorted((CHART / "files" / "dashboards").iterdir())
        self.assertEqual(
            [item["metadata"]["name"] for item in items],
            [f"bus-intent-bus-dashboard-{name}" for name in ("goal", "overview", "replicas")],
        )
        for item, file in zip(items, files, strict=True):
            self.assertEqual(item["metadata"]["labels"]["grafana_dashboard"], "1")
            [(name, text)] = item["data"].items()
            self.assertEqual((name, json.loads(text)), (file.name, json.loads(file.read_text(encoding="utf-8"))))

    def test_there_is_no_test_where_plain_requests_are_refused(self):
        self.assertEqual(o.of_kind(self.items("ingress-https"), "Pod"), [])
        self.assertEqual(len(o.of_kind(self.items("ingress-https", "config.BUS_ENFORCE_HTTPS=false"), "Pod")), 1)

    def test_fields_of_a_load_balancer_are_for_load_balancers(self):
        spec = self.one(self.items("everything"), "Service", "bus")["spec"]
        self.assertEqual((spec["loadBalancerClass"], spec["ports"][0]["nodePort"]), ("service.k8s.aws/nlb", 30443))
        plain = self.one(self.items("everything", "service.type=ClusterIP"), "Service", "bus")["spec"]
        self.assertFalse({"loadBalancerClass", "loadBalancerSourceRanges", "externalTrafficPolicy"} & set(plain))
        self.assertNotIn("nodePort", plain["ports"][0])

    def test_a_program_gets_its_words_as_they_stand_in_the_values(self):
        values = next(values for values in SETS if values.name == "workers, everything")
        wanted = yaml.safe_load(values.values[0].read_text(encoding="utf-8"))
        words = self.server(self.items(values.name)).main["args"]
        # As Kubernetes reads them where no variable has such a name: one $ for two, and what is left stays.
        read = [re.sub(r"\$\$", "$", word) for word in words]
        place = words.index("--exec")
        self.assertEqual(read[place + 1 :], wanted["exec"])
        self.assertEqual(read[:5], ["listen", *wanted["goals"], "--namespace", "media.eu"])
        self.assertEqual(read[5:place], ["--capability", "gpu,paper a4", "--own", "--concurrency", "16", "--timeout", "86400s", "--grace", "0s", "--stop-timeout", "86400s", "--max-output", "16777216", "--verbose"])  # fmt: skip

    def test_workers_are_scaled_by_twice_what_a_pod_does_at_once_unless_told_otherwise(self):
        for name, threshold in [("workers, keda", "8"), ("workers, everything", "1000000")]:
            triggers = self.one(self.items(name), "ScaledObject")["spec"]["triggers"]
            self.assertEqual([trigger["metadata"]["threshold"] for trigger in triggers][1], threshold)
        self.assertEqual([trigger["authenticationRef"] for trigger in triggers], [{"name": "prometheus"}] * 2)
        self.assertIn('{job="intent-bus", cluster=~"eu-.*", namespace="media.eu"', triggers[0]["metadata"]["query"])

    def test_traces_go_to_a_collector_only_where_there_is_one(self):
        names = {name for name in o.environment(self.server(self.items("minimal")).main) if name.startswith("OTEL_")}
        self.assertEqual(names, set())
        items = self.items("everything")
        wanted = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": "https://collector.example:4317",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
            "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
            "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
            "OTEL_TRACES_SAMPLER_ARG": "0.01",
            "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=production,service.namespace=work/bus",
            "OTEL_EXPORTER_OTLP_HEADERS_FILE": "/run/secrets/intent-bus/OTEL_EXPORTER_OTLP_HEADERS",
        }
        self.assertEqual({name: self.env(items, name) for name in wanted}, wanted)
        sampled = self.items("minimal", "telemetry.otlp.endpoint=http://c:4318", "telemetry.traces.samplerArg=0")
        self.assertEqual(self.env(sampled, "OTEL_TRACES_SAMPLER_ARG"), "0")

    def test_variables_of_traces_are_those_that_the_bus_reads(self):
        read = (REPOSITORY / "src" / "config" / "traces.rs").read_text(encoding="utf-8")
        named = [name for name in o.environment(self.server(self.items("everything")).main) if name.startswith("OTEL_")]
        self.assertGreater(len(named), 5)
        for name in named:
            self.assertIn(f'"{name.removesuffix("_FILE")}"', read)
