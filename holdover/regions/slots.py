"""A bounded number of things by key: when full, one goes that nobody has read lately.

The CLOCK algorithm (Corbato 1968): a hand goes round and takes the first thing that was
not read since it last came by.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from holdover.regions.at_hand import NOTHING, AtHand

T = TypeVar("T")

_PASSED = 4  # slots
_MOST_SPARED = 500  # slots in a row: 0.1 ms


class Slot(Generic[T]):
    """The place of one key.

    Attributes:
        key: The key.
        held: What is kept; None once it was removed.
        until: When it is of no more use.
        used: Whether it was read since the hand last came by.
        at_hand: What a hit of `held` gives at once, as long as that is held.
    """

    __slots__ = ("at_hand", "held", "key", "until", "used")

    def __init__(self, key: str, held: T, until: float) -> None:
        self.key = key
        self.held: T | None = held
        self.until = until
        self.used = False
        self.at_hand = NOTHING

    def keep_at_hand(self, held: object, at_hand: AtHand) -> bool:
        """Let *at_hand* be what a hit of *held* gives; False if that is gone."""
        if self.held is not held:
            return False
        self.at_hand = at_hand
        return True

    def emptied(self) -> T | None:
        """Hold nothing any more, and give what was held."""
        held, self.held = self.held, None
        self.at_hand = NOTHING  # which would keep it alive
        return held


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
            slot.at_hand = NOTHING
            return displaced
        displaced = []
        while len(self.by_key) >= self._most:
            displaced.append(self._evict_one())
        self.by_key[key] = slot = Slot(key, held, until)
        self._ring.append(slot)
        if len(self._ring) > 2 * self._most:
            self._tidy()
        return displaced

    def pop(self, key: str) -> T | None:
        """Remove and give what is kept for *key*; None if nothing is."""
        slot = self.by_key.pop(key, None)
        # The ring may keep the slot for a while, and so may who has it at hand.
        return None if slot is None else slot.emptied()

    def _tidy(self) -> None:
        """Let the hand pass some slots, and leave out those that were removed.

        They are more than half, and more of them go than come: the ring does not grow
        on, and nobody waits until it is all gone through.
        """
        for _ in range(_PASSED):
            slot = self._ring.popleft()
            if self._is_held(slot):
                self._ring.append(slot)

    def _evict_one(self) -> T | None:
        """Move the hand to the first slot that nobody has used; give what it held.

        If all that it passes were used, it ends at one of them rather than go on.
        """
        now, spared = self._now(), 0
        while True:
            slot = self._ring.popleft()
            if not self._is_held(slot):
                continue
            if not slot.used or slot.until <= now or spared == _MOST_SPARED:
                del self.by_key[slot.key]
                return slot.emptied()
            slot.used, spared = False, spared + 1
            self._ring.append(slot)

    def _is_held(self, slot: Slot[T]) -> bool:
        return self.by_key.get(slot.key) is slot
