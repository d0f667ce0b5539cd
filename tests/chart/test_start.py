"""The bus itself takes the environment that the chart gives it: `intent-bus serve --check`, which needs no database."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import unittest
from pathlib import Path

from harness import objects as o
from harness.helm import CHART, NEWEST, REPOSITORY
from harness.sets import SETS

BINARY = Path(os.environ.get("INTENT_BUS") or REPOSITORY / "target" / "debug" / "intent-bus")
ADDRESS = "postgresql://user:password@127.0.0.1/database"
SECRETS = {
    "DATABASE_URL": ADDRESS,
    "DATABASE_DIRECT_URL": ADDRESS,
    "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20token",
}


@unittest.skipUnless(BINARY.exists(), f"{BINARY} is not there: build it, or name another in INTENT_BUS")
class Start(unittest.TestCase):
    def environment(self, pod: o.Pods, folder: Path) -> dict[str, str]:
        """What Kubernetes makes of the variables, with files in a folder of ours."""
        known: dict[str, str] = {}
        for entry in pod.main["env"]:
            name = entry["name"]
            if "valueFrom" in entry:
                known[name] = ADDRESS if "secretKeyRef" in entry["valueFrom"] else "node"
                continue
            value = re.sub(r"\$\(([A-Z_]+)\)", lambda found: known[found[1]], entry["value"])
            # The file with the authorities is not there.
            known[name] = re.sub(r"&sslrootcert=[^&]*", "", value)
            if name.endswith("_FILE"):
                setting = name.removesuffix("_FILE")
                file = folder / setting
                file.write_text(SECRETS.get(setting, f"a-long-secret-{setting}\n"), encoding="utf-8")
                known[name] = str(file)
        return known

    def test_replicas_and_migrations_take_their_settings(self):
        for values in (values for values in SETS if values.chart == CHART):
            items = NEWEST.objects(values.values, values.sets, values.apis, values.kubernetes, release=values.release)
            for pod in (pod for pod in o.pods(items) if pod.component != "test"):
                with self.subTest(values.name, pod=pod.name), tempfile.TemporaryDirectory() as folder:
                    environment = self.environment(pod, Path(folder))
                    done = subprocess.run([BINARY, "serve", "--check"], env=environment, capture_output=True, text=True)
                    self.assertEqual((done.returncode, done.stderr), (0, ""))
                    self.assertNotIn("cannot be used", done.stdout)
                    shown = dict(line.split(" = ", 1) for line in done.stdout.splitlines())
                    for name in set(shown) & set(environment):
                        self.assertIn(shown[name], (environment[name], "(set, not shown)"), name)
                    for name in (name.removesuffix("_FILE") for name in environment if name.endswith("_FILE")):
                        self.assertEqual(shown.get(name, "(set, not shown)"), "(set, not shown)", name)
