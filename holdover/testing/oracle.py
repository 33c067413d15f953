"""An oracle that tells whether a cached value is older than it may be.

The *source* of each key is a counter. Whoever changes it invalidates the key and then,
only once that has been acknowledged, raises the key's *floor*. A reader notes the floor
before his call; a value below it was created before an invalidation that had already
been acknowledged, which no cache should ever return. With a *grace* it may be that old:
the floor of a key is then what was acknowledged so many seconds ago.
"""

from __future__ import annotations

import fcntl
import os
import random
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from holdover.regions.timesource import SYSTEM_TIME

_NUMBER = struct.Struct("<Q")
_NOTE = struct.Struct("<dQQ")  # when, key, value


class Oracle:
    """Counters in a small file, shared by threads and processes.

    It lies outside of the cache under test, and no process that is killed can leave it
    locked.

    Args:
        path: The file; made if it is not there.
        keys: How many keys there are.
        grace: Seconds for which a value may still be returned after an invalidation
            was acknowledged.
    """

    def __init__(self, path: str, keys: int, *, grace: float = 0.0) -> None:
        self.path = path
        self.keys = keys
        self._grace = grace
        self._journal = _Journal(f"{path}.journal", keys) if grace else None
        self._lock = threading.Lock()  # for threads; flock is for processes
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        if os.fstat(self._file).st_size < 2 * keys * _NUMBER.size:
            os.pwrite(self._file, bytes(2 * keys * _NUMBER.size), 0)

    def source(self, key: int) -> int:
        """Read the source, as a creator does at its start."""
        return self._read(2 * key)

    def floor(self, key: int) -> int:
        """Read the least value that a call which begins now may return."""
        if self._journal is None:
            return self._read(2 * key + 1)
        return self._journal.floor(key, SYSTEM_TIME.steady() - self._grace)

    def change(self, key: int) -> int:
        """Change the source; give its new value."""
        return self._update(2 * key, lambda value: value + 1)

    def acknowledge(self, key: int, value: int) -> None:
        """Note that the invalidation after the change to *value* has returned."""
        self._update(2 * key + 1, lambda floor: max(floor, value))
        if self._journal is not None:
            self._journal.note(key, value)

    def _read(self, slot: int) -> int:
        data = os.pread(self._file, _NUMBER.size, slot * _NUMBER.size)
        number: int = _NUMBER.unpack(data)[0]
        return number

    def _update(self, slot: int, change: Callable[[int], int]) -> int:
        with self._lock:
            # A descriptor of its own, since flock does not part those that share one.
            locked = os.open(self.path, os.O_RDWR)
            try:
                fcntl.flock(locked, fcntl.LOCK_EX)
                value = change(self._read(slot))
                os.pwrite(locked, _NUMBER.pack(value), slot * _NUMBER.size)
            finally:
                os.close(locked)
        return value


class _Journal:
    """When which value was acknowledged: appended by all, read on by each.

    Args:
        path: The file; made if it is not there.
        keys: How many keys there are.
    """

    def __init__(self, path: str, keys: int) -> None:
        self._lock = threading.Lock()  # guards all below
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self._position = 0
        self._floors = [0] * keys

    def note(self, key: int, value: int) -> None:
        """Note that *value* is acknowledged now. A short append is one step."""
        os.write(self._file, _NOTE.pack(SYSTEM_TIME.steady(), key, value))

    def floor(self, key: int, until: float) -> int:
        """Give the newest value that was acknowledged before *until*."""
        with self._lock:
            while True:
                note = os.pread(self._file, _NOTE.size, self._position)
                if len(note) < _NOTE.size:
                    break
                noted_at, noted, value = _NOTE.unpack(note)
                if noted_at > until:
                    break
                self._floors[noted] = max(self._floors[noted], value)
                self._position += _NOTE.size
            return self._floors[key]


@dataclass(slots=True)
class Findings:
    """What came out of a run.

    Attributes:
        calls: Reads that were checked.
        invalidations: Acknowledged invalidations.
        creations: Times that a creator was run.
        wrong: Reads that returned less than the floor.
    """

    calls: int = 0
    invalidations: int = 0
    creations: int = 0
    wrong: int = 0

    def __add__(self, other: Findings) -> Findings:
        """Put the findings of two runs together."""
        return Findings(
            self.calls + other.calls,
            self.invalidations + other.invalidations,
            self.creations + other.creations,
            self.wrong + other.wrong,
        )


Get = Callable[[int, Callable[[], int]], int]
Invalidate = Callable[[int], bool]


def hammer(
    oracle: Oracle,
    get: Get,
    invalidate: Invalidate,
    *,
    calls: int,
    seed: int,
    invalidate_every: int = 500,
    creator_pause: float = 0.002,
) -> Findings:
    """Read and invalidate at random, and check every value that comes back.

    Args:
        oracle: Knows what is right.
        get: Reads a key through the cache; gets the key and its creator.
        invalidate: Invalidates a key; says whether that was acknowledged.
        calls: How many reads.
        seed: Makes the run's choices repeatable.
        invalidate_every: One of so many steps invalidates, on average.
        creator_pause: Seconds that a creator takes at most, after it has read the
            source. One in fifty takes ten times as long.
    """
    dice = random.Random(seed)  # noqa: S311 - not a secret
    findings = Findings()

    def creator(key: int) -> int:
        value = oracle.source(key)
        findings.creations += 1
        slow = 10 if dice.random() < 1 / 50 else 1
        time.sleep(dice.random() * creator_pause * slow)
        return value

    while findings.calls < calls:
        key = dice.randrange(oracle.keys)
        if dice.randrange(invalidate_every) == 0:
            value = oracle.change(key)
            if invalidate(key):
                oracle.acknowledge(key, value)
                findings.invalidations += 1
        floor = oracle.floor(key)
        value = get(key, lambda key=key: creator(key))  # type: ignore[misc]
        findings.calls += 1
        findings.wrong += value < floor
    return findings
