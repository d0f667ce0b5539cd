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
    failures = _failures(versions, outcomes)
    for (title, detail), failed in failures.items():
        print(f"FAIL  {title}\n      in {' '.join(failed)}: {detail}")
    count = sum(len(failed) for failed in failures.values())
    print(f"{len(outcomes) - count} passed, {count} failed")
    return count


def _failures(versions: list[str], outcomes: Outcomes) -> dict:
    """The versions with the same failure of the same check, in the table's order: they mostly fail together."""
    failures: dict = {}
    for check in CHECKS:
        for version in versions:
            detail = outcomes.get((version, check.title))
            if detail is not None:
                failures.setdefault((check.title, detail), []).append(version)
    return failures


def _cell(version: str, title: str, outcomes: Outcomes) -> str:
    if (version, title) not in outcomes:
        return "-"
    return "ok" if outcomes[version, title] is None else "FAIL"
