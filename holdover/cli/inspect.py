"""`holdover inspect`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import click

from holdover.cli.application import is_private
from holdover.cli.calls import keys_in
from holdover.cli.exits import DONE, FAILED, OUT_OF_REACH, CannotBegin
from holdover.cli.telling import Teller, moment, span, tells
from holdover.regions.previews import preview
from holdover.regions.written_calls import WrittenCall, why_no_call

if TYPE_CHECKING:
    from holdover import Inspection, Region
    from holdover.cli.application import Regions

_SHOWN = 2000  # characters of a value


@dataclass(frozen=True, slots=True)
class _Sighting:
    """What a region tells of what was asked for."""

    region: Region
    told: Inspection

    def as_dict(self, *, with_value: bool) -> dict[str, Any]:
        """Give it as JSON values; the value itself may be anything, and is shown."""
        told = {name: getattr(self.told, name) for name in _names(self.told)}
        told["freshness"] = self.told.freshness.value
        told["lease"] = self.told.lease and self.told.lease.value
        told["lifetime"] = self.told.lifetime and asdict(self.told.lifetime)
        told["region"] = self.region.name
        told["known"] = self.told.is_known
        told["schedules"] = list(self._schedules())
        if with_value:
            told["value"] = self._shown_value()
        return told

    def _schedules(self) -> Iterator[dict[str, Any]]:
        """Tell which schedules make the value, and when they are due."""
        now = time.time()
        for name, schedule in self.region.schedules.items():
            key = self.region.inspect(self.region.key_of_schedule(name)).key
            if key == self.told.key:
                yield {"name": name, "next_at": schedule.due.next_after(now)}

    def _shown_value(self) -> str | None:
        from holdover import NO_VALUE

        if self.told.value is NO_VALUE:
            return None
        return preview(self.told.value, _SHOWN)


@click.command(short_help="Tell what is stored, how old, and who makes it.")
@click.argument("wanted", metavar="KEY|CALL")
@click.option(
    "--region", "names", multiple=True, metavar="REGION", help="Look in this one."
)
@click.option("--value", "with_value", is_flag=True, help="Show the value, shortened.")
@tells
@click.pass_obj
def inspect(
    application: Regions,
    *,
    teller: Teller,
    wanted: str,
    names: tuple[str, ...],
    with_value: bool,
) -> int:
    """Tell what the backends know of a key; nothing is changed.

    KEY is a key as region.get() takes it, or as it is stored. CALL is the call of a
    decorated function, such as 'shop.prices:price_of(17)' or 'price_of(17)', whose
    arguments are literals. All regions are looked in.
    """
    regions = application.regions(names)
    sightings, notes = _sightings(regions, wanted)
    rows = [one.as_dict(with_value=with_value) for one in sightings]
    if not teller.document(rows):
        for row in rows:
            _show(teller, row)
    if any(one.told.is_known for one in sightings):
        return DONE
    for note in notes:
        teller.problem(note)
    if any(not one.told.reachable for one in sightings):
        teller.problem("a backend could not be reached")
        return OUT_OF_REACH
    reason = why_no_call(wanted, [name for one in regions for name in one.functions])
    teller.problem(f"nothing is stored for {wanted!r}{reason and f'; {reason}'}")
    return FAILED


def _sightings(regions: list[Region], wanted: str) -> tuple[list[_Sighting], list[str]]:
    """Give what the regions tell; and why some of them cannot tell it.

    Raises:
        CannotBegin: None of them can.
    """
    from holdover import errors

    found: list[_Sighting] = []
    refused, notes = [], []
    for region in regions:
        try:
            found += _seen_in(region, wanted)
        except (errors.ConfigurationError, errors.RegionNotConfigured) as error:
            refused.append(f"region {region.name!r}: {error}")
            continue
        if is_private(region):
            notes.append(
                f"region {region.name!r} keeps its values in memory, and those of "
                "other processes cannot be seen"
            )
    if len(refused) == len(regions):
        raise CannotBegin("; ".join(refused) or "there is no region")
    return found, refused + notes


def _seen_in(region: Region, wanted: str) -> Iterator[_Sighting]:
    """Look for what *wanted* may mean: a call, a key, a key as it is stored."""
    call = WrittenCall.read(wanted)
    of_call = [region.inspect(key) for key in keys_in(region, call)] if call else []
    of_key = [region.inspect(wanted), region.inspect(wanted, stored=True)]
    found = [*of_call, *(one for one in of_key if one.is_known or not one.reachable)]
    for told in {one.key: one for one in found}.values():
        yield _Sighting(region, told)


def _names(told: Inspection) -> list[str]:
    return [name for name in told.__dataclass_fields__ if name != "value"]


def _show(teller: Teller, row: dict[str, Any]) -> None:
    teller.table((f"region {row['region']}", row["key"]), list(_lines(row)))


def _lines(row: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Tell of a key, line by line, for people; what is not there is left out."""
    yield "freshness", row["freshness"] if row["reachable"] else "cannot be told"
    for name in ("age", "expires_in", "kept_for", "cost"):
        if row[name]:
            yield name.replace("_", " "), span(row[name])
    if row["created_at"] is not None:
        yield "created at", moment(row["created_at"])
    if row["size"] is not None:
        traits = [name for name in ("signed", "compressed") if row[name]]
        stored = ", ".join([f"{row['size']} bytes", row["codec"] or "foreign", *traits])
        yield "stored", stored
    if row["unreadable"]:
        yield "unreadable", row["unreadable"]
    if row["tags"]:
        yield "tags", ", ".join(row["tags"])
    if row["lifetime"]:
        yield "own lifetime", str(row["lifetime"])
    yield from _lease_lines(row)
    for schedule in row["schedules"]:
        yield f"schedule {schedule['name']}", f"next {moment(schedule['next_at'])}"
    if "value" in row and row["created_at"] is not None:
        yield "value", row["value"] or "none"


def _lease_lines(row: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if row["lease"] is not None:
        yield "lease", f"{row['lease']}, lapses in {span(row['lease_expires_in'])}"
    if row["queued_for"] is not None:
        yield "queued for", span(row["queued_for"])
    if row["last_error"]:
        yield "last error", row["last_error"]
