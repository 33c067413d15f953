"""Slots, of which so many are kept: whoever interrupts a change finds them whole."""

import math

import pytest
from test_interrupts import struck_at

from holdover.regions.at_hand import NOTHING
from holdover.regions.slots import Slot, Slots

NO_BOUND = 1 << 62


def new_slots(most, *keys, until=math.inf):
    """Give some that are full, or not."""
    slots = Slots(most, lambda: 0.0)
    for key in keys:
        slots.put(key, key.upper(), until)
    return slots


def are_whole(slots):
    """Say whether each slot that is held can be evicted one day."""
    in_ring = {id(slot) for slot in slots._ring}
    return all(id(slot) in in_ring for slot in slots.by_key.values())


def evict(slots):
    """Put one more, when the hand has to pass one that was read and one removed."""
    slots.pop("a")
    slots.by_key["b"].used = True
    slots.put("d", "D", math.inf)
    slots.put("e", "E", math.inf)


def come_and_go(slots):
    """Remove more than are kept, so that the hand leaves them out."""
    for number in range(20):
        slots.put(f"new {number}", "N", math.inf)
        slots.pop(f"new {number}")


@pytest.mark.parametrize("work", [evict, come_and_go])
@pytest.mark.parametrize("most", [3, 100])
def test_interrupted_anywhere(work, most):
    """As by a signal, or a fork in another thread, whose child goes on from there."""
    number = 0
    while True:
        slots = new_slots(most, "a", "b", "c")
        number += 1
        if not struck_at(number, lambda slots=slots: work(slots)):
            break
        assert are_whole(slots), number
        for more in range(2 * most):
            slots.put(f"more {more}", "M", math.inf)
            assert len(slots) <= most
        assert are_whole(slots), number
    assert number > 10


@pytest.mark.parametrize("most", [10, 1_000, NO_BOUND])
def test_what_was_removed_does_not_pile_up(most):
    """Whatever the bound, though nothing is ever evicted."""
    slots = new_slots(most, "a", "b", "c")
    for number in range(2_000):
        slots.put(str(number), "N", math.inf)
        slots.pop(str(number))
        assert len(slots._ring) < 20
    assert ["a", "b", "c"] == sorted(slots.by_key)


def test_what_is_removed_all_at_once_is_let_go():
    """As by a purge: nothing has to come after it."""
    slots = new_slots(NO_BOUND, *map(str, range(1_000)))
    for number in range(990):
        slots.pop(str(number))
    assert len(slots._ring) < 60


class Changing(Slot):
    """A slot that somebody empties when another has just looked at it."""

    looked = False

    @property
    def held(self):
        """What is kept, for the last time."""
        found = Slot.held.__get__(self)
        if not self.looked:
            self.looked = True
            Slot.held.__set__(self, None)
            self.at_hand = NOTHING
        return found

    @held.setter
    def held(self, held):
        Slot.held.__set__(self, held)


@pytest.mark.parametrize("kind", [Slot, Changing])
def test_nothing_is_kept_at_hand_of_what_is_gone(kind):
    """Though it went while it was put there: nobody would ever let it go."""
    slot = kind("k", "old", math.inf)
    if kind is Slot:
        slot.emptied()
    slot.keep_at_hand("old", ("old", *NOTHING[1:-1], "value"))
    assert slot.held is None
    assert slot.at_hand is NOTHING
