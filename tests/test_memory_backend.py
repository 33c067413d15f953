"""`holdover.memory` beyond the contract: bounded, evicting, forking, under threads."""

import math
import random
import subprocess
import sys
import threading

import pytest

from holdover.errors import ConfigurationError
from holdover.regions import slots
from holdover.regions.backends import memory as module
from holdover.regions.backends.grants import Lease
from holdover.regions.backends.memory import DEFAULT_MAX_ENTRIES, MemoryBackend
from holdover.regions.envelope import Entry

REGION = "r"


@pytest.fixture
def new_backend(clock):
    """Make a backend of so many entries."""
    return lambda most: MemoryBackend({"max_entries": most, "time_source": clock})


def entry(value="v", fence=1):
    """Give an entry to store."""
    return Entry(value, created_at=0.0, fence=fence)


def write(backend, *keys, ttl=None):
    """Write an entry under each key."""
    for key in keys:
        backend.write(key, entry(key), ttl=ttl)


def read(backend, key):
    """Read one entry, as a hit does."""
    return backend.read(key, REGION)[0]


def held(backend, keys):
    """Give those of *keys* that are there, without marking them as read."""
    return [key for key in keys if key in backend._by_key]


def test_an_empty_one_is_there(new_backend):
    """``region.backend or another`` is the region's, whatever it counts."""
    backend = new_backend(1)
    assert len(backend) == 0
    assert backend


# -- the bound -----------------------------------------------------------------


def test_nobody_waits_for_all_to_be_passed(new_backend):
    """Where everything is in use, something goes that is."""
    backend = new_backend(5_000)
    keys = [str(number) for number in range(5_000)]
    write(backend, *keys)
    for key in keys:
        read(backend, key)
    write(backend, "one more")
    assert len(backend) == 5_000
    unused = [slot for slot in backend._by_key.values() if not slot.used]
    assert len(unused) == slots._MOST_SPARED + 1  # and the new one


@pytest.mark.parametrize("most", [1, 2, 100])
def test_the_bound_holds(new_backend, most):
    """However much is written, in whatever way, no more entries are kept."""
    backend = new_backend(most)
    for number in range(3 * most):
        write(backend, f"w{number}")
        backend.compare_and_set(f"c{number}", entry(), seen=None, ttl=None)
        lease = backend.acquire(f"l{number}", REGION, ttl=5.0, seen=None)
        assert backend.commit(lease, entry(), REGION, ttl=None) is not None
        assert len(backend) <= most
    assert most == len(backend)


def test_the_newest_is_there(new_backend):
    """What was just written is never what is evicted for it."""
    backend = new_backend(1)
    for number in range(10):
        write(backend, str(number))
        assert read(backend, str(number)).value == str(number)


def test_replacing_evicts_nothing(new_backend):
    """Writing a key again takes no place from another."""
    backend = new_backend(3)
    write(backend, *"abc")
    for _ in range(10):
        write(backend, "b")
    assert held(backend, "abc") == ["a", "b", "c"]


def test_the_oldest_unread_goes_first(new_backend):
    """Where nothing was read, eviction is in the order of writing."""
    backend = new_backend(3)
    write(backend, *"abcde")
    assert held(backend, "abcde") == ["c", "d", "e"]


def test_what_is_read_survives(new_backend):
    """CLOCK: an entry that was read since the hand last came by is spared."""
    backend = new_backend(3)
    write(backend, *"abc")
    read(backend, "a")
    write(backend, "d")
    assert held(backend, "abcd") == ["a", "c", "d"]


def test_it_survives_only_once(new_backend):
    """Spared once, an entry that is not read again goes like others."""
    backend = new_backend(2)
    write(backend, *"ab")
    read(backend, "a")
    write(backend, *"cde")
    assert held(backend, "abcde") == ["d", "e"]


def test_a_popular_entry_survives_a_scan(new_backend):
    """One that is read again and again outlives any number of writes of others."""
    backend = new_backend(10)
    write(backend, "popular")
    for number in range(200):
        assert read(backend, "popular") is not None
        write(backend, f"scan{number}")
    assert read(backend, "popular") is not None


def test_all_read_at_once(new_backend):
    """Where every entry was read, the hand still finds one."""
    backend = new_backend(3)
    write(backend, *"abc")
    for key in "abc":
        read(backend, key)
    write(backend, "d")
    assert held(backend, "abcd") == ["b", "c", "d"]


def test_an_expired_entry_is_not_spared(new_backend, clock):
    """Being read does not save what is past its ttl."""
    backend = new_backend(2)
    write(backend, "short", ttl=5.0)
    write(backend, "long")
    read(backend, "short")
    read(backend, "long")
    clock.advance(5.0)
    write(backend, "new")
    assert held(backend, ["short", "long", "new"]) == ["long", "new"]


def test_purge_makes_room(new_backend, clock):
    """Purging removes what is past its ttl and nothing else, and says how many."""
    backend = new_backend(10)
    write(backend, *"abc", ttl=5.0)
    write(backend, *"de", ttl=6.0)
    write(backend, "f")
    assert backend.purge() == 0
    clock.advance(5.0)
    assert backend.purge() == 3
    assert held(backend, "abcdef") == ["d", "e", "f"]
    clock.advance(1e12)
    assert backend.purge() == 2
    assert len(backend) == 1


def test_a_purge_lets_others_in(new_backend, clock, monkeypatch):
    """Between any two steps, however many entries there are."""
    backend = new_backend(10_000)
    for number in range(5_000):
        backend.write(str(number), b"v", ttl=1.0)
    clock.advance(2.0)
    written = []

    def write(_seconds):
        assert not backend._lock.locked()
        written.append(f"new {len(written)}")
        backend.write(written[-1], b"v", ttl=None)
        backend.write("4999", b"renewed", ttl=None)

    monkeypatch.setattr(module.time, "sleep", write)
    assert backend.purge() == 4_999
    assert len(written) == 5
    assert len(backend) == len(written) + 1
    assert backend.read("4999", "r")[0] == b"renewed"


def test_what_was_removed_does_not_pile_up(new_backend):
    """Entries that come and go leave nothing behind, and no call cleans up for all."""
    backend = new_backend(1_000)
    for number in range(900):
        backend.write(f"stays {number}", b"v", ttl=None)
    longest = 0
    for number in range(20_000):
        backend.write(str(number), b"v", ttl=None)
        before = len(backend._slots._ring)
        backend.remove(str(number))
        longest = max(longest, before)
    assert longest < 3 * 1_000
    assert len(backend) == 900
    for number in range(100):
        backend.write(f"more {number}", b"v", ttl=None)
    assert all(backend.read(f"stays {n}", "r")[0] for n in range(900))


def test_a_purge_while_the_clock_is_set_back(new_backend, clock, monkeypatch):
    """What is fresh by the clock's new time stays, wherever the purge is."""
    backend = new_backend(10)
    clock.advance(100.0)
    write(backend, "k", ttl=0.0)
    drop = backend._drop

    def set_back(expired):
        clock.set_wall(clock.wall() - 50.0)
        write(backend, "k", ttl=10.0)
        return drop(expired)

    monkeypatch.setattr(backend, "_drop", set_back)
    assert backend.purge() == 0
    assert read(backend, "k")


def test_purge_drops_lapsed_leases(new_backend, clock):
    """Leases that nobody came back for do not pile up; live ones stay."""
    backend = new_backend(10)
    backend.acquire("dead", REGION, ttl=5.0, seen=None)
    alive = backend.acquire("alive", REGION, ttl=50.0, seen=None)
    clock.advance(6.0)
    backend.purge()
    assert list(backend._leases) == ["alive"]
    assert backend.commit(alive, entry(), REGION, ttl=None) is not None


def test_eviction_does_not_touch_leases(new_backend):
    """A creator whose key's old value was evicted may still store."""
    backend = new_backend(1)
    write(backend, "k")
    lease = backend.acquire("k", REGION, ttl=5.0, seen=1)
    write(backend, "other")
    assert read(backend, "k") is None
    assert backend.commit(lease, entry("new"), REGION, ttl=None) is not None
    assert read(backend, "k").value == "new"


# -- arguments -----------------------------------------------------------------


def test_the_default_is_bounded():
    """Without arguments it is bounded as well."""
    assert MemoryBackend({})._max_entries == DEFAULT_MAX_ENTRIES > 0


@pytest.mark.parametrize("bad", [0, -1, 1.5, "10", None, True, math.inf])
def test_wrong_bounds(bad):
    """A bound that is no count is a typed error that names it."""
    with pytest.raises(ConfigurationError, match="max_entries"):
        MemoryBackend({"max_entries": bad})


def test_unknown_arguments():
    """A mistyped argument is told of, with what was likely meant."""
    with pytest.raises(ConfigurationError, match="Did you mean 'max_entries'"):
        MemoryBackend({"max_entrys": 1})
    with pytest.raises(ConfigurationError, match=r"(?s)'path'.*max_entries"):
        MemoryBackend({"path": "/tmp"})


def test_it_keeps_objects():
    """What is read is the very object that was stored."""
    backend, stored = MemoryBackend({}), entry(object())
    backend.write("k", stored, ttl=None)
    assert stored is backend.read("k", REGION)[0]


# -- forks ---------------------------------------------------------------------


FORKED = """
import os, signal, sys
from holdover.regions.backends.grants import Busy, Lease
from holdover.regions.backends.memory import MemoryBackend
from holdover.regions.envelope import Entry
backend = MemoryBackend({})
backend.write("old", Entry("v", created_at=0.0, fence=1), ttl=None)
theirs = backend.acquire("k", "r", ttl=50.0, seen=None)
backend._lock.acquire()
child = os.fork()
if child == 0:
    signal.alarm(30)
    assert backend.read("old", "r")[0].value == "v"
    assert not backend.is_locked("k")
    assert backend.commit(theirs, Entry("x", created_at=0.0), "r", ttl=None) is None
    assert isinstance(backend.acquire("k", "r", ttl=5.0, seen=None), Lease)
    os._exit(0)
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
backend._lock.release()
assert isinstance(backend.acquire("k", "r", ttl=5.0, seen=None), Busy)
sys.exit(status)
"""


def test_a_fork_forgets_leases():
    """A child keeps the values, but neither its parent's leases nor a held lock."""
    done = subprocess.run([sys.executable, "-c", FORKED], timeout=60, check=False)
    assert done.returncode == 0


# -- threads -------------------------------------------------------------------


def in_threads(*works):
    """Run each work in a thread of its own, together; raise what one of them raised."""
    errors = []

    def run(work):
        try:
            work()
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def test_hammering(new_backend):
    """Any mixture of verbs, from many threads and while evicting, keeps its promises.

    What is read under a key was written under it; the bound holds; nothing raises.
    """
    backend = new_backend(20)
    keys = [f"k{number}" for number in range(40)]

    def hammer(seed):
        dice = random.Random(seed)
        for _ in range(1_500):
            key = dice.choice(keys)
            match dice.randrange(6):
                case 0:
                    backend.write(key, entry(key, dice.getrandbits(60)), ttl=1.0)
                case 1:
                    backend.remove(key)
                case 2:
                    grant = backend.acquire(key, REGION, ttl=0.5, seen=None)
                    if isinstance(grant, Lease):
                        made = entry(key, grant.fence)
                        backend.commit(grant, made, REGION, ttl=None)
                case 3:
                    backend.compare_and_set(key, entry(key), seen=None, ttl=None)
                case 4 if dice.random() < 0.05:
                    backend.purge()
                    backend.advance(REGION, hard=True)
                case _:
                    found = read(backend, key)
                    assert found is None or found.value == key
            assert len(backend) <= 20

    in_threads(*(lambda seed=seed: hammer(seed) for seed in range(8)))


def at_every_step(work, look):
    """Run *work*, and *look* before each line of the backend's that it runs."""

    def trace(frame, event, _):
        if frame.f_globals["__name__"] != module.__name__:
            return None
        if event == "line":
            sys.settrace(None)
            look()
            sys.settrace(trace)
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)


def test_eviction_never_hides_what_it_spares(new_backend):
    """While the hand moves, an entry that stays is there for every reader."""
    backend = new_backend(3)
    write(backend, "popular", *"ab")
    seen = []
    for key in "cdefgh":
        read(backend, "popular")
        at_every_step(
            lambda key=key: write(backend, key),
            lambda: seen.append("popular" in held(backend, ["popular"])),
        )
    assert len(seen) > 20
    assert all(seen)
