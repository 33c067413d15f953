"""The tables: of all figures, of limits, and of hits over all stores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from peers.catalogue import FLOOR, GROUPS, NOTES, OURS, TITLES
from peers.imports import COLUMNS
from peers.limits import LIMITS
from peers.record import Figure, Key, Record

Row = Sequence[str]

NARROW = ("memory", "file", "sqlite", "memcached", "redis", "postgres")
CASES = {
    "hit": "A hit of a decorated function, {}",
    "many": "A hundred keys at once, {}",
    "threads": "Eight threads, {}",
    "100 KB": "A hit of 100 KB, {}",
    "5 MB": "A hit of 5 MB, {}",
    "door": "A WSGI request with one hit, {}",
}


def drawn(rows: Sequence[Row], words: int = 1) -> str:
    """Draw a table of reStructuredText; the first row is its head.

    Args:
        rows: What stands in it.
        words: How many columns are of words; numbers follow, and stand on the right.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rule = "  ".join("=" * width for width in widths)
    lines = []
    for row in rows:
        cells = zip(row, widths, strict=True)
        lines.append(
            "  ".join(
                cell.ljust(width) if place < words else cell.rjust(width)
                for place, (cell, width) in enumerate(cells)
            ).rstrip()
        )
    return "\n".join([rule, lines[0], rule, *lines[1:], rule, ""])


def shown(number: float) -> str:
    """Write a number with as many digits as mean something."""
    number = float(f"{number:.3g}")
    digits = 0 if number >= 100 else 1 if number >= 10 else 2
    return f"{number:,.{digits}f}"


def times(one: Figure, other: Figure | None) -> str:
    """Write how many times another's best a best is."""
    return shown(one.best / other.best) if other else ""


def of_group(record: Record, case: str, store: str) -> str:
    """Draw the table of those who do one thing on one store."""
    figures = record.named(case, store)
    rows = list(crowd_rows(figures) if case == "threads" else rows_of(figures))
    noted = [name for name in figures if case == "hit" and (store, name) in NOTES]
    notes = "".join(f"- {name}: {NOTES[store, name]}.\n" for name in noted)
    return drawn(rows) + (f"\n{notes}" if notes else "")


def rows_of(figures: dict[str, Figure]) -> Iterator[Row]:
    """Give what one call takes, of each."""
    yield ("Microseconds", "median", "best", "IQR", "x floor", "x Holdover")
    for name, figure in figures.items():
        yield (
            name,
            shown(figure.median),
            shown(figure.best),
            f"{figure.spread:.0%}",
            times(figure, figures.get(FLOOR)),
            times(figure, figures.get(OURS)),
        )


def crowd_rows(figures: dict[str, Figure]) -> Iterator[Row]:
    """Give how many calls there are in a second, of each."""
    yield ("Hits per second", "median", "best", "IQR", "of Holdover's")
    for name, figure in figures.items():
        yield (
            name,
            shown(1e6 / figure.median),
            shown(1e6 / figure.best),
            f"{figure.spread:.0%}",
            shown(figures[OURS].best / figure.best) if OURS in figures else "",
        )


def of_imports(record: Record) -> str:
    """Draw what imports cost."""
    columns = [record.named("import", column) for column in COLUMNS]
    head = [part for name in COLUMNS[:2] for part in (name, "median")]
    rows: list[Row] = [("Statement", *head, *COLUMNS[2:])]
    for name in columns[0]:
        cpu, wall, resident, modules = (column[name] for column in columns)
        taken = [shown(part) for one in (cpu, wall) for part in (one.best, one.median)]
        shared = shown(resident.median), f"{modules.median:.0f}"
        rows.append((name, *taken, *shared))
    return drawn(rows)


def of_limits(record: Record) -> str:
    """Draw what was wanted and what was found, of all limits that were measured."""
    rows: list[Row] = [("What", "Wanted", "Found", "Verdict")]
    for limit in LIMITS:
        if limit.is_in(record):
            found = limit.said(limit.found(record))
            verdict = "met" if limit.is_met(record) else "not met"
            rows.append((subject(limit.ours), limit.wanted, found, verdict))
    return drawn(rows, words=4)


def subject(key: Key) -> str:
    """Name what is limited."""
    case = {"many": "100 keys", "threads": "8 threads"}.get(key.case, key.case)
    where = f"{case}, {TITLES.get(key.store, key.store)}"
    return where if key.name == OURS else f"{where}: {key.name}"


def of_hits(record: Record) -> str:
    """Draw the bests of hits, by subject and store."""
    columns = {store: record.named("hit", store) for store in NARROW}
    names = list(dict.fromkeys(name for held in columns.values() for name in held))
    rows: list[Row] = [("Subject", *(TITLES[store] for store in NARROW))]
    rows += [
        (name, *(cell(columns[store], name) for store in NARROW)) for name in names
    ]
    return drawn(rows)


def cell(figures: dict[str, Figure], name: str) -> str:
    """Write a best, and how many times the floor's that is."""
    figure, floor = figures.get(name), figures.get(FLOOR)
    if figure is None or floor is None:
        return "-"
    return shown(figure.best) + (f" ({times(figure, floor)})" if name != FLOOR else "")


def of_all(record: Record) -> Iterator[tuple[str, str]]:
    """Give title and table of all that was measured."""
    for case, store in GROUPS:
        if record.named(case, store):
            yield CASES[case].format(TITLES[store]), of_group(record, case, store)
    if record.named("import", COLUMNS[0]):
        yield "Imports", of_imports(record)
