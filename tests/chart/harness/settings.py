"""The settings of the bus, as docs/configuration.md has them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .helm import REPOSITORY

ROW = re.compile(r"^\| `([A-Z_]+)` \| (?:`([^`]*)`)? ?\| (.*) \|$", re.MULTILINE)
RANGE = re.compile(r"\b(\d+) to (\d+)\b")
# Named by values of their own, or by none: `config` must not have them.
BY_THE_CHART = {
    "DATABASE_URL",
    "DATABASE_DIRECT_URL",
    "BUS_MIGRATE",
    "BUS_SECRET",
    "BUS_ADMIN_SECRET",
    "DASHBOARD_PASSWORD",
    "BUS_METRICS_TOKEN",
    "BUS_LISTEN",
    "BUS_METRICS_LISTEN",
}


@dataclass(frozen=True)
class Setting:
    name: str
    default: str
    text: str

    @property
    def secret(self) -> bool:
        return "Secret: never shown." in self.text

    @property
    def range(self) -> tuple[int, int] | None:
        """Least and most, if it is a number. A default below the range has a meaning of its own."""
        numbers = RANGE.search(self.text)
        if not numbers or not self.default.isdigit():
            return None
        return min(int(numbers[1]), int(self.default)), int(numbers[2])

    @property
    def flag(self) -> bool:
        return self.default in ("true", "false")


def read() -> dict[str, Setting]:
    text = (REPOSITORY / "docs" / "configuration.md").read_text(encoding="utf-8")
    return {name: Setting(name, default, doc) for name, default, doc in ROW.findall(text)}


SETTINGS = read()
