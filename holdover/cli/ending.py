"""How all commands end: what was raised becomes one line, and an exit code."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click

from holdover.cli.exits import DONE, FAILED, CannotBegin, OutOfReach
from holdover.cli.telling import say

_TRACEBACK = f"{__name__}.traceback"


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
        with _in_one_manner():
            return super().invoke(ctx)

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
        message = self._misplaced(error) or error.format_message()
        if isinstance(error, click.UsageError) and error.ctx is not None:
            message += f" See '{error.ctx.command_path} --help'."
        say(message)

    def _misplaced(self, error: click.ClickException) -> str:
        """Say where an option stands that was given before its command; or nothing."""
        if not isinstance(error, click.NoSuchOption) or error.ctx is None:
            return ""
        option = error.option_name
        known = {
            one
            for command in self.commands.values()
            for parameter in command.params
            for one in parameter.opts
        }
        if error.ctx.command is not self or option not in known:
            return ""
        return f"{option!r} stands behind the command: holdover COMMAND {option}."


def carry_out(command: click.Command, words: Sequence[str], application: Any) -> int:
    """Carry out one command, for a program that shows errors in its own way.

    Args:
        command: The command.
        words: Its arguments and options, as on a command line.
        application: Whose regions it is about; see `Application`.

    Returns:
        The exit code.

    Raises:
        click.ClickException: It says in one line what went wrong, and the exit code.
    """
    name = command.name or ""
    context = command.make_context(name, list(words), obj=application)
    with context, _in_one_manner():
        return command.invoke(context) or DONE


@contextmanager
def _in_one_manner() -> Iterator[None]:
    """Have whatever is raised be an error of click's."""
    try:
        yield
    except (click.ClickException, click.Abort, click.exceptions.Exit):
        raise
    except Exception as error:
        raise _told(error) from error


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
