"""`holdover purge`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from holdover.cli.exits import DONE, FAILED, OUT_OF_REACH
from holdover.cli.telling import Teller, tells

if TYPE_CHECKING:
    from holdover import Region
    from holdover.cli.application import Regions


@click.command(short_help="Remove what is past its ttl.")
@click.argument("names", nargs=-1, metavar="[REGION]...")
@tells
@click.pass_obj
def purge(application: Regions, *, teller: Teller, names: tuple[str, ...]) -> int:
    """Remove what is past its ttl from the backends of all regions, or of some.

    Nothing that may still be served goes. Regions that share a backend are purged
    together; Redis, Valkey and memcached do it by themselves.
    """
    done = [_purged(group) for group in _by_place(application.regions(names))]
    if not teller.document([plain for plain, _ in done]):
        columns = ("regions", "backend", "entries removed")
        teller.table(columns, [_purged_row(plain) for plain, _ in done])
    return max((status for _, status in done), default=DONE)


def _by_place(regions: list[Region]) -> list[list[Region]]:
    """Put together the regions that share a backend."""
    groups: dict[object, list[Region]] = {}
    for region in regions:
        groups.setdefault(_place(region), []).append(region)
    return list(groups.values())


def _place(region: Region) -> object:
    if not region.is_configured:
        return id(region)
    backend = region.actual_backend
    place = backend.place() if hasattr(backend, "place") else ""
    return (type(backend), place) if place else id(backend)


def _purged(group: list[Region]) -> tuple[dict[str, Any], int]:
    """Purge the backend of *group*; tell what came of it, and the exit code."""
    from holdover import errors

    plain = {
        "regions": [region.name for region in group],
        "backend": _shown(group[0]),
        "removed": None,
        "error": "",
    }
    try:
        return plain | {"removed": group[0].purge()}, DONE
    except errors.BackendError as error:
        return plain | {"error": str(error)}, OUT_OF_REACH
    except errors.HoldoverError as error:
        return plain | {"error": str(error)}, FAILED


def _purged_row(plain: dict[str, Any]) -> tuple[str, str, str]:
    removed = plain["error"] or str(plain["removed"])
    return ", ".join(map(str, plain["regions"])), plain["backend"], removed


def _shown(region: Region) -> str:
    if not region.is_configured:
        return "-"
    place = _place(region)
    kind = type(region.actual_backend).__name__
    return f"{kind} {place[1]}" if isinstance(place, tuple) else kind
