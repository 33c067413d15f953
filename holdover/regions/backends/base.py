"""The port: what every backend of Holdover can do.

A backend moves bytes (`holdover.memory` may keep the entries themselves) and carries
out a few steps that are atomic for all who share it. It knows nothing of freshness or
creators; it enforces the lease and the fence.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from dogpile.cache.api import NO_VALUE, CacheBackend

from holdover.regions.envelope import Entry
from holdover.regions.errors import BackendError, ConfigurationError, unknown

Stored = bytes | Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to create one key, as its holder knows it.

    Attributes:
        key: The key.
        token: Random proof of holding; whoever adopts the lease gets another.
        fence: What the key's fence was set to when the lease was won. The created
            value is stored only while it still is.
        clock: The region clock's tick before the creator starts.
        ttl: Seconds for which it was granted.
    """

    key: str
    token: str
    fence: int
    clock: int
    ttl: float


@dataclass(frozen=True, slots=True)
class Busy:
    """Somebody else holds the lease, for *expires_in* more seconds unless renewed."""

    expires_in: float


@dataclass(frozen=True, slots=True)
class Changed:
    """The value is not the one the caller had seen: here is the newer one."""

    stored: Stored
    tick: int


Grant = Lease | Busy | Changed


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockState:
    """A region's clock: a counter of its invalidations and what they reach.

    Attributes:
        tick: Number of the last invalidation, seeded from the time in microseconds.
        hard_floor: Entries whose creator started before this tick are gone.
        soft_floor: Entries whose creator started before this tick have expired.
    """

    tick: int
    hard_floor: int
    soft_floor: int

    @classmethod
    def seeded(cls, now: float) -> ClockState:
        """Begin anew, as when the clock was lost: all that is older is gone.

        Its soft floor, far below, tells a beginning from an invalidation.
        """
        tick = int(now * 1e6)
        return cls(tick=tick, hard_floor=tick, soft_floor=0)

    @property
    def was_invalidated(self) -> bool:
        """Whether a floor may be that of an invalidation, not of the beginning."""
        return self.soft_floor >= self.hard_floor

    def advanced(self, now: float, *, hard: bool) -> ClockState:
        """Give the state after one more invalidation at *now* (wall clock)."""
        tick = max(self.tick + 1, int(now * 1e6))
        state = replace(self, tick=tick, soft_floor=tick)
        return replace(state, hard_floor=tick) if hard else state


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What users and the docs' table may know of a backend before choosing it.

    Attributes:
        shared_by: Who sees the same entries: "process", "host" or "fleet".
        durable: Whether entries outlive the processes that use them.
        keeps_objects: Whether values are kept as they are, without a codec.
        bounded_by: The options that limit its size.
    """

    shared_by: str
    durable: bool
    keeps_objects: bool
    bounded_by: tuple[str, ...]


class Backend(CacheBackend):
    """What a Holdover backend is; dogpile.cache's own verbs work on it too.

    A key given to a backend is final. *region* names the region clock to read. Every
    verb either takes effect as a whole or raises `BackendError`.
    """

    capabilities: ClassVar[Capabilities]
    known_arguments: ClassVar[frozenset[str]]

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        for name in arguments:
            if name not in self.known_arguments:
                kind = f"argument of {type(self).__name__}"
                raise ConfigurationError(unknown(kind, name, self.known_arguments))

    # -- reading and writing ---------------------------------------------------

    @abstractmethod
    def read(self, key: str, region: str) -> tuple[Stored | None, int]:
        """Fetch what is stored for *key*, and the region clock's tick, together."""

    @abstractmethod
    def write(self, key: str, stored: Stored, *, ttl: float | None) -> None:
        """Store unconditionally: the fence changes and any lease ends."""

    @abstractmethod
    def remove(self, key: str) -> bool:
        """Remove the value: the fence changes and any lease ends.

        Returns:
            Whether there was a value.
        """

    @abstractmethod
    def compare_and_set(
        self, key: str, stored: Stored, *, seen: int | None, ttl: float | None
    ) -> bool:
        """Write only if the value is the one with fence *seen* (None: no value)."""

    # -- leases ----------------------------------------------------------------

    @abstractmethod
    def acquire(
        self,
        key: str,
        region: str,
        *,
        ttl: float,
        seen: int | None,
        queued: bool = False,
    ) -> Grant:
        """Try to win the right to create *key*.

        Args:
            key: The key.
            region: Whose clock to read.
            ttl: Seconds until the lease lapses unless renewed.
            seen: The fence of the value that the caller has seen, None if none. If
                another value is there now, that is the answer.
            queued: Whether the lease will wait in a queue for a worker. Until it is
                adopted, whoever would create at once may overtake it.
        """

    @abstractmethod
    def renew(self, lease: Lease, *, ttl: float) -> bool:
        """Let the lease last *ttl* seconds from now; False if it is lost."""

    @abstractmethod
    def adopt(self, key: str, region: str, token: str, *, ttl: float) -> Lease | None:
        """Take over the lease that *token* proves, under a new token; None if lost."""

    @abstractmethod
    def commit(
        self, lease: Lease, stored: Stored, region: str, *, ttl: float | None
    ) -> int | None:
        """Store what the lease's holder created, and end the lease.

        Returns:
            The region clock's tick after storing, or None if the fence has changed
            since `acquire` and nothing was stored.
        """

    @abstractmethod
    def release(self, lease: Lease) -> bool:
        """End the lease without a value; False if it was lost."""

    # -- the region clock ------------------------------------------------------

    @abstractmethod
    def clock(self, region: str) -> ClockState:
        """Read the region's clock, making it if it is new or lost."""

    @abstractmethod
    def advance(self, region: str, *, hard: bool) -> ClockState:
        """Invalidate the whole region: one tick, whatever its size."""

    # -- housekeeping ----------------------------------------------------------

    @abstractmethod
    def purge(self) -> int:
        """Remove entries past their ttl.

        Returns:
            How many entries were removed.
        """

    @abstractmethod
    def is_locked(self, key: str) -> bool:
        """Say whether somebody holds the lease of *key* (for people, not for logic)."""

    # -- dogpile.cache's verbs, for code that uses the backend directly ---------

    def get_serialized(self, key: str) -> Any:
        """Fetch as dogpile.cache does: ``NO_VALUE`` if there is nothing."""
        stored, _ = self.read(key, "")
        return NO_VALUE if stored is None else stored

    def set_serialized(self, key: str, value: Any) -> None:
        """Store as dogpile.cache does, without a ttl."""
        self.write(key, value, ttl=None)

    def delete(self, key: str) -> None:
        """Remove as dogpile.cache does."""
        self.remove(key)

    def get_serialized_multi(self, keys: Iterable[str]) -> Sequence[Any]:
        """Fetch several as dogpile.cache does."""
        return [self.get_serialized(key) for key in keys]

    def set_serialized_multi(self, mapping: Mapping[str, Any]) -> None:
        """Store several as dogpile.cache does."""
        for key, value in mapping.items():
            self.set_serialized(key, value)

    def delete_multi(self, keys: Iterable[str]) -> None:
        """Remove several as dogpile.cache does."""
        for key in keys:
            self.remove(key)

    get = get_serialized
    set = set_serialized
    get_multi = get_serialized_multi
    set_multi = set_serialized_multi


def positive(arguments: Mapping[str, Any], name: str, default: int) -> int:
    """Take a whole number above 0 from a backend's arguments.

    Raises:
        ConfigurationError: It is something else.
    """
    value = arguments.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigurationError(f"{name} must be an int above 0, got {value!r}")
    return value


@contextmanager
def translated(doing: str, *errors: type[Exception]) -> Iterator[None]:
    """Turn a library's *errors* into `BackendError`, once, at the edge."""
    try:
        yield
    except errors as error:
        raise BackendError(f"{doing}: {error}") from error
