"""The pages of the documentation that say what was measured."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

from peers import plots, tables
from peers.pipes import BENCHMARKS
from peers.record import Record

DOCS = BENCHMARKS.parent / "docs"
PAGE = DOCS / "performance.rst"
ALL = DOCS / "performance_tables.rst"
PLOTS = DOCS / "plots"
BASELINE = BENCHMARKS / "peers" / "baseline.json"
BEGIN, END = ".. Written by make bench: begin\n\n", "\n.. end\n"
HEAD = """\
All figures of the comparison
=============================

.. Written by make bench; the words around it are in performance.rst.

"""


def write(record: Record) -> None:
    """Write the baseline, and the pages and plots that show it."""
    BASELINE.write_text(record.to_json())
    PAGE.write_text(rewritten(PAGE.read_text(), record))
    ALL.write_text(whole(record))
    plots.draw(record, PLOTS)


def baseline() -> Record:
    """Give what was written last."""
    return Record.from_json(BASELINE.read_text())


def rewritten(text: str, record: Record) -> str:
    """Give the page with a summary of a record in its place."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END, 1)
    return f"{before}{BEGIN}{summary(record)}{END}{after}"


def summary(record: Record) -> str:
    """Give what the page says by itself: limits, hits, and the plots."""
    return "\n".join(
        [
            told(record.facts),
            "What was wanted, and what was found:\n",
            tables.of_limits(record),
            "The best in microseconds, and how many times the floor's they are:\n",
            tables.of_hits(record),
            image("hits", "A hit of a decorated function, by store and library"),
            image("many", "A hundred keys at once, by store and library"),
            image("threads", "Eight threads or tasks, by store and library"),
            image("imports", "What imports cost"),
        ]
    )


def image(name: str, text: str) -> str:
    """Show a plot."""
    return f".. image:: {PLOTS.name}/{name}.svg\n   :alt: {text}\n"


def whole(record: Record) -> str:
    """Give the page of all tables."""
    parts = [HEAD, told(record.facts)]
    for title, table in tables.of_all(record):
        parts.append(f"\n\n{title}\n{'-' * len(title)}\n\n{table}")
    return "".join(parts)


def told(facts: Mapping[str, Any]) -> str:
    """Say when a record was made, how, and with what."""
    versions = ", ".join(facts["versions"])
    return wrapped(
        f"Measured by ``{facts['command']}`` on {facts['date']}: {facts['rounds']} "
        f"rounds on {facts['cores']} cores, with a load of {facts['load'][0]:g} before "
        f"and {facts['load'][1]:g} after (our own is about 1). {versions}."
    )


def wrapped(text: str) -> str:
    """Break a text into lines, as people do."""
    return (
        textwrap.fill(text, 88, break_long_words=False, break_on_hyphens=False) + "\n"
    )
