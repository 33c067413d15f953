"""An exception from outside, wherever it strikes, harms nobody but its own caller.

The interpreter raises what a signal or a time limit asks for after a call of C code and
at the start of a Python function. A profiler is called at the same places: so each of
them is struck in turn.
"""

import contextlib
import itertools
import sys
import threading

import pytest

from holdover import LeaseTerms, make_region
from holdover.errors import BackendError
from holdover.regions.backends.sql import SqlBackend
from holdover.regions.crowds import Crowd
from holdover.regions.flights import FLIGHTS
from holdover.testing.contract_leases import sealed

# What strikes a finalizer is told of and swallowed by the interpreter itself.
pytestmark = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)

SOON = 20
TERMS = LeaseTerms(ttl=0.05, wait=2 * SOON)  # who is kept waiting hangs, for us


class Strike(BaseException):
    """What comes from outside."""


def struck_at(number, work, kept=None):
    """Do *work*, raising at its *number*-th place; say whether there was one.

    Into *kept* goes what was raised, with its traceback and so with every frame, as a
    debugger or a reporter of errors would keep it.
    """
    places = itertools.count(1)
    struck = []

    def strike(_frame, event, _argument):
        if event in ("call", "c_return") and next(places) == number:
            sys.setprofile(None)
            struck.append(number)
            raise Strike

    try:
        sys.setprofile(strike)
        work()
    except Strike as error:
        if kept is not None:
            kept.append(error)
    finally:
        sys.setprofile(None)
    return bool(struck)


def in_thread(work):
    """Give what *work* returns in a thread that may hang without ending the tests."""
    results = []
    thread = threading.Thread(target=lambda: results.append(work()), daemon=True)
    thread.start()
    thread.join(SOON)
    assert results, "it hangs, or has raised"
    return results[0]


def create(region, key):
    """Create one value."""
    region.get_or_create(key, lambda: "new")


def fail(region, key):
    """Have a creator fail."""

    def failing():
        raise ZeroDivisionError

    with contextlib.suppress(ZeroDivisionError):
        region.get_or_create(key, failing)


def create_many(region, key):
    """Create several values."""
    region.get_or_create_multi([key, f"{key}b"], lambda *keys: ["new"] * len(keys))


def lease(region, key):
    """Commit a lease."""
    with region.lease(key) as held:
        held.commit("new")


def invalidate(region, key):
    """Invalidate in every way."""
    region.set(key, "old", tags=["tag"])
    region.expire(key)
    region.invalidate(tags=["tag"])
    region.delete(key)


@pytest.mark.parametrize("work", [create, fail, create_many, lease, invalidate])
def test_wherever_it_strikes(work):
    """No flight is left behind, no lock is held, and others create as ever."""
    region = make_region("struck").configure("holdover.memory", 60, lease=TERMS)
    work(region, "warm")
    for number in itertools.count(1):
        key = f"k{number}"
        if not in_thread(lambda k=key, n=number: struck_at(n, lambda: work(region, k))):
            break
        assert all(flight.has_landed for flight in FLIGHTS._flights.values())
        assert FLIGHTS._waiting == {}
        made = in_thread(
            lambda k=key: region.get_or_create_multi([k, f"{k}b", f"{k}c"], many)
        )
        assert set(made) <= {"new", "other", "old"}
    assert number > 30


def many(*keys):
    """Create what others left behind."""
    return ["other"] * len(keys)


def test_while_a_runner_is_told():
    """The pool of a thread runner takes orders as ever."""
    region = make_region("struck").configure(
        "holdover.memory", 60, lease=TERMS, runner="thread"
    )

    def order(key):
        region.set(key, "old")
        region.expire(key)
        return region.get_or_create(key, lambda: "new")

    order("warm")
    for number in itertools.count(1):
        if not in_thread(lambda n=number: struck_at(n, lambda: order(f"k{n}"))):
            break
        assert in_thread(lambda n=number: order(f"after{n}")) in ("old", "new")
    assert number > 100


def test_a_place_in_the_crowd():
    """The place of one who creates without a lease is free again."""
    crowd = Crowd(1)

    def be_inside():
        with crowd.joined(SOON):
            pass

    for number in itertools.count(1):
        if not in_thread(lambda n=number: struck_at(n, be_inside)):
            break
        assert crowd._free.qsize() == 1
    assert number > 10


@pytest.mark.parametrize("keeps", [False, True], ids=["forgotten", "reported"])
@pytest.mark.parametrize("verb", ["read", "write", "err"])
def test_a_place_for_a_connection_is_never_lost(tmp_path, verb, keeps):
    """Wherever a statement is struck, the only connection is there for the next one."""
    url = f"sqlite:///{tmp_path}/cache.db"
    backend = SqlBackend({"url": url, "max_connections": 1})
    verbs = {
        "read": lambda: backend.read("k", "r"),
        "write": lambda: backend.write("k", sealed("v"), ttl=60.0),
        "err": lambda: raised_by(backend._link.fetch, "SELECT nothing", ()),
    }
    backend.write("k", sealed("v"), ttl=60.0)
    kept = [] if keeps else None
    for opened in (True, False):
        number = 1
        while struck_at(number, verbs[verb], kept):
            assert backend.read("k", "r")[0] == sealed("v")
            if not opened:
                backend._link.close_idle()
            number += 1
        assert number > 5
        backend._link.close_idle()


def raised_by(work, *args):
    """Do what fails; give the error."""
    with pytest.raises(BackendError) as caught:
        work(*args)
    return caught.value
