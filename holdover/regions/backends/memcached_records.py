"""What `holdover.memcached` keeps besides values, as bytes, and for how long."""

from __future__ import annotations

import json
import math
import secrets
from dataclasses import dataclass

from holdover.regions.backends.grants import Busy, LeaseKind
from holdover.regions.backends.sending import reason_bytes
from holdover.regions.ticks import DAMAGE, ClockState, sound_tick

PAST = 2_592_001  # as an exptime: a moment of January 1970, so the item is gone
_LONGEST_RELATIVE = 2_592_000  # seconds; the server takes more for a time of day
_LAST_MOMENT = 2**31 - 1  # what an exptime can name


_KINDS = {LeaseKind.HELD: b"H", LeaseKind.QUEUED: b"Q", LeaseKind.BACKING_OFF: b"B"}
_KIND_OF = {letter: kind for kind, letter in _KINDS.items()}
_LEAST_LEFT = 0.02  # seconds: the server still has it, so it is not over

_NOTHING = b"\0holdover:nothing\0"
_NONCE_LENGTH = 16
_PLACEHOLDER_LENGTH = len(_NOTHING) + _NONCE_LENGTH
PLACEHOLDER_TTL = 86_400.0  # seconds; longer than anybody creates one value


def exptime(ttl: float | None, now: float) -> int:
    """Give a *ttl* (seconds) as the server takes it: never shorter, never endless.

    Its clock ticks in seconds, so that what is to last 5 s may be gone after 4.01 s if
    it is told so. What is as good as endless is said to be.
    """
    if ttl is None or not now + ttl < _LAST_MOMENT - 1:
        return 0
    seconds = max(0, math.ceil(ttl)) + 1
    return seconds if seconds <= _LONGEST_RELATIVE else math.ceil(now) + seconds


# -- values --------------------------------------------------------------------


def placeholder() -> bytes:
    """Make what lies in the place of a value that is being created."""
    return _NOTHING + secrets.token_bytes(_NONCE_LENGTH)


def is_placeholder(data: bytes) -> bool:
    """Say whether an item stands for the absence of a value."""
    return len(data) == _PLACEHOLDER_LENGTH and data.startswith(_NOTHING)


def value_in(data: bytes | None) -> bytes | None:
    """Give the value that an item holds, if it holds one."""
    return None if data is None or is_placeholder(data) else data


# -- leases --------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseRecord:
    """A lease as the server keeps it: it is over when its item has gone.

    Attributes:
        kind: What keeps others from creating.
        secret: What its holder proves it by.
        fence: As in `Lease`; 0 if nobody may commit.
        lapses_at: When it lapses, by the clock of whoever wrote it; a hint.
        ttl: Seconds for which it was granted.
        reason: Why the creator is left alone, if it is.
    """

    kind: LeaseKind
    secret: str
    fence: int
    lapses_at: float
    ttl: float
    reason: str = ""

    def packed(self) -> bytes:
        """Give it as bytes."""
        why = reason_bytes(self.reason)
        return b"%b %b %d %.3f %.3f %b" % (
            _KINDS[self.kind],
            self.secret.encode(),
            self.fence,
            self.lapses_at,
            self.ttl,
            why,
        )

    @classmethod
    def read(cls, data: bytes | None) -> LeaseRecord | None:
        """Read it back; None if there is none, or no lease of ours."""
        if data is None:
            return None
        try:
            letter, secret, fence, lapses_at, ttl, why = data.split(b" ", 5)
            return cls(
                kind=_KIND_OF[letter],
                secret=secret.decode("ascii"),
                fence=int(fence),
                lapses_at=float(lapses_at),
                ttl=float(ttl),
                reason=why.decode("utf-8", "replace"),
            )
        except (ValueError, KeyError):
            return None

    def busy(self, now: float) -> Busy:
        """Say what keeps a key, at *now* (wall clock).

        The clocks of two hosts differ; so what they say is bounded by what was granted.
        """
        left = min(max(self.lapses_at - now, _LEAST_LEFT), self.ttl)
        return Busy(left, self.kind, self.reason)


# -- region clocks -------------------------------------------------------------

_LONGEST_TICK = 19  # digits
NO_TICK = b"none"  # lies in the place of a tick that is about to be written


def tick_record(tick: int) -> bytes:
    """Write down a clock's tick."""
    return b"%d" % tick


def tick_of(data: bytes | None) -> int | None:
    """Read it back; None if it is missing or damaged."""
    if data is None or len(data) > _LONGEST_TICK or not data.isdigit():
        return None
    return sound_tick(int(data))


def clock_record(state: ClockState, *, most: int) -> bytes:
    """Write down a clock with its marks, or without them if that has to be.

    Args:
        state: The clock.
        most: How many bytes it may take.
    """
    ticks = (state.tick, state.hard_floor, state.soft_floor)
    data = json.dumps([*ticks, state.listed()]).encode()
    return data if len(data) <= most else clock_record(state.without_marks(), most=most)


def state_of(data: bytes | None) -> ClockState | None:
    """Read it back; None if it is missing or damaged."""
    if data is None:
        return None
    try:
        *ticks, listed = json.loads(data)
        return ClockState.read(ticks, listed)
    except DAMAGE:
        return None
