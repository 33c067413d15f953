"""`holdover run` and `holdover schedule`."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from holdover import Region, Run, Schedule, Scheduler
    from holdover.cli.application import Application

_SHOWN = 60  # characters of an error in a table
_MINUTE = 60.0


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--once", is_flag=True, help="Run what is due now, and end.")
@click.option(
    "--threads",
    type=click.IntRange(0, 256),
    default=4,
    show_default=True,
    help="How many runs are under way at once; 0 means one after the other, without "
    "threads.",
)
@click.option(
    "--grace",
    type=click.FloatRange(min=0.0),
    default=30.0,
    show_default=True,
    help="Seconds to wait, when told to end, for what is under way.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per run.")
@click.pass_obj
def run(
    application: Application,
    *,
    names: tuple[str, ...],
    once: bool,
    threads: int,
    grace: float,
    as_json: bool,
) -> None:
    """Run schedules when they are due: all, or those of the NAMEs.

    Any number of these may run, on any number of hosts. SIGTERM or Ctrl-C ends it when
    what is under way has ended. The exit code is 1 if something could not be started,
    with --once also if a run failed, or if --grace was not enough; else 0.
    """
    scheduler, regions = _scheduler(application, names, threads)
    if once:
        runs = scheduler.run_once()
        for one in runs:
            _tell(one, as_json=as_json)
        raise SystemExit(any(one.has_failed for one in runs))
    for region in regions:
        region.listen(lambda event: _tell_event(event, as_json=as_json))
    with _stopped_by_signals(scheduler):
        scheduler.run()
    if not scheduler.stop(wait=grace):
        click.echo("holdover: ended with runs under way; they run again", err=True)
        raise SystemExit(1)


def _scheduler(
    application: Application, names: tuple[str, ...], threads: int
) -> tuple[Scheduler, list[Region]]:
    from holdover import Scheduler, errors

    regions = application.regions()
    if not any(region.schedules for region in regions):
        raise click.ClickException("no region has a schedule")
    try:
        return Scheduler(regions, threads=threads, names=names), regions
    except errors.HoldoverError as error:
        raise click.ClickException(str(error)) from error


@contextmanager
def _stopped_by_signals(scheduler: Scheduler) -> Iterator[None]:
    """Have the first signal stop the scheduler, and the second end the process."""
    numbers = (signal.SIGTERM, signal.SIGINT)

    def stop(_number: int, _frame: object) -> None:
        for one in numbers:
            signal.signal(one, signal.SIG_DFL)
        scheduler.stop()

    for one in numbers:
        signal.signal(one, stop)
    yield


def _tell(one: Run, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(_plain(one)))
    else:
        said = f"failed: {one.error}" if one.has_failed else "ok"
        click.echo(f"{one.region}/{one.name}  {one.duration:.2f} s  {said}")


def _tell_event(event: Any, *, as_json: bool) -> None:
    from holdover import events

    if not isinstance(event, events.RunEnded | events.RunFailed):
        return
    reason = getattr(event, "reason", "")
    if as_json:
        told = {"region": event.region, "name": event.key, "error": reason}
        click.echo(json.dumps(told))
    else:
        click.echo(f"{event.region}/{event.key}  {reason or 'ok'}")


def _plain(one: Run) -> dict[str, Any]:
    """Give what is told of a run, but for its value, which may be anything."""
    return {
        "region": one.region,
        "name": one.name,
        "slot_at": one.slot_at,
        "begun_at": one.begun_at,
        "duration": one.duration,
        "error": one.error,
    }


# -- holdover schedule ---------------------------------------------------------


@click.command()
@click.option(
    "--crontab",
    is_flag=True,
    help="Print the lines by which cron does what `holdover run` would.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
@click.pass_obj
def schedule(application: Application, *, crontab: bool, as_json: bool) -> None:
    """Show the schedules: when they are due, and how their last run went."""
    regions = application.regions()
    if crontab:
        for line in _crontab(application, regions):
            click.echo(line)
        return
    rows = [
        _row(region, one) for region in regions for one in region.schedules.values()
    ]
    if as_json:
        click.echo(json.dumps(rows))
    else:
        _show(rows)


def _row(region: Region, one: Schedule) -> dict[str, Any]:
    from holdover import errors

    now = datetime.now(UTC).timestamp()
    try:
        runs: list[Run] | None = region.history(one.name)
    except errors.HoldoverError:
        runs = None
    last = runs[0] if runs else None
    return {
        "region": region.name,
        "name": one.name,
        "due": str(one.due),
        "next_at": one.due.next_after(now),
        "last": None if last is None else _plain(last),
        "readable": runs is not None,
    }


def _show(rows: Sequence[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("schedule", "due", "next", "last run", "took", "how it went")
    for row in rows:
        last = row["last"]
        if last is None:
            told = ["-", "-", "never ran" if row["readable"] else "history unreadable"]
        else:
            error = last["error"][:_SHOWN]
            told = [
                _shown(last["begun_at"]),
                f"{last['duration']:.2f} s",
                error or "ok",
            ]
        name = f"{row['region']}/{row['name']}"
        table.add_row(name, row["due"], _shown(row["next_at"]), *told)
    Console(soft_wrap=True).print(table)


def _shown(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _crontab(application: Application, regions: Sequence[Region]) -> Iterator[str]:
    """Give a line for each schedule that fires at all its due times, or oftener.

    Oftener does no harm: what is not due is not run.
    """
    program = [os.path.abspath(sys.argv[0]), *application.words(), "run", "--once"]
    for region in regions:
        for one in region.schedules.values():
            yield f"# {region.name}/{one.name}: {one.due}"
            now = datetime.now(UTC).timestamp()
            coming = one.due.next_after(now)
            if one.due.next_after(coming) - coming < _MINUTE:
                yield "# (cron fires once a minute; `holdover run` would do better)"
            command = shlex.join([*program, "--", one.name]).replace("%", r"\%")
            place = shlex.quote(os.getcwd()).replace("%", r"\%")
            yield f"{_minutes(one)} * * * * cd {place} && {command}"


def _minutes(one: Schedule) -> str:
    """Give the minute field; cron's clock may show other minutes than the epoch's."""
    offset = datetime.now().astimezone().utcoffset()
    whole = offset is None or offset.total_seconds() % 3600 == 0
    return one.due.minutes() if whole else "*"
