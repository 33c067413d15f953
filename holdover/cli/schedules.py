"""`holdover run` and `holdover schedule`."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from holdover.cli.exits import DONE, FAILED, CannotBegin
from holdover.cli.telling import Teller, log_to_stderr, moment, tells

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
@tells
@click.pass_obj
def run(
    application: Application,
    *,
    teller: Teller,
    names: tuple[str, ...],
    once: bool,
    threads: int,
    grace: float,
) -> int:
    """Run schedules when they are due: all, or those of the NAMEs.

    Any number of these may run, on any number of hosts. SIGTERM or Ctrl-C ends it when
    what is under way has ended. With --json, each run is an object on a line of its
    own. The exit code is 1 if --grace was not enough, and with --once if a run failed.
    """
    scheduler, regions = _scheduler(application, names, threads)
    log_to_stderr()
    if once:
        runs = scheduler.run_once()
        for one in runs:
            _tell(teller, one)
        return FAILED if any(one.has_failed for one in runs) else DONE
    for region in regions:
        region.listen(lambda event: _tell_event(teller, event))
    with _stopped_by_signals(scheduler):
        scheduler.run()
    if scheduler.stop(wait=grace):
        return DONE
    teller.problem("ended with runs under way; they run again")
    return FAILED


def _scheduler(
    application: Application, names: tuple[str, ...], threads: int
) -> tuple[Scheduler, list[Region]]:
    from holdover import Scheduler

    regions = application.regions()
    if not any(region.schedules for region in regions):
        raise CannotBegin("no region has a schedule")
    return Scheduler(regions, threads=threads, names=names), regions


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


def _tell(teller: Teller, one: Run) -> None:
    if not teller.document(_plain(one)):
        said = f"failed: {one.error}" if one.has_failed else "ok"
        teller.line(f"{one.region}/{one.name}  {one.duration:.2f} s  {said}")


def _tell_event(teller: Teller, event: Any) -> None:
    from holdover import events

    if not isinstance(event, events.RunEnded | events.RunFailed):
        return
    reason = getattr(event, "reason", "")
    told = {"region": event.region, "name": event.key, "error": reason}
    if not teller.document(told):
        teller.line(f"{event.region}/{event.key}  {reason or 'ok'}")


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
@tells
@click.pass_obj
def schedule(application: Application, *, teller: Teller, crontab: bool) -> None:
    """Show the schedules: when they are due, and how their last run went."""
    regions = application.regions()
    if crontab:
        lines = list(_crontab(application, regions))
        if not teller.document(lines):
            for line in lines:
                teller.line(line)
        return
    rows = [
        _row(region, one) for region in regions for one in region.schedules.values()
    ]
    if not teller.document(rows):
        _show(teller, rows)


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


def _show(teller: Teller, rows: Sequence[dict[str, Any]]) -> None:
    columns = ("schedule", "due", "next", "last run", "took", "how it went")
    table = []
    for row in rows:
        last = row["last"]
        if last is None:
            told = ["-", "-", "never ran" if row["readable"] else "history unreadable"]
        else:
            took = f"{last['duration']:.2f} s"
            told = [moment(last["begun_at"]), took, last["error"][:_SHOWN] or "ok"]
        name = f"{row['region']}/{row['name']}"
        table.append([name, row["due"], moment(row["next_at"]), *told])
    teller.table(columns, table)


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
