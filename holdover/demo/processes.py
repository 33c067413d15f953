"""The parent's side: a child process that speaks in lines of JSON, and never stays."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from holdover.demo.errors import DemoError

_PATIENCE = 5.0  # seconds for an orderly end


class Child:
    """A module of this package, run as a process of its own until it is closed.

    It ends when its standard input closes, so also when this process is killed. It is
    in a session of its own: Ctrl-C reaches only us, and we end it in good order.

    Args:
        module: Name of the module, below ``holdover.demo``.
        argument: Its argument.
        environment: What to add to the environment.
        log: The file for what it writes to standard error.
    """

    def __init__(
        self, module: str, argument: str, environment: Mapping[str, str], log: Path
    ) -> None:
        self._log = log
        self._name = module
        with log.open("ab") as errors:
            # -P: a file in the current directory must not pass for a module.
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", f"{__package__}.{module}", argument],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env={**os.environ, **environment},
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def messages(self, within: float) -> Iterator[dict[str, Any]]:
        """Give what it says, until it ends.

        Args:
            within: Seconds after which it is killed if it has not ended.

        Raises:
            DemoError: It ended badly; the message has its last words.
        """
        with self._limited_to(within):
            for line in self._process.stdout or ():
                yield json.loads(line)
            status = self._process.wait()
        if status != 0:
            raise self._problem(f"ended with status {status}")

    def first_message(self, within: float) -> dict[str, Any]:
        """Give the first thing it says.

        Raises:
            DemoError: It ended without a word, or was killed after *within* seconds.
        """
        with self._limited_to(within):
            line = self._process.stdout.readline() if self._process.stdout else b""
        if not line:
            raise self._problem("did not start")
        message: dict[str, Any] = json.loads(line)
        return message

    def let_go(self) -> None:
        """Tell it to end, and do not wait for that."""
        if self._process.stdin is not None:
            self._process.stdin.close()

    def close(self) -> None:
        """End it, in good order if it can."""
        self.let_go()
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    @contextmanager
    def _limited_to(self, seconds: float) -> Iterator[None]:
        """Kill it if the block takes longer, which ends whatever waits for it."""
        timer = threading.Timer(seconds, self._process.kill)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _problem(self, what: str) -> DemoError:
        lines = self._log.read_text("utf-8", "replace").strip().splitlines()
        last_words = lines[-1] if lines else "it said nothing"
        return DemoError(f"the {self._name} process {what}: {last_words}")
