"""What has happened in a region, as numbers that can be added up and carried about."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field, fields
from typing import Any, Self

from holdover.regions.numbers import is_count, is_span
from holdover.regions.samples import BUCKETS
from holdover.regions.values import frozen


class NoFigures(ValueError):
    """What was read is no figures."""


@frozen
class Histogram:
    """How long something took, or how old it was, in seconds.

    Attributes:
        count: How many there were.
        sum: All together.
        max: The longest.
        buckets: How many were up to each of `BOUNDS` and above the one before; the last
            are those above all.
    """

    count: int = 0
    sum: float = 0.0
    max: float = 0.0
    buckets: tuple[int, ...] = (0,) * BUCKETS

    @property
    def mean(self) -> float:
        """Seconds on average; 0.0 without any."""
        return self.sum / self.count if self.count else 0.0

    def __add__(self, other: Histogram) -> Histogram:
        pairs = zip(self.buckets, other.buckets, strict=True)
        return Histogram(
            self.count + other.count,
            self.sum + other.sum,
            max(self.max, other.max),
            tuple(mine + theirs for mine, theirs in pairs),
        )

    def since(self, earlier: Histogram) -> Histogram:
        """Give what has come since *earlier*; ``max`` stays the longest ever."""
        pairs = zip(self.buckets, earlier.buckets, strict=True)
        return Histogram(
            max(0, self.count - earlier.count),
            max(0.0, self.sum - earlier.sum),
            self.max,
            tuple(max(0, now - before) for now, before in pairs),
        )

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON values."""
        numbers = {"count": self.count, "sum": self.sum, "max": self.max}
        return {**numbers, "buckets": list(self.buckets)}

    @classmethod
    def from_dict(cls, plain: Any) -> Self:
        """Read what `as_dict` gave.

        Raises:
            NoFigures: It is something else.
        """
        buckets = plain.get("buckets") if isinstance(plain, Mapping) else None
        if not isinstance(buckets, list) or len(buckets) != BUCKETS:
            raise NoFigures(f"no histogram: {type(plain).__name__}")
        return cls(
            count_of(plain.get("count")),
            seconds_of(plain.get("sum")),
            seconds_of(plain.get("max")),
            tuple(count_of(one) for one in buckets),
        )


@frozen(kw_only=True)
class Figures:
    """What has happened in a region, since its process began or in a whole fleet.

    Every lookup of a key is one hit, one stale value served, or one miss; one whose
    creator failed, and which then got an old value, is a miss and a stale value.

    Attributes:
        hits: Fresh values that were served, near ones too.
        near_hits: Those of them that came from the near cache.
        misses: Lookups that found nothing to serve at once.
        stale: Old values that were served, by age.
        created: Creators that have run, by what each took; of many keys at once each
            has its share.
        creator_failures: Creators that raised.
        refreshed: Ordered refreshes that were carried out, by what each took.
        refresh_failures: Those that failed, since the creator raised.
        lag: How long the orders of the former had waited before they were begun.
        orders: Refreshes that were ordered.
        orders_failed: Orders that no runner could take.
        orders_postponed: Stale values that were not ordered anew, since enough was.
        orders_dropped: Orders that were not carried out: overtaken, idle, not allowed.
        leases_lost: Created values that were refused, since their key had changed.
        waits: Callers who waited for what others created, by how long.
        backend_failures: Operations of the backend that failed.
        degraded_for: Seconds in which the backend was left alone, since it failed; of
            several processes, all together.
        unreadable: What the backend held and nobody could read.
        uncacheable: Created values that could not be stored.
        keys_added: New keys that clients have named, and that something was stored
            under, by the HTTP response cache.
        keys_refused: Those that nothing was stored under, since one client had enough.
    """

    hits: int = 0
    near_hits: int = 0
    misses: int = 0
    stale: Histogram = field(default_factory=Histogram)
    created: Histogram = field(default_factory=Histogram)
    creator_failures: int = 0
    refreshed: Histogram = field(default_factory=Histogram)
    refresh_failures: int = 0
    lag: Histogram = field(default_factory=Histogram)
    orders: int = 0
    orders_failed: int = 0
    orders_postponed: int = 0
    orders_dropped: int = 0
    leases_lost: int = 0
    waits: Histogram = field(default_factory=Histogram)
    backend_failures: int = 0
    degraded_for: float = 0.0
    unreadable: int = 0
    uncacheable: int = 0
    keys_added: int = 0
    keys_refused: int = 0

    @property
    def lookups(self) -> int:
        """How often a value was asked for."""
        return self.hits + self.stale.count + self.misses

    @property
    def hit_ratio(self) -> float:
        """The share of lookups that got a fresh or an old value; 0.0 without any."""
        return 1.0 - self.misses / self.lookups if self.lookups else 0.0

    @property
    def stale_ratio(self) -> float:
        """The share of lookups that got an old value; 0.0 without any."""
        return self.stale.count / self.lookups if self.lookups else 0.0

    def __add__(self, other: Figures) -> Figures:
        return Figures(**{
            name: getattr(self, name) + getattr(other, name) for name in _KINDS
        })  # fmt: skip

    def since(self, earlier: Figures) -> Figures:
        """Give what has come since *earlier*, which is nothing where it was more."""
        return Figures(**{
            name: _since(getattr(self, name), getattr(earlier, name)) for name in _KINDS
        })  # fmt: skip

    def as_dict(self) -> dict[str, Any]:
        """Give them as JSON values."""
        held = {name: getattr(self, name) for name in _KINDS}
        return {
            name: one.as_dict() if isinstance(one, Histogram) else one
            for name, one in held.items()
        }

    @classmethod
    def from_dict(cls, plain: Any) -> Self:
        """Read what `as_dict` gave, in this release or in another one.

        Raises:
            NoFigures: It is something else.
        """
        if not isinstance(plain, Mapping):
            raise NoFigures(f"no figures: {type(plain).__name__}")
        return cls(**{
            name: read(plain[name]) for name, read in _KINDS.items() if name in plain
        })  # fmt: skip


NO_FIGURES = Figures()


def _since(now: Any, before: Any) -> Any:
    if isinstance(now, Histogram):
        return now.since(before)
    return max(type(now)(0), now - before)


def count_of(plain: Any) -> int:
    """Read a count that others wrote.

    Raises:
        NoFigures: It is none.
    """
    if not is_count(plain):
        raise NoFigures(f"no count, or out of bounds: {type(plain).__name__}")
    return plain


def seconds_of(plain: Any) -> float:
    """Read a span or an instant that others wrote, in seconds.

    Raises:
        NoFigures: It is none.
    """
    if not is_span(plain):
        raise NoFigures(f"no seconds, or out of bounds: {type(plain).__name__}")
    return float(plain)


_READERS: dict[str, Callable[[Any], Any]] = {
    "int": count_of,
    "float": seconds_of,
    "Histogram": Histogram.from_dict,
}
_KINDS = {one.name: _READERS[str(one.type)] for one in fields(Figures)}
