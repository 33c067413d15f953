"""Child processes that answer, line by line, and end when nobody asks any more."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

BENCHMARKS = Path(__file__).parent.parent
_PATIENCE = 120.0  # seconds: servers and libraries take their time on a busy machine
_PARTING = 20.0

Message = Mapping[str, Any]


class ChildFailed(Exception):
    """A child process has ended, could not do its work, or said nothing in time."""


class Child:
    """A module that runs in a process of its own, until nobody can ask it any more.

    It ends with this process, however this ends: then its standard input does, too.

    Args:
        module: What it runs, by its dotted name.
        name: What errors call it.
    """

    def __init__(self, module: str, name: str) -> None:
        self._name = name
        # In a session of its own, a Ctrl-C reaches only us, who end it in order.
        self._process = subprocess.Popen(
            [sys.executable, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": search_path()},
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def ask(self, message: Message) -> dict[str, Any]:
        """Send a message, and give the answer.

        Raises:
            ChildFailed: There is none; the message says whose, and why.
        """
        with suppress(BrokenPipeError):  # what it said last tells why
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()
        answer = json.loads(self._line() or b"{}")
        if "error" in answer:
            raise ChildFailed(f"{self._name}: {answer['error']}")
        if not answer:
            raise ChildFailed(f"{self._name}: ended with {self._process.wait()}")
        return answer

    def close(self) -> None:
        """Let it end, and wait for that."""
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(_PARTING)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def _line(self) -> bytes:
        # It sends whole lines, and none before it is asked.
        if not select.select([self._process.stdout], [], [], _PATIENCE)[0]:
            raise ChildFailed(f"{self._name}: no answer within {_PATIENCE:.0f} s")
        return self._process.stdout.readline()


def search_path() -> str:
    """Say where children find these modules, and those that tests have."""
    ours = [str(BENCHMARKS), str(BENCHMARKS.parent / "tests")]
    return os.pathsep.join(filter(None, [*ours, os.environ.get("PYTHONPATH")]))


def questions() -> Iterator[dict[str, Any]]:
    """Give what the parent asks, until it is gone."""
    yield from map(json.loads, sys.stdin.buffer)


@contextmanager
def answering() -> Iterator[Callable[[Message], None]]:
    """Give a child the function by which it answers, also why it fails.

    What else is printed goes to standard error: libraries may say what they like.
    """
    with os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)

        def answer(message: Message) -> None:
            answers.write(json.dumps(message).encode() + b"\n")
            answers.flush()

        try:
            yield answer
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told
            answer({"error": "".join(traceback.format_exception(error))})
            raise SystemExit(1) from None
