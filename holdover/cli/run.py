"""`holdover run`."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import click

from holdover.cli.exits import DONE, FAILED, CannotBegin
from holdover.cli.telling import Teller, log_to_stderr, tells

if TYPE_CHECKING:
    from holdover import Region, Run, Scheduler
    from holdover.cli.application import Regions


@click.command(short_help="Run schedules when they are due.")
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
    application: Regions,
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
    log_to_stderr(without="RunFailed:")
    if once:
        runs = scheduler.run_once()
        for one in runs:
            _tell(teller, run_as_dict(one))
        return FAILED if any(one.has_failed for one in runs) else DONE
    teller.line(f"{_count(regions, names)}, until SIGTERM or Ctrl-C")
    with _told_of_runs(teller, regions), _stopped_by_signals(scheduler):
        scheduler.run()
        has_ended = scheduler.stop(wait=grace)
    if has_ended:
        return DONE
    teller.problem("ended with runs under way; they run again")
    return FAILED


def _scheduler(
    application: Regions, names: tuple[str, ...], threads: int
) -> tuple[Scheduler, list[Region]]:
    from holdover import Scheduler

    regions = application.regions()
    if not any(region.schedules for region in regions):
        raise CannotBegin("no region has a schedule")
    return Scheduler(regions, threads=threads, names=names), regions


def _count(regions: Sequence[Region], names: Sequence[str]) -> str:
    """Say how many schedules are run."""
    number = sum(
        not names or name in names for region in regions for name in region.schedules
    )
    return f"running {number} schedule{'s' if number > 1 else ''}"


@contextmanager
def _told_of_runs(teller: Teller, regions: Sequence[Region]) -> Iterator[None]:
    """Tell of each run as it ends."""
    with ExitStack() as ends:
        for region in regions:
            ends.callback(region.listen(lambda event: _tell_event(teller, event)))
        yield


@contextmanager
def _stopped_by_signals(scheduler: Scheduler) -> Iterator[None]:
    """Have the first signal stop the scheduler, and the second end the process.

    Afterwards signals do what they did before: the process may be somebody else's.
    """
    numbers = (signal.SIGTERM, signal.SIGINT)

    def stop(_number: int, _frame: object) -> None:
        for one in numbers:
            signal.signal(one, signal.SIG_DFL)
        scheduler.stop()

    before = {one: signal.signal(one, stop) for one in numbers}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _tell(teller: Teller, told: dict[str, Any]) -> None:
    if not teller.document(told):
        said = f"failed: {told['error']}" if told["error"] else "ok"
        where = f"{told['region']}/{told['name']}"
        teller.line(f"{where}  {told['duration']:.2f} s  {said}")


def _tell_event(teller: Teller, event: Any) -> None:
    from holdover import events

    if not isinstance(event, events.RunEnded | events.RunFailed):
        return
    told = {
        "region": event.region,
        "name": event.key,
        "slot_at": event.slot_at,
        "begun_at": event.begun_at,
        "duration": event.cost,
        "error": event.error if isinstance(event, events.RunFailed) else "",
    }
    _tell(teller, told)


def run_as_dict(one: Run) -> dict[str, Any]:
    """Give what is told of a run, but for its value, which may be anything."""
    return {
        "region": one.region,
        "name": one.name,
        "slot_at": one.slot_at,
        "begun_at": one.begun_at,
        "duration": one.duration,
        "error": one.error,
    }
