"""The demonstration from beginning to end."""

from __future__ import annotations

import json
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from holdover.demo import report
from holdover.demo.belongings import removed_afterwards
from holdover.demo.board import board_on
from holdover.demo.caches import HOLDOVER, Way, ways_with
from holdover.demo.expectations import expectations_of
from holdover.demo.means import Means
from holdover.demo.phases import DEFAULT, QUICK, Plan, run_phase, running_site
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
        means: What to work with.
    """

    quick: bool
    output: Path
    as_json: bool
    serve: bool
    check: bool
    means: Means = field(default_factory=Means)


def run(options: Options) -> int:
    """Run all phases, show what came of them, and give the exit status.

    Raises:
        DemoError: Something broke.
        OSError: The plots cannot be written.
    """
    console = Console(stderr=options.as_json, highlight=False)
    plan = QUICK if options.quick else DEFAULT
    options.output.mkdir(parents=True, exist_ok=True)  # told now, not in a minute
    with _ended_by_sigterm(), _scratch() as scratch:
        settings = Settings(
            directory=scratch,
            expiration_time=plan.expiration_time,
            means=options.means,
        )
        with removed_afterwards(settings, console):
            return _run(console, plan, settings, options)


def _run(console: Console, plan: Plan, settings: Settings, options: Options) -> int:
    """Run all phases on what is there, and show what came of them."""
    findings = _find_out(console, plan, settings, options.output)
    report.show(console, findings)
    if options.serve:
        _serve(console, options, findings, settings)
    elif options.as_json:
        _print_json(report.as_json(findings))
    return 1 if findings.broken or (options.check and findings.unmet) else 0


def _find_out(
    console: Console, plan: Plan, settings: Settings, output: Path
) -> report.Findings:
    """Run all phases and draw the plots."""
    started = time.monotonic()
    with board_on(console, plan.seconds) as board:
        results = [
            run_phase(way, plan, _settings(settings, way), board.phase(way))
            for way in ways_with(settings.means)
        ]
    from holdover.demo import plot  # takes a second, which nobody should start with

    plots = plot.draw(results, plan.expiration_time, output)
    return report.Findings(
        plan=plan,
        results=results,
        expectations=expectations_of(results[-1]),
        plots=plots,
        seconds=time.monotonic() - started,
    )


def _settings(settings: Settings, way: Way) -> Settings:
    """Give a phase a directory of its own."""
    return replace(settings, directory=settings.directory / way.name)


def _serve(
    console: Console, options: Options, findings: report.Findings, settings: Settings
) -> None:
    """Start the Holdover site again, on the values that it has, until Ctrl-C."""
    with running_site(HOLDOVER, _settings(settings, HOLDOVER)) as site:
        console.print(f"The Holdover site is at {site.url}/ until you press Ctrl-C.")
        if options.as_json:
            _print_json(report.as_json(findings, url=site.url))
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
