"""In one process, one thread per key goes; the others get what it brings."""

import subprocess
import sys
import threading

import pytest

from holdover.errors import RecursiveCreation
from holdover.regions.flights import EVERYONE, NOTHING, Flight, Flights, Landed, ticket

SOON = 20.0  # seconds: longer than any of these waits should take


@pytest.fixture
def flights():
    """The flights of a process of its own."""
    return Flights()


def join(flights, key):
    """Board as one who would wait; give the flight, and whether it is the caller's."""
    mine = Flight()
    flight = flights.enter(key, mine, may_wait=True)
    return flight, flight is mine


def lead(flights, key):
    """Board as one who would not wait; give the flight, or None if it is another's."""
    mine = Flight()
    return mine if flights.enter(key, mine, may_wait=False) is mine else None


def in_thread(work):
    """Run *work* in another thread; give a function that returns its result."""
    results = []
    thread = threading.Thread(target=lambda: results.append(work()), daemon=True)
    thread.start()

    def result():
        thread.join(SOON)
        return results[0]

    return result


def owned_elsewhere(flights, key):
    """Have another thread start the flight for *key*; give it and a way to it."""
    wanted, ready = threading.Event(), threading.Event()
    box = {"work": lambda: None}

    def run():
        box["flight"], _ = join(flights, key)
        ready.set()
        wanted.wait(SOON)
        box["result"] = box["work"]()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert ready.wait(SOON)

    def there(work):
        box["work"] = work
        wanted.set()
        return lambda: (thread.join(SOON), box["result"])[1]

    return box["flight"], there


def until(claim):
    """Wait until *claim* holds."""
    pause = threading.Event()
    for _ in range(1000):
        if claim():
            return
        pause.wait(0.002)
    raise AssertionError("it never came true")


def test_the_first_owns_and_the_others_join(flights):
    """Who starts a flight does its work; the others share it."""
    flight, is_mine = join(flights, "k")
    assert is_mine
    others = [in_thread(lambda: join(flights, "k"))() for _ in range(3)]
    assert [(flight, False)] * 3 == others


def test_exactly_one_owner(flights):
    """However many come at once, one of them owns the flight."""
    barrier = threading.Barrier(16)
    joined = []

    def come():
        barrier.wait()
        joined.append(join(flights, "k"))

    threads = [threading.Thread(target=come) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(is_mine for _, is_mine in joined) == [False] * 15 + [True]
    assert len({flight for flight, _ in joined}) == 1


def test_keys_are_apart(flights):
    """Each key has a flight of its own, and one thread may own several."""
    assert join(flights, "a")[0] is not join(flights, "b")[0]
    assert join(flights, ("a", "more"))[1]


def test_landing_wakes_everyone(flights):
    """All who wait are woken, and see what was brought."""
    flight, _ = join(flights, "k")
    waiting = [
        in_thread(lambda: (flights.wait(join(flights, "k")[0], SOON), flight.landed))
        for _ in range(8)
    ]
    until(lambda: len(flights._waiting) == 8)
    landed = Landed("value", valid_before=8)
    flight.land(landed)
    assert [(True, landed)] * 8 == [result() for result in waiting]
    assert flight.has_landed


def test_a_landed_flight_needs_no_wait(flights):
    """Who waits for what is over goes on at once, even its owner."""
    flight, _ = join(flights, "k")
    flight.land(NOTHING)
    assert flights.wait(flight, 0.0)


def test_what_a_flight_brings():
    """By default it is for everyone; a flight that brought nothing is for nobody."""
    assert ticket() < Landed("v").valid_before == EVERYONE
    assert ticket() > NOTHING.valid_before
    assert NOTHING.error is None
    assert join(Flights(), "k")[0].landed is NOTHING


def test_tickets_tell_earlier_from_later():
    """No two are alike, and a later one is higher, whoever drew it."""
    drawn = [ticket(), in_thread(ticket)(), ticket(), in_thread(ticket)()]
    assert sorted(set(drawn)) == drawn


def test_the_wait_is_bounded(flights):
    """A flight that never lands is waited for no longer than was said."""
    flight, _ = owned_elsewhere(flights, "k")
    assert not flights.wait(flight, 0.01)
    assert flights._waiting == {}


def test_a_closed_flight_takes_in_nobody(flights):
    """Who comes after closing starts a flight of his own; closing twice is harmless."""
    first, _ = join(flights, "k")
    flights.close("k", first)
    flights.close("k", first)
    second, is_theirs = in_thread(lambda: join(flights, "k"))()
    assert is_theirs
    assert second is not first
    flights.close("k", first)
    assert (second, False) == join(flights, "k")


def test_lead(flights):
    """Who would not wait starts a flight, or is told that one is under way."""
    flight = lead(flights, "k")
    assert flight is not None
    assert lead(flights, "k") is None
    assert (flight, False) == in_thread(lambda: join(flights, "k"))()
    flights.close("k", flight)
    assert lead(flights, "k") is not None


@pytest.mark.parametrize("key", ["the key", (object(), "the key")])
def test_recursion(flights, key):
    """Who owns a flight cannot join it: the error names the key."""
    join(flights, key)
    with pytest.raises(RecursiveCreation, match="creator of 'the key'"):
        join(flights, key)


def test_two_that_wait_for_each_other(flights):
    """The one who would close the circle does not wait."""
    mine, _ = join(flights, "a")
    theirs, there = owned_elsewhere(flights, "b")
    result = there(lambda: flights.wait(mine, SOON))
    until(lambda: flights._waiting)
    assert not flights.wait(theirs, SOON)
    mine.land(NOTHING)
    assert result()


def test_a_longer_circle(flights):
    """It is seen over any number of hands."""
    mine, _ = join(flights, "a")
    b, there_b = owned_elsewhere(flights, "b")
    c, there_c = owned_elsewhere(flights, "c")
    there_c(lambda: flights.wait(mine, SOON))
    there_b(lambda: flights.wait(c, SOON))
    until(lambda: len(flights._waiting) == 2)
    assert not flights.wait(b, SOON)
    mine.land(NOTHING)
    c.land(NOTHING)


def test_a_chain_is_no_circle(flights):
    """Waiting for somebody who waits for a third is fine."""
    b, there_b = owned_elsewhere(flights, "b")
    c, there_c = owned_elsewhere(flights, "c")
    there_b(lambda: (flights.wait(c, SOON), b.land(NOTHING)))
    until(lambda: flights._waiting)
    there_c(lambda: c.land(NOTHING))
    assert flights.wait(b, SOON)


def test_waiting_for_oneself(flights):
    """A thread that waits for its own flight is told at once that it never lands."""
    assert not flights.wait(join(flights, "k")[0], SOON)


def test_a_wait_that_is_over_is_forgotten(flights):
    """Who has given up waiting no longer counts as waiting."""
    mine, _ = join(flights, "a")
    theirs, there = owned_elsewhere(flights, "b")
    there(lambda: flights.wait(mine, 0.001))()
    assert flights._waiting == {}
    assert not flights.wait(theirs, 0.001)


def test_boarding_ends_the_flight(flights):
    """After the block the key is free again, and who waited is woken."""
    with flights.board("k") as seat:
        assert seat.is_mine
        assert join_elsewhere(flights, "k") is seat.flight
    assert seat.flight.has_landed
    assert join(flights, "k")[1]


def test_boarding_anothers_flight_does_not_end_it(flights):
    """Only its owner ends a flight."""
    theirs, _ = owned_elsewhere(flights, "k")
    with flights.board("k") as seat:
        assert not seat.is_mine
        assert seat.flight is theirs
    assert not theirs.has_landed
    assert lead(flights, "k") is None


def test_an_exception_from_outside_leaves_no_flight(flights, monkeypatch):
    """A signal that strikes right after a flight was registered does not leak it."""
    enter = flights.enter

    def struck(*args, **kwargs):
        enter(*args, **kwargs)
        raise KeyboardInterrupt

    with monkeypatch.context() as context:
        context.setattr(flights, "enter", struck)
        with pytest.raises(KeyboardInterrupt), flights.board("k"):
            pass
    assert join(flights, "k")[1]


def join_elsewhere(flights, key):
    """Have another thread board; give the flight it got."""
    return in_thread(lambda: join(flights, key)[0])()


FORKED = """
import os, sys, threading
from holdover.regions.flights import Flight, Flights
flights = Flights()
flights.enter("k", Flight(), may_wait=True)
flights._lock.acquire()
child = os.fork()
if child == 0:
    mine = Flight()
    assert flights.enter("k", mine, may_wait=True) is mine
    os._exit(0)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_fork_forgets():
    """A child inherits neither its parent's flights nor a lock that was held."""
    done = subprocess.run([sys.executable, "-c", FORKED], timeout=60, check=False)
    assert done.returncode == 0
