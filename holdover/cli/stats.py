"""`holdover stats`."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from holdover.cli.exits import DONE, OUT_OF_REACH
from holdover.cli.telling import Teller, tells

if TYPE_CHECKING:
    from holdover import FleetFigures, Region
    from holdover.cli.application import Regions

_TURN_ON = "figures_every=10 in configure() has its processes write figures"
_COLUMNS = (
    "region", "processes", "requests", "hits", "stale", "created", "refreshed",
    "failed", "degraded", "backend",
)  # fmt: skip


@click.command(short_help="Show hits, misses and refreshes as they happen.")
@click.argument("names", nargs=-1, metavar="[REGION]...")
@click.option(
    "--watch/--once",
    default=None,
    help="Go on until Ctrl-C, or look once.  [default: watch on a terminal]",
)
@click.option(
    "--every",
    type=click.FloatRange(min=0.1),
    default=2.0,
    show_default=True,
    help="Seconds from one look to the next.",
)
@tells
@click.pass_obj
def stats(
    application: Regions,
    *,
    teller: Teller,
    names: tuple[str, ...],
    watch: bool | None,
    every: float,
) -> int:
    """Show what happens in the regions: all, or the REGIONs.

    It is what their processes write, every so many seconds as figures_every says. The
    exit code is 3 if a backend could not be reached when it was looked at last. With
    --json each look is an object in one line.
    """
    regions = application.regions(names)
    if watch is None:
        watch = teller.is_terminal and not teller.as_json
    looks = _looks(regions, every if watch else None)
    show = _show_live if watch and teller.is_terminal else _print
    last: list[dict[str, Any]] = []
    with suppress(KeyboardInterrupt):
        for rows in show(teller, looks):
            last = rows
    return OUT_OF_REACH if any(row["error"] for row in last) else DONE


def _looks(
    regions: Sequence[Region], every: float | None
) -> Iterator[list[dict[str, Any]]]:
    """Look at all regions, once or again and again."""
    while True:
        yield [_look(region) for region in regions]
        if every is None:
            return
        time.sleep(every)


def _look(region: Region) -> dict[str, Any]:
    """Ask a region's backend, for figures and for how long it takes."""
    from holdover import errors

    row: dict[str, Any] = {"region": region.name, "fleet": None, "round_trip": None}
    try:
        row["backend"] = type(region.backend).__name__
        fleet = region.fleet_figures()
        row["fleet"] = fleet if fleet.processes or fleet.past.lookups else None
        row["round_trip"] = region.ping()
    except errors.BackendError as error:
        return {**row, "error": str(error), "hint": ""}
    except errors.HoldoverError as error:  # it knows nothing of figures, or is bare
        return {"backend": None, **row, "error": "", "hint": str(error)}
    return {**row, "error": "", "hint": "" if row["fleet"] else _TURN_ON}


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    fleet: FleetFigures | None = row["fleet"]
    if fleet is None:
        return row
    per_second = {name: fleet.per_second(what) for name, what in _RATES.items()}
    return {**row, "fleet": {**fleet.as_dict(), "per_second": per_second}}


def _print(teller: Teller, looks: Iterator[list[dict[str, Any]]]) -> Iterator[Any]:
    for rows in looks:
        if not teller.document({"regions": [_plain(row) for row in rows]}):
            teller.table(_COLUMNS, [_cells(row) for row in rows])
            for line in _hints(rows):
                teller.line(line)
        yield rows
        if teller.is_cut_off:  # nobody reads on
            return


def _show_live(teller: Teller, looks: Iterator[list[dict[str, Any]]]) -> Iterator[Any]:
    with teller.live() as show:
        for rows in looks:
            show(_COLUMNS, [_cells(row) for row in rows], _hints(rows))
            yield rows


def _hints(rows: Sequence[dict[str, Any]]) -> list[str]:
    told = ((row["region"], row["error"] or row["hint"]) for row in rows)
    return [f"{region}: {what}" for region, what in told if what]


def _cells(row: dict[str, Any]) -> list[str]:
    fleet = row["fleet"]
    shown = _shown(fleet) if fleet is not None else ["-"] * (len(_COLUMNS) - 2)
    return [str(row["region"]), *shown, _backend(row)]


def _shown(fleet: FleetFigures) -> list[str]:
    recent, total = fleet.recent, fleet.total
    rates = {name: f"{fleet.per_second(what):.1f}/s" for name, what in _RATES.items()}
    silent = f", {len(fleet.silent)} silent" if fleet.silent else ""
    failures = total.backend_failures + total.creator_failures + total.orders_failed
    return [
        f"{len(fleet.living)}{silent}",
        rates["lookups"],
        f"{recent.hit_ratio:.1%}" if recent.lookups else "-",
        f"{rates['stale']}, {recent.stale.mean:.1f} s old",
        f"{rates['created']}, {recent.created.mean * 1000:.0f} ms",
        f"{rates['refreshed']}, {recent.lag.mean:.2f} s late",
        str(failures),
        f"{total.degraded_for:.0f} s",
    ]


def _backend(row: dict[str, Any]) -> str:
    if row["error"]:
        return "unreachable"
    span = row["round_trip"]
    return "-" if span is None else f"{span * 1000:.2f} ms"


_RATES = {
    "lookups": lambda one: one.lookups,
    "hits": lambda one: one.hits,
    "misses": lambda one: one.misses,
    "stale": lambda one: one.stale.count,
    "created": lambda one: one.created.count,
    "refreshed": lambda one: one.refreshed.count,
}
