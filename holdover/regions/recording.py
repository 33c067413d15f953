"""Where a region's schedules keep how far they have come, and what came of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from holdover.regions.assembling import Settings, build_backend
from holdover.regions.backends.base import Backend
from holdover.regions.errors import ConfigurationError
from holdover.regions.events import Listeners
from holdover.regions.guarding import build_sealing, warn_of_pickle
from holdover.regions.histories import History
from holdover.regions.keys import bounded, region_prefix
from holdover.regions.options import nested
from holdover.regions.slotbook import SlotBook
from holdover.regions.tier import Tier
from holdover.regions.timesource import TimeSource
from holdover.regions.urls import expanded, is_url, read_url

# No region's keys begin so: a percent sign in its name is escaped.
_SLOTS = "%schedules:"
_HISTORY = "%history:"

Serializers = tuple[
    Callable[[Any], bytes] | None, Callable[[bytes], Any] | None
]  # dogpile.cache's pair


@dataclass(frozen=True, slots=True)
class Records:
    """What is kept of one region's schedules.

    Attributes:
        book: Which slots were begun.
        history: The last runs.
        region: The region's name as keys begin with it.
    """

    book: SlotBook
    history: History
    region: str

    def slot_key(self, name: str) -> str:
        """Give the key of a schedule's slots."""
        return bounded(f"{_SLOTS}{self.region}{name}")

    def history_key(self, name: str) -> str:
        """Give the key of a schedule's history."""
        return bounded(f"{_HISTORY}{self.region}{name}")


def build_records(
    name: str | None,
    rules: Settings,
    backend: object,
    serializers: Serializers,
    *,
    listeners: Listeners,
    time_source: TimeSource,
) -> Records:
    """Put together what a region's schedules need.

    Raises:
        ConfigurationError: Its backend cannot keep them, or ``history_backend`` is
            needed or wrong.
    """
    if not isinstance(backend, Backend):
        raise ConfigurationError(
            f"region {name!r} cannot run schedules: {type(backend).__qualname__} knows "
            "no leases. Use a backend of Holdover's, such as 'holdover.file'"
        )
    prefix = region_prefix(name)
    lasting = backend.lasting()
    kept_in = _history_backend(name, rules, backend, lasting)
    slots = replace(rules, codec="json", compress=None)
    claimed_in = backend if lasting is None else lasting
    sealing = build_sealing(slots, claimed_in, _SLOTS + prefix, None, None)
    tier = Tier(claimed_in, _SLOTS + prefix, sealing, listeners, time_source)
    coded = replace(rules, codec=rules.history_codec or rules.codec)
    sealing = build_sealing(coded, kept_in, _HISTORY + prefix, *serializers)
    if kept_in is not lasting and not rules.unsigned_pickle:
        warn_of_pickle(sealing, kept_in, name)
    past = Tier(kept_in, _HISTORY + prefix, sealing, listeners, time_source)
    return Records(SlotBook(tier, rules.lease), History(past, name or ""), prefix)


def _history_backend(
    name: str | None, rules: Settings, backend: Backend, lasting: Backend | None
) -> Backend:
    """Find where the history goes: where the user says, or beside the values."""
    given = rules.history_backend
    if given is None:
        if lasting is None:
            raise ConfigurationError(
                f"region {name!r} needs a history_backend= for its schedules, since "
                f"{type(backend).__name__} may evict what it keeps: "
                "'sqlite:////var/lib/shop/history.db', for example"
            )
        return lasting
    made = _made(given)
    if not isinstance(made, Backend):
        raise ConfigurationError(
            "history_backend must be a backend of Holdover's, or its URL, got "
            f"{type(made).__qualname__}"
        )
    return made


def _made(given: object) -> Any:
    if not is_url(given):
        return build_backend(given, {})
    options = nested(expanded(read_url(given, "history_backend")))
    backend, arguments = options.pop("backend"), options.pop("arguments", {})
    for option in options:
        raise ConfigurationError(
            f"history_backend takes no {option!r}: that is a region's setting"
        )
    return build_backend(backend, arguments)
