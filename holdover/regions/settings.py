"""What ``configure()`` takes, as checked values."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import field, fields
from typing import TYPE_CHECKING, Any, TypeVar, cast

from holdover.regions import plugins
from holdover.regions.assembling import backend_maker
from holdover.regions.backends.base import Backend
from holdover.regions.codecs import Codec
from holdover.regions.compression import Compression
from holdover.regions.contexts import Contexts, OrderContext
from holdover.regions.errors import ConfigurationError, check_count, unknown
from holdover.regions.keys import schema_of
from holdover.regions.lifetime import (
    DEFAULT_BACKOFF,
    DEFAULT_MOST_UNLEASED,
    CreatorTerms,
    LeaseTerms,
    Lifetime,
    OrderTerms,
    lease_span,
    seconds_or_none,
)
from holdover.regions.run_store import RunStore
from holdover.regions.signing import Keyring
from holdover.regions.task_options import checked
from holdover.regions.terms import Terms
from holdover.regions.values import frozen

if TYPE_CHECKING:
    from holdover.regions.near import NearTerms

T = TypeVar("T")

_IN_PARTS: dict[str, type] = {"lease": LeaseTerms, "orders": OrderTerms}
DEFAULT_NEAR_ENTRIES = 1000
_MOST_HOT = 10_000
_LIFETIME_NAMES = (
    "stale_while_revalidate",
    "stale_if_error",
    "keep_for",
    "jitter",
    "early_refresh",
)


@frozen(kw_only=True)
class Settings:
    """What ``configure()`` takes besides the backend.

    Attributes:
        lifetime: How long values may be served.
        codec: A name ("pickle", "json", "msgpack") or a codec; None means the backend's
            own way: objects in memory, pickle elsewhere.
        lease: How long creators are waited for.
        runner: Who refreshes stale values: None or "inline" (the caller who finds
            one), "thread", "celery", a runner, or a list to be tried in turn.
        on_miss: What a caller without a value gets: "wait" (the value, created now) or
            "empty" (a stand-in at once, while a runner creates it).
        on_timeout: What a caller gets whose wait is over: "create" (a value of his
            own, not stored) or "raise" (`LeaseTimeout`).
        creator_timeout: Seconds after which a caller no longer waits for the creator
            that runs for him; see `CreatorTerms`.
        soft_creator_timeout: The same for callers who have an old value.
        backoff: Seconds for which a creator that has failed is left alone.
        backoff_when_gone: Whether that holds without an old value, too.
        most_unleased_creators: How many creators may run at once in this process while
            the backend cannot be reached.
        secret: Signs what is stored, and only what is signed is read: a text or bytes,
            at least 16 bytes long, or a list of them, newest first, of which the first
            signs and all verify. None means unsigned.
        compress: True, "zstd", "zlib", a `Compression` or a mapping of its options;
            None or False means uncompressed. What was compressed is read anyway.
        schema: An int or a text that becomes part of every key: change it with the
            shape of the values, and releases that run side by side leave each other's
            alone.
        orders: How many refreshes are ordered, and when one is not worth carrying out.
        task_options: How orders travel, for the queue that takes them.
        order_context: What orders take along from whoever orders to the creator, by
            name.
        unsigned_pickle: Whether unsigned pickles in a store that is reached over a
            network are meant, and no warning is wanted.
        near_ttl: Seconds for which a value that was read from the backend is served
            from this process without asking again; None means that it always is asked.
        near_entries: How many values are kept so at most.
        figures_every: Seconds after which each process that uses the region writes its
            figures to the backend, again and again; None means never.
        history_backend: Where the last runs of schedules are kept: the name of a
            backend, its URL, a backend, or a `RunStore`. None means where
            `keep_runs_in` says, or beside the values, if nothing is evicted there.
        history_codec: How they are kept there, as *codec*; None means as values are.
        record_hot: How many of the calls that are asked for most are recorded, there
            too, for warming; None means none.
    """

    lifetime: Lifetime = field(default_factory=Lifetime)
    codec: str | Codec | None = None
    lease: LeaseTerms = field(default_factory=LeaseTerms)
    runner: object = None
    on_miss: str = "wait"
    on_timeout: str = "create"
    creator_timeout: float | None = None
    soft_creator_timeout: float | None = None
    backoff: float = DEFAULT_BACKOFF
    backoff_when_gone: bool = False
    most_unleased_creators: int = DEFAULT_MOST_UNLEASED
    secret: str | bytes | Sequence[str | bytes] | None = field(default=None, repr=False)
    compress: bool | str | Compression | None = None
    schema: int | str | None = None
    orders: OrderTerms = field(default_factory=OrderTerms)
    task_options: Mapping[str, Any] | None = None
    order_context: Mapping[str, OrderContext] | None = None
    unsigned_pickle: bool = False
    near_ttl: float | None = None
    near_entries: int = DEFAULT_NEAR_ENTRIES
    figures_every: float | None = None
    history_backend: str | Backend | RunStore | None = field(default=None, repr=False)
    history_codec: str | Codec | None = None
    record_hot: int | None = None

    def __post_init__(self) -> None:
        plugins.check_choice("on_miss", self.on_miss, ("wait", "empty"))
        for name, kind in _IN_PARTS.items():
            if not isinstance(getattr(self, name), kind):
                raise ConfigurationError(
                    f"{name} must be {kind.__name__} or a mapping of them, got "
                    f"{getattr(self, name)!r}"
                )
        plugins.check_choice("on_timeout", self.on_timeout, ("create", "raise"))
        _ = self.terms  # wrong ones are told at once
        if not isinstance(self.unsigned_pickle, bool):
            raise ConfigurationError(
                f"unsigned_pickle must be True or False, got {self.unsigned_pickle!r}"
            )
        near_ttl = seconds_or_none(self.near_ttl, "near_ttl")
        object.__setattr__(self, "near_ttl", near_ttl)
        if self.figures_every is not None:
            every = lease_span(self.figures_every, "figures_every")
            object.__setattr__(self, "figures_every", every)
        check_count("near_entries", self.near_entries)
        given: object = self.history_backend
        if given is not None and not isinstance(given, str | Backend | RunStore):
            raise ConfigurationError(
                "history_backend must be a name, a URL, one of Holdover's backends or "
                f"a RunStore, got a {type(given).__qualname__}"
            )
        if self.record_hot is not None:
            check_count("record_hot", self.record_hot, most=_MOST_HOT)
        Keyring.of(self.secret)
        Compression.of(self.compress)
        schema_of(self.schema)
        if self.on_miss == "empty" and self.runner in (None, "inline", [], ()):
            raise ConfigurationError(
                'on_miss="empty" needs a runner to create the value meanwhile: '
                'runner="thread" or "celery"'
            )

    @property
    def terms(self) -> Terms:
        """What the region's crew works by."""
        return Terms(
            lease=self.lease,
            creator=self.creator_terms,
            orders=self.orders,
            task_options=checked(self.task_options),
            contexts=Contexts(self.order_context),
        )

    @property
    def creator_terms(self) -> CreatorTerms:
        """What callers put up with from a creator that is slow or fails."""
        return CreatorTerms(
            timeout=self.creator_timeout,
            soft_timeout=self.soft_creator_timeout,
            backoff=self.backoff,
            backoff_when_gone=self.backoff_when_gone,
            most_unleased=self.most_unleased_creators,
        )

    @property
    def near(self) -> NearTerms | None:
        """What a near cache is to keep; None without one."""
        if self.near_ttl is None:
            return None
        from holdover.regions.near import NearTerms

        return NearTerms(self.near_ttl, self.near_entries)

    @classmethod
    def of(
        cls, expiration_time: object, given: Mapping[str, Any], backend: object = None
    ) -> Settings:
        """Read the keyword arguments of ``configure()``.

        Args:
            expiration_time: Seconds, a ``timedelta``, or None.
            given: All others.
            backend: What was named as the backend, whose arguments are none of these.

        Raises:
            ConfigurationError: One is unknown or wrong.
        """
        known = {one.name for one in fields(cls)} | set(_LIFETIME_NAMES)
        known.discard("lifetime")
        for name in given:
            if name not in known:
                known.update(_misplaced(name, backend))
                raise ConfigurationError(unknown("option", name, known))
        rest = dict(given)
        spans = {name: rest.pop(name) for name in _LIFETIME_NAMES if name in rest}
        lifetime = Lifetime(
            expiration_time=seconds_or_none(expiration_time, "expiration_time"), **spans
        )
        for name, kind in _IN_PARTS.items():
            if isinstance(rest.get(name), Mapping):
                rest[name] = _in_parts(name, kind, rest[name])
        return cls(lifetime=lifetime, **rest)

    def varied(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Give the keyword arguments of ``configure()`` for the same, but *changes*.

        What describes the region as a whole is left to the first who has it.
        """
        spans = {name: getattr(self.lifetime, name) for name in _LIFETIME_NAMES}
        same = {one.name: getattr(self, one.name) for one in fields(self)}
        for name in ("lifetime", "figures_every", "record_hot"):
            del same[name]
        contexts = {
            **(self.order_context or {}),
            **(changes.get("order_context") or {}),
        }
        return {**spans, **same, **changes, "order_context": contexts}


def _misplaced(name: str, backend: object) -> list[str]:
    """Say where an unknown option belongs, if it is an argument of the backend."""
    known: Collection[str] = ()
    if isinstance(backend, str):
        with suppress(ConfigurationError):  # which will be raised where it matters
            known = getattr(backend_maker(backend), "known_arguments", ())
    return [f"arguments.{name}"] if name in known else []


def _in_parts(name: str, kind: type[T], given: Mapping[str, Any]) -> T:
    known = {f"{name}.{one.name}" for one in fields(cast("Any", kind))}
    for part in given:
        if f"{name}.{part}" not in known:
            raise ConfigurationError(unknown("option", f"{name}.{part}", known))
    return kind(**given)
