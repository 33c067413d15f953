"""The one manner of all commands: what they say, where, and how they end.

A command is a function below ``@tells``. It gets a `Teller`, and returns its exit code
or nothing::

    @click.command()
    @tells
    @click.pass_obj
    def greet(application: Application, teller: Teller) -> int:
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
from typing import Any, TextIO, TypeVar

import click

DONE = 0
FAILED = 1  # it was carried out, and something failed or is not well
REFUSED = 2  # it could not begin: usage, application, configuration
OUT_OF_REACH = 3  # the backend could not be reached

EXIT_CODES = f"""\
\b
Exit codes:
  {DONE}  done
  {FAILED}  carried out, and something failed, is not well, or was interrupted
  {REFUSED}  it could not begin: usage, application or configuration
  {OUT_OF_REACH}  the backend could not be reached"""

_STDOUT, _STDERR = 1, 2
_TRACEBACK = f"{__name__}.traceback"
_STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}
_SILENCE = logging.NullHandler()
_LONG = 1000.0  # seconds
_NO_LIMIT = 100_000  # columns, where no terminal folds them

C = TypeVar("C", bound=Callable[..., Any])


class CannotBegin(click.ClickException):
    """What the user asked for makes no sense here; nothing was done."""

    exit_code = REFUSED


class OutOfReach(click.ClickException):
    """The backend does not answer."""

    exit_code = OUT_OF_REACH


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
        from rich.box import SIMPLE_HEAD
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        to_people = self._out.isatty()
        # A table that is to be read by grep has a row in one line.
        width = None if to_people else _NO_LIMIT
        table = Table(box=SIMPLE_HEAD if to_people else None, pad_edge=False)
        for column in columns:
            table.add_column(Text(printable(column)), overflow="fold")
        for row in rows:
            cells = map(printable, row)
            table.add_row(*(Text(one, style=_STYLES.get(one, "")) for one in cells))
        # Written by us, since rich has its own mind of a broken pipe.
        console = Console(file=self._out, width=width)
        with console.capture() as drawn:
            console.print(table)
        lines = [line.rstrip() for line in drawn.get().splitlines()]
        self._write("\n".join([*lines, ""]))

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


def log_to_stderr() -> None:
    """Say the warnings of Holdover's log, for commands that go on and on.

    Unless the application has them go elsewhere.
    """
    log = logging.getLogger("holdover")
    if any(one is not _SILENCE for one in [*log.handlers, *log.root.handlers]):
        return
    handler = logging.StreamHandler()
    handler.setLevel(logging.WARNING)
    handler.setFormatter(logging.Formatter("holdover: %(message)s"))
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
    """Show an instant (wall clock, seconds); "never" for one that does not come."""
    if not math.isfinite(at):
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


# -- how a command ends --------------------------------------------------------


def note_traceback(
    context: click.Context, _option: click.Parameter, value: object
) -> None:
    """Remember whether tracebacks are wanted, for `Commands`."""
    context.meta[_TRACEBACK] = value


class Commands(click.Group):
    """The commands, all of which fail in one manner: a line, and an exit code."""

    _shows_traceback = False

    def invoke(self, ctx: click.Context) -> Any:
        """Carry out a command; whatever it raises becomes an error of click's."""
        self._shows_traceback = bool(ctx.meta.get(_TRACEBACK))
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.Abort, click.exceptions.Exit):
            raise
        except Exception as error:
            raise _told(error) from error

    def main(self, *args: Any, standalone_mode: bool = True, **extra: Any) -> Any:
        """Run the program: say what went wrong in one line, and end."""
        try:
            extra["standalone_mode"] = False
            status = super().main(*args, **extra)
        except click.Abort:
            say("interrupted")
            status = FAILED
        except click.ClickException as error:
            self._show(error)
            status = error.exit_code
        if not standalone_mode:
            return status
        sys.exit(status if isinstance(status, int) else DONE)

    def _show(self, error: click.ClickException) -> None:
        if self._shows_traceback:
            import traceback

            traceback.print_exception(error)
        if isinstance(error, _HELP):
            error.show()
            return
        message = error.format_message()
        if isinstance(error, click.UsageError) and error.ctx is not None:
            message += f" See '{error.ctx.command_path} --help'."
        say(message)


# Since click 8.2, who gives no command gets the help by way of an error.
_HELP: tuple[type[Exception], ...] = tuple(
    kind for kind in [getattr(click.exceptions, "NoArgsIsHelpError", None)] if kind
)


def _told(error: Exception) -> click.ClickException:
    """Say in one line what a command raised, and how the program ends."""
    from holdover import errors

    if isinstance(error, errors.BackendError):
        return OutOfReach(str(error))
    if isinstance(error, errors.HoldoverError):
        return CannotBegin(str(error))
    return click.ClickException(f"{in_a_line(error)}. --traceback shows where")


def in_a_line(error: BaseException) -> str:
    """Give an error's kind and what it says, in one line."""
    said = " ".join(str(error).split())
    return f"{type(error).__name__}: {said}" if said else type(error).__name__
