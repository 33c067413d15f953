"""Whose sessions there are: a list for each user, and one step that ends them all.

A user's sessions carry a tag of his, by which they are invalidated at once, also those
that the list has lost; and what was read before cannot be saved afterwards.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from heapq import nlargest

from holdover import NO_VALUE, Lifetime, Region
from holdover.wsgi.sessions.asking import asked
from holdover.wsgi.sessions.errors import SessionUnavailable
from holdover.wsgi.sessions.record import Timeouts, from_data

_MOST = 256  # sessions in a user's list; the newest stay
_TRIES = 20


@dataclass(frozen=True, slots=True)
class UserSession:
    """One session of a user.

    Attributes:
        key: What names it in the store; its id cannot be told from that.
        created_at: When the user logged in; seconds since 1970.
        accessed_at: When its use was last noted; seconds since 1970.
    """

    key: str
    created_at: float
    accessed_at: float


class UserIndex:
    """Which sessions each user has, in the region that keeps the sessions.

    Args:
        region: The region.
        timeouts: When sessions end.
    """

    def __init__(self, region: Region, timeouts: Timeouts) -> None:
        self._region = region
        self._timeouts = timeouts
        self._lifetime = Lifetime(
            expiration_time=timeouts.absolute, stale_while_revalidate=0, keep_for=0
        )

    def tag(self, user: str) -> str:
        """Give the tag that a user's sessions carry."""
        digest = hashlib.sha256(user.encode("utf-8", "surrogatepass")).hexdigest()
        return f"user-{digest}"

    def note(self, user: str, key: str, created_at: float) -> None:
        """Add a session to its user's list.

        Raises:
            SessionUnavailable: The backend cannot be asked.
        """

        def added(listed: Mapping[str, float]) -> dict[str, float]:
            return self._bounded({**listed, key: created_at}, created_at)

        for _ in range(_TRIES):
            if self._change(user, added):
                return
            # add() and change() differ in what they want to find, so one of them
            # succeeds unless another request has come between.
            if asked(
                self._region.add,
                self.tag(user),
                {key: created_at},
                lifetime=self._lifetime,
            ):
                return
        raise SessionUnavailable("the list of a user's sessions kept changing")

    def forget(self, user: str, key: str) -> None:
        """Take a session from its user's list.

        Raises:
            SessionUnavailable: The backend cannot be asked.
        """
        self._change(
            user,
            lambda listed: {one: at for one, at in listed.items() if one != key},
        )

    def sessions_of(self, user: str, now: float) -> list[UserSession]:
        """Give a user's sessions, the newest first.

        Raises:
            SessionUnavailable: The backend cannot be asked.
        """
        listed = asked(self._region.get, self.tag(user), strict=True)
        if not isinstance(listed, dict):
            return []
        found = []
        records = asked(self._region.get_multi, list(listed), strict=True)
        for key, data in zip(listed, records, strict=True):
            record = None if data is NO_VALUE else from_data(data)
            if record is None or record.user != user:
                continue
            if not self._timeouts.have_ended(record, now):
                found.append(UserSession(key, record.created_at, record.accessed_at))
        return sorted(found, key=lambda one: one.created_at, reverse=True)

    def end_all(self, user: str) -> None:
        """End all of a user's sessions, in one step.

        Raises:
            SessionUnavailable: The backend cannot be asked.
        """
        asked(self._region.invalidate, tags=(self.tag(user),), strict=True)
        asked(self._region.delete, self.tag(user), strict=True)

    def _change(
        self, user: str, change: Callable[[Mapping[str, float]], dict[str, float]]
    ) -> bool:
        changed = asked(
            self._region.change, self.tag(user), change, lifetime=self._lifetime
        )
        return changed is not NO_VALUE

    def _bounded(self, listed: dict[str, float], now: float) -> dict[str, float]:
        """Drop the sessions that have certainly ended, and the oldest of too many."""
        absolute = self._timeouts.absolute
        if absolute is not None:
            listed = {one: at for one, at in listed.items() if now - at < absolute}
        if len(listed) <= _MOST:
            return listed
        return dict(nlargest(_MOST, listed.items(), key=lambda item: item[1]))
