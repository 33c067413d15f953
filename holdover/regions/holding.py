"""A value that was read and may be replaced, if nobody has done so meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from holdover.regions.entries import Entries
from holdover.regions.envelope import Entry
from holdover.regions.freshness import Freshness
from holdover.regions.lifetime import Lifetime
from holdover.regions.outcomes import Found

Changed = Callable[[Entry, Any, Lifetime | None], Entry]


class Held:
    """A value as it was read; made by ``Region.hold()``.

    Args:
        found: What was read.
        key: The final key.
        entries: The region's.
        changed: Makes the next entry from an old one.

    Attributes:
        is_fresh: Whether it was neither expired nor invalidated, softly.
    """

    __slots__ = ("_changed", "_entries", "_entry", "_key", "is_fresh")

    def __init__(
        self, found: Found, key: str, entries: Entries, changed: Changed
    ) -> None:
        self._entry = found.entry
        self.is_fresh = found.freshness is Freshness.FRESH
        self._key = key
        self._entries = entries
        self._changed = changed

    @property
    def value(self) -> Any:
        """The value."""
        return self._entry.value

    def replace(self, value: Any, *, lifetime: Lifetime | None = None) -> Held | None:
        """Store *value* if the key still has what was read, atomically.

        Args:
            value: What to store.
            lifetime: Its own; None leaves the expiry as it is.

        Returns:
            The new value, to be replaced in turn; None if the key had changed, or was
            deleted, and nothing was stored.

        Raises:
            UncacheableValue: The value is lazy, or the codec cannot encode it.
            BackendError: The backend cannot be reached.
        """
        entry = self._changed(self._entry, value, lifetime)
        if not self._entries.swap(self._key, self._entry, entry):
            return None
        is_fresh = self.is_fresh or lifetime is not None
        replaced = Found(Freshness.FRESH if is_fresh else Freshness.STALE, entry)
        return Held(replaced, self._key, self._entries, self._changed)
