"""The part of the backend contract that is about leases and the fence."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from typing import Any

from holdover.regions.backends.base import Backend
from holdover.regions.backends.grants import Busy, Changed, Lease, LeaseKind
from holdover.regions.codecs import PickleCodec
from holdover.regions.envelope import Entry, seal
from holdover.testing.clock import FakeClock

REGION = "contract"


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


def won(
    backend: Backend,
    key: str = "k",
    seen: int | None = None,
    overtaking: Collection[LeaseKind] = (),
    *,
    ttl: float = 5.0,
) -> Lease:
    """Acquire the lease, which must be free."""
    grant = backend.acquire(key, REGION, ttl=ttl, seen=seen, overtaking=overtaking)
    assert isinstance(grant, Lease), grant
    return grant


class LeaseContract:
    """One may create; what began too early is not stored."""

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

    def test_a_queued_lease_can_be_overtaken(
        self, backend: Backend, peer: Backend
    ) -> None:
        """Who would create at once need not wait for a worker that may never come."""
        queued = backend.acquire("k", REGION, ttl=30.0, seen=None, queued=True)
        assert isinstance(queued, Lease)
        again = peer.acquire("k", REGION, ttl=30.0, seen=None, queued=True)
        assert isinstance(again, Busy)
        assert again.kind is LeaseKind.QUEUED
        won(peer, overtaking=[LeaseKind.QUEUED])
        assert backend.adopt("k", REGION, queued.token, ttl=5.0) is None

    def test_an_adopted_lease_cannot_be_overtaken(
        self, backend: Backend, peer: Backend
    ) -> None:
        """Once a worker has it, a lease is like any other."""
        queued = backend.acquire("k", REGION, ttl=30.0, seen=None, queued=True)
        assert isinstance(queued, Lease)
        assert peer.adopt("k", REGION, queued.token, ttl=5.0) is not None
        at_once = list(LeaseKind)[1:]
        busy = backend.acquire("k", REGION, ttl=5.0, seen=None, overtaking=at_once)
        assert isinstance(busy, Busy)
        assert busy.kind is LeaseKind.HELD

    def test_a_failed_creator_is_left_alone(
        self, backend: Backend, peer: Backend, clock: FakeClock
    ) -> None:
        """A pause keeps others away, says why, and lapses."""
        lease = won(backend)
        assert backend.back_off(lease, ttl=3.0, reason="ValueError: no ☃")
        busy = peer.acquire("k", REGION, ttl=5.0, seen=None)
        assert isinstance(busy, Busy)
        assert busy.kind is LeaseKind.BACKING_OFF
        assert busy.reason == "ValueError: no ☃"
        assert 0.0 < busy.expires_in <= 3.0
        assert not peer.is_locked("k")
        clock.advance(3.1)
        won(peer)

    def test_a_pause_is_nobodys(self, backend: Backend) -> None:
        """Who failed cannot renew, commit, release or hand on what he gave up."""
        lease = won(backend)
        assert backend.back_off(lease, ttl=3.0, reason="x" * 10_000)
        assert not backend.renew(lease, ttl=5.0)
        assert not backend.release(lease)
        assert not backend.back_off(lease, ttl=9.0, reason="")
        assert backend.adopt("k", REGION, lease.token, ttl=5.0) is None
        assert backend.adopt("k", REGION, "", ttl=5.0) is None
        assert backend.commit(lease, sealed(1), REGION, ttl=None) is None

    def test_a_pause_is_overtaken_or_ended(self, backend: Backend) -> None:
        """Who must have a value overtakes it; a write or a removal ends it."""
        for end in (
            lambda: won(backend, overtaking=[LeaseKind.BACKING_OFF]),
            lambda: backend.remove("k"),
            lambda: backend.write("k", sealed(1), ttl=None),
        ):
            backend.remove("k")
            backend.back_off(won(backend), ttl=3.0, reason="")
            end()
            busy = backend.leased("k")
            assert busy is None or busy.kind is LeaseKind.HELD

    def test_it_tells_what_keeps_a_key(self, backend: Backend) -> None:
        """Without a lease, nothing does."""
        assert backend.leased("k") is None
        backend.acquire("k", REGION, ttl=5.0, seen=None, queued=True)
        busy = backend.leased("k")
        assert busy is not None
        assert busy.kind is LeaseKind.QUEUED

    # -- several at once -------------------------------------------------------

    def test_several_are_leased_and_committed_at_once(
        self, backend: Backend, peer: Backend
    ) -> None:
        """Each key gets its own answer, in the order of the asking."""
        peer.write("changed", sealed("new", "changed", fence=7), ttl=None)
        won(peer, "busy")
        seen = {"a": None, "changed": 6, "busy": None, "b": 12345}
        a, changed, busy, b = backend.acquire_multi(seen, REGION, ttl=5.0)
        assert isinstance(a, Lease)
        assert isinstance(b, Lease)
        assert isinstance(busy, Busy)
        assert isinstance(changed, Changed)
        assert (a.key, b.key) == ("a", "b")
        peer.remove("b")
        done = backend.commit_multi(
            [(a, sealed(1, "a"), None), (b, sealed(2, "b"), 5.0)], REGION
        )
        assert done == [a.clock, None]
        assert peer.read("a", REGION)[0] == sealed(1, "a")
        assert peer.read("b", REGION)[0] is None

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
