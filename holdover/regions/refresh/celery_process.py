"""The near side of an embedded worker that runs in a process of its own.

Lines of JSON go to its standard input, one order each; lines come back, one report
each. It ends when its standard input does, and so never outlives this process.
"""

from __future__ import annotations

import io
import json
import logging
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from holdover.regions.errors import RunnerUnavailable
from holdover.regions.forks import renew_after_fork
from holdover.regions.refresh.base import Report

log = logging.getLogger("holdover")

READY = "ready"
_FAR_SIDE = "holdover.regions.embedded"
_SEND_TIMEOUT = 0.25


class WorkerProcess:
    """A child process with a Celery worker in it.

    Args:
        include: Modules that it imports before it takes orders.
        nice: How much it yields to other processes.
        on_report: Called with a `Report` of every order that it has finished.
        start_timeout: Seconds until it must be ready.

    Raises:
        RunnerUnavailable: It did not start; what it printed is on standard error.
    """

    def __init__(
        self,
        include: Sequence[str],
        *,
        nice: int,
        on_report: Callable[[Report], object] | None,
        start_timeout: float,
    ) -> None:
        self._on_report = on_report
        self._ready = threading.Event()
        self._writing = threading.Lock()  # guards the orders' pipe against its closing
        theirs, ours = os.pipe()
        self._orders = io.FileIO(ours, "w")
        os.set_blocking(ours, False)
        renew_after_fork(self)
        with io.FileIO(theirs) as their_end:
            self._child = _start(their_end, nice)
        self._listener = threading.Thread(
            target=self._listen, name="holdover-reports", daemon=True
        )
        self._listener.start()
        self.send({"include": list(include)})
        if not self._ready.wait(start_timeout) or not self.is_alive():
            self._child.kill()
            raise RunnerUnavailable(
                f"the worker process that imports {', '.join(include)} did not start"
            )

    def after_fork(self) -> None:
        """Leave the worker to the parent.

        Were our copy of the pipe open, the worker would not see its parent's end.
        """
        self._orders.close()
        if hasattr(self, "_child"):
            self._child.returncode = 0  # it is not ours to wait for

    def is_alive(self) -> bool:
        """Say whether the process still runs."""
        return self._child.poll() is None

    def send(self, message: Mapping[str, Any]) -> None:
        """Give the worker a message.

        Raises:
            RunnerUnavailable: It has ended, or does not read.
        """
        line = memoryview(json.dumps(message).encode() + b"\n")
        deadline = time.monotonic() + _SEND_TIMEOUT
        with self._writing:
            if self._orders.closed:
                raise RunnerUnavailable("the worker process has ended")
            while line:
                line = line[self._write(line, deadline) :]

    def _write(self, line: memoryview, deadline: float) -> int:
        left = max(0.0, deadline - time.monotonic())
        poll = select.poll()  # since select() knows no numbers above 1023
        poll.register(self._orders, select.POLLOUT)
        if not poll.poll(left * 1000):
            # Maybe in the middle of a line, behind which nothing could be understood.
            self._child.kill()
            raise RunnerUnavailable("the worker process does not read its orders")
        try:
            return self._orders.write(line) or 0
        except OSError as error:
            raise RunnerUnavailable(f"the worker process has ended: {error}") from error

    def close(self) -> None:
        """End the worker, in the middle of a refresh if need be."""
        with self._writing:
            self._orders.close()
        self._listener.join()

    def _listen(self) -> None:
        with io.BufferedReader(self._child.stdout) as lines:  # type: ignore[type-var] # raw
            for line in lines:
                if line.strip() == READY.encode():
                    self._ready.set()
                else:
                    self._hear(line)
        with self._writing:
            self._orders.close()
        self._child.wait()
        self._ready.set()  # it has ended: whoever waits for it shall look

    def _hear(self, line: bytes) -> None:
        try:
            report = Report(**json.loads(line))
        except (ValueError, TypeError):
            log.warning("the worker process said something that is no report")
            return
        if self._on_report is not None:
            try:
                self._on_report(report)
            except Exception:  # a listener must not end the reading of reports
                log.exception("on_outcome failed")


def _start(orders: io.FileIO, nice: int) -> subprocess.Popen[bytes]:
    # The worker looks for modules where this process does, in the same order; -P, or
    # the current directory would come first.
    path = os.pathsep.join(folder or str(Path.cwd()) for folder in sys.path)
    return subprocess.Popen(  # noqa: S603 - fixed arguments
        [sys.executable, "-P", "-m", _FAR_SIDE, str(nice)],
        stdin=orders,
        stdout=subprocess.PIPE,
        bufsize=0,
        env={**os.environ, "PYTHONPATH": path},
    )


def report_line(report: Report) -> bytes:
    """What the far side writes for *report*."""
    return json.dumps(asdict(report)).encode() + b"\n"
