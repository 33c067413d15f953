"""Hits of which only the value is decoded, since all else was judged the last time.

What is kept as bytes is read at each call, together with its region's tick, and most
often both are what they were before. Then the envelope has been checked (its sum or
signature, its key, its codec), and what it says stays true until it expires. Only that
is remembered: a caller gets a value of his own, as from any reading.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from dogpile.cache.api import NO_VALUE

from holdover.regions.backends.grants import Stored
from holdover.regions.codecs import Codec

Read = tuple[Stored | None, int]
"""What is stored, and the region clock's tick."""


class Judged(NamedTuple):
    """What was read, and found to be fresh.

    Attributes:
        stored: What is stored.
        tick: The region clock's tick.
        since: The time (wall clock) from which that holds.
        until: The time until which it holds.
        payload: The part of it that is the value.
    """

    stored: Stored
    tick: int
    since: float
    until: float
    payload: memoryview


_NOTHING = Judged(b"", 0, 0.0, 0.0, memoryview(b""))


class Familiar:
    """A value that one function is asked for again and again.

    Args:
        gate: The stamp of the region's gate, with which all that is remembered ends.
        read: Reads it from the backend; a failure is a miss.
        codec: Decodes it.
        now: The clock (wall) that tells what may still be served.
    """

    __slots__ = ("_codec", "_judged", "_now", "gate", "read")

    def __init__(
        self,
        gate: object,
        read: Callable[[], Read],
        codec: Codec,
        now: Callable[[], float],
    ) -> None:
        self.gate = gate
        self.read = read
        self._codec = codec
        self._now = now
        self._judged = _NOTHING

    def judge(self, judged: Judged) -> None:
        """Remember what was read last."""
        self._judged = judged

    def value(self, read: Read) -> Any:
        """Decode what was *read*; ``NO_VALUE`` if it is to be judged anew."""
        stored, tick, since, until, payload = self._judged
        found = read[0]
        is_same = found is stored or found == stored
        if is_same and read[1] == tick and since <= self._now() < until:
            try:
                return self._codec.loads(payload)
            except Exception:  # noqa: BLE001 - what a class does while it is unpickled
                return NO_VALUE
        return NO_VALUE
