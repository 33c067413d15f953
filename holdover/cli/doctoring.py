"""`holdover doctor`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from holdover.cli.exits import DONE, FAILED, CannotBegin
from holdover.cli.telling import Teller, tells

if TYPE_CHECKING:
    from holdover import Finding, Region
    from holdover.cli.application import Application


@dataclass(frozen=True, slots=True)
class _Examined:
    """What was found of a region."""

    region: Region
    finding: Finding

    def plain(self) -> dict[str, Any]:
        """Give it as JSON values."""
        return {
            "region": self.region.name,
            "check": self.finding.check,
            "health": self.finding.health.value,
            "found": self.finding.found,
            "advice": self.finding.advice,
        }


@click.command()
@click.argument("names", nargs=-1, metavar="[REGION]...")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0.0, min_open=True),
    default=10.0,
    show_default=True,
    help="Seconds to wait for a broker, and then for a worker.",
)
@tells
@click.pass_obj
def doctor(
    application: Application, *, teller: Teller, names: tuple[str, ...], timeout: float
) -> int:
    """Look whether all that regions need is there, and say what to do.

    Probes are written under each region's prefix, and removed; a worker gets a real
    order. The exit code is 1 if a check has failed; warnings leave it at 0.
    """
    regions = application.regions(names)
    if not regions:
        raise CannotBegin("there is no region to look at")
    rows = [one.plain() for one in _examined(regions, timeout)]
    if not teller.document(rows):
        _show(teller, rows)
    return FAILED if any(row["health"] == "fail" for row in rows) else DONE


def _examined(regions: list[Region], timeout: float) -> Iterator[_Examined]:
    for region in regions:
        for finding in region.diagnose(timeout=timeout):
            yield _Examined(region, finding)


def _show(teller: Teller, rows: list[dict[str, Any]]) -> None:
    columns = ("region", "check", "health", "found")
    teller.table(columns, [[str(row[name]) for name in columns] for row in rows])
    for row in rows:
        if row["advice"]:
            teller.line(f"{row['region']}, {row['check']}: {row['advice']}")
