"""Which metrics an expression of PromQL reads, and what is done to each: as much of the language as that takes."""

from __future__ import annotations

import re
from collections.abc import Iterator

TOKEN = re.compile(
    r"""(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?P<selector>\{[^}]*\})|(?P<range>\[[^\]]*\])"""
    r"""|(?P<word>[A-Za-z_:][\w:]*)|(?P<open>\()|(?P<close>\))|(?P<other>\S)""",
    re.VERBOSE,
)
# Words that a list of labels follows.
LISTS = {"by", "without", "on", "ignoring", "group_left", "group_right"}
WORDS = {"and", "or", "unless", "bool", "offset"}
AGGREGATES = {"sum", "min", "max", "avg", "count", "topk", "bottomk", "quantile", "group"}


def read(expr: str) -> Iterator[tuple[str, list[str]]]:
    """Each metric that is read, with the functions around it, the innermost first."""
    tokens = [(match.lastgroup, match.group()) for match in TOKEN.finditer(re.sub(r"\$\w+|\$\{[^}]*\}", "1", expr))]
    around: list[str] = []
    function, place = "", 0
    while place < len(tokens):
        kind, text = tokens[place]
        following = tokens[place + 1] if place + 1 < len(tokens) else ("", "")
        if kind == "open":
            around.append(function)
            function = ""
        elif kind == "close":
            around.pop()
        elif kind == "word" and text in LISTS:
            if following[0] == "open":
                while tokens[place][0] != "close":
                    place += 1
        elif kind == "word" and text not in WORDS:
            if following[0] == "open" or following[1] in ("by", "without"):
                function = text
            elif not re.fullmatch(r"\d.*|[smhdwy]+", text):
                yield text, [each for each in reversed(around) if each]
        place += 1


def aggregate(functions: list[str]) -> str:
    """What brings the series of a metric together first."""
    return next((each for each in functions if each in AGGREGATES), "")


def family(name: str, known: set[str]) -> str:
    """The metric that a series belongs to: those of histograms have three names more."""
    base = re.sub(r"_(bucket|count|sum)$", "", name)
    return name if name in known or base not in known else base
