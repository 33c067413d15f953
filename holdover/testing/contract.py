"""The promises of the backend port, as tests that every backend inherits.

Subclass it in your tests and give it a ``backend`` fixture::

    class TestMyBackend(BackendContract):
        @pytest.fixture
        def backend(self, clock):
            return MyBackend({"time_source": clock})
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from holdover.regions.backends.base import Backend, Busy, Changed, Lease
from holdover.regions.codecs import PickleCodec
from holdover.regions.envelope import Entry, open_sealed, seal
from holdover.testing.clock import FakeClock

REGION = "contract"
HOSTILE_KEYS = [
    "plain",
    "with space",
    "snow ☃ and 𝔘nicode",
    "new\nline\r\nand tab\t",
    "nul\0byte",
    "../../etc/passwd",
    "/absolute",
    "{braces}",
    "lone surrogate \ud800",
    "k" * 10_000,
    "",
]


def sealed(value: Any, key: str = "k", fence: int = 1) -> bytes:
    """Give an envelope to store."""
    entry = Entry(value, created_at=0.0, fence=fence)
    return seal(entry, key, PickleCodec())


def together(count: int, work: Callable[[int], Any]) -> list[Any]:
    """Run *work* in *count* threads that start at the same moment."""
    results: list[Any] = [None] * count
    barrier = threading.Barrier(count)

    def run(number: int) -> None:
        barrier.wait()
        results[number] = work(number)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


class BackendContract:
    """What `Backend` promises, whatever the store."""

    @pytest.fixture
    def clock(self) -> FakeClock:
        """Move the time that the backend under test goes by."""
        return FakeClock()

    @pytest.fixture
    def peer(self, backend: Backend) -> Backend:
        """Share the store, as another process does. Override where that differs."""
        return backend

    # -- reading and writing ---------------------------------------------------

    def test_a_missing_key_reads_as_nothing(self, backend: Backend) -> None:
        """Reading what is not there gives None, and a tick all the same."""
        stored, tick = backend.read("k", REGION)
        assert stored is None
        assert tick == backend.clock(REGION).tick

    @pytest.mark.parametrize("size", [0, 1, 100_000, 5_000_000])
    def test_bytes_come_back_as_they_were(
        self, backend: Backend, peer: Backend, size: int
    ) -> None:
        """Values of any size come back unchanged, to everyone who shares the store."""
        written = sealed(b"x" * size)
        backend.write("k", written, ttl=60.0)
        assert peer.read("k", REGION)[0] == written

    @pytest.mark.parametrize("key", HOSTILE_KEYS, ids=range(len(HOSTILE_KEYS)))
    def test_any_text_is_a_key(self, backend: Backend, key: str) -> None:
        """No key is mistaken for another one, refused or interpreted."""
        for other in HOSTILE_KEYS:
            backend.write(other, sealed(other, other), ttl=None)
        stored, _ = backend.read(key, REGION)
        assert isinstance(stored, bytes)
        assert open_sealed(stored, key, PickleCodec()).value == key

    def test_a_write_replaces(self, backend: Backend, peer: Backend) -> None:
        """The last of two writes is what is read."""
        backend.write("k", sealed("old"), ttl=None)
        peer.write("k", sealed("new"), ttl=None)
        assert backend.read("k", REGION)[0] == sealed("new")

    def test_remove_tells_whether_there_was_a_value(self, backend: Backend) -> None:
        """Removing is idempotent and says what it did."""
        backend.write("k", sealed(1), ttl=None)
        assert backend.remove("k") is True
        assert backend.remove("k") is False
        assert backend.read("k", REGION)[0] is None

    def test_purge_removes_what_is_past_its_ttl(
        self, backend: Backend, clock: FakeClock
    ) -> None:
        """Purging removes exactly the entries past their ttl, and counts them."""
        backend.write("short", sealed(1), ttl=5.0)
        backend.write("long", sealed(2), ttl=50.0)
        backend.write("endless", sealed(3), ttl=None)
        clock.advance(6.0)
        assert backend.purge() == 1
        present = [backend.read(k, REGION)[0] is not None for k in ("short", "long")]
        assert present == [False, True]
        assert backend.read("endless", REGION)[0] is not None

    # -- compare and set -------------------------------------------------------

    def test_swap_into_nothing(self, backend: Backend, peer: Backend) -> None:
        """With seen=None a value is stored only where there is none."""
        first = backend.compare_and_set("k", sealed(1, fence=1), seen=None, ttl=None)
        second = peer.compare_and_set("k", sealed(2, fence=2), seen=None, ttl=None)
        assert (first, second) == (True, False)
        assert backend.read("k", REGION)[0] == sealed(1, fence=1)

    def test_swap_over_what_was_seen(self, backend: Backend) -> None:
        """With a fence a value is stored only over the value that carries it."""
        backend.write("k", sealed(1, fence=1), ttl=None)
        assert not backend.compare_and_set("k", sealed(2), seen=99, ttl=None)
        assert not backend.compare_and_set("k", sealed(2), seen=None, ttl=None)
        assert backend.compare_and_set("k", sealed(2, fence=2), seen=1, ttl=None)
        assert backend.read("k", REGION)[0] == sealed(2, fence=2)

    def test_of_many_swaps_one_wins(self, backend: Backend, peer: Backend) -> None:
        """Of swaps that saw the same value, one is carried out."""

        def swap(number: int) -> bool:
            mine = (backend, peer)[number % 2]
            new = sealed(number, fence=number + 1)
            return mine.compare_and_set("k", new, seen=None, ttl=None)

        assert together(8, swap).count(True) == 1

    # -- leases ----------------------------------------------------------------

    def test_a_lease_is_granted_once(self, backend: Backend, peer: Backend) -> None:
        """While one holds the lease, others are told for how long."""
        lease = won(backend)
        busy = peer.acquire("k", REGION, ttl=5.0, seen=None)
        assert isinstance(busy, Busy)
        assert 0.0 < busy.expires_in <= 5.0
        assert lease.clock == backend.clock(REGION).tick
        assert backend.is_locked("k")

    def test_of_many_who_ask_one_wins(self, backend: Backend, peer: Backend) -> None:
        """Of those who ask at the same moment, one gets the lease."""

        def ask(number: int) -> object:
            mine = (backend, peer)[number % 2]
            return mine.acquire("k", REGION, ttl=5.0, seen=None)

        grants = together(8, ask)
        assert [type(grant) for grant in grants].count(Lease) == 1

    def test_a_lease_lapses(self, backend: Backend, clock: FakeClock) -> None:
        """After its ttl another may have it, with a new token and fence."""
        first = won(backend)
        clock.advance(5.1)
        assert not backend.is_locked("k")
        second = won(backend)
        assert first.token != second.token
        assert first.fence != second.fence

    def test_keys_are_leased_apart(self, backend: Backend) -> None:
        """One key's lease says nothing about another's."""
        won(backend, "a")
        won(backend, "b")

    def test_acquire_gives_a_newer_value_instead(self, backend: Backend) -> None:
        """Whoever asks on the ground of an old value gets to see the new one."""
        backend.write("k", sealed("new", fence=7), ttl=None)
        for seen in (None, 6):
            changed = backend.acquire("k", REGION, ttl=5.0, seen=seen)
            assert isinstance(changed, Changed)
            assert changed.stored == sealed("new", fence=7)
        won(backend, seen=7)

    def test_acquire_over_a_value_that_has_gone(self, backend: Backend) -> None:
        """That the value which was seen has vanished is no reason not to create."""
        won(backend, seen=12345)

    def test_renewal_prolongs(self, backend: Backend, clock: FakeClock) -> None:
        """A renewed lease lasts its ttl from then on."""
        lease = won(backend)
        clock.advance(4.0)
        assert backend.renew(lease, ttl=5.0)
        clock.advance(4.0)
        assert isinstance(backend.acquire("k", REGION, ttl=5.0, seen=None), Busy)

    def test_a_lost_lease_is_not_renewed_or_released(
        self, backend: Backend, clock: FakeClock
    ) -> None:
        """Token decides: an old holder cannot touch his successor's lease."""
        first = won(backend)
        clock.advance(5.1)
        won(backend)
        assert not backend.renew(first, ttl=5.0)
        assert not backend.release(first)
        assert isinstance(backend.acquire("k", REGION, ttl=5.0, seen=None), Busy)

    def test_release_frees(self, backend: Backend, peer: Backend) -> None:
        """A released lease is free at once, and cannot be released again."""
        lease = won(backend)
        assert backend.release(lease)
        assert not backend.release(lease)
        won(peer)

    def test_adoption_swaps_the_token(self, backend: Backend, peer: Backend) -> None:
        """Who brings the token gets the lease under a new one; the old one is void."""
        lease = won(backend)
        adopted = peer.adopt("k", REGION, lease.token, ttl=5.0)
        assert adopted is not None
        assert adopted.token != lease.token
        assert adopted.fence == lease.fence
        assert peer.adopt("k", REGION, lease.token, ttl=5.0) is None
        assert not backend.release(lease)
        assert peer.commit(adopted, sealed(1), REGION, ttl=None) is not None

    def test_adoption_of_what_is_over(self, backend: Backend) -> None:
        """A lease that was committed or released cannot be adopted."""
        lease = won(backend)
        backend.commit(lease, sealed(1, fence=lease.fence), REGION, ttl=None)
        assert backend.adopt("k", REGION, lease.token, ttl=5.0) is None

    # -- the fence -------------------------------------------------------------

    def test_commit_stores_and_frees(self, backend: Backend, peer: Backend) -> None:
        """What the holder created is stored, and the key is free."""
        lease = won(backend)
        stored = sealed("made", fence=lease.fence)
        assert backend.commit(lease, stored, REGION, ttl=None) == lease.clock
        assert peer.read("k", REGION)[0] == stored
        assert not peer.is_locked("k")
        assert backend.commit(lease, stored, REGION, ttl=None) is None

    def test_commit_after_remove_is_refused(
        self, backend: Backend, peer: Backend
    ) -> None:
        """What began before an invalidation is not stored after it."""
        lease = won(backend)
        peer.remove("k")
        assert backend.commit(lease, sealed("old"), REGION, ttl=None) is None
        assert backend.read("k", REGION)[0] is None

    def test_commit_after_write_is_refused(
        self, backend: Backend, peer: Backend
    ) -> None:
        """What began before a set does not replace it."""
        lease = won(backend)
        peer.write("k", sealed("set"), ttl=None)
        assert backend.commit(lease, sealed("old"), REGION, ttl=None) is None
        assert backend.read("k", REGION)[0] == sealed("set")

    def test_commit_after_a_swap_is_refused(self, backend: Backend) -> None:
        """What began before a compare-and-set does not replace it."""
        lease = won(backend)
        backend.compare_and_set("k", sealed("swapped"), seen=None, ttl=None)
        assert backend.commit(lease, sealed("old"), REGION, ttl=None) is None

    def test_commit_after_another_acquire_is_refused(
        self, backend: Backend, clock: FakeClock
    ) -> None:
        """Who overslept his lease does not overwrite his successor."""
        first = won(backend)
        clock.advance(5.1)
        second = won(backend)
        assert backend.commit(first, sealed("late"), REGION, ttl=None) is None
        assert backend.commit(second, sealed("new"), REGION, ttl=None) is not None

    def test_commit_after_lapse_without_rival(
        self, backend: Backend, clock: FakeClock
    ) -> None:
        """Who was slow but alone may still store, or is refused; never half of it."""
        lease = won(backend)
        clock.advance(5.1)
        stored = backend.commit(lease, sealed("slow"), REGION, ttl=None)
        expected = None if stored is None else sealed("slow")
        assert backend.read("k", REGION)[0] == expected

    # -- the region clock ------------------------------------------------------

    def test_a_hard_invalidation_moves_both_floors(
        self, backend: Backend, peer: Backend
    ) -> None:
        """The tick grows, and everything from before is below both floors."""
        before = backend.clock(REGION)
        after = backend.advance(REGION, hard=True)
        assert before.tick < after.tick == after.hard_floor == after.soft_floor
        assert peer.clock(REGION) == after
        assert peer.read("k", REGION)[1] == after.tick

    def test_a_soft_invalidation_moves_one_floor(self, backend: Backend) -> None:
        """The tick grows, and everything from before is below the soft floor only."""
        before = backend.clock(REGION)
        after = backend.advance(REGION, hard=False)
        assert before.tick < after.tick == after.soft_floor
        assert before.hard_floor == after.hard_floor

    def test_regions_have_clocks_of_their_own(self, backend: Backend) -> None:
        """Invalidating one region leaves the others alone."""
        before = backend.clock("other")
        backend.advance(REGION, hard=True)
        assert backend.clock("other") == before

    def test_commit_tells_of_an_invalidation_meanwhile(self, backend: Backend) -> None:
        """The tick that commit returns shows what happened since acquire."""
        lease = won(backend)
        after = backend.advance(REGION, hard=True)
        stored = sealed(1, fence=lease.fence)
        assert backend.commit(lease, stored, REGION, ttl=None) == after.tick

    def test_ticks_grow_though_the_clock_goes_back(
        self, backend: Backend, clock: FakeClock
    ) -> None:
        """No two invalidations have the same tick, whatever the time of day."""
        first = backend.advance(REGION, hard=True)
        clock.set_wall(5.0)
        assert backend.advance(REGION, hard=True).tick > first.tick


def won(backend: Backend, key: str = "k", seen: int | None = None) -> Lease:
    """Acquire the lease for 5 s, which must be free."""
    grant = backend.acquire(key, REGION, ttl=5.0, seen=seen)
    assert isinstance(grant, Lease), grant
    return grant
