"""Write the tables of ``docs/http_conformance.rst`` from the tests of the requirements.

Run it with the environment's Python after one has been added;
``tests/test_http_rfc.py`` says when that was forgotten.
"""

from __future__ import annotations

import sys
from importlib import import_module
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from capability_table import drawn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from http_requirements import Requirement

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "http_conformance.rst"
TESTS = ROOT / "tests"
BEGIN, END = ".. The tests' own words: begin\n\n", "\n.. end\n"

TITLES = {
    "9111": "RFC 9111: HTTP Caching",
    "9110": "RFC 9110: HTTP Semantics, as far as caches carry it out",
    "5861": "RFC 5861: stale-while-revalidate and stale-if-error",
    "8246": "RFC 8246: immutable",
    "9211": "RFC 9211: Cache-Status",
    "9213": "RFC 9213: targeted fields",
}
HEAD = ("Section", "Level", "A shared cache is to", "Result")


def requirements() -> list[Requirement]:
    """Give all that is required, in the order of the texts."""
    for path in sorted(TESTS.glob("test_http_rfc_*.py")):
        import_module(path.stem)
    return sorted(
        import_module("http_requirements").REQUIREMENTS,
        key=lambda one: (list(TITLES).index(one.where[:4]), _order(one.where)),
    )


def _order(where: str) -> list[int]:
    return [int(part) for part in where[5:].split(".")]


def tables() -> str:
    """Give a section for each text."""
    return "\n".join(_sections())


def _sections() -> Iterator[str]:
    for rfc, group in groupby(requirements(), lambda one: one.where[:4]):
        rows = [(one.where[5:], one.level, one.text, one.result) for one in group]
        title = TITLES[rfc]
        yield f"{title}\n{'-' * len(title)}\n\n{drawn([HEAD, *rows])}\n"


def rewritten(page: str) -> str:
    """Give a page with the tables as they should be."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{tables()}{END}{after}"


if __name__ == "__main__":
    sys.path.append(str(TESTS))
    PAGE.write_text(rewritten(PAGE.read_text()))
