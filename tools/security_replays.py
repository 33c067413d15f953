"""Write the tables of ``docs/security_replays.rst`` from the tests that replay attacks.

Run it with the environment's Python after one has been added;
``tests/test_cve_catalogue.py`` says when that was forgotten.
"""

from __future__ import annotations

import sys
from importlib import import_module
from itertools import chain, groupby, repeat, zip_longest
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING

from capability_table import drawn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cve_catalogue import Replay

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "security_replays.rst"
TESTS = ROOT / "tests"
BEGIN, END = ".. The tests' own words: begin\n\n", "\n.. end\n"

TITLES = {
    "test_cve_store.py": "What lies in a store",
    "test_cve_keys.py": "Keys and files",
    "test_cve_sessions.py": "Sessions and cookies",
    "test_cve_http_cache.py": "Whole pages",
    "test_cve_links.py": "Queues and connections",
}
WIDTH = 46  # characters of a column
HEAD = ("Known as", "Where", "What went wrong there", "What Holdover does", "Test")


def replays() -> list[Replay]:
    """Give all attacks that are replayed, room by room."""
    for file in TITLES:
        import_module(file.removesuffix(".py"))
    found: list[Replay] = import_module("cve_catalogue").REPLAYS
    return sorted(found, key=lambda one: (list(TITLES).index(_file(one)), one.numbers))


def _file(one: Replay) -> str:
    return one.test.partition("::")[0]


def tables() -> str:
    """Give a section for each room."""
    return "\n\n".join(_sections())


def _sections() -> Iterator[str]:
    for file, group in groupby(replays(), _file):
        rows = [line for one in group for line in _lines(one)]
        title = TITLES[file]
        told = f"In ``tests/{file}``:\n\n{drawn([HEAD, *rows])}"
        yield f"{title}\n{'-' * len(title)}\n\n{told}"


def _lines(one: Replay) -> Iterator[tuple[str, ...]]:
    """Give a row as lines; of a simple table's, those that go on begin with nothing."""
    test = one.test.rpartition("::")[2]
    cells = (one.where, one.fault, one.ours, f"``{test}``")
    parted = [wrap(cell, WIDTH, break_on_hyphens=False) for cell in cells]
    first = chain([", ".join(one.numbers)], repeat(""))
    for number, line in zip(first, zip_longest(*parted, fillvalue=""), strict=False):
        yield number, *line


def rewritten(page: str) -> str:
    """Give a page with the tables as they should be."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{tables()}{END}{after}"


if __name__ == "__main__":
    sys.path.append(str(TESTS))
    PAGE.write_text(rewritten(PAGE.read_text()))
