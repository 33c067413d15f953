"""Programs that are run on a schedule: bounded in time and in what they say."""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
import textwrap
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from holdover.regions.errors import CommandFailed, ConfigurationError
from holdover.regions.forks import renew_after_fork

MOST_OUTPUT = 64 << 10
"""How many bytes of a command's output are kept: the last ones."""

_GRACE = 5.0  # seconds between asking a program to end, and ending it
_PIECE = 64 << 10
_SHOWN = 200  # characters of a command, in errors


@dataclass(frozen=True, slots=True)
class Command:
    """A program and its arguments, or a line for the shell.

    It runs as the user whose process runs the schedule, in that process's environment
    and directory, without input, and in a process group of its own.

    Attributes:
        line: A list of arguments, or one text for ``/bin/sh``.

    Raises:
        ConfigurationError: It is neither.
    """

    line: str | tuple[str, ...]

    @classmethod
    def of(cls, given: object) -> Command:
        """Read what a user gave for a command.

        Raises:
            ConfigurationError: It is no text, and no list of texts; or it is empty.
        """
        if isinstance(given, str) and given.strip():
            return cls(given)
        if isinstance(given, Sequence) and not isinstance(given, str | bytes):
            parts = tuple(os.fspath(p) if isinstance(p, Path) else p for p in given)
            if parts and all(isinstance(part, str) for part in parts):
                return cls(parts)
        raise ConfigurationError(
            "command must be a line for the shell, or a list of a program and its "
            f"arguments, got {given!r:.80}"
        )

    def run(self, max_runtime: float) -> str:
        """Run it, and give the end of what it says.

        Args:
            max_runtime: Seconds after which its process group is ended.

        Raises:
            CommandFailed: It could not be started, ended with another code than 0, or
                took too long. Its ``output`` is the end of what it said.
        """
        process = self._started()
        said = _listening(process)
        try:
            with _AT_WORK.noted(process):
                code = process.wait(max_runtime)
        except BaseException as error:
            _end(process)
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            problem = f"{self} was ended: it took longer than {max_runtime:g} s"
            raise CommandFailed(problem, said.text()) from None
        text = said.text()
        if code != 0:
            raise CommandFailed(f"{self} ended with code {code}", text)
        return text

    def _started(self) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(  # noqa: S603 - the application's own command
                self.line,
                shell=isinstance(self.line, str),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:  # ValueError: a NUL in it
            raise CommandFailed(f"{self} could not be started: {error}") from error

    def __str__(self) -> str:
        """Give it in one line, shortened: a script may be long, and have many."""
        line = self.line if isinstance(self.line, str) else " ".join(self.line)
        return textwrap.shorten(line, _SHOWN, placeholder=" ...")


class _AtWork:
    """The programs that run, and are ended with this process as it ends.

    Else they would go on while others, who cannot know of them, run them again.
    """

    def __init__(self) -> None:
        self._is_registered = False
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Leave the parent its programs."""
        self._processes: set[subprocess.Popen[bytes]] = set()

    @contextmanager
    def noted(self, process: subprocess.Popen[bytes]) -> Iterator[None]:
        """End *process* if this one ends during the block."""
        if not self._is_registered:
            self._is_registered = True
            atexit.register(self._end)
        self._processes.add(process)
        try:
            yield
        finally:
            self._processes.discard(process)

    def _end(self) -> None:
        for process in list(self._processes):
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGTERM)


_AT_WORK = _AtWork()


class _Tail(threading.Thread):
    """Reads what a process says, so that it never waits for us, and keeps the end."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        super().__init__(name="holdover-command", daemon=True)
        self._pipe: IO[bytes] = process.stdout  # type: ignore[assignment] # PIPE
        self._kept = b""
        self.start()

    def run(self) -> None:
        """Read until the process, and all that it has started, say no more."""
        with self._pipe, suppress(OSError, ValueError):
            while piece := os.read(self._pipe.fileno(), _PIECE):
                self._kept = (self._kept + piece)[-MOST_OUTPUT:]

    def text(self) -> str:
        """Give the end of it; what was left running in the background goes on."""
        self.join(_GRACE)
        return self._kept.decode(errors="replace")


def _listening(process: subprocess.Popen[bytes]) -> _Tail:
    """Begin to read what a process says; or end it, if that cannot be done."""
    try:
        return _Tail(process)
    except BaseException:
        with process:
            _end(process)
        raise


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it has started, politely first."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE)
            # The others of its group may have stayed.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            return
