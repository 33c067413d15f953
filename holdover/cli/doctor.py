"""`holdover doctor`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from holdover.cli.exits import DONE, FAILED, CannotBegin
from holdover.cli.telling import Teller, tells

if TYPE_CHECKING:
    from holdover import Finding, Region
    from holdover.cli.application import Regions


_AT_ONCE = 16  # regions


@dataclass(frozen=True, slots=True)
class _Examined:
    """What was found of a region."""

    region: Region
    finding: Finding

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON values."""
        return {
            "region": self.region.name,
            "check": self.finding.check,
            "health": self.finding.health.value,
            "found": self.finding.found,
            "advice": self.finding.advice,
        }


@click.command(short_help="Say what is wrong, and what to do.")
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
    application: Regions, *, teller: Teller, names: tuple[str, ...], timeout: float
) -> int:
    """Look whether all that regions need is there, and say what to do.

    Probes are written under each region's prefix, and removed; a worker gets a real
    order. Regions are looked at all at once. The exit code is 1 if a check has failed;
    warnings leave it at 0.
    """
    regions = application.regions(names)
    if not regions:
        raise CannotBegin("there is no region to look at")
    with teller.waiting() as show:
        examined = [look.result() for look in _looks(regions, timeout, show)]
    rows = [one.as_dict() for ones in examined for one in ones]
    if not teller.document(rows):
        _show(teller, rows)
    return FAILED if any(row["health"] == "fail" for row in rows) else DONE


def _looks(
    regions: list[Region], timeout: float, show: Callable[[str], None]
) -> list[Future[list[_Examined]]]:
    """Begin to look at all regions at once, since most of it is waiting."""
    room = threading.Semaphore(_AT_ONCE)
    left = [region.name or "" for region in regions]

    def examine(region: Region) -> list[_Examined]:
        with room:
            show(f"looking at {', '.join(left)}")
            findings = region.diagnose(timeout=timeout)
            found = [_Examined(region, finding) for finding in findings]
        left.remove(region.name or "")
        show(f"looking at {', '.join(left)}")
        return found

    return [_begun(examine, region) for region in regions]


def _begun(
    examine: Callable[[Region], list[_Examined]], region: Region
) -> Future[list[_Examined]]:
    """Begin in a thread that Ctrl-C need not wait for, as it would for a pool's."""
    look: Future[list[_Examined]] = Future()

    def run() -> None:
        try:
            look.set_result(examine(region))
        except BaseException as error:  # noqa: BLE001 - the command's, who waits for it
            look.set_exception(error)

    threading.Thread(target=run, name="holdover-doctor", daemon=True).start()
    return look


def _show(teller: Teller, rows: list[dict[str, Any]]) -> None:
    columns = ("region", "check", "health", "found")
    teller.table(columns, [[str(row[name]) for name in columns] for row in rows])
    for line in _advice(rows):
        teller.line(line)


def _advice(rows: Iterable[dict[str, Any]]) -> list[str]:
    """Tell what to do, once for all regions that want the same."""
    wanting: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        if row["advice"]:
            wanting.setdefault((row["check"], row["advice"]), []).append(row["region"])
    return [
        f"{', '.join(map(str, names))}, {check}: {advice}"
        for (check, advice), names in wanting.items()
    ]
