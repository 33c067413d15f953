"""Where a region keeps what is no value: slots, history, figures, and what is hot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from holdover.regions.assembling import build_backend, build_codec, is_url
from holdover.regions.backends.base import Backend
from holdover.regions.codecs import PickleCodec
from holdover.regions.counters import Counters
from holdover.regions.errors import ConfigurationError
from holdover.regions.events import Listeners
from holdover.regions.guarding import build_sealing, sealing_with, warn_of_pickle
from holdover.regions.history import History
from holdover.regions.hot import HotRecord
from holdover.regions.keys import Reserved, region_prefix
from holdover.regions.ledger import Ledger
from holdover.regions.options import nested
from holdover.regions.run_history import RunHistory
from holdover.regions.run_store import RunStore
from holdover.regions.sealing import Sealing
from holdover.regions.settings import Settings
from holdover.regions.slotbook import SlotBook
from holdover.regions.tier import Tier
from holdover.regions.timesource import TimeSource
from holdover.regions.urls import expanded, read_url

Serializers = tuple[
    Callable[[Any], bytes] | None, Callable[[bytes], Any] | None
]  # dogpile.cache's pair


RunsKept = History | RunHistory


class _Elsewhere:
    """Where this process keeps runs if a region says nothing of it."""

    store: RunStore | None = None


def keep_runs_in(store: RunStore | None) -> None:
    """Have this process keep the runs of schedules in *store*.

    It holds for regions without a ``history_backend`` whose schedules were not yet
    looked at. All processes that run or read them are to say the same.

    Args:
        store: The store; None leaves them beside the values, as without this call.

    Raises:
        ConfigurationError: It is no `RunStore`.
    """
    given: object = store
    if given is not None and not isinstance(given, RunStore):
        raise ConfigurationError(
            f"keep_runs_in() takes a RunStore, got a {type(given).__qualname__}"
        )
    _Elsewhere.store = store


@dataclass(frozen=True, slots=True)
class Records:
    """What is kept of one region's schedules.

    Attributes:
        book: Which slots were begun.
        history: The last runs.
        region: The region's name as keys begin with it.
    """

    book: SlotBook
    history: RunsKept
    region: str

    def slot_key(self, name: str) -> str:
        """Give the key of a schedule's slots."""
        return Reserved.SLOTS.key(self.region + name)

    def history_key(self, name: str) -> str:
        """Give the key of a schedule's history."""
        return Reserved.HISTORY.key(self.region + name)


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
    told: Any = {"listeners": listeners, "time_source": time_source}
    store = rules.history_backend or _Elsewhere.store
    history: RunsKept
    if isinstance(store, RunStore):
        claimed_in = backend.lasting() or backend
        sealing = _sealing_for(store, name, rules, backend, serializers)
        history = RunHistory(store, sealing, name or "", time_source)
    else:
        kept_in = _history_backend(name, rules, backend, use="schedules")
        is_apart = rules.history_backend is not None
        claimed_in = (backend.lasting() or backend) if is_apart else kept_in
        history = _history_beside(name, rules, kept_in, serializers, **told)
    slots = _plain_tier(Reserved.SLOTS, prefix, rules, claimed_in, **told)
    return Records(SlotBook(slots, rules.lease), history, prefix)


def _sealing_for(
    store: RunStore,
    name: str | None,
    rules: Settings,
    backend: Backend,
    serializers: Serializers,
) -> Sealing:
    """Choose how values become bytes for a store, which takes nothing else."""
    given = rules.history_codec or rules.codec
    codec = build_codec(given, backend, *serializers) or PickleCodec()
    signed = replace(rules, secret=rules.secret or store.secret)
    area = Reserved.HISTORY.value + region_prefix(name)
    sealing = sealing_with(codec, signed, area)
    if not rules.unsigned_pickle:
        warn_of_pickle(sealing, store, name)
    return sealing


def _history_beside(
    name: str | None,
    rules: Settings,
    kept_in: Backend,
    serializers: Serializers,
    *,
    listeners: Listeners,
    time_source: TimeSource,
) -> History:
    """Make the history that a backend keeps, the region's or another."""
    prefix = region_prefix(name)
    area = Reserved.HISTORY.value + prefix
    coded = replace(rules, codec=rules.history_codec or rules.codec)
    sealing = build_sealing(coded, kept_in, area, *serializers)
    if rules.history_backend is not None and not rules.unsigned_pickle:
        warn_of_pickle(sealing, kept_in, name)
    told: Any = {"listeners": listeners, "time_source": time_source}
    past = Tier(kept_in, area, sealing, **told)
    indexes = _plain_tier(Reserved.HISTORY, prefix, rules, kept_in, **told)
    return History(past, indexes, name or "")


def build_hot_record(
    name: str,
    rules: Settings,
    backend: Backend,
    most: int,
    *,
    listeners: Listeners,
    time_source: TimeSource,
) -> HotRecord:
    """Put together the record of the calls that a region is asked for most.

    Raises:
        ConfigurationError: ``history_backend`` is needed or wrong.
    """
    prefix = region_prefix(name)
    kept_in = _history_backend(name, rules, backend, use="record of hot calls")
    told: Any = {"listeners": listeners, "time_source": time_source}
    tier = _plain_tier(Reserved.HOT, prefix, rules, kept_in, **told)
    return HotRecord(tier, prefix, most)


def build_ledger(
    name: str | None, rules: Settings, backend: object, time_source: TimeSource
) -> Ledger:
    """Put together what a region's figures are kept with.

    Raises:
        ConfigurationError: Its backend cannot keep them.
    """
    if not isinstance(backend, Backend):
        raise ConfigurationError(
            f"region {name!r} cannot share figures: {type(backend).__qualname__} knows "
            "no compare_and_set. Use a backend of Holdover's, such as 'holdover.file'"
        )
    prefix = region_prefix(name)
    # Its failures are its own: the region's callers meet them, or do not.
    told: Any = {"listeners": Listeners(Counters()), "time_source": time_source}
    kept_in = backend.lasting() or backend
    tier = _plain_tier(Reserved.FIGURES, prefix, rules, kept_in, **told)
    return Ledger(tier, Reserved.FIGURES.value + prefix, time_source)


def _plain_tier(
    use: Reserved,
    prefix: str,
    rules: Settings,
    backend: Backend,
    *,
    listeners: Listeners,
    time_source: TimeSource,
) -> Tier:
    """Make the tier of records that are JSON, whatever the region's values are."""
    plain = replace(rules, codec="json", compress=None)
    sealing = build_sealing(plain, backend, use.value + prefix, None, None)
    return Tier(backend, use.value + prefix, sealing, listeners, time_source)


def _history_backend(
    name: str | None, rules: Settings, backend: Backend, *, use: str
) -> Backend:
    """Find where the past is kept: where the user says, or beside the values."""
    given = rules.history_backend
    if given is None or isinstance(given, RunStore):  # which keeps nothing but runs
        lasting = backend.lasting()
        if lasting is None:
            raise ConfigurationError(
                f"region {name!r} needs a history_backend= for its {use}, since "
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
