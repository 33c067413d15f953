"""Records that the processes of a fleet share: only ever replaced by comparing.

Whoever was quicker has won; the others look again, and decide anew on what they find.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from holdover.regions import events
from holdover.regions.envelope import Entry
from holdover.regions.errors import BackendError
from holdover.regions.freshness import Freshness
from holdover.regions.lifetime import Lifetime
from holdover.regions.outcomes import Found
from holdover.regions.tier import Tier
from holdover.regions.values import frozen

KEPT = Lifetime(expiration_time=None)
TRIES = 100
"""How often one is replaced, at most, against others who are quicker."""

T = TypeVar("T")


class KeptChanging(BackendError):
    """Others were quicker, each time."""


@frozen
class Seen(Generic[T]):
    """A record as it was read.

    Attributes:
        value: What it says; None if there is none, or none that could be read.
        entry: The same as it is stored.
    """

    value: T | None
    entry: Entry


class SharedRecords(Generic[T]):
    """Records of one kind.

    Args:
        tier: Where they are kept.
        read: Reads one; None if what it gets is none. Others may have written it.
        write: Gives one as JSON values.
        what: What one of them is, for errors and events.
    """

    def __init__(
        self,
        tier: Tier,
        read: Callable[[object], T | None],
        write: Callable[[T], Any],
        what: str,
    ) -> None:
        self._tier = tier
        self._read = read
        self._write = write
        self._what = what

    def look(self, key: str) -> Seen[T]:
        """Read one.

        Raises:
            BackendError: The backend cannot be reached.
        """
        return self._seen(key, self._tier.look(key, KEPT, strict=True))

    def look_multi(self, keys: Sequence[str]) -> list[Seen[T]]:
        """Read several at once, as `look` does."""
        found = self._tier.look_multi(keys, KEPT, strict=True) if keys else []
        return [self._seen(key, one) for key, one in zip(keys, found, strict=True)]

    def replace(
        self,
        key: str,
        seen: Entry,
        value: T,
        *,
        clock: int | None = None,
        lifetime: Lifetime = KEPT,
    ) -> Entry | None:
        """Write one in place of what was seen; None if somebody else was quicker.

        Args:
            key: The key, as it is stored.
            seen: What is there, as far as the caller knows.
            value: The record.
            clock: The region clock's tick, if that is known.
            lifetime: How long it is kept.

        Returns:
            The entry that is there now.

        Raises:
            BackendError: The backend could not do it, or maybe could.
        """
        tick = self._tier.tick() if clock is None else clock
        entry = self._tier.entry(self._write(value), lifetime, clock=tick)
        return entry if self._tier.swap(key, seen, entry) else None

    def change(self, key: str, decide: Callable[[T | None], T | None]) -> T | None:
        """Replace one by what *decide* makes of it.

        Args:
            key: The key, as it is stored.
            decide: Gets what is there, and gives what is to be; None leaves it. It is
                asked again if somebody else was quicker.

        Returns:
            What is there now.

        Raises:
            BackendError: The backend could not do it, or others were always quicker.
        """
        for _ in range(TRIES):
            seen = self.look(key)
            value = decide(seen.value)
            if value is None:
                return seen.value
            if self.replace(key, seen.entry, value) is not None:
                return value
        raise self.kept_changing()

    def kept_changing(self) -> KeptChanging:
        """Make the error of one who was never quick enough."""
        return KeptChanging(f"{self._what} kept changing")

    def _seen(self, key: str, found: Found) -> Seen[T]:
        if found.freshness is Freshness.GONE:
            return Seen(None, found.entry)
        value = self._read(found.entry.value)
        if value is None:
            self._tier.tell(events.Unreadable, key, f"it is no {self._what}")
        return Seen(value, found.entry)
