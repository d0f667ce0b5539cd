"""Installs, upgrades, uninstalls, with every Helm, on a small cluster: what becomes of the keys, what the notes say."""

from __future__ import annotations

import base64
import unittest

from harness.cluster import MONITORING, Cluster
from harness.helm import CHART, HELMS, NAMESPACE, RELEASE, Helm

SECRET = "bus-intent-bus-auth"
REQUIRED = "database.existingSecret=postgres"


class Release:
    """A release of the chart on a cluster."""

    def __init__(self, helm: Helm, cluster: Cluster):
        self.helm, self.cluster = helm, cluster

    def run(self, verb: str, *sets: str) -> str:
        chart = [] if verb in ("uninstall", "rollback") else [CHART, "--disable-openapi-validation"]
        values = [word for text in (REQUIRED, *sets) for word in ("--set", text)] if chart else []
        return self.helm.run(verb, RELEASE, *chart, "-n", NAMESPACE, *values, *self.cluster.options)

    def keys(self) -> dict[str, str]:
        return dict(self.cluster.of_kind("Secret")[SECRET]["data"])

    def replicas(self) -> int | None:
        return self.cluster.of_kind("Deployment")["bus-intent-bus"]["spec"].get("replicas")


class Releases(unittest.TestCase):
    def on_each(self, steps, more_kinds: dict | None = None):
        for helm in HELMS:
            with self.subTest(helm=helm.version), Cluster(more_kinds) as cluster:
                steps(Release(helm, cluster))

    def test_generated_keys_are_random_and_stay_over_upgrades_and_rollbacks(self):
        def steps(release: Release):
            release.run("install")
            keys = release.keys()
            self.assertEqual(set(keys), {"BUS_SECRET", "BUS_ADMIN_SECRET", "DASHBOARD_PASSWORD"})
            self.assertTrue(all(len(base64.b64decode(value)) == 48 for value in keys.values()))
            self.assertEqual(len(set(keys.values())), 3)
            release.run("upgrade", "replicas=5")
            self.assertEqual((release.keys(), release.replicas()), (keys, 5))
            release.run("rollback")
            self.assertEqual((release.keys(), release.replicas()), (keys, 2))

        self.on_each(steps)

    def test_two_installs_have_different_keys(self):
        seen = set()

        def steps(release: Release):
            release.run("install")
            seen.update(release.keys().values())

        self.on_each(steps)
        self.on_each(steps)
        self.assertEqual(len(seen), 6 * len(HELMS))

    def test_a_way_in_that_is_opened_later_gets_a_key_and_the_others_keep_theirs(self):
        def steps(release: Release):
            release.run("install")
            keys = release.keys()
            release.run("upgrade", "auth.metrics.enabled=true")
            more = release.keys()
            self.assertEqual(set(more) - set(keys), {"BUS_METRICS_TOKEN"})
            self.assertEqual({name: more[name] for name in keys}, keys)

        self.on_each(steps)

    def test_keys_outlive_an_uninstall_and_a_new_install_goes_on_with_them(self):
        def steps(release: Release):
            release.run("install")
            keys = release.keys()
            release.run("uninstall")
            self.assertEqual(release.cluster.names(), {f"Secret/{SECRET}"})
            release.run("install")
            self.assertEqual(release.keys(), keys)

        self.on_each(steps)

    def test_keys_stay_when_a_secret_of_ones_own_takes_their_place(self):
        def steps(release: Release):
            release.run("install")
            keys = release.keys()
            release.run("upgrade", "auth.existingSecret=mine")
            self.assertEqual(release.keys(), keys)
            self.assertIn("name': 'mine'", str(release.cluster.of_kind("Deployment")))

        self.on_each(steps)

    def test_a_secret_of_ones_own_is_neither_read_nor_made(self):
        def steps(release: Release):
            release.run("install", "auth.existingSecret=mine")
            self.assertEqual(release.cluster.of_kind("Secret"), {})
            self.assertEqual([path for path in release.cluster.asked if path.endswith(("/mine", SECRET))], [])

        self.on_each(steps)

    def test_an_autoscaler_that_is_turned_on_takes_the_number_of_replicas_away(self):
        def steps(release: Release):
            release.run("install", "replicas=4")
            release.run("upgrade", "autoscaling.enabled=true")
            self.assertIsNone(release.replicas())

        self.on_each(steps)

    def test_a_monitor_comes_as_soon_as_the_cluster_knows_it_and_the_notes_say_what_is_missing(self):
        def steps(release: Release):
            on = "metrics.serviceMonitor.enabled=true"
            notes = release.run("install", on)
            self.assertIn("LEFT OUT: metrics.serviceMonitor is on, but the cluster does not know", notes)
            self.assertEqual(release.cluster.of_kind("ServiceMonitor"), {})
            release.cluster.kinds |= MONITORING
            notes = release.run("upgrade", on)
            self.assertNotIn("LEFT OUT", notes)
            self.assertEqual(list(release.cluster.of_kind("ServiceMonitor")), ["bus-intent-bus"])

        self.on_each(steps)

    def test_notes_have_the_lines_to_paste(self):
        def steps(release: Release):
            notes = release.run("install", "auth.existingSecret=mine", "auth.root.key=root.key", "replicas=3")
            for line in [
                "kubectl -n work port-forward service/bus-intent-bus 5000:80 &",
                "get secret mine -o go-template='{{ index .data \"root.key\" | base64decode }}')",
                'curl -s -X POST $BUS/intent -H "X-API-KEY: $INTENT_API_KEY"',
                "helm -n work test bus --logs",
                # 3 replicas, each with a pool of 8 and two connections more.
                "Postgres needs room for 30 connections, and for 10 more during a roll-out.",
            ]:
                self.assertIn(line, notes)
            self.assertNotIn("upgrades and `helm uninstall` keep", notes)

        self.on_each(steps)

    def test_notes_have_no_lines_that_the_settings_refuse(self):
        def steps(release: Release):
            https = ["config.BUS_ENFORCE_HTTPS=true", "config.BUS_TRUST_PROXY=true", "ingress.enabled=true"]
            notes = release.run("install", *https, "ingress.hosts[0].host=bus.example.com")
            self.assertIn("export BUS=https://bus.example.com\n", notes)
            self.assertIn("curl -s -X POST $BUS/intent", notes)
            for plain in ("port-forward", "helm -n work test"):
                self.assertNotIn(plain, notes)
            self.assertNotIn("curl", release.run("upgrade", "config.BUS_REQUIRE_SIGNATURES=true"))

        self.on_each(steps)
