"""Commands of ``holdover``, as Django's users know commands."""

from __future__ import annotations

import io
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any, TextIO, cast

import click
from django.core.management.base import BaseCommand, CommandError, OutputWrapper

from holdover.cli.application import Regions
from holdover.cli.ending import carry_out
from holdover.cli.exits import FAILED
from holdover.contrib_django.management.project import Project


class HoldoverCommand(BaseCommand):
    """One command of ``holdover``, with the regions of the project.

    Its options, what it prints and its exit codes are those of the command line. An
    error is a `CommandError` with the exit code in ``returncode``; a command that was
    carried out and ends with another code than 0 raises ``SystemExit``, as Django's own
    do.

    Attributes:
        command: The command.
    """

    command: click.Command

    def __init_subclass__(cls) -> None:
        cls.help = cls.command.help or ""

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take over the command's arguments and options."""
        for parameter in self.command.params:
            if isinstance(parameter, click.Argument):
                _add_argument(parser, parameter)
            elif isinstance(parameter, click.Option):
                _add_option(parser, parameter)

    def project(self) -> Regions:
        """Give what the command is about."""
        return Project()

    def handle(self, *_args: Any, **options: Any) -> None:
        """Carry it out.

        Raises:
            CommandError: It could not be begun, or the backend was out of reach.
            SystemExit: Something has failed, which the command has told.
        """
        # Arguments last: behind their "--" nothing is taken for an option.
        parameters = sorted(
            self.command.params, key=lambda one: isinstance(one, click.Argument)
        )
        words = [
            word
            for parameter in parameters
            for word in _words(parameter, options[str(parameter.name)])
        ]
        try:
            with self._output():
                status = carry_out(self.command, words, self.project())
        except click.ClickException as error:
            said = error.format_message()
            raise CommandError(said, returncode=error.exit_code) from error
        except (KeyboardInterrupt, click.Abort) as error:
            raise CommandError("interrupted", returncode=FAILED) from error
        if status:
            sys.exit(status)

    @contextmanager
    def _output(self) -> Iterator[None]:
        """Have the command print where the caller says.

        One that manage.py runs has the process's own output, and keeps it free of what
        others print. In a caller's process that would last beyond the command.
        """
        if self._called_from_command_line:
            yield
            return
        out, err = _Stream(self.stdout), _Stream(self.stderr)
        with redirect_stdout(cast("TextIO", out)), redirect_stderr(cast("TextIO", err)):
            yield


class _Stream(io.TextIOBase):
    """What a command of Django's prints to, without a file's descriptor."""

    def __init__(self, to: OutputWrapper) -> None:
        self._to = to

    def write(self, text: str) -> int:
        given: object = text
        if not isinstance(given, str):  # so click asks whether it may write bytes
            raise TypeError(f"a text is written here, got a {type(given).__name__}")
        self._to.write(text, style_func=str, ending="")
        return len(text)

    def flush(self) -> None:
        self._to.flush()

    def isatty(self) -> bool:
        return bool(self._to.isatty())


def _add_argument(parser: ArgumentParser, argument: click.Argument) -> None:
    many: dict[str, Any] = {"nargs": "*"} if argument.nargs < 0 else {}
    shown = (argument.metavar or str(argument.name)).strip("[].")
    parser.add_argument(str(argument.name), metavar=shown, **many)


def _add_option(parser: ArgumentParser, option: click.Option) -> None:
    told: dict[str, Any] = {"dest": option.name, "default": None}
    if not option.is_flag:
        action = "append" if option.multiple else "store"
        shown = option.metavar or str(option.type.name).upper().replace(" RANGE", "")
        help_text = _help(option)
        parser.add_argument(
            *option.opts, action=action, metavar=shown, help=help_text, **told
        )
        return
    for names, value in ((option.opts, True), (option.secondary_opts, False)):
        if names:
            parser.add_argument(
                *names, action="store_const", const=value, help=_help(option), **told
            )


def _help(option: click.Option) -> str:
    said = (option.help or "").replace("%", "%%")
    if option.show_default and option.default is not None:
        return f"{said}  [default: {option.default}]"
    return said


def _words(parameter: click.Parameter, value: Any) -> Iterator[str]:
    """Write what was given for a parameter as on a command line."""
    if value is None:
        return
    values = value if isinstance(value, list | tuple) else [value]
    if isinstance(parameter, click.Argument):
        yield from ("--", *map(str, values)) if values else ()
        return
    names = parameter.opts
    if isinstance(parameter, click.Option) and parameter.is_flag:
        yield from (names if value else parameter.secondary_opts)[:1]
        return
    for one in values:
        yield f"{names[0]}={one}"
