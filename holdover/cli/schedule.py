"""`holdover schedule`."""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from holdover.cli.exits import DONE, FAILED, OUT_OF_REACH
from holdover.cli.run import run_as_dict
from holdover.cli.telling import Teller, moment, tells

if TYPE_CHECKING:
    from holdover import Region, Schedule
    from holdover.cli.application import Regions

_SHOWN = 60  # characters of an error in a table
_MINUTE = 60.0


@click.command(short_help="Show the schedules; print lines for cron.")
@click.option(
    "--crontab",
    is_flag=True,
    help="Print the lines by which cron does what `holdover run` would.",
)
@tells
@click.pass_obj
def schedule(application: Regions, *, teller: Teller, crontab: bool) -> int:
    """Show the schedules: when they are due, and how their last run went.

    The exit code is 1 if a history cannot be had, 3 if its backend is out of reach.
    """
    regions = application.regions()
    if not any(region.schedules for region in regions):
        teller.document([])
        teller.problem("no region has a schedule")
        return DONE
    if crontab:
        lines = list(_crontab(application, regions))
        if not teller.document(lines):
            for line in lines:
                teller.line(line)
        return DONE
    told = [
        _row(region, one) for region in regions for one in region.schedules.values()
    ]
    rows = [row for row, _ in told]
    if not teller.document(rows):
        _show(teller, rows)
    for problem in dict.fromkeys(row["problem"] for row in rows if row["problem"]):
        teller.problem(problem)
    return max(status for _, status in told)


def _row(region: Region, one: Schedule) -> tuple[dict[str, Any], int]:
    """Tell of a schedule, and give the exit code that this asks for."""
    from holdover import errors

    now = time.time()
    runs, problem, status = [], "", DONE
    try:
        runs = region.history(one.name)
    except errors.HoldoverError as error:
        problem = f"region {region.name!r}: {error}"
        out = isinstance(error, errors.BackendError)
        status = OUT_OF_REACH if out else FAILED
    row = {
        "region": region.name,
        "name": one.name,
        "due": str(one.due),
        "next_at": one.due.next_after(now),
        "last": run_as_dict(runs[0]) if runs else None,
        "problem": problem,
    }
    return row, status


def _show(teller: Teller, rows: Sequence[dict[str, Any]]) -> None:
    columns = ("schedule", "due", "next", "last run", "took", "how it went")
    table = []
    for row in rows:
        last = row["last"]
        if last is None:
            told = ["-", "-", "history unreadable" if row["problem"] else "never ran"]
        else:
            took = f"{last['duration']:.2f} s"
            told = [moment(last["begun_at"]), took, last["error"][:_SHOWN] or "ok"]
        name = f"{row['region']}/{row['name']}"
        table.append([name, row["due"], moment(row["next_at"]), *told])
    teller.table(columns, table)


def _crontab(application: Regions, regions: Sequence[Region]) -> Iterator[str]:
    """Give a line for each schedule that fires at all its due times, or oftener."""
    yield "# Each line looks, maybe oftener than is due; what is not due is not run."
    program = [os.path.abspath(sys.argv[0]), *application.words(), "run", "--once"]
    for region in regions:
        for one in region.schedules.values():
            yield f"# {region.name}/{one.name}: {one.due}"
            now = time.time()
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
