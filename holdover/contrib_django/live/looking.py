"""A look at one key, as lines for a table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.core.cache import caches
from django.utils.translation import gettext as _

from holdover import NO_VALUE, Inspection
from holdover.contrib_django.caches.known import KnownRegion
from holdover.regions.previews import preview
from holdover.regions.written_calls import WrittenCall, why_no_call

_SHOWN = 2000  # characters of a value


@dataclass(frozen=True, slots=True)
class Sighting:
    """What a region tells of a key.

    Attributes:
        key: The key, as it is stored.
        lines: Names and texts.
    """

    key: str
    lines: list[tuple[str, str]]


def keys_meant(known: KnownRegion, text: str) -> list[str]:
    """Give the keys that somebody may mean: a call's, a cache's, or the text itself.

    Raises:
        InvalidArgument: A function of the call's name does not take its arguments.
    """
    call = WrittenCall.read(text)
    of_call = call.keys_in(known.region.functions) if call else []
    of_caches = [caches[alias].make_key(text) for alias in known.aliases]
    return list(dict.fromkeys([*of_call, *of_caches, text]))


def sightings_of(
    known: KnownRegion, text: str, *, with_value: bool
) -> tuple[list[Sighting], str]:
    """Look for what *text* may mean.

    Args:
        known: Where.
        text: A key as the application or the store has it, or a call with literals.
        with_value: Whether to show the values.

    Returns:
        What there is; and if there is nothing, why.

    Raises:
        InvalidArgument: See `keys_meant`.
        BackendError: The backend cannot be reached.
        ConfigurationError: It is one of dogpile.cache's, or there is none yet.
    """
    region = known.region
    told = [region.inspect(key) for key in keys_meant(known, text)]
    told.append(region.inspect(text, stored=True))
    found = {one.key: one for one in told if one.is_known}
    if not found and not all(one.reachable for one in told):
        return [], _("The backend does not answer.")
    sightings = [
        Sighting(one.key, list(_lines(one, with_value=with_value)))
        for one in found.values()
    ]
    reason = why_no_call(text, list(region.functions))
    return sightings, _("Nothing is stored for that%s.") % (reason and f"; {reason}")


def _lines(told: Inspection, *, with_value: bool) -> Iterator[tuple[str, str]]:
    yield _("Freshness"), told.freshness.value
    yield from _times(told)
    if told.size is not None:
        traits = ["signed"] * told.signed + ["compressed"] * told.compressed
        yield _("Stored"), ", ".join([f"{told.size:,} bytes", told.codec, *traits])
    if told.unreadable:
        yield _("Unreadable"), told.unreadable
    if told.tags:
        yield _("Tags"), ", ".join(told.tags)
    if told.lease is not None:
        yield _("Being created"), f"{told.lease.value}, {told.lease_expires_in:.1f} s"
    if told.last_error:
        yield _("Last error"), told.last_error
    if with_value and told.value is not NO_VALUE:
        yield _("Value"), preview(told.value, _SHOWN)


def _times(told: Inspection) -> Iterator[tuple[str, str]]:
    spans = {
        _("Age"): told.age,
        _("Expires in"): told.expires_in,
        _("Kept for"): told.kept_for,
        _("Took"): told.cost or None,
    }
    for name, span in spans.items():
        if span is not None:
            yield name, f"{span:,.3f} s"
