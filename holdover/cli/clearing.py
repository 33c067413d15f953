"""`holdover invalidate` and `holdover purge`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from holdover.cli.calls import WrittenCall
from holdover.cli.exits import DONE, FAILED, OUT_OF_REACH, CannotBegin
from holdover.cli.telling import Teller, tells

if TYPE_CHECKING:
    from holdover import Delivery, Region
    from holdover.cli.application import Application


@dataclass(frozen=True, slots=True)
class _Step:
    """One invalidation: what it is about, and how it is carried out."""

    what: str
    carry_out: Callable[[], Delivery]


@click.command()
@click.argument("name", metavar="REGION")
@click.option("--tag", "tags", multiple=True, help="What carries this tag.")
@click.option("--key", "keys", multiple=True, help="The value of this key.")
@click.option("--prefix", "prefixes", multiple=True, help="Keys that begin so.")
@click.option(
    "--call", "calls", multiple=True, help="A function's call: 'price_of(17)'."
)
@click.option(
    "--soft", is_flag=True, help="Have it expire: it is served on, and refreshed."
)
@click.option("--yes", is_flag=True, help="Do not ask before a whole region.")
@tells
@click.pass_obj
def invalidate(
    application: Application,
    /,
    *,
    teller: Teller,
    name: str,
    soft: bool,
    yes: bool,
    **chosen: tuple[str, ...],
) -> int:
    """Invalidate a REGION, or parts of it, for all who share its backend.

    Every step is acknowledged by the backend, or told to have failed; the exit code is
    3 if one could not be delivered. Near caches follow within their near_ttl.
    """
    [region] = application.regions([name])
    _refuse_what_stays_here(region)
    steps = list(_steps(region, soft=soft, **chosen))
    if not steps:
        _ask(region, teller, yes=yes, soft=soft)
        whole = partial(region.invalidate, hard=not soft, strict=True)
        steps = [_Step("the whole region", whole)]
    done = [_done(region, step, soft=soft) for step in steps]
    if not teller.document(done):
        for one in done:
            teller.line(_line(one))
    return OUT_OF_REACH if any(one["error"] for one in done) else DONE


def _refuse_what_stays_here(region: Region) -> None:
    """Refuse what this process could only do to itself.

    Raises:
        CannotBegin: It says why.
    """
    capabilities = getattr(region.actual_backend, "capabilities", None)
    if capabilities is None:
        raise CannotBegin(
            f"region {region.name!r} has a backend of dogpile.cache's, of which other "
            "processes would not hear: use one of Holdover's"
        )
    if capabilities.shared_by == "process":
        raise CannotBegin(
            f"region {region.name!r} keeps its values in the memory of each process, "
            "where no command reaches them"
        )


def _steps(
    region: Region,
    *,
    soft: bool,
    tags: tuple[str, ...],
    keys: tuple[str, ...],
    prefixes: tuple[str, ...],
    calls: tuple[str, ...],
) -> Iterator[_Step]:
    """Give what is to be done, in order; nothing has been yet."""
    one = region.expire if soft else region.delete
    many = partial(region.invalidate, hard=not soft, strict=True)
    for key in keys:
        yield _Step(f"key {key!r}", partial(one, key, strict=True))
    for call in calls:
        for key in _keys_of(region, call):
            yield _Step(f"key {key!r}", partial(one, key, strict=True))
    for tag in tags:
        yield _Step(f"tag {tag!r}", partial(many, tags=[tag]))
    for prefix in prefixes:
        yield _Step(f"prefix {prefix!r}", partial(many, prefix=prefix))


def _keys_of(region: Region, text: str) -> list[str]:
    call = WrittenCall.read(text)
    if call is None:
        raise CannotBegin(
            f"{text!r} is no call with literals: --call \"price_of(17, unit='kg')\""
        )
    keys = call.keys_in(region)
    if not keys:
        known = ", ".join(region.functions) or "none"
        raise CannotBegin(
            f"region {region.name!r} has no function {call.name!r}. Known: {known}"
        )
    return keys


def _ask(region: Region, teller: Teller, *, yes: bool, soft: bool) -> None:
    """Let people think again.

    Raises:
        CannotBegin: There is nobody to ask, or he thought again.
    """
    if yes:
        return
    if teller.as_json or not sys.stdin.isatty():
        raise CannotBegin(
            f"this is about all of region {region.name!r}: say --yes, or name a --tag, "
            "--key, --prefix or --call"
        )
    what = "Have all of it expire" if soft else "Invalidate all of it"
    if not click.confirm(f"Region {region.name!r}: {what}?", err=True):
        raise CannotBegin("nothing was done")


def _done(region: Region, step: _Step, *, soft: bool) -> dict[str, Any]:
    """Carry a step out, and tell how that went; those after it are carried out too."""
    from holdover import errors

    told = {"region": region.name, "what": step.what, "soft": soft}
    try:
        delivery = step.carry_out()
    except errors.BackendError as error:
        return {**told, "done": False, "existed": False, "error": str(error)}
    done, existed = not delivery.pending, delivery.existed
    return {**told, "done": done, "existed": existed, "error": ""}


def _line(one: dict[str, Any]) -> str:
    if one["error"]:
        return f"{one['what']}: not invalidated: {one['error']}"
    how = "expired" if one["soft"] else "invalidated"
    nothing = one["what"].startswith("key ") and not one["existed"]
    return f"{one['what']}: {how}{', and nothing was there' if nothing else ''}"


# -- holdover purge ------------------------------------------------------------


@click.command()
@click.argument("names", nargs=-1, metavar="[REGION]...")
@tells
@click.pass_obj
def purge(application: Application, *, teller: Teller, names: tuple[str, ...]) -> int:
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
