"""The port: what every backend of Holdover can do.

A backend moves bytes (`holdover.memory` may keep the entries themselves) and carries
out a few steps that are atomic for all who share it. It knows nothing of freshness or
creators; it enforces the lease and the fence.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from dogpile.cache.api import NO_VALUE, CacheBackend

from holdover.regions.backends.capabilities import Capabilities
from holdover.regions.backends.grants import Busy, Grant, Lease, LeaseKind, Stored
from holdover.regions.errors import (
    BackendError,
    ConfigurationError,
    check_count,
    unknown,
)
from holdover.regions.ticks import ClockState, Reach
from holdover.regions.timesource import SYSTEM_TIME, checked_time_source

if TYPE_CHECKING:
    from holdover.regions.findings import Finding


class Backend(CacheBackend):
    """What a Holdover backend is; dogpile.cache's own verbs work on it too.

    A key given to a backend is final. *region* names the region clock to read. Every
    verb either takes effect as a whole or raises `BackendError`.

    Attributes:
        capabilities: What it declares of itself.
        known_arguments: What it takes; as a mapping, also the types to read texts by.
    """

    capabilities: Capabilities
    known_arguments: ClassVar[Collection[str]]
    max_bytes: int | None = None  # the largest value that it takes; None: any

    def __init_subclass__(cls, **more: Any) -> None:
        """Have a class that reads in its own way do so again and again, too."""
        super().__init_subclass__(**more)
        nearest = next(c for c in cls.__mro__ if {*vars(c)} & {"read", "reader"})
        if "reader" not in vars(nearest):
            cls.reader = Backend.reader  # type: ignore[method-assign]

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        for name in arguments:
            if name not in self.known_arguments:
                kind = f"argument of {type(self).__name__}"
                raise ConfigurationError(unknown(kind, name, self.known_arguments))
        checked_time_source(arguments.get("time_source", SYSTEM_TIME))

    # -- reading and writing ---------------------------------------------------

    @abstractmethod
    def read(self, key: str, region: str) -> tuple[Stored | None, int]:
        """Fetch what is stored for *key*, and the region clock's tick, together."""

    def reader(self, key: str, region: str) -> Callable[[], tuple[Stored | None, int]]:
        """Give what does the same as ``read(key, region)``, again and again."""
        return partial(self.read, key, region)

    def read_multi(
        self, keys: Sequence[str], region: str
    ) -> tuple[list[Stored | None], int]:
        """Fetch what is stored for several keys, and the tick no later than those."""
        tick = self.clock(region).tick
        return [self.read(key, region)[0] for key in keys], tick

    @abstractmethod
    def write(self, key: str, stored: Stored, *, ttl: float | None) -> None:
        """Store unconditionally: the fence changes and any lease ends."""

    def write_at(
        self, key: str, stored: Stored, region: str, *, tick: int, ttl: float | None
    ) -> int:
        """Write, as `write` does, if the region clock has not moved on from *tick*.

        Returns:
            The clock's tick. If that is not *tick*, nothing was written.
        """
        now = self.tick(region, since=tick)
        if now == tick:
            self.write(key, stored, ttl=ttl)
        return now

    def write_multi(self, stored: Mapping[str, Stored], *, ttl: float | None) -> None:
        """Write several, as `write` does; if it raises, some may have been written."""
        for key, one in stored.items():
            self.write(key, one, ttl=ttl)

    @abstractmethod
    def remove(self, key: str) -> bool:
        """Remove the value: the fence changes and any lease ends.

        Returns:
            Whether there was a value.
        """

    def remove_multi(self, keys: Sequence[str]) -> bool:
        """Remove several, as `remove` does; say whether there was any value."""
        existed = [self.remove(key) for key in keys]
        return any(existed)

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
        overtaking: Collection[LeaseKind] = (),
    ) -> Grant:
        """Try to win the right to create *key*.

        Args:
            key: The key.
            region: Whose clock to read.
            ttl: Seconds until the lease lapses unless renewed.
            seen: The fence of the value that the caller has seen, None if none. If
                another value is there now, that is the answer.
            queued: Whether the lease will wait in a queue for a worker.
            overtaking: The kinds of leases that the caller takes over at once, since
                he cannot wait: never those that are held.
        """

    def acquire_multi(
        self,
        seen: Mapping[str, int | None],
        region: str,
        *,
        ttl: float,
        queued: bool = False,
        overtaking: Collection[LeaseKind] = (),
    ) -> list[Grant]:
        """Try to win several keys, each with the fence that was seen."""
        return [
            self.acquire(
                key,
                region,
                ttl=ttl,
                seen=fence,
                queued=queued,
                overtaking=overtaking,
            )
            for key, fence in seen.items()
        ]

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

    def commit_multi(
        self, commits: Sequence[tuple[Lease, Stored, float | None]], region: str
    ) -> list[int | None]:
        """Commit several: each a lease, what to store, and its ttl."""
        return [
            self.commit(lease, stored, region, ttl=ttl)
            for lease, stored, ttl in commits
        ]

    @abstractmethod
    def release(self, lease: Lease) -> bool:
        """End the lease without a value; False if it was lost."""

    @abstractmethod
    def back_off(self, lease: Lease, *, ttl: float, reason: str) -> bool:
        """Turn the lease into a pause of *ttl* seconds, which tells *reason*.

        Returns:
            False if the lease was lost, and nothing was done.
        """

    @abstractmethod
    def leased(self, key: str) -> Busy | None:
        """Tell what keeps *key* from being created right now, if anything does."""

    # -- the region clock ------------------------------------------------------

    @abstractmethod
    def clock(self, region: str, *, since: int = 0) -> ClockState:
        """Read the region's clock, making it if it is new or lost.

        Args:
            region: Whose clock.
            since: A tick that the caller knows; marks up to it may be left out.
        """

    def tick(self, region: str, *, since: int = 0) -> int:
        """Read no more of the region's clock than its tick; *since* as in `clock`."""
        return self.clock(region, since=since).tick

    @abstractmethod
    def advance(
        self, region: str, *, hard: bool, reaches: Sequence[Reach] = ()
    ) -> ClockState:
        """Invalidate in one step, whatever the number of entries.

        Args:
            region: Whose clock.
            hard: Whether what is reached is gone, or has merely expired.
            reaches: What is reached; empty stands for the whole region.
        """

    # -- housekeeping ----------------------------------------------------------

    @abstractmethod
    def purge(self) -> int:
        """Remove entries past their ttl.

        Returns:
            How many entries were removed.
        """

    def lasting(self) -> Backend | None:
        """Give a backend of the same reach from which nothing is evicted.

        Returns:
            It may be this one; None if there is none, as by default for all that are
            bounded.
        """
        return self if self.capabilities.bounded_by == ("nothing",) else None

    def __bool__(self) -> bool:
        """Say that it is there, however few entries a ``__len__`` may count."""
        return True

    # -- for operators ---------------------------------------------------------

    def place(self) -> str:
        """Say where the entries are: a folder, or servers, without credentials.

        Returns:
            The same for all backends that have the same entries, so that each place is
            purged once; empty if they are this object's alone.
        """
        return ""

    def server_time(self) -> float | None:
        """Tell the time of day by the server's clock; None if there is none to ask.

        Raises:
            BackendError: The server does not answer.
        """
        return None

    def diagnose(self, *, lasting: bool) -> Iterable[Finding]:
        """Look at what surrounds the entries: permissions, room, what is evicted.

        Args:
            lasting: Whether records of schedules, or the like, must not be evicted.

        Raises:
            BackendError: It cannot be looked at now.
        """
        return ()

    def is_locked(self, key: str) -> bool:
        """Say whether *key* is being created, or is about to be."""
        busy = self.leased(key)
        return busy is not None and busy.kind is not LeaseKind.BACKING_OFF

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
        stored, _ = self.read_multi(list(keys), "")
        return [NO_VALUE if one is None else one for one in stored]

    def set_serialized_multi(self, mapping: Mapping[str, Any]) -> None:
        """Store several as dogpile.cache does."""
        self.write_multi(mapping, ttl=None)

    def delete_multi(self, keys: Iterable[str]) -> None:
        """Remove several as dogpile.cache does."""
        self.remove_multi(list(keys))

    get = get_serialized
    set = set_serialized
    get_multi = get_serialized_multi
    set_multi = set_serialized_multi


def positive(
    arguments: Mapping[str, Any], name: str, default: int, most: int | None = None
) -> int:
    """Take a whole number above 0, and no more than *most*, from a backend's arguments.

    Raises:
        ConfigurationError: It is something else.
    """
    value: int = arguments.get(name, default)
    check_count(name, value, most=most)
    return value


@contextmanager
def translated(doing: str, *errors: type[Exception]) -> Iterator[None]:
    """Turn a library's *errors* into `BackendError`, once, at the edge."""
    try:
        yield
    except errors as error:
        raise BackendError(f"{doing}: {error}") from error
