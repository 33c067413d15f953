"""Write the tables of ``docs/backends.rst`` from what the backends declare.

Run it with the environment's Python after a declaration has changed;
``tests/test_docs.py`` says when that was forgotten.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from holdover.regions import plugins
from holdover.regions.backends import sql_drivers
from holdover.regions.backends.capabilities import Capabilities
from holdover.regions.backends.keyed import KeyedBackend

PAGE = Path(__file__).parent.parent / "docs" / "backends.rst"
BEGIN, END = ".. The backends' own words: begin\n\n", "\n.. end\n"

SHARED = {"process": "this process", "host": "processes of a host", "fleet": "a fleet"}
CLOCKS = {"host": "this host's", "server": "the server's", "none": "-"}
UNITS = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))
FIRST = ("Backend", "Shared by", "Keeps", "Durable", "Bounded by", "Largest value")
SECOND = (
    "Backend", "Clock", "Expired entries go", "May lose by", "Transactions", "Pushes"
)  # fmt: skip


def declared() -> Iterator[tuple[str, Capabilities]]:
    """Give what each backend declares; one more than once, as its arguments decide."""
    for name in plugins.BACKENDS:
        yield f"``{name}``", plugins.load("backend", name).capabilities
        if name == "holdover.sql":
            told = sql_drivers.declared("postgresql", pushes=True)
            yield f"``{name}``, ``notify``", told
            yield f"``{name}``, SQLite", sql_drivers.declared("sqlite")
    yield "``KeyedBackend``", KeyedBackend.capabilities


def tables() -> str:
    """Give both tables: what it is for, and how it behaves."""
    first, second = [FIRST], [SECOND]
    for name, one in declared():
        first.append((name, *what_it_is_for(one)))
        second.append((name, *how_it_behaves(one)))
    return f"{drawn(first)}\n{drawn(second)}"


def what_it_is_for(one: Capabilities) -> tuple[str, ...]:
    """Give a row of the first table."""
    return (
        SHARED[one.shared_by],
        "objects" if one.keeps_objects else "bytes",
        said(one.durable),
        ", ".join(one.bounded_by),
        size(one.largest_value),
    )


def how_it_behaves(one: Capabilities) -> tuple[str, ...]:
    """Give a row of the second table."""
    return (
        CLOCKS[one.clock],
        "by themselves" if one.expires_by_itself else "by purge()",
        ", ".join(one.may_lose) or "-",
        said(one.transactional),
        said(one.pushes),
    )


def said(claim: bool) -> str:  # noqa: FBT001 - it is the sentence's subject
    """Say yes or no."""
    return "yes" if claim else "no"


def size(count: int | None) -> str:
    """Write a number of bytes as people do."""
    if count is None:
        return "any"
    unit, name = next((one for one in UNITS if count >= one[0]), (1, "bytes"))
    return f"{count / unit:,.0f} {name}"


def drawn(rows: Sequence[Sequence[str]]) -> str:
    """Draw a table of reStructuredText; the first row is its head."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rule = "  ".join("=" * width for width in widths)
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    ]
    return "\n".join(map(str.rstrip, [rule, lines[0], rule, *lines[1:], rule, ""]))


def rewritten(page: str) -> str:
    """Give a page with the tables as they should be."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{tables()}{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(rewritten(PAGE.read_text()))
