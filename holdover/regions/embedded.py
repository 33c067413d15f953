"""The far side of an embedded worker process: ``python -m holdover.regions.embedded``.

Started by `CeleryRunner(worker="process")`; see `WorkerProcess` for what goes over the
pipes.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from holdover.regions.refresh.base import Report
    from holdover.regions.refresh.celery import CeleryRunner


def main(nice: int) -> None:
    """Take orders from standard input until it ends, yielding *nice* to others."""
    # First of all, since importing Celery is hard work, too.
    os.nice(nice)
    from holdover.regions.importing import allow_imports  # noqa: PLC0415
    from holdover.regions.refresh.celery import CeleryRunner  # noqa: PLC0415
    from holdover.regions.refresh.celery_process import READY  # noqa: PLC0415
    from holdover.regions.worker import carry_out  # noqa: PLC0415

    reports, orders = _separate_pipes()
    told = orders.readline()
    if not told:  # whoever started us has ended since
        return
    include = json.loads(told)["include"]
    allow_imports(include)
    for module in include:
        import_module(module)
    runner = CeleryRunner(on_outcome=lambda report: _tell(reports, report))
    runner.bind(carry_out)
    runner.serve()
    with contextlib.suppress(BrokenPipeError):  # nobody waits for us any more
        os.write(reports, READY.encode() + b"\n")
    _take_orders(orders, runner)


def _separate_pipes() -> tuple[int, BinaryIO]:
    """Move the two pipes away from where creators, and their programs, would use them.

    What those print must not get between the reports, nor may they read the orders.
    """
    reports, orders = os.dup(1), os.fdopen(os.dup(0), "rb")
    os.dup2(2, 1)
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    return reports, orders


def _take_orders(orders: BinaryIO, runner: CeleryRunner) -> None:
    for line in orders:
        with contextlib.suppress(ValueError):  # half a line: its parent was killed
            runner.publish(json.loads(line))


def _tell(reports: int, report: Report) -> None:
    from holdover.regions.refresh.celery_process import report_line  # noqa: PLC0415

    with contextlib.suppress(OSError):  # the web process has ended; so will we
        os.write(reports, report_line(report))


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main(int(sys.argv[1]))
    os._exit(0)  # a creator that still runs has nobody left to create for
