"""The demonstration from beginning to end."""

from __future__ import annotations

import json
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from holdover.demo import plot, report
from holdover.demo.board import board_on
from holdover.demo.caches import HOLDOVER, WAYS
from holdover.demo.expectations import expectations_of
from holdover.demo.phases import DEFAULT, QUICK, Plan, Result, run_phase, running_site
from holdover.demo.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the user asked for.

    Attributes:
        quick: Whether to be done within 20 s rather than 60 s.
        output: The folder for the plots.
        as_json: Whether to end with the figures as one line of JSON.
        serve: Whether to leave the Holdover site up afterwards.
        check: Whether an expectation that did not hold is a failure.
    """

    quick: bool
    output: Path
    as_json: bool
    serve: bool
    check: bool


def run(options: Options) -> int:
    """Run all phases, show what came of them, and give the exit status.

    Raises:
        DemoError: Something broke.
        OSError: The plots cannot be written.
    """
    console = Console(stderr=options.as_json, highlight=False)
    plan = QUICK if options.quick else DEFAULT
    with _ended_by_sigterm(), _scratch() as scratch:
        started = time.monotonic()
        results = _run_phases(console, plan, scratch)
        expectations = expectations_of(results[-1])
        plots = plot.draw(results, plan.expiration_time, options.output)
        report.show(console, results, expectations, plots)
        seconds = time.monotonic() - started
        if options.as_json:
            _print_json(report.as_json(plan, results, expectations, plots, seconds))
        if options.serve:
            _serve(console, _settings(plan, scratch, HOLDOVER.name))
    failed = any(result.whole.failed for result in results)
    unmet = options.check and not all(one.held for one in expectations)
    return 1 if failed or unmet else 0


def _run_phases(console: Console, plan: Plan, scratch: Path) -> Sequence[Result]:
    with board_on(console, plan.seconds) as board:
        return [
            run_phase(way, plan, _settings(plan, scratch, way.name), board.phase(way))
            for way in WAYS
        ]


def _settings(plan: Plan, scratch: Path, name: str) -> Settings:
    return Settings(directory=scratch / name, expiration_time=plan.expiration_time)


def _serve(console: Console, settings: Settings) -> None:
    """Start the Holdover site again, on the values that it has, until Ctrl-C."""
    with running_site(HOLDOVER, settings) as site:
        console.print(f"The Holdover site is at {site.url}/ until you press Ctrl-C.")
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            console.print("Closing.")


def _print_json(figures: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(figures) + "\n")
    sys.stdout.flush()


@contextmanager
def _scratch() -> Iterator[Path]:
    """Have a directory that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="holdover-demo-") as path:
        yield Path(path)


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Clean up when told to end, as on Ctrl-C."""

    def end(*_: Any) -> None:
        raise SystemExit(128 + signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
