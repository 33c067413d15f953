"""What is kept of a session, as values: its record, changes to it, and its end.

Pure decisions: no store is asked, and no clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from holdover import Held

_FORM = 1  # of the data that stand for a record,
_PARTS = 5  # of which there are so many


class Record(NamedTuple):
    """A session as it is stored.

    Attributes:
        fields: What the application keeps in it.
        created_at: When it began, or its user was bound to it; seconds since 1970.
        accessed_at: When its use was last noted; seconds since 1970.
        user: Whose it is; None while nobody has logged in.
    """

    fields: dict[str, Any]
    created_at: float
    accessed_at: float
    user: str | None = None


class Changes(NamedTuple):
    """What one request changes in a session's fields; nothing else is touched.

    Attributes:
        put: New values by name.
        removed: Names of the fields that are to go.
    """

    put: Mapping[str, Any] = {}
    removed: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        """Say whether anything changes."""
        return bool(self.put or self.removed)


NO_CHANGES = Changes()


class Kept(NamedTuple):
    """A session that a store has.

    Attributes:
        id: What names it, and is known to its browser only.
        key: Where its record stands; "" if that is in the cookie.
        cookie: The value of the cookie by which it is found again.
        record: The record.
        held: What the region gave of it, to be replaced; None if it is to be read anew.
        is_dated: Whether the cookie should be exchanged for a newer one soon.
    """

    id: str
    key: str
    cookie: str
    record: Record
    held: Held | None = None
    is_dated: bool = False

    def __repr__(self) -> str:
        """Tell nothing of it: tracebacks with variables go far, and ids let in."""
        return "<Kept>"


@dataclass(frozen=True, slots=True)
class Timeouts:
    """When a session ends by itself.

    Attributes:
        idle: Seconds without use after which it has ended; None: no such bound.
        absolute: Seconds from its beginning after which it has ended; None likewise.
        touch_every: Seconds for which the note of its last use may be behind.
    """

    idle: float | None
    absolute: float | None
    touch_every: float

    def have_ended(self, record: Record, now: float) -> bool:
        """Say whether the session has ended at the instant *now*.

        So has one from a future beyond its bounds, which a wrong clock has written: it
        would outlast them.
        """
        if self.idle is not None and abs(now - record.accessed_at) >= self.idle:
            return True
        absolute = self.absolute
        return absolute is not None and abs(now - record.created_at) >= absolute

    def want_touch(self, record: Record, now: float) -> bool:
        """Say whether it is time to note that the session is in use."""
        return self.idle is not None and now - record.accessed_at >= self.touch_every


def merged(record: Record, changes: Changes, now: float) -> Record:
    """Lay *changes* over a *record* that others may have changed meanwhile."""
    fields = {**record.fields, **changes.put}
    for name in changes.removed:
        fields.pop(name, None)
    accessed_at = max(now, record.accessed_at)
    return Record(fields, record.created_at, accessed_at, record.user)


def as_data(record: Record) -> list[Any]:
    """Give what is stored for a record: plain data, which any codec keeps."""
    fields, created_at, accessed_at, user = record
    return [_FORM, created_at, accessed_at, user, fields]


def from_data(data: object) -> Record | None:
    """Read what was stored; None if it is no record of ours."""
    if not isinstance(data, list) or len(data) != _PARTS or data[0] != _FORM:
        return None
    _, created_at, accessed_at, user, fields = data
    if not isinstance(fields, dict):
        return None
    if user is not None and not isinstance(user, str):
        return None
    if not isinstance(created_at, float) or not isinstance(accessed_at, float):
        return None
    return Record(fields, created_at, accessed_at, user)
