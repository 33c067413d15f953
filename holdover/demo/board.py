"""Progress while the phases run: a live table, or plain lines for a file."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from holdover.demo.caches import WAYS, Way
from holdover.demo.figures import SLOW, percentile
from holdover.demo.phases import Watcher

# Drawing takes processor time that the site and its visitors want.
_REDRAWS = 2.0  # per second


@dataclass(slots=True)
class Tally:
    """How a phase goes so far.

    Attributes:
        seconds: How long it will take, about.
        latencies: Of its requests, in seconds.
        creator_runs: How often the creator ran.
        started_at: When it began (monotonic); None before that.
    """

    seconds: float
    latencies: list[float] = field(default_factory=list)
    creator_runs: int = 0
    started_at: float | None = None

    def saw(self, latencies: Sequence[float], creator_runs: int) -> None:
        """See `Watcher.saw`."""
        self.latencies.extend(latencies)
        self.creator_runs = creator_runs

    def begin(self) -> None:
        """Take the time."""
        self.started_at = time.monotonic()

    @property
    def done(self) -> float:
        """How much of it is over, from 0 to 1."""
        if self.started_at is None:
            return 0.0
        return min(1.0, (time.monotonic() - self.started_at) / self.seconds)

    def cells(self) -> list[str]:
        """Requests, median, p99, slow requests and creator runs, as texts."""
        if not self.latencies:
            return [""] * 5
        slow = sum(latency > SLOW for latency in self.latencies)
        return [
            str(len(self.latencies)),
            milliseconds(percentile(self.latencies, 50)),
            milliseconds(percentile(self.latencies, 99)),
            str(slow),
            str(self.creator_runs),
        ]


class Board(Protocol):
    """Shows how the phases go."""

    def phase(self, way: Way) -> Watcher:
        """Begin a phase."""


def milliseconds(seconds: float) -> str:
    """Write a time for people."""
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds * 1000:,.0f} ms"


@contextmanager
def board_on(console: Console, seconds: float) -> Iterator[Board]:
    """Show the phases on *console*, each of *seconds*, while the block runs."""
    if not console.is_terminal:
        yield _Lines(console, seconds)
        return
    drawn = _LiveTable(seconds)
    with Live(get_renderable=drawn.draw, console=console, refresh_per_second=_REDRAWS):
        yield drawn


class _Lines:
    """One line for each phase that begins."""

    def __init__(self, console: Console, seconds: float) -> None:
        self._console = console
        self._seconds = seconds

    def phase(self, way: Way) -> Watcher:
        """See `Board.phase`."""
        self._console.print(f"{way.title}: {way.note}; {self._seconds:g} s")
        return Tally(self._seconds)


class _LiveTable:
    """A row for each phase, with a bar and its figures so far."""

    def __init__(self, seconds: float) -> None:
        self._tallies = {way.name: Tally(seconds) for way in WAYS}

    def phase(self, way: Way) -> Watcher:
        """See `Board.phase`."""
        tally = self._tallies[way.name]
        tally.begin()
        return tally

    def draw(self) -> Table:
        """Make the table as it is now."""
        table = Table(box=None, pad_edge=False, header_style="dim")
        table.add_column("phase")
        table.add_column("", width=14)
        for heading in ("requests", "median", "p99", "> 100 ms", "creator runs"):
            table.add_column(heading, justify="right", no_wrap=True)
        for way in WAYS:
            tally = self._tallies[way.name]
            bar = ProgressBar(total=1.0, completed=tally.done, width=14)
            table.add_row(way.title, bar, *tally.cells())
        return table
