"""Every set of values, with every Helm: linted, rendered, the same, as expected, valid, and true to the rules."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import unittest
from collections import Counter
from pathlib import Path

from harness import objects as o
from harness.helm import HELMS, Refused
from harness.rules import faults, rules_for
from harness.sets import EXAMPLES, NOT_VALUES, SETS, ValueSet

KUBERNETES = ["1.30", "1.37"]
OK, BAD, NONE = "ok", "FAILED", "-"

# The table that `run` prints: a row by set, a cell by check.
TABLE: dict[str, dict[str, str]] = {}
LINT = [f"lint {helm.version}" for helm in HELMS]
RENDER = [f"render {helm.version}" for helm in HELMS]
VALID = [f"valid {version}" for version in KUBERNETES]
COLUMNS = [*LINT, *RENDER, "same", *VALID, "rules", "objects", "not validated"]


class ValueSets(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = Path(cls.enterClassContext(tempfile.TemporaryDirectory()))

    def test_every_set_is_linted_rendered_valid_and_true_to_the_rules(self):
        renderings: dict[Path, ValueSet] = {}
        for values in SETS:
            row = TABLE.setdefault(values.name, dict.fromkeys(COLUMNS, BAD))
            with self.subTest(values.name):
                self.set_of_values(values, row, renderings)
        self.validate(renderings)

    def set_of_values(self, values: ValueSet, row: dict, renderings: dict):
        shapes = []
        for helm, lint, render in zip(HELMS, LINT, RENDER, strict=True):
            try:
                helm.lint(values.values, values.sets, values.chart)
                row[lint] = OK
                text = helm.render(
                    values.values, values.sets, values.apis, values.kubernetes, values.chart, values.release
                )
                row[render] = OK
            except Refused as refusal:
                self.fail(f"Helm {helm.version}: {refusal}")
            file = self.folder / f"{len(renderings)}.yaml"
            file.write_text(text, encoding="utf-8")
            renderings[file] = values
            items = o.read(text)
            shapes.append(o.shape(items))
            row["objects"] = str(len(items))
            row["not validated"] = " ".join(sorted({i["kind"] for i in items} & o.CUSTOM)) or NONE
            self.assertEqual(Counter(i["kind"] for i in items), values.expected())
            self.assertEqual(faults(items), [], f"Helm {helm.version}")
        row["rules"] = f"{len(rules_for(items))} {OK}"
        for shape in shapes[1:]:
            self.assertEqual(shapes[0], shape, "the versions of Helm do not render the same")
        row["same"] = OK

    def validate(self, renderings: dict[Path, ValueSet]):
        """kubernetes-validate itself, as anybody would call it, once for all."""
        asked = [word for version in KUBERNETES for word in ("-k", version)]
        command = [sys.executable, "-m", "kubernetes_validate", "--strict", *asked, *map(str, renderings)]
        printed = subprocess.run(command, capture_output=True, text=True, timeout=300).stdout
        wrong = {(values.name, column): False for values in renderings.values() for column in VALID}
        passed = Counter()
        for line in printed.splitlines():
            level, file, text = line.split(" ", 2)
            values = renderings[Path(file)]
            if level == "INFO":
                passed[values.name, f"valid {text.rsplit(' ', 1)[1]}"] += 1
            elif not (level == "WARN" and any(f"schema for kind {kind} " in text for kind in o.CUSTOM)):
                for column in VALID:
                    wrong[values.name, column] |= column.removeprefix("valid ") in text
                with self.subTest(values.name):
                    self.fail(text)
        for file, values in renderings.items():
            known = sum(item["kind"] not in o.CUSTOM for item in o.read(file.read_text(encoding="utf-8")))
            for column in VALID:
                if passed[values.name, column] == known * len(HELMS) and not wrong[values.name, column]:
                    TABLE[values.name][column] = OK
                else:
                    with self.subTest(values.name):
                        self.fail(f"{column}: {passed[values.name, column]} of {known * len(HELMS)} objects")

    def test_every_example_is_among_the_sets(self):
        rendered = {file.name for values in SETS for file in values.values if file.parent == EXAMPLES}
        self.assertEqual(rendered | NOT_VALUES, {file.name for file in EXAMPLES.iterdir()})

    def test_there_are_two_generations_of_helm(self):
        self.assertEqual([helm.version.split(".")[0] for helm in HELMS], ["3", "4"])
