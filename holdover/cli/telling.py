"""The one manner of all commands: what they say, where, and how they end.

A command is a function below ``@tells``. It gets a `Teller`, and returns its exit code
or nothing::

    @click.command()
    @tells
    @click.pass_obj
    def greet(application: Regions, teller: Teller) -> int:
        if not teller.document({"greeting": "hello"}):
            teller.line("hello")
        return DONE

Standard output belongs to the teller alone: what the application prints while it is
imported or at work goes to standard error.
"""

from __future__ import annotations

import functools
import json
import logging
import math
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

import click

from holdover.cli.exits import DONE, FAILED
from holdover.regions.numbers import is_instant

if TYPE_CHECKING:
    from rich.table import Table

_STDOUT, _STDERR = 1, 2
_STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}
_SILENCE = logging.NullHandler()
_LONG = 1000.0  # seconds
_NO_LIMIT = 100_000  # columns, where no terminal folds them

C = TypeVar("C", bound=Callable[..., Any])


class Teller:
    """Says what a command has to say, to people or to programs.

    Args:
        out: Where to.
        as_json: Whether to programs.
    """

    def __init__(self, out: TextIO, *, as_json: bool) -> None:
        self._out = out
        self.as_json = as_json
        self.is_cut_off = False
        self._lock = threading.Lock()  # guards the order of lines

    @property
    def is_terminal(self) -> bool:
        """Whether somebody looks on."""
        return self._out.isatty()

    def document(self, value: object) -> bool:
        """Print *value* as JSON on one line, if a program is told.

        Returns:
            Whether it is; if not, people are to be told in another way.
        """
        if self.as_json:
            self._write(json.dumps(_plain(value), allow_nan=False) + "\n")
        return self.as_json

    def line(self, text: str) -> None:
        """Print a line for people; programs do not get it."""
        if not self.as_json:
            self._write(printable(text) + "\n")

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print a table for people: in full, and without lines if it goes to a file."""
        if self.as_json:
            return
        from rich.console import Console

        # A table that is to be read by grep has a row in one line.
        width = None if self.is_terminal else _NO_LIMIT
        table = _drawn(columns, rows, framed=self.is_terminal)
        # Written by us, since rich has its own mind of a broken pipe.
        console = Console(file=self._out, width=width)
        with console.capture() as drawn:
            console.print(table)
        lines = [line.rstrip() for line in drawn.get().splitlines()]
        self._write("\n".join([*lines, ""]))

    @contextmanager
    def live(self) -> Iterator[Callable[..., None]]:
        """Give what shows a table and lines below it, each in place of the last."""
        from rich.console import Console, Group
        from rich.live import Live
        from rich.text import Text

        with Live(console=Console(file=self._out), auto_refresh=False) as screen:

            def show(
                columns: Sequence[str],
                rows: Sequence[Sequence[str]],
                lines: Sequence[str],
            ) -> None:
                below = [Text(printable(line)) for line in lines]
                table = _drawn(columns, rows, framed=True)
                screen.update(Group(table, *below), refresh=True)

            yield show

    @contextmanager
    def waiting(self) -> Iterator[Callable[[str], None]]:
        """Give what shows on a terminal what is waited for, until it is there."""
        if self.as_json or sys.stderr is None or not sys.stderr.isatty():
            yield lambda _: None
            return
        from rich.console import Console
        from rich.text import Text

        console = Console(stderr=True)
        with console.status("") as status:
            yield lambda text: status.update(Text(printable(text)))

    def problem(self, text: str) -> None:
        """Print a line on standard error."""
        say(text)

    def _write(self, text: str) -> None:
        with self._lock:
            try:
                self._out.write(text)
                self._out.flush()
            except BrokenPipeError:  # who reads has seen enough
                self.is_cut_off = True
                os.dup2(os.open(os.devnull, os.O_WRONLY), self._out.fileno())


def _drawn(
    columns: Sequence[str], rows: Sequence[Sequence[str]], *, framed: bool
) -> Table:
    """Draw a table, in which nothing has a meaning for a terminal."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD if framed else None, pad_edge=False)
    for column in columns:
        table.add_column(Text(printable(column)), overflow="fold")
    for row in rows:
        cells = map(printable, row)
        table.add_row(*(Text(one, style=_STYLES.get(one, "")) for one in cells))
    return table


def log_to_stderr(*, without: str) -> None:
    """Say the warnings of Holdover's log, for commands that go on and on.

    Unless the application has them go elsewhere.

    Args:
        without: How those begin which the command tells by itself.
    """
    log = logging.getLogger("holdover")
    if any(one is not _SILENCE for one in [*log.handlers, *log.root.handlers]):
        return
    handler = logging.StreamHandler()
    handler.setLevel(logging.WARNING)
    handler.setFormatter(logging.Formatter("holdover: %(message)s"))
    handler.addFilter(lambda record: not record.getMessage().startswith(without))
    log.addHandler(handler)


def say(text: str) -> None:
    """Print one line on standard error, as coming from us."""
    click.echo(f"holdover: {printable(text)}", err=True)


def printable(text: str) -> str:
    """Show what would move a terminal's cursor, or make another line, as its escape."""
    return "".join(
        one
        if one.isprintable()
        else one.encode("unicode_escape", "surrogatepass").decode()
        for one in text
    )


def moment(at: float) -> str:
    """Show an instant (wall clock, seconds); "never" for one that no calendar has."""
    if not is_instant(at):
        return "never"
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def span(seconds: float) -> str:
    """Show a span of time, to a few digits."""
    return f"{seconds:.3g} s" if abs(seconds) < _LONG else f"{seconds:.0f} s"


def tells(command: C) -> C:
    """Give a command the option ``--json``, a `Teller`, and standard output to itself.

    Args:
        command: Gets the teller as the keyword argument *teller*; returns an exit code,
            or None, which is `DONE`.
    """

    @functools.wraps(command)
    def telling(*args: Any, as_json: bool, **kwargs: Any) -> int:
        # What concerns the user the command says; an application may log it as well.
        logging.getLogger("holdover").addHandler(_SILENCE)
        with _standard_output() as out:
            teller = Teller(out, as_json=as_json)
            status = command(*args, teller=teller, **kwargs)
            return FAILED if teller.is_cut_off else status or DONE

    said = "Print JSON, and nothing else, on standard output."
    option = click.option("--json", "as_json", is_flag=True, help=said)
    return option(telling)  # type: ignore[return-value] # with another argument


@contextmanager
def _standard_output() -> Iterator[TextIO]:
    """Have standard output to ourselves; others who print do so on standard error."""
    ours: TextIO | None = sys.stdout
    if ours is None:  # whoever started us has closed it
        with open(os.devnull, "w", encoding="utf-8") as out:
            yield out
        return
    if _is_descriptor(ours, _STDOUT):
        # For as long as the process lives: its threads may print when we are done.
        ours.flush()
        out = os.fdopen(os.dup(_STDOUT), "w", encoding=ours.encoding, errors="replace")
        os.dup2(os.open(os.devnull, os.O_WRONLY) if _is_mute() else _STDERR, _STDOUT)
        sys.stdout = sys.stderr
        yield out
        return
    sys.stdout = sys.stderr
    try:
        yield ours
    finally:
        sys.stdout = ours


def _is_mute() -> bool:
    """Say whether standard error was closed by whoever started us."""
    given: object = sys.stderr
    return given is None


def _is_descriptor(stream: TextIO, number: int) -> bool:
    try:
        return stream.fileno() == number
    except (OSError, ValueError):  # it is none, or closed
        return False


def _plain(value: object) -> object:
    """Give *value* as JSON has it: what is no number there becomes null."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(key): _plain(held) for key, held in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if value is None or isinstance(value, str | int | float):
        return value
    return str(value)
