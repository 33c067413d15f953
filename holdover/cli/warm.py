"""`holdover warm`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from holdover.cli.application import is_private
from holdover.cli.exits import DONE, FAILED
from holdover.cli.telling import Teller, printable, tells

if TYPE_CHECKING:
    from holdover import Region, Tally, Warmed, Warmer
    from holdover.cli.application import Regions

_TOLD_EVERY = 5.0  # seconds, where there is no terminal to draw a bar on


@click.command(short_help="Compute declared calls before a deploy.")
@click.argument("groups", nargs=-1, metavar="[GROUP]...")
@click.option("--hot", is_flag=True, help="Replay the recorded hot calls.")
@click.option(
    "--region",
    "names",
    metavar="NAME",
    multiple=True,
    help="Warm this region alone; may be given again.",
)
@click.option(
    "--threads",
    type=click.IntRange(1, 256),
    default=8,
    show_default=True,
    help="How many calls are computed at once.",
)
@click.option("--force", is_flag=True, help="Create anew what is fresh.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0.0, min_open=True),
    help="Seconds for all of it.  [default: no bound]",
)
@click.option("--list", "only_list", is_flag=True, help="Show what is declared.")
@tells
@click.pass_obj
def warm(
    application: Regions,
    /,
    *,
    teller: Teller,
    groups: tuple[str, ...],
    names: tuple[str, ...],
    only_list: bool,
    **chosen: Any,
) -> int:
    """Compute the declared calls of the GROUPs, or of all.

    What is fresh is left alone. The group "hot" is what regions record. The exit code
    is 0 if all is warm, 1 if a call failed or it was interrupted, 2 if there is
    nothing to do. With --json there is one object per call, and a last one that counts.
    """
    regions = application.regions(names)
    if only_list:
        _list(teller, regions)
        return DONE
    from holdover import Warmer, Warmth

    warmer = Warmer(regions, groups=groups, **chosen)
    _warn_of_memory(teller, regions)
    began = time.monotonic()
    tally, interrupted = _run(teller, warmer)
    seconds = time.monotonic() - began
    told = {**tally.as_dict(), "seconds": seconds, "interrupted": interrupted}
    if not teller.document(told):
        ended = "interrupted: " if interrupted else ""
        teller.line(f"{ended}{tally} in {seconds:.1f} s")
    if not tally.total and not interrupted:
        teller.problem("no call is recorded or given: there was nothing to compute")
    return FAILED if interrupted or tally[Warmth.FAILED] else DONE


def _warn_of_memory(teller: Teller, regions: Sequence[Region]) -> None:
    """Say where the values go that no other process will see."""
    for region in regions:
        if region.warmings and is_private(region):
            kind = type(region.actual_backend).__name__
            told = f"region {region.name!r}: what {kind} keeps ends with this process"
            teller.problem(told)


def _run(teller: Teller, warmer: Warmer) -> tuple[Tally, bool]:
    """Warm, and tell how it goes; say whether Ctrl-C has ended it."""
    from holdover import Tally

    tally = Tally()
    with _progress(teller, warmer, tally) as tell:
        try:
            for warmed in warmer.run():
                tally.add(warmed)
                tell(warmed)
        except KeyboardInterrupt:
            return tally, True
    return tally, False


Tell = Callable[["Warmed"], object]


@contextmanager
def _progress(teller: Teller, warmer: Warmer, tally: Tally) -> Iterator[Tell]:
    """Give what tells of each call: JSON, a bar on a terminal, or lines."""
    if teller.as_json:
        yield lambda warmed: teller.document(_plain(warmed))
        return
    from rich.console import Console

    console = Console(stderr=True, soft_wrap=True)
    if not console.is_terminal:
        yield _in_lines(teller, tally)
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("", total=warmer.total())

        def tell(warmed: Warmed) -> None:
            if warmed.has_failed:
                told = printable(str(warmed))
                bar.console.print(told, markup=False, highlight=False)
            bar.update(task, advance=1, description=str(tally))

        yield tell


def _in_lines(teller: Teller, tally: Tally) -> Tell:
    told_at = time.monotonic()

    def tell(warmed: Warmed) -> None:
        nonlocal told_at
        if warmed.has_failed:
            teller.problem(str(warmed))
        if time.monotonic() - told_at > _TOLD_EVERY:
            told_at = time.monotonic()
            teller.problem(str(tally))

    return tell


def _plain(warmed: Warmed) -> dict[str, Any]:
    return {
        "region": warmed.region,
        "group": warmed.group,
        "function": warmed.function,
        "call": None if warmed.call is None else str(warmed.call),
        "warmth": warmed.warmth.value,
        "seconds": warmed.seconds,
        "reason": warmed.reason,
    }


def _list(teller: Teller, regions: Iterable[Region]) -> None:
    rows = [
        {
            "region": region.name,
            "group": one.group,
            "function": one.function,
            "calls": one.count,
        }
        for region in regions
        for one in region.warmings
    ]
    rows += [
        {"region": region.name, "group": "hot", "function": None, "calls": None}
        for region in regions
        if region.records_hot
    ]
    if teller.document(rows):
        return
    lines = []
    for row in rows:
        count = "computed" if row["calls"] is None else str(row["calls"])
        told = row["function"] or "(what is recorded)"
        lines.append((f"{row['region']}/{row['group']}", str(told), count))
    teller.table(("group", "function", "calls"), lines)
