"""What is said at the end: tables for people, one object for programs."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from holdover.demo.board import milliseconds
from holdover.demo.expectations import Expectation
from holdover.demo.figures import Figures
from holdover.demo.phases import Plan, Result

_ROWS: tuple[tuple[str, Callable[[Figures], str]], ...] = (
    ("requests", lambda one: f"{one.requests:,}"),
    ("median", lambda one: milliseconds(one.median)),
    ("p99", lambda one: milliseconds(one.p99)),
    ("max", lambda one: milliseconds(one.maximum)),
    ("waited over 100 ms", lambda one: f"{one.slow:,}"),
    ("creator runs", lambda one: f"{one.creator_runs:,}"),
    ("duplicate creator runs", lambda one: f"{one.duplicate_runs:,}"),
    ("stale served", lambda one: f"{one.stale_served:,}"),
    ("oldest value served", lambda one: f"{one.oldest:.1f} s"),
)
_IDS_SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What the demonstration found out.

    Attributes:
        plan: How large it was.
        results: Of the phases, in their order.
        expectations: Of the last one.
        plots: Where the plots are.
        seconds: How long it all took.
    """

    plan: Plan
    results: Sequence[Result]
    expectations: Sequence[Expectation]
    plots: Sequence[Path]
    seconds: float

    @property
    def broken(self) -> bool:
        """Whether a request had no proper answer."""
        return any(result.whole.failed for result in self.results)

    @property
    def unmet(self) -> bool:
        """Whether an expectation did not hold."""
        return not all(one.held for one in self.expectations)


def show(console: Console, findings: Findings) -> None:
    """Print the tables, what was expected and where the plots are."""
    console.print()
    console.print(_table(findings.results))
    console.print(_tasks(findings.results))
    console.print(_verdicts(findings.expectations))
    if findings.broken:
        console.print("Some requests failed; the site or its server is at fault.\n")
    paths = ", ".join(map(str, findings.plots))
    console.print(f"Latency over time: {paths}", soft_wrap=True)


def _table(results: Sequence[Result]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    for result in results:
        table.add_column(result.way.title, justify="right", no_wrap=True)
    _add_part(table, "whole phase", [result.whole for result in results])
    table.add_row()
    _add_part(table, "after the first pass", [result.later for result in results])
    if all(result.elsewhere is not None for result in results):
        busy = [f"{result.elsewhere:.0%}" for result in results]
        table.add_row(Text("CPU of other programs", style="dim"), *busy)
    return table


def _add_part(table: Table, title: str, columns: Sequence[Figures]) -> None:
    table.add_row(Text(title, style="bold"))
    for label, cell in _ROWS:
        table.add_row(f"  {label}", *(cell(figures) for figures in columns))


def _tasks(results: Sequence[Result]) -> RenderableType:
    """Name the Celery tasks, or the first few of them."""
    lines = [
        f"{result.way.title} refreshed {len(result.task_ids)} times, by Celery tasks "
        f"{', '.join(result.task_ids[:_IDS_SHOWN])} and so on, in the processes "
        f"{', '.join(map(str, result.worker_pids))}."
        for result in results
        if result.task_ids
    ]
    return Text("\n".join(["", *lines, ""]), style="dim")


def _verdicts(expectations: Sequence[Expectation]) -> Group:
    table = Table(box=None, show_header=False, padding=(0, 0, 0, 2))
    for one in expectations:
        word, colour = ("held", "green") if one.held else ("NOT HELD", "red")
        table.add_row(Text(word, style=colour), f"{one.text}: {one.seen}")
    title = Text("Expected of Holdover after the first pass:", style="bold")
    return Group(title, table, "")


def as_json(findings: Findings, url: str | None = None) -> dict[str, Any]:
    """Give everything that was measured, ready for JSON; times in seconds."""
    return {
        "python": platform.python_version(),
        "plan": asdict(findings.plan),
        "seconds": round(findings.seconds, 1),
        "phases": [_phase(result) for result in findings.results],
        "expectations": [asdict(one) for one in findings.expectations],
        "plots": [str(path) for path in findings.plots],
        "url": url,
    }


def _phase(result: Result) -> dict[str, Any]:
    return {
        "name": result.way.name,
        "note": result.way.note,
        "whole": _rounded(result.whole),
        "after_first_pass": _rounded(result.later),
        "worker_pids": list(result.worker_pids),
        "foreground_runs": result.foreground_runs,
        "elsewhere": result.elsewhere,
        "refreshes": len(result.task_ids),
        "task_ids": result.task_ids,
    }


def _rounded(figures: Figures) -> dict[str, float]:
    return {name: round(value, 6) for name, value in asdict(figures).items()}
