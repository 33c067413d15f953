"""`holdover warm`."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from holdover import Region, Tally, Warmed, Warmer
    from holdover.cli.application import Application

_TOLD_EVERY = 5.0  # seconds, where there is no terminal to draw a bar on


@click.command()
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
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object per call, and one."
)
@click.pass_obj
def warm(
    application: Application,
    /,
    *,
    groups: tuple[str, ...],
    names: tuple[str, ...],
    only_list: bool,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Compute the declared calls of the GROUPs, or of all.

    What is fresh is left alone. The group "hot" is what regions record. The exit code
    is 0 if all is warm, 1 if a call failed or it was interrupted, 2 if there is
    nothing to do.
    """
    regions = _chosen(application.regions(), names)
    if only_list:
        _list(regions, as_json=as_json)
        return
    warmer = _warmer(regions, groups, chosen)
    _warn_of_memory(regions)
    began = time.monotonic()
    tally, interrupted = _run(warmer, as_json=as_json)
    seconds = time.monotonic() - began
    if as_json:
        told = {**tally.to_plain(), "seconds": seconds, "interrupted": interrupted}
        click.echo(json.dumps(told))
    else:
        ended = "interrupted: " if interrupted else ""
        click.echo(f"{ended}{tally} in {seconds:.1f} s")
    raise SystemExit(interrupted or _failed(tally) > 0)


def _chosen(regions: Sequence[Region], names: Sequence[str]) -> list[Region]:
    known = [region.name for region in regions]
    for name in names:
        if name not in known:
            there = ", ".join(str(one) for one in known)
            raise click.UsageError(f"there is no region {name!r}. Known: {there}")
    return [region for region in regions if not names or region.name in names]


def _warmer(
    regions: Sequence[Region], groups: Sequence[str], chosen: dict[str, Any]
) -> Warmer:
    from holdover import Warmer, errors

    try:
        return Warmer(regions, groups=groups, **chosen)
    except errors.HoldoverError as error:
        raise click.UsageError(str(error)) from error


def _warn_of_memory(regions: Sequence[Region]) -> None:
    """Say where the values go that no other process will see."""
    for region in regions:
        backend = region.backend
        capabilities = getattr(backend, "capabilities", None)
        if region.warmings and getattr(capabilities, "shared_by", "") == "process":
            kind = type(backend).__name__
            told = f"region {region.name!r}: what {kind} keeps ends with this process"
            click.echo(f"holdover: {told}", err=True)


def _run(warmer: Warmer, *, as_json: bool) -> tuple[Tally, bool]:
    """Warm, and tell how it goes; say whether Ctrl-C has ended it."""
    from holdover import Tally

    tally = Tally()
    with _progress(warmer, tally, as_json=as_json) as tell:
        try:
            for warmed in warmer.run():
                tally.add(warmed)
                tell(warmed)
        except KeyboardInterrupt:
            return tally, True
    return tally, False


Tell = Callable[["Warmed"], None]


@contextmanager
def _progress(warmer: Warmer, tally: Tally, *, as_json: bool) -> Iterator[Tell]:
    """Give what tells of each call: JSON, a bar on a terminal, or lines."""
    if as_json:
        yield lambda warmed: click.echo(json.dumps(_plain(warmed)))
        return
    from rich.console import Console

    console = Console(stderr=True, soft_wrap=True)
    if not console.is_terminal:
        yield _in_lines(tally)
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("", total=warmer.total())

        def tell(warmed: Warmed) -> None:
            if warmed.has_failed:
                bar.console.print(str(warmed), markup=False, highlight=False)
            bar.update(task, advance=1, description=str(tally))

        yield tell


def _in_lines(tally: Tally) -> Tell:
    told_at = time.monotonic()

    def tell(warmed: Warmed) -> None:
        nonlocal told_at
        if warmed.has_failed:
            click.echo(str(warmed), err=True)
        if time.monotonic() - told_at > _TOLD_EVERY:
            told_at = time.monotonic()
            click.echo(str(tally), err=True)

    return tell


def _failed(tally: Tally) -> int:
    from holdover import Warmth

    return tally[Warmth.FAILED]


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


def _list(regions: Iterable[Region], *, as_json: bool) -> None:
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
    if as_json:
        click.echo(json.dumps(rows))
        return
    for row in rows:
        count = "computed calls" if row["calls"] is None else f"{row['calls']} calls"
        told = row["function"] or "what is recorded"
        click.echo(f"{row['region']}/{row['group']}  {told}  {count}")
