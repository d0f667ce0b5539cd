"""Copies of a chart with a fault in it."""

from __future__ import annotations

import shutil
from pathlib import Path

from .helm import CHART


def copy(to: Path, changes: dict[str, tuple[str, str]] | None = None, of: Path = CHART) -> Path:
    """A copy in which, of each file named, one text is another. The text must be there."""
    chart = Path(shutil.copytree(of, to / of.name))
    for path, (old, new) in (changes or {}).items():
        text = (chart / path).read_text(encoding="utf-8")
        if old not in text:
            raise LookupError(f"{path} does not have {old!r} any more")
        (chart / path).write_text(text.replace(old, new), encoding="utf-8")
    return chart
