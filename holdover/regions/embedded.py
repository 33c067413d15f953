"""The far side of an embedded worker process: ``python -m holdover.regions.embedded``.

Started by `CeleryRunner(worker="process")`; see `WorkerProcess` for what goes over the
pipes.
"""

from __future__ import annotations

import contextlib
import json
import os
from importlib import import_module
from pathlib import Path
from typing import BinaryIO

from holdover.regions.refresh.base import Report
from holdover.regions.refresh.celery import CeleryRunner
from holdover.regions.refresh.celery_process import READY, report_line
from holdover.regions.worker import carry_out


def main() -> None:
    """Take orders from standard input until it ends."""
    # What creators print must not get between the reports, nor may a program that they
    # run read the orders.
    reports, orders = os.dup(1), os.fdopen(os.dup(0), "rb")
    os.dup2(2, 1)
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    hello = json.loads(orders.readline())
    os.nice(hello["nice"])
    for module in hello["include"]:
        import_module(module)
    runner = CeleryRunner(on_outcome=lambda report: _tell(reports, report))
    runner.bind(carry_out)
    runner.serve()
    with contextlib.suppress(BrokenPipeError):  # nobody waits for us any more
        os.write(reports, READY.encode() + b"\n")
    _take_orders(orders, runner)


def _take_orders(orders: BinaryIO, runner: CeleryRunner) -> None:
    for line in orders:
        with contextlib.suppress(ValueError):  # half a line: its parent was killed
            runner.publish(json.loads(line))


def _tell(reports: int, report: Report) -> None:
    with contextlib.suppress(OSError):  # the web process has ended; so will we
        os.write(reports, report_line(report))


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
    os._exit(0)  # a creator that still runs has nobody left to create for
