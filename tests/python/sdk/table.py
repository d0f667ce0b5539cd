"""The outcome of a run as a table: a row for each check, a column for each version."""

from __future__ import annotations

from .harness import CHECKS
from .versions import parse

Outcomes = dict  # (version, title of the check) -> None if it passed, else what was wrong


def missing(version: str, outcomes: Outcomes, why: str) -> None:
    """Count every check of this version that reported nothing as failed."""
    for check in CHECKS:
        if check.applies_to(version):
            outcomes.setdefault((version, check.title), why)


def show(versions: list[str], outcomes: Outcomes) -> int:
    """Print the table, the failures and the sums; answer the number of failures."""
    width = max(len(check.title) for check in CHECKS)
    print(" " * width, *(f"{version:>5}" for version in versions))
    for check in CHECKS:
        cells = (f"{_cell(version, check.title, outcomes):>5}" for version in versions)
        print(check.title.ljust(width), *cells)
    print()
    failed = {place: detail for place, detail in outcomes.items() if detail is not None}
    for (version, title), detail in sorted(failed.items(), key=lambda item: (item[0][1], parse(item[0][0]))):
        print(f"FAIL {version}  {title}\n     {detail}")
    print(f"{len(outcomes) - len(failed)} passed, {len(failed)} failed")
    return len(failed)


def _cell(version: str, title: str, outcomes: Outcomes) -> str:
    if (version, title) not in outcomes:
        return "-"
    return "ok" if outcomes[version, title] is None else "FAIL"
