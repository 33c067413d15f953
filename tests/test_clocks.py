"""What an invalidation of the whole region means for each entry."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdover.regions.backends.memory import MemoryBackend
from holdover.regions.clocks import RegionClock
from holdover.regions.envelope import Entry
from holdover.regions.freshness import Standing
from holdover.regions.keys import bounded
from holdover.regions.ticks import EPOCH_MASK, ClockState, Reach, Scope
from holdover.testing import FakeClock

CURRENT, SOFT, HARD = Standing


class Counting(MemoryBackend):
    """A backend that counts how often its clock is asked for."""

    asked = 0

    def clock(self, region, *, since=0):
        self.asked += 1
        return super().clock(region, since=since)


@pytest.fixture
def backend(clock):
    """A backend that two processes share."""
    return Counting({"time_source": clock})


@pytest.fixture
def ours(backend):
    """The region clock as this process follows it."""
    return RegionClock(backend, "r")


@pytest.fixture
def theirs(backend):
    """The same, in another process."""
    return RegionClock(backend, "r")


def made(region_clock, *tags):
    """Make an entry now."""
    return Entry("v", created_at=0.0, clock=region_clock.tick(), tags=tags)


def standing(region_clock, backend, entry, key="k"):
    """Judge *entry* as a read does."""
    return region_clock.standing(entry, key, backend.read("k", "r")[1])


def test_untouched(ours, backend):
    """What nobody invalidated is current."""
    assert CURRENT is standing(ours, backend, made(ours))


@pytest.mark.parametrize(("hard", "expected"), [(True, HARD), (False, SOFT)])
def test_an_invalidation_reaches_what_is_older(backend, clock, hard, expected):
    """It holds for all that was made before, in every process, and no later."""
    ours, theirs = RegionClock(backend, "r"), RegionClock(backend, "r")
    before = made(ours)
    clock.advance(1)
    theirs.advance(hard=hard)
    after = made(ours)
    for process in (ours, theirs):
        assert expected is standing(process, backend, before)
        assert CURRENT is standing(process, backend, after)


def test_invalidations_within_one_moment(ours, theirs, backend):
    """Though no time passes between them, each is told from the others."""
    for _ in range(5):
        entry = made(ours)
        assert CURRENT is standing(ours, backend, entry)
        theirs.advance(hard=True)
        assert HARD is standing(ours, backend, entry)


def test_soft_after_hard_and_hard_after_soft(ours, backend):
    """The harder of two invalidations counts."""
    oldest = made(ours)
    ours.advance(hard=True)
    middle = made(ours)
    ours.advance(hard=False)
    newest = made(ours)
    entries = (oldest, middle, newest)
    assert [standing(ours, backend, e) for e in entries] == [HARD, SOFT, CURRENT]
    ours.advance(hard=True)
    assert [standing(ours, backend, e) for e in entries] == [HARD] * 3


def test_an_entry_whose_creator_began_before(ours, backend):
    """What counts is when its creator started, not when it was stored."""
    tick = ours.tick()
    ours.advance(hard=True)
    late = Entry("v", created_at=1e12, clock=tick)
    assert HARD is standing(ours, backend, late)


def test_it_asks_only_when_behind(ours, theirs, backend):
    """While the tick stands still, a decision costs no round trip."""
    entry = made(ours)
    tick = backend.read("k", "r")[1]
    ours.standing(entry, "k", tick)
    asked = backend.asked
    for _ in range(10):
        ours.standing(entry, "k", tick)
    assert backend.asked == asked
    theirs.advance(hard=False)
    tick = backend.read("k", "r")[1]
    asked = backend.asked
    for _ in range(10):
        ours.standing(entry, "k", tick)
    assert backend.asked == asked + 1


def test_regions_have_clocks_of_their_own(ours, backend):
    """An invalidation of one region leaves the others alone."""
    other = RegionClock(backend, "other")
    entry = made(other)
    ours.advance(hard=True)
    tick = backend.read("k", "other")[1]
    assert CURRENT is other.standing(entry, "k", tick)


def test_a_lost_clock(ours, theirs, backend, clock):
    """A clock that was lost is reseeded from time: all that is older is gone."""
    old = made(ours)
    assert CURRENT is standing(ours, backend, old)
    clock.advance(1)
    backend._clocks.clear()
    new = made(theirs)
    for process in (ours, theirs):
        assert HARD is standing(process, backend, old)
        assert CURRENT is standing(process, backend, new)


def test_a_lost_clock_while_time_went_back(ours, backend, clock):
    """Entries from what is now the future are gone as well."""
    old = made(ours)
    clock.set_wall(5.0)
    backend._clocks.clear()
    assert HARD is standing(ours, backend, old)
    assert CURRENT is standing(ours, backend, made(ours))


def test_a_clock_lost_twice_in_time(ours, backend, clock, monkeypatch):
    """Though time has caught up again, what is from before the loss stays gone."""
    epochs = iter([1, 2])
    monkeypatch.setattr("secrets.randbits", lambda _bits: next(epochs))
    old = made(ours)
    clock.set_wall(clock.wall() - 60)
    backend._clocks.clear()
    new = made(ours)
    clock.advance(120)
    ours.advance(hard=False)
    assert HARD is standing(ours, backend, old)
    assert SOFT is standing(ours, backend, new)


# -- parts of the region -------------------------------------------------------

BY_TAG = Reach(Scope.TAG, "sale")
BY_PREFIX = Reach(Scope.PREFIX, "r:shop:")


@pytest.mark.parametrize(("hard", "expected"), [(True, HARD), (False, SOFT)])
def test_a_tag_reaches_the_entries_that_carry_it(ours, theirs, backend, hard, expected):
    """Others, and those made later, are left alone, in every process."""
    tagged, other = made(ours, "new", "sale"), made(ours, "new")
    theirs.advance(hard=hard, reaches=[BY_TAG])
    later = made(ours, "sale")
    for process in (ours, theirs):
        assert expected is standing(process, backend, tagged)
        assert CURRENT is standing(process, backend, other)
        assert CURRENT is standing(process, backend, later)


def test_a_prefix_reaches_the_keys_that_begin_with_it(ours, backend):
    """Long keys too, of which only a beginning and a digest are stored."""
    entry = made(ours)
    ours.advance(hard=True, reaches=[BY_PREFIX])
    long = bounded("r:shop:" + "x" * 1000)
    elsewhere = bounded("r:other:" + "x" * 1000)
    keys = ["r:shop:price(1)", long, "r:shop", elsewhere]
    found = [standing(ours, backend, entry, key) for key in keys]
    assert found == [HARD, HARD, CURRENT, CURRENT]
    ours.advance(hard=True, reaches=[Reach(Scope.PREFIX, "r:shop:" + "x" * 900)])
    assert HARD is standing(ours, backend, entry, long)


def test_hard_and_soft_marks_of_one_name(ours, backend):
    """A soft mark does not weaken a hard one, of the same name or another."""
    old = made(ours, "sale")
    ours.advance(hard=True, reaches=[BY_TAG])
    middle = made(ours, "sale")
    ours.advance(hard=False, reaches=[BY_TAG])
    assert HARD is standing(ours, backend, old)
    assert SOFT is standing(ours, backend, middle)


def test_only_what_is_new_is_fetched(ours, theirs, backend):
    """A process that follows a clock which leaves out old marks knows them still."""

    def clock(region, *, since=0):
        state = type(backend).clock(backend, region)
        newer = {mark: at for mark, at in state.marks.items() if at > since}
        return dataclasses.replace(state, marks=newer)

    entry, other = made(ours, "sale"), made(ours, "new")
    backend.clock = clock
    theirs.advance(hard=True, reaches=[BY_TAG])
    assert CURRENT is standing(ours, backend, other)
    theirs.advance(hard=True, reaches=[Reach(Scope.TAG, "new")])
    assert HARD is standing(ours, backend, other)
    assert HARD is standing(ours, backend, entry)


# -- the state -----------------------------------------------------------------

times = st.floats(0, 4e9)


@given(times)
def test_seeded(now):
    """A new clock begins at the time, and all that is older is gone."""
    state = ClockState.seeded(now)
    assert state.tick == state.hard_floor
    assert state.soft_floor == 0
    assert state.tick | EPOCH_MASK == int(now * 1e6) | EPOCH_MASK


@given(times, st.lists(st.tuples(times, st.booleans()), max_size=10))
def test_advanced(first, steps):
    """Ticks only grow, whatever the time of day does; hard reaches as far as soft."""
    state = first_state = ClockState.seeded(first)
    for now, hard in steps:
        after = state.advanced(now, hard=hard)
        assert after.tick > state.tick
        assert after.tick | EPOCH_MASK >= int(now * 1e6)
        assert (after.tick ^ first_state.tick) & EPOCH_MASK == 0
        assert after.tick == after.soft_floor >= after.hard_floor
        assert after.hard_floor == (after.tick if hard else state.hard_floor)
        state = after


def test_a_state_is_a_value():
    """Nobody can change a state that another thread is reading."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        ClockState.seeded(1.0).tick = 2


# -- any history ---------------------------------------------------------------

steps = st.lists(
    st.sampled_from(
        ["make", "hard", "soft", "tag", "soft tag", "lose", "wait", "jump back"]
    ),
    max_size=30,
)


@given(steps, st.randoms(use_true_random=False))
def test_any_history(history, dice):
    """In no order of events does a process serve what another one invalidated."""
    clock = FakeClock()
    backend = MemoryBackend({"time_source": clock})
    processes = [RegionClock(backend, "r") for _ in range(2)]
    entries = []  # and what the model says of each
    for step in history:
        process = dice.choice(processes)
        if step == "make":
            entries.append([made(process, *dice.choice([(), ("sale",)])), CURRENT])
        elif step == "hard":
            process.advance(hard=True)
            entries = [[entry, HARD] for entry, _ in entries]
        elif step == "soft":
            process.advance(hard=False)
            entries = [[e, SOFT if was is CURRENT else was] for e, was in entries]
        elif step == "tag":
            process.advance(hard=True, reaches=[BY_TAG])
            entries = [[e, HARD if e.tags else was] for e, was in entries]
        elif step == "soft tag":
            process.advance(hard=False, reaches=[BY_TAG])
            hit = [was is CURRENT and bool(e.tags) for e, was in entries]
            entries = [
                [e, SOFT if is_hit else was]
                for (e, was), is_hit in zip(entries, hit, strict=True)
            ]
        elif step == "lose":
            clock.advance(1e6)  # more than the wall clock was ever set back
            backend._clocks.clear()
            entries = [[entry, HARD] for entry, _ in entries]
        elif step == "wait":
            clock.advance(1.0)
        else:
            clock.set_wall(clock.wall() - 1.0)
        judge = dice.choice(processes)
        for entry, expected in entries:
            assert expected is standing(judge, backend, entry)
