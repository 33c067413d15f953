"""A value that was read and may be replaced, if nobody has done so meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from holdover.regions.entries import Entries
from holdover.regions.envelope import Entry
from holdover.regions.lifetime import Lifetime

Changed = Callable[[Entry, Any, Lifetime | None], Entry]


class Held:
    """A fresh value as it was read; made by ``Region.hold()``.

    Args:
        entry: What was read.
        key: The final key.
        entries: The region's.
        changed: Makes the next entry from an old one.
    """

    __slots__ = ("_changed", "_entries", "_entry", "_key")

    def __init__(
        self, entry: Entry, key: str, entries: Entries, changed: Changed
    ) -> None:
        self._entry = entry
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
        return Held(entry, self._key, self._entries, self._changed)
