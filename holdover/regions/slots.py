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
        self.at_hand = at_hand
        # Only then, or what goes in between would be kept alive by it.
        if self.held is held:
            return True
        self.at_hand = NOTHING
        return False

    def emptied(self) -> T | None:
        """Hold nothing any more, and give what was held."""
        held, self.held = self.held, None
        self.at_hand = NOTHING  # which would keep it alive
        return held


class Slots(Generic[T]):
    """At most *most* things by key.

    Whoever changes them holds a lock of his own; whoever reads needs none, since a
    dictionary's lookup is atomic. What is displaced is given back, to be let go without
    that lock: a value's own end may run any code. A fork or a signal may come between
    any two steps, and what it finds is whole: each slot held is in the ring.

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
        slot = Slot(key, held, until)
        self._ring.append(slot)
        self.by_key[key] = slot
        self._tidy()
        return displaced

    def pop(self, key: str) -> T | None:
        """Remove and give what is kept for *key*; None if nothing is."""
        slot = self.by_key.pop(key, None)
        self._tidy()
        # The ring may keep the slot for a while, and so may who has it at hand.
        return None if slot is None else slot.emptied()

    def _tidy(self) -> None:
        """Let the hand pass some slots, if more than half were removed: those go.

        More of them go than come: the ring does not grow on, whatever the bound, and
        nobody waits until it is all gone through.
        """
        if len(self._ring) <= 2 * len(self.by_key) + _PASSED:
            return
        for _ in range(_PASSED):
            if self._is_held(self._ring[0]):
                self._ring.rotate(-1)
            else:
                self._ring.popleft()

    def _evict_one(self) -> T | None:
        """Move the hand to the first slot that nobody has used; give what it held.

        If all that it passes were used, it ends at one of them rather than go on.
        """
        now, spared = self._now(), 0
        while True:
            slot = self._ring[0]
            if not self._is_held(slot):
                self._ring.popleft()
                continue
            if not slot.used or slot.until <= now or spared == _MOST_SPARED:
                del self.by_key[slot.key]
                self._ring.popleft()
                return slot.emptied()
            slot.used, spared = False, spared + 1
            self._ring.rotate(-1)

    def _is_held(self, slot: Slot[T]) -> bool:
        return self.by_key.get(slot.key) is slot
