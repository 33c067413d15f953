"""Promises at their edges: each of these was broken once."""

import threading
from pathlib import Path

import pytest
from standins import UnservedQueue, broken
from waiting import wait_until, wait_until_joined

from holdover import NO_VALUE, LeaseTerms, make_region
from holdover.errors import BackendError, RecursiveCreation
from holdover.regions.backends.grants import Lease
from holdover.regions.backends.memory import MemoryBackend


class FullDisk(MemoryBackend):
    """Fails every write, as a full disk does, and nothing else."""

    full = False

    def write(self, key, stored, *, ttl):
        self._refuse()
        super().write(key, stored, ttl=ttl)

    def commit(self, lease, stored, region, *, ttl):
        self._refuse()
        return super().commit(lease, stored, region, ttl=ttl)

    def _refuse(self):
        if self.full:
            raise BackendError("no space left on device")


class Away(MemoryBackend):
    """Cannot be reached while told so."""

    away = False

    def advance(self, region, *, hard, reaches=()):
        if self.away:
            raise BackendError("away")
        return super().advance(region, hard=hard, reaches=reaches)


@pytest.fixture
def slow_queue(new_region, clock):
    """A region with a stale value, whose refresh waits in a queue for ever."""
    region = new_region(
        runner=UnservedQueue(),
        stale_while_revalidate=5,
        lease=LeaseTerms(queue_ttl=1000, wait=500),
    )
    price = region.cache_on_arguments()(top_level)
    price(1)
    clock.advance(11)
    assert price(1) == [1]
    assert region.key_is_locked(price.key_for(1))
    return region, price


def top_level(x):
    """A creator that could travel."""
    return [x]


class TestOrdersThatNobodyServes:
    def test_they_do_not_hold_up_whoever_has_no_value(self, slow_queue, clock):
        """After a hard invalidation the next caller creates at once."""
        region, price = slow_queue
        region.invalidate()
        before = clock.steady()
        assert price(1) == [1]
        assert clock.steady() == before

    def test_nor_past_the_stale_window(self, slow_queue, clock):
        """The same when the old value has become too old."""
        _, price = slow_queue
        clock.advance(100)
        before = clock.steady()
        assert price(1) == [1]
        assert clock.steady() == before

    def test_nor_a_refresh_in_the_foreground(self, slow_queue, clock):
        """Asking for a new value now does not wait for the queue."""
        _, price = slow_queue
        before = clock.steady()
        assert price.refresh(1) == [1]
        assert clock.steady() == before


def test_a_refresh_that_asks_for_itself(new_region):
    """Recursion is an error through the handle as well."""
    region = new_region()

    @region.cache_on_arguments()
    def price(x):
        return price.refresh(x)

    with pytest.raises(RecursiveCreation):
        price.refresh(1)


def test_a_refresh_is_not_stored_after_an_invalidation(new_region):
    """What a refresh began to create before an invalidation is not kept."""
    region = new_region()

    @region.cache_on_arguments()
    def price(x):
        region.delete(price.key_for(x))
        return "old"

    assert price.refresh(1) == "old"
    assert price.get(1) is NO_VALUE


def test_a_change_is_not_kept_after_an_invalidation(new_region):
    """What was made from an invalidated value is invalidated, too."""
    region = new_region()
    region.set("k", "old")
    region.change("k", lambda value: (region.invalidate(), value)[1])
    assert region.get("k") is NO_VALUE


def test_a_soft_invalidation_does_not_forget_a_hard_one(clock):
    """While a hard invalidation is pending, a soft one delivers it."""
    backend = Away({"time_source": clock})
    region = make_region("r", time_source=clock).configure(backend, 60)
    region.set("k", "old")
    backend.away = True
    assert region.invalidate().pending
    backend.away = False
    assert not region.invalidate(hard=False).pending
    assert region.get("k", ignore_expiration=True) is NO_VALUE


def test_pending_means_missing(clock):
    """What could not be invalidated is not served here, and goes when it can."""
    backend = Away({"time_source": clock})
    region = make_region("r", time_source=clock).configure(backend, 60)
    region.set("k", "old")
    backend.away = True
    assert region.invalidate().pending
    assert region.get("k") is NO_VALUE
    with pytest.raises(BackendError):
        region.invalidate(strict=True)
    backend.away = False
    clock.advance(60)
    assert region.get("k") is NO_VALUE
    region.set("k", "new")
    assert region.get("k") == "new"


def test_several_at_once_tell_what_is_pending(clock):
    """The forms for several keys tell if any of them could not be delivered."""
    backend = FullDisk({"time_source": clock})
    region = make_region("r", time_source=clock).configure(backend, 60)
    assert not region.set_multi({"a": 1, "b": 2}).pending
    assert region.delete_multi(["a", "nothing"]).existed
    backend.full = True
    assert region.set_multi({"a": 1}).pending
    with pytest.raises(BackendError):
        region.set_multi({"b": 1}, strict=True)


def test_a_full_disk_stops_neither_reads_nor_removals(clock):
    """Failing writes open no breaker but their own."""
    backend = FullDisk({"time_source": clock})
    region = make_region("r", time_source=clock).configure(backend, 60)
    region.set("k", 1)
    backend.full = True
    for number in range(10):
        assert region.set(f"other{number}", 1).pending
        assert region.get_or_create(f"more{number}", lambda: 2) == 2
    assert region.get("k") == 1
    assert not region.delete("k").pending
    assert not region.invalidate().pending


def test_values_may_call_the_region_when_they_end():
    """A value whose end uses the region does not find it locked by itself."""
    region = make_region("r").configure("holdover.memory", 60, {"max_entries": 2})
    ended = []

    class Value:
        def __del__(self):
            region.set("note", len(ended))
            ended.append(1)

    def use():
        for number in range(6):
            region.set(f"k{number}", Value())
        region.set("k5", "replaced")
        region.delete("k4")

    thread = threading.Thread(target=use, daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()
    assert ended


def test_a_clock_that_was_removed_is_noticed(tmp_path):
    """Whoever removes only the region clock invalidates, and later ones are seen."""
    mine, theirs = (
        make_region("r").configure("holdover.file", 60, {"path": tmp_path / "cache"})
        for _ in range(2)
    )
    mine.set("k", "old")
    assert theirs.get("k") == "old"
    for clock in (tmp_path / "cache" / "clocks").iterdir():
        clock.unlink()
    assert not theirs.invalidate().pending
    assert mine.get("k") is NO_VALUE


def test_a_late_oversized_value_removes_nothing(tmp_path):
    """A creation that was overtaken does not touch the newer value, however large."""
    arguments = {"path": tmp_path / "cache", "max_bytes": 5_000}
    region = make_region("r").configure("holdover.file", 60, arguments)

    def create():
        region.set("k", "newer")
        return "x" * 10_000

    assert len(region.get_or_create("k", create)) == 10_000
    assert region.get("k") == "newer"


def test_a_waiter_is_never_left_without_a_value():
    """on_timeout="create": if another's own value takes long, one makes one's own."""
    region = make_region("r").configure(
        "holdover.memory", 60, lease=LeaseTerms(wait=0.1, max_hold=60)
    )
    grant = region.backend.acquire("r:k", "r", ttl=60, seen=None)
    assert isinstance(grant, Lease)
    creating, go_on = threading.Event(), threading.Event()

    def slow():
        creating.set()
        go_on.wait(30)

    other = threading.Thread(target=region.get_or_create, args=("k", slow))
    other.start()
    assert creating.wait(20)
    assert region.get_or_create("k", lambda: "mine") == "mine"
    go_on.set()
    other.join()


def test_shared_errors_do_not_grow(new_region):
    """An error raised in many waiters keeps the traceback it had in its creator."""
    region = new_region()
    barrier = threading.Barrier(20)
    lengths = []

    def fail():
        wait_until_joined(19)
        raise ZeroDivisionError

    def ask():
        barrier.wait()
        try:
            region.get_or_create("k", fail)
        except ZeroDivisionError as error:
            length, at = 0, error.__traceback__
            while at is not None:
                length, at = length + 1, at.tb_next
            lengths.append(length)

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(lengths) == 20
    assert max(lengths) < 30


def test_nothing_is_kept_open(new_region):
    """A region on files leaves no descriptor open between two calls."""
    region = new_region()
    region.set("k", 1)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for number in range(20):
        region.get_or_create(f"k{number}", int)
        region.invalidate()
    assert len(list(Path("/proc/self/fd").iterdir())) <= before


@pytest.mark.parametrize(
    "how", [lambda r: r.delete("k"), lambda r: r.set("k", 2),
            lambda r: r.invalidate(), lambda r: r.invalidate(tags=["t"])]
)  # fmt: skip
def test_what_was_pending_reaches_the_others(how, monkeypatch):
    """Once the backend is back it is told, though nobody here asks for the key."""
    ours = make_region("r").configure("holdover.memory", 10.0)
    theirs = make_region("r").configure(ours.backend, 10.0)
    ours.set("k", 1, tags=["t"])

    verbs = ("write", "remove", "remove_multi", "advance")
    kept = {verb: getattr(ours.backend, verb) for verb in verbs}
    for verb in verbs:
        monkeypatch.setattr(ours.backend, verb, broken)
    assert how(ours).pending
    assert theirs.get("k") == 1
    for verb, original in kept.items():
        monkeypatch.setattr(ours.backend, verb, original)
    wait_until(lambda: theirs.get("k") is NO_VALUE)
