"""How all commands end: what was raised becomes one line, and an exit code."""

from __future__ import annotations

import sys
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
