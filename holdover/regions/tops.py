"""What occurs most in a stream, counted in a room of fixed size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

K = TypeVar("K")


@dataclass(frozen=True, slots=True)
class Counted(Generic[K]):
    """What is known of one key.

    Attributes:
        key: The key.
        count: How often it has come, at most.
        error: By how much that may be too high.
    """

    key: K
    count: int
    error: int

    @property
    def certain(self) -> int:
        """How often it has come, at least."""
        return self.count - self.error


class TopCounts(Generic[K]):
    """Counts the keys of a stream: Space-Saving, each in constant time.

    Metwally, Agrawal and El Abbadi 2005, "Efficient Computation of Frequent and Top-k
    Elements in Data Streams", with its Stream-Summary. Of a stream of N keys, whichever
    has come more than N / capacity times is in it, and no count is too high by more.

    Args:
        capacity: How many keys are counted at once.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._counts: dict[K, int] = {}
        self._errors: dict[int, dict[K, int]] = {}  # by count, then by key
        self._least = 0

    def add(self, key: K) -> K | None:
        """Count *key*; give the one that was forgotten for it, if one was."""
        count = self._counts.get(key)
        if count is not None:
            self._put(key, count + 1, self._take(key, count))
            return None
        if len(self._counts) < self._capacity:
            self._put(key, 1, 0)
            self._least = 1
            return None
        forgotten, least = next(iter(self._errors[self._least])), self._least
        self._take(forgotten, least)
        del self._counts[forgotten]
        self._put(key, least + 1, least)
        return forgotten

    def __contains__(self, key: object) -> bool:
        return key in self._counts

    def __len__(self) -> int:
        return len(self._counts)

    def counted(self) -> list[Counted[K]]:
        """Give what is known, in no order."""
        return [
            Counted(key, count, error)
            for count, errors in self._errors.items()
            for key, error in errors.items()
        ]

    def _put(self, key: K, count: int, error: int) -> None:
        self._counts[key] = count
        self._errors.setdefault(count, {})[key] = error

    def _take(self, key: K, count: int) -> int:
        """Take *key* from those of its count, to be put among those of the next."""
        errors = self._errors[count]
        error = errors.pop(key)
        if not errors:
            del self._errors[count]
            if count == self._least:
                self._least += 1
        return error
