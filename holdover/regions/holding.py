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
        expires_in: Seconds until it expires by its age.

    Attributes:
        freshness: What could be done with it when it was read; never GONE.
        is_fresh: Whether it was neither expired nor invalidated, softly.
        expires_in: Seconds until it expired, when it was read; 0 or less if it is not
            fresh, None if it never expires.
    """

    __slots__ = (
        "_changed",
        "_entries",
        "_entry",
        "_key",
        "expires_in",
        "freshness",
        "is_fresh",
    )

    def __init__(
        self,
        found: Found,
        key: str,
        entries: Entries,
        changed: Changed,
        expires_in: float | None = None,
    ) -> None:
        self._entry = found.entry
        self.freshness = found.freshness
        self.is_fresh = found.freshness is Freshness.FRESH
        # What was invalidated softly has expired, whatever its age.
        self.expires_in = expires_in if self.is_fresh else min(expires_in or 0.0, 0.0)
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
        freshness = self.freshness if lifetime is None else Freshness.FRESH
        replaced = Found(freshness, entry)
        left = self.expires_in if lifetime is None else lifetime.expiration_time
        return Held(replaced, self._key, self._entries, self._changed, left)
