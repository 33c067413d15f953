"""A bounded number of things by key: when full, one goes that nobody has read lately.

The CLOCK algorithm (Corbato 1968): a hand goes round and takes the first thing that was
not read since it last came by.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Slot(Generic[T]):
    """The place of one key.

    Attributes:
        key: The key.
        held: What is kept; None once it was removed.
        until: When it is of no more use.
        used: Whether it was read since the hand last came by.
    """

    __slots__ = ("held", "key", "until", "used")

    def __init__(self, key: str, held: T, until: float) -> None:
        self.key = key
        self.held: T | None = held
        self.until = until
        self.used = False


class Slots(Generic[T]):
    """At most *most* things by key.

    Whoever changes them holds a lock of his own; whoever reads needs none, since a
    dictionary's lookup is atomic. What is displaced is given back, to be let go without
    that lock: a value's own end may run any code.

    Args:
        most: How many are kept.
        now: The clock by which they are kept until some time.

    Attributes:
        by_key: The slots. Whoever reads one sets its ``used``.
    """

    def __init__(self, most: int, now: Callable[[], float]) -> None:
        self._most = most
        self._now = now
        self.by_key: dict[str, Slot[T]] = {}
        # The hand takes slots from the front, and those that it spares go to the back.
        # Slots that were removed stay here until the hand comes by.
        self._ring: deque[Slot[T]] = deque()

    def __len__(self) -> int:
        return len(self.by_key)

    def put(self, key: str, held: T, until: float) -> list[object]:
        """Keep *held* until some time; give what it displaces."""
        slot = self.by_key.get(key)
        if slot is not None:
            displaced: list[object] = [slot.held]
            # In this order: who reads `until` first never has the old one for long.
            slot.held, slot.until = held, until
            return displaced
        displaced = []
        while len(self.by_key) >= self._most:
            displaced.append(self._evict_one())
        self.by_key[key] = slot = Slot(key, held, until)
        self._ring.append(slot)
        if len(self._ring) > 2 * self._most:
            displaced.append(self._ring)
            self._ring = deque(one for one in self._ring if self._is_held(one))
        return displaced

    def pop(self, key: str) -> T | None:
        """Remove and give what is kept for *key*; None if nothing is."""
        slot = self.by_key.pop(key, None)
        if slot is None:
            return None
        held, slot.held = slot.held, None  # the ring may keep the slot for a while
        return held

    def _evict_one(self) -> Slot[T]:
        """Move the hand to the first slot that nobody has used."""
        now = self._now()
        while True:
            slot = self._ring.popleft()
            if not self._is_held(slot):
                continue
            if not slot.used or slot.until <= now:
                del self.by_key[slot.key]
                return slot
            slot.used = False
            self._ring.append(slot)

    def _is_held(self, slot: Slot[T]) -> bool:
        return self.by_key.get(slot.key) is slot
