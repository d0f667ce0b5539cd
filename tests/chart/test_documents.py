"""What is written down twice says the same: values, schema, README, the settings of the bus, versions."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
import tarfile
import tempfile
import unittest
from pathlib import Path

import yaml
from harness.helm import CHART, HELMS, REPOSITORY, WORKER
from harness.settings import BY_THE_CHART, SETTINGS

CHARTS = [CHART, WORKER]
SCHEMAS = {chart: json.loads((chart / "values.schema.json").read_text(encoding="utf-8")) for chart in CHARTS}
VALUES = {chart: yaml.safe_load((chart / "values.yaml").read_text(encoding="utf-8")) for chart in CHARTS}
# For charts that this one is a part of.
NOT_VALUES = {"global", "enabled"}


class Documents(unittest.TestCase):
    def test_the_tables_of_values_are_those_of_the_values(self):
        command = [sys.executable, REPOSITORY / ".ci" / "chart-readme", "--check"]
        done = subprocess.run(command, capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_alerts_and_dashboards_are_those_of_compose(self):
        command = [sys.executable, REPOSITORY / ".ci" / "chart-files", "--check"]
        done = subprocess.run(command, capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_the_schema_and_the_values_have_the_same_names(self):
        def compare(schema: dict, values: dict, at: str):
            names = set(schema["properties"]) - (NOT_VALUES if not at else set())
            self.assertEqual(names, set(values), at)
            for name, value in values.items():
                below = schema["properties"][name]
                # What has a definition of its own is a type, such as labels or probes, and may have more than is set.
                if isinstance(value, dict) and "properties" in below:
                    compare(below, value, f"{at}.{name}")

        for chart in CHARTS:
            with self.subTest(chart=chart.name):
                compare(SCHEMAS[chart], VALUES[chart], "")

    def test_the_schema_is_closed(self):
        def objects(schema, at: str):
            if isinstance(schema, list):
                for number, part in enumerate(schema):
                    yield from objects(part, f"{at}/{number}")
            elif isinstance(schema, dict):
                if "properties" in schema or "patternProperties" in schema:
                    yield at, schema
                for name, part in schema.items():
                    yield from objects(part, f"{at}/{name}")

        for chart, least in [(CHART, 40), (WORKER, 10)]:
            closed = dict(objects(SCHEMAS[chart], ""))
            self.assertGreater(len(closed), least)
            for at, schema in closed.items():
                self.assertIs(schema.get("additionalProperties"), False, f"{chart.name} {at}")

    def test_both_charts_mean_the_same_by_the_same_name(self):
        of_the_bus, of_workers = SCHEMAS[CHART]["definitions"], SCHEMAS[WORKER]["definitions"]
        self.assertEqual(of_workers, {name: of_the_bus[name] for name in of_workers})

    def test_config_has_every_setting_of_the_bus_with_its_range_and_no_other(self):
        settings = SCHEMAS[CHART]["definitions"]["settings"]["properties"]
        self.assertGreater(len(SETTINGS), 20)
        self.assertEqual(set(settings), set(SETTINGS) - BY_THE_CHART)
        for name, schema in settings.items():
            if SETTINGS[name].range:
                self.assertEqual((schema["type"], schema["minimum"]), ("integer", SETTINGS[name].range[0]), name)
                self.assertEqual(schema["maximum"], SETTINGS[name].range[1], name)
            elif SETTINGS[name].flag:
                self.assertIn("boolean", schema["type"], name)

    def test_versions_are_those_of_the_bus(self):
        cargo = (REPOSITORY / "Cargo.toml").read_text(encoding="utf-8")
        for chart in CHARTS:
            about = yaml.safe_load((chart / "Chart.yaml").read_text(encoding="utf-8"))
            self.assertEqual(about["appVersion"], re.search(r'^version = "(.*)"$', cargo, re.MULTILINE)[1], chart.name)

    def test_lines_to_paste_are_those_of_the_readme_which_are_run(self):
        notes = (CHART / "templates" / "NOTES.txt").read_text(encoding="utf-8")
        readme = (REPOSITORY / "README.md").read_text(encoding="utf-8").splitlines()
        lines = [line.strip() for line in notes.splitlines() if "curl " in line or "$CLAIM" in line]
        self.assertEqual(len(lines), 4)
        self.assertEqual([line for line in lines if line not in readme], [])

    def test_links_of_the_readmes_lead_somewhere(self):
        for chart, least in [(CHART, 5), (WORKER, 0)]:
            text = (chart / "README.md").read_text(encoding="utf-8")
            links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if not link.startswith("https://")]
            self.assertGreater(len(links), least)
            self.assertEqual([link for link in links if not (chart / link).exists()], [], chart.name)

    def test_values_that_the_readmes_name_are_there(self):
        for chart, least in [(CHART, 10), (WORKER, 5)]:
            text = (chart / "README.md").read_text(encoding="utf-8").split("## Values")[0]
            named = set(re.findall(r"`([a-z][A-Za-z]*(?:\.[a-z][A-Za-z]*)+)(?:=[^`]*)?`", text)) - {
                "values.schema.json"
            }
            self.assertGreater(len(named), least)
            for path in named:
                at = VALUES[chart]
                for name in path.split("."):
                    self.assertIn(name, at, path)
                    at = at[name]

    def test_metrics_that_workers_scale_on_are_emitted(self):
        source = "".join(file.read_text(encoding="utf-8") for file in (REPOSITORY / "src" / "telemetry").rglob("*.rs"))
        example = CHART / "examples" / "keda-workers.yaml"
        for file in (example, WORKER / "templates" / "scaledobject.yaml"):
            for metric in set(re.findall(r"\bintent_bus_\w+", file.read_text(encoding="utf-8"))):
                self.assertIn(f'"{metric}"', source)
        self.assertEqual(yaml.safe_load(example.read_text(encoding="utf-8"))["kind"], "ScaledObject")

    def test_a_package_holds_what_templates_read_and_no_more(self):
        for helm, chart in itertools.product(HELMS, CHARTS):
            with self.subTest(helm=helm.version, chart=chart.name), tempfile.TemporaryDirectory() as folder:
                helm.run("package", chart, "--destination", folder)
                [package] = Path(folder).iterdir()
                with tarfile.open(package) as archive:
                    names = [name.removeprefix(f"{chart.name}/") for name in archive.getnames()]
                self.assertIn("values.schema.json", names)
                self.assertFalse([name for name in names if name.startswith(("examples", "files/README"))])
                # Each release stores the chart in a secret, of which 1 MiB fits.
                self.assertLess(package.stat().st_size, 100_000)
