"""`holdover invalidate`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from holdover.cli.application import is_private
from holdover.cli.calls import keys_in
from holdover.cli.exits import DONE, OUT_OF_REACH, CannotBegin
from holdover.cli.telling import Teller, tells
from holdover.regions.written_calls import WrittenCall

if TYPE_CHECKING:
    from holdover import Delivery, Region
    from holdover.cli.application import Regions


@dataclass(frozen=True, slots=True)
class _Step:
    """One invalidation: what it is about, and how it is carried out."""

    what: str
    carry_out: Callable[[], Delivery]
    is_one_key: bool = False


@click.command(short_help="Invalidate a region, or parts of it.")
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
    application: Regions,
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
    if not hasattr(region.actual_backend, "capabilities"):
        raise CannotBegin(
            f"region {region.name!r} has a backend of dogpile.cache's, of which other "
            "processes would not hear: use one of Holdover's"
        )
    if is_private(region):
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
        yield _Step(f"key {key!r}", partial(one, key, strict=True), is_one_key=True)
    for call in calls:
        for key in _keys_of(region, call):
            carry_out = partial(one, key, strict=True)
            yield _Step(f"key {key!r}", carry_out, is_one_key=True)
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
    keys = keys_in(region, call)
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
    given: object = sys.stdin  # None if whoever started us has closed it
    if teller.as_json or given is None or not sys.stdin.isatty():
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

    told = {"region": region.name, "what": step.what, "soft": soft, "existed": None}
    try:
        delivery = step.carry_out()
    except errors.BackendError as error:
        return {**told, "done": False, "error": str(error)}
    if step.is_one_key:  # of several, nobody has looked which there were
        told["existed"] = delivery.existed
    return {**told, "done": not delivery.pending, "error": ""}


def _line(one: dict[str, Any]) -> str:
    if one["error"]:
        return f"{one['what']}: not invalidated: {one['error']}"
    how = "expired" if one["soft"] else "invalidated"
    nothing = one["existed"] is False
    return f"{one['what']}: {how}{', and nothing was there' if nothing else ''}"
