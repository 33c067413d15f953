"""What `holdover.redis` keeps besides values: leases and region clocks, as bytes."""

from __future__ import annotations

import re
import struct
from collections.abc import Collection
from typing import Any

from holdover.regions.backends.grants import Busy, LeaseKind
from holdover.regions.backends.sending import reason_bytes
from holdover.regions.encoding import to_bytes, to_text
from holdover.regions.ticks import EPOCH_MASK, ClockState, Mark, Reach, Scope

OURS = b"holdover:"
"""What the names begin with of all that is not a value."""

VALUES = OURS + b"value:"
"""And those of values whose keys begin like that."""

_LONGEST_TTL = 1e15  # milliseconds; the server adds it to the time of day
_FENCE_FORM = struct.Struct("<Q")

_KINDS = {LeaseKind.HELD: b"H", LeaseKind.QUEUED: b"Q", LeaseKind.BACKING_OFF: b"B"}
_KIND_OF = {letter: kind for kind, letter in _KINDS.items()}
KINDS = b"".join(_KIND_OF).decode()  # the letters with which a lease may begin
TOKEN_LENGTH = 32
FENCE_LENGTH = 16
TOKEN = slice(1, 1 + TOKEN_LENGTH)
FENCE = slice(TOKEN.stop, TOKEN.stop + FENCE_LENGTH)
RECORD_LENGTH = FENCE.stop  # without the reason

NO_CLOCK: tuple[object, int] = (object(), 0)
"""What is known of a clock that was never read: equal to nothing that a server says."""

_CLOCK = re.compile(rb"(\d{1,16}) (\d{1,16}) (\d{1,16}) ([01])")
_SCOPES = {Scope.TAG: b"t", Scope.PREFIX: b"p"}
_SCOPE_OF = {letter: scope for scope, letter in _SCOPES.items()}


def span(ttl: float) -> bytes:
    """Give a lease's *ttl* (seconds) in milliseconds, as the server wants it."""
    return b"%d" % max(1, round(ttl * 1000))


def expiry(ttl: float | None) -> bytes:
    """Give a value's *ttl* (seconds) likewise; nothing if it is as good as endless."""
    if ttl is None or not ttl * 1000 < _LONGEST_TTL:
        return b""
    return span(ttl)


def packed_fence(seen: int | None) -> bytes:
    """Give a fence as it lies in an envelope; nothing if no value was seen."""
    return b"" if seen is None else _FENCE_FORM.pack(seen)


# -- leases --------------------------------------------------------------------


def lease_record(kind: LeaseKind, token: str, fence: int, reason: str = "") -> bytes:
    """Write down who may create a key, or why nobody shall."""
    why = reason_bytes(reason)
    return b"%b%b%016x%b" % (_KINDS[kind], token.encode(), fence, why)


def letters(kinds: Collection[LeaseKind]) -> bytes:
    """Give the letters with which records of these kinds begin."""
    return b"".join(_KINDS[kind] for kind in kinds)


def busy_of(record: Any, milliseconds_left: Any) -> Busy | None:
    """Read a lease and its remaining time; None if it keeps nobody from anything."""
    if not isinstance(record, bytes) or not isinstance(milliseconds_left, int):
        return None
    kind = _KIND_OF.get(record[:1])
    if kind is None or len(record) < RECORD_LENGTH or milliseconds_left <= 0:
        return None
    reason = record[RECORD_LENGTH:].decode("utf-8", "replace")
    return Busy(milliseconds_left / 1000, kind, reason)


# -- region clocks -------------------------------------------------------------


def tick_of(clock: Any) -> int | None:
    """Read the tick of a stored clock; None if that is missing or damaged."""
    found = _CLOCK.fullmatch(clock) if isinstance(clock, bytes) else None
    return int(found[1]) if found else None


def above(tick: int) -> float:
    """Give a time (seconds) of which a tick is made that is later than *tick*."""
    return (tick + 2 * (EPOCH_MASK + 1)) / 1e6


def clock_record(state: ClockState) -> bytes:
    """Write down a clock, without its marks, and whether it has any."""
    floors = (state.hard_floor, state.soft_floor)
    return b"%d %d %d %d" % (state.tick, *floors, bool(state.marks))


def copy_record(tick: int) -> bytes:
    """Write down the tick of a clock that is elsewhere, as if it were a clock."""
    return b"%d 0 0 0" % tick


def state_of(clock: Any, has_marks: Any, marks: Any) -> ClockState | None:
    """Read a clock and its marks; None if any part is missing or damaged.

    The two are apart, so that reading a value does not fetch a thousand marks. A server
    that is full may have evicted one of them, which is as bad as both.
    """
    found = _CLOCK.fullmatch(clock) if isinstance(clock, bytes) else None
    if found is None or (found[4] == b"1" and not has_marks):
        return None
    try:
        ticks = {mark_of(member): int(float(at)) for member, at in _pairs(marks)}
    except (ValueError, KeyError, TypeError, OverflowError):
        return None
    tick, hard_floor, soft_floor = (int(found[number]) for number in (1, 2, 3))
    return ClockState(
        tick=tick, hard_floor=hard_floor, soft_floor=soft_floor, marks=ticks
    )


def mark_record(mark: Mark) -> bytes:
    """Write down a mark; its tick is kept as the member's score."""
    hardness = b"h" if mark.hard else b"s"
    return hardness + _SCOPES[mark.reach.scope] + to_bytes(mark.reach.name)


def mark_of(member: bytes) -> Mark:
    """Read a mark."""
    name = to_text(member[2:])
    return Mark(Reach(_SCOPE_OF[member[1:2]], name), hard=member[:1] == b"h")


def _pairs(marks: Any) -> list[Any]:
    """Pair members with scores: flat in RESP2, paired already in RESP3."""
    if marks and isinstance(marks[0], list):
        return list(marks)
    return list(zip(marks[::2], marks[1::2], strict=True))
