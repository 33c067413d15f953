"""How long things last: the policies of a region, as checked values."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta
from typing import Any

from holdover.regions.errors import ConfigurationError, InvalidLifetime, check_count
from holdover.regions.numbers import is_finite, is_number
from holdover.regions.values import frozen

DAY = 86_400.0
_LONGEST_TERM = 30 * DAY
DEFAULT_QUEUE_WAIT = 10.0
DEFAULT_BACKOFF = 5.0
DEFAULT_MOST_UNLEASED = 32
_MOST_UNLEASED = 10_000  # each place is an object


def seconds(value: object, name: str, *, zero: bool = False) -> float:
    """Turn what a user wrote for a span of time into seconds.

    Args:
        value: A number of seconds or a ``timedelta``.
        name: What the user calls it, for the error.
        zero: Whether a span of no length makes sense here.

    Raises:
        InvalidLifetime: It is not a number, or NaN, infinite, negative, or zero.
    """
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, int | float):
        from holdover.regions.texts import masked

        raise InvalidLifetime(
            f"{name} must be seconds, got {masked(repr(value))}: "
            f"{name} is not a number or timedelta."
        )
    if not is_finite(value):
        raise InvalidLifetime(f"{name} must be finite, got {value!r:.40}")
    if value < 0 or (value == 0 and not zero):
        least = "0 or more" if zero else "more than 0"
        raise InvalidLifetime(f"{name} must be {least} seconds, got {value!r}")
    return float(value)


def seconds_or_none(value: object, name: str, *, zero: bool = False) -> float | None:
    """Do as `seconds`, and let None stand for "no bound"."""
    return None if value is None else seconds(value, name, zero=zero)


def lease_span(value: object, name: str, *, zero: bool = False) -> float:
    """Do as `seconds` for what a lease may last, or somebody wait: 30 days at most.

    The clocks of an operating system know no waiting for 1e30 seconds.
    """
    span = seconds(value, name, zero=zero)
    if span > _LONGEST_TERM:
        raise InvalidLifetime(
            f"{name} must be at most {_LONGEST_TERM:g} seconds (30 days), got {span!r}"
        )
    return span


@frozen(kw_only=True)
class Lifetime:
    """How long a value may be served, and in which state.

    All spans are seconds (``timedelta`` is accepted and converted). The two stale
    windows both begin when the value expires (RFC 5861 sections 3 and 4).

    Attributes:
        expiration_time: Seconds for which a value is fresh; None means always.
        stale_while_revalidate: Seconds past expiry during which the old value is
            served while one caller or worker makes the next; None means as long as
            the entry is kept, 0 means never.
        stale_if_error: Seconds past expiry during which the old value is served if
            its creator fails; None means as long as `stale_while_revalidate` says, and
            0 means never: whoever ran the creator gets its error.
        keep_for: Seconds past expiry for which the backend keeps the entry (never
            less than the two windows); None means without end.
        jitter: By which part of `expiration_time`, at most, a value expires earlier
            than that: 0.1 spreads what was created together over the last tenth. Drawn
            once for each stored value.
        early_refresh: How eagerly a value is refreshed before it expires, so that
            nobody finds it expired: XFetch's beta (Vattani, Chierichetti and Lowenstein
            2015, section 3), 1 being its optimum; 0 means never.
    """

    expiration_time: float | None = None
    stale_while_revalidate: float | None = None
    stale_if_error: float | None = None
    keep_for: float | None = DAY
    jitter: float = 0.0
    early_refresh: float = 0.0

    def __post_init__(self) -> None:
        for name in ("stale_while_revalidate", "stale_if_error", "keep_for"):
            self._convert(name, zero=True)
        self._convert("expiration_time", zero=False)
        _check_number("jitter", self.jitter, below=1.0)
        _check_number("early_refresh", self.early_refresh, below=math.inf)

    def _convert(self, name: str, *, zero: bool) -> None:
        value = seconds_or_none(getattr(self, name), name, zero=zero)
        object.__setattr__(self, name, value)

    @property
    def ttl(self) -> float | None:
        """Seconds after its creation at which an entry may be removed; None: never."""
        if self.expiration_time is None or self.keep_for is None:
            return None
        windows = (self.stale_while_revalidate or 0.0, self.stale_if_error or 0.0)
        return self.expiration_time + max(self.keep_for, *windows)

    def expiring_in(self, expiration_time: Any) -> Lifetime:
        """Give the same windows behind another *expiration_time*.

        -1 means "never expires", as in dogpile.cache's ``get_or_create``.
        """
        never = expiration_time == -1
        return replace(self, expiration_time=None if never else expiration_time)


def _check_number(name: str, value: object, *, below: float) -> None:
    """Refuse what is no number from 0 to *below*.

    Raises:
        InvalidLifetime: It says what was found.
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0.0 <= value < below:  # type: ignore[operator]
        raise InvalidLifetime(
            f"{name} must be a number from 0 to below {below:g}, got {value!r:.40}"
        )


@frozen(kw_only=True)
class CreatorTerms:
    """What callers put up with from a creator that is slow or fails.

    Attributes:
        timeout: Seconds after which a caller no longer waits for the creator that runs
            for him: an old value is served, or `CreatorTimeout` raised. The creator
            goes on in the background, and its value is stored. None: no such bound.
        soft_timeout: The same for callers who have an old value to be served.
        backoff: Seconds for which a creator that has failed is left alone, by all who
            share the backend, while an old value can be served; 0 means not at all.
        backoff_when_gone: Whether that holds without an old value, too: callers then
            get `CreatorBackoff`.
        most_unleased: How many creators may run at once, in one process, without a
            lease, as they do while the backend cannot be reached.
    """

    timeout: float | None = None
    soft_timeout: float | None = None
    backoff: float = DEFAULT_BACKOFF
    backoff_when_gone: bool = False
    most_unleased: int = DEFAULT_MOST_UNLEASED

    def __post_init__(self) -> None:
        for name, said in (
            ("timeout", "creator_timeout"),
            ("soft_timeout", "soft_creator_timeout"),
        ):
            given = getattr(self, name)
            value = None if given is None else lease_span(given, said)
            object.__setattr__(self, name, value)
        if self.timeout and self.soft_timeout and self.soft_timeout > self.timeout:
            raise InvalidLifetime(
                f"soft_creator_timeout is {self.soft_timeout:g} s and must not be more "
                f"than creator_timeout, {self.timeout:g} s"
            )
        backoff = lease_span(self.backoff, "backoff", zero=True)
        object.__setattr__(self, "backoff", backoff)
        when_gone: object = self.backoff_when_gone
        if not isinstance(when_gone, bool):
            raise InvalidLifetime(
                f"backoff_when_gone must be a bool, got {self.backoff_when_gone!r}"
            )
        check_count("most_unleased_creators", self.most_unleased, most=_MOST_UNLEASED)

    def limit(self, *, has_old_value: bool) -> float | None:
        """Seconds that a caller waits for the creator; None: without a bound."""
        limits = [self.timeout, self.soft_timeout if has_old_value else None]
        return min((one for one in limits if one is not None), default=None)


@frozen(kw_only=True)
class LeaseTerms:
    """How long the right to create one key lasts, and how long others wait for it.

    Attributes:
        ttl: Seconds until the lease of a dead creator lapses; a living one renews it
            every third of this.
        wait: Seconds that a caller without a value waits for whoever creates it.
        queue_ttl: Seconds for which a lease is held while its order waits in a queue.
        max_hold: Seconds after which a lease is no longer renewed, so that a creator
            which never returns does not keep a key for ever.
    """

    ttl: float = 5.0
    wait: float = 30.0
    queue_ttl: float = 30.0
    max_hold: float = 300.0

    def __post_init__(self) -> None:
        for name in ("ttl", "wait", "queue_ttl", "max_hold"):
            value = lease_span(getattr(self, name), name, zero=name == "wait")
            object.__setattr__(self, name, value)


@frozen(kw_only=True)
class OrderTerms:
    """How many refreshes are ordered, and when one is not worth carrying out.

    Attributes:
        per_second: How many refreshes each process orders per second, on average; None:
            as many as there are stale values asked for.
        burst: How many it orders at once after a pause; None: those of one second.
        queue_wait: Seconds that an order may wait in a queue. Whoever then finds the
            value stale has it refreshed by his own process; so are others, for a while.
            None: as long as ``lease.queue_ttl``, after which it is ordered again.
        unless_idle_for: A refresh is dropped whose value nobody in the fleet has asked
            for in that many seconds; None: none is.
    """

    per_second: float | None = None
    burst: int | None = None
    queue_wait: float | None = DEFAULT_QUEUE_WAIT
    unless_idle_for: float | None = None

    def __post_init__(self) -> None:
        for name in ("queue_wait", "unless_idle_for"):
            value = seconds_or_none(getattr(self, name), name)
            object.__setattr__(self, name, value)
        rate: object = self.per_second
        if rate is not None and not (is_number(rate) and rate > 0):
            raise InvalidLifetime(
                f"per_second must be a number above 0, got {rate!r:.80}"
            )
        if self.burst is None:
            return
        check_count("burst", self.burst)
        if rate is None:
            raise ConfigurationError("burst says nothing without per_second: give both")
