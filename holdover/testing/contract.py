"""The promises of the backend port, as tests that every backend inherits.

Subclass it in your tests and give it a ``backend`` fixture. All else is optional::

    from holdover.testing import BackendContract, Troubles

    class ShelfTroubles(Troubles):
        def __init__(self, server):
            self.server = server

        def restart(self):
            self.server.stop()
            self.server.start()

    class TestShelfBackend(BackendContract):
        cannot = BackendContract.cannot - {"restart"}

        @pytest.fixture
        def backend(self, server):
            return ShelfBackend({"url": server.url})

        @pytest.fixture
        def make(self, server):  # in another process
            return lambda: ShelfBackend({"url": server.url})

        @pytest.fixture
        def troubles(self, server):
            return ShelfTroubles(server)

A backend that takes the time from its arguments is given the fixture ``clock``, which
the tests move; one whose server judges overrides that fixture.
"""

from __future__ import annotations

import pytest

from holdover.regions.backends.base import Backend
from holdover.regions.codecs import PickleCodec
from holdover.regions.envelope import open_sealed
from holdover.regions.ticks import MOST_MARKS, Mark, Reach, Scope
from holdover.testing.clock import FakeClock
from holdover.testing.contract_leases import (
    REGION,
    LeaseContract,
    sealed,
    together,
    won,
)
from holdover.testing.contract_processes import ProcessContract
from holdover.testing.contract_troubles import TroubleContract

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


class BackendContract(LeaseContract, ProcessContract, TroubleContract):
    """What `Backend` promises, whatever the store.

    Attributes:
        expires_by_itself: Whether the store removes what is past its ttl, so that
            nothing is left to purge.
    """

    expires_by_itself = False

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

    def test_a_reader_reads_what_is_there(
        self, backend: Backend, peer: Backend
    ) -> None:
        """Each time, whoever has changed it, and with the tick of that time."""
        read = backend.reader("k", REGION)
        assert read() == backend.read("k", REGION)
        for number in range(3):
            writer = (backend, peer)[number % 2]
            writer.write("k", sealed(number), ttl=60.0)
            assert [read() for _ in range(3)] == [backend.read("k", REGION)] * 3
            assert read()[0] == sealed(number)
        before = read()
        tick = peer.advance(REGION, hard=True).tick
        assert read() == (before[0], tick)
        peer.remove("k")
        assert read() == (None, tick)
        peer.write("k", sealed(4), ttl=60.0)
        assert read() == (sealed(4), tick)

    def test_a_write_at_a_tick(self, backend: Backend, peer: Backend) -> None:
        """It is done while the clock stands there, and refused once it has moved."""
        tick = backend.tick(REGION)
        assert backend.write_at("k", sealed(1), REGION, tick=tick, ttl=60.0) == tick
        assert peer.read("k", REGION) == (sealed(1), tick)
        moved = peer.advance(REGION, hard=True).tick
        told = backend.write_at("k", sealed(2), REGION, tick=tick, ttl=None)
        assert told == moved
        assert peer.read("k", REGION) == (sealed(1), moved)
        assert backend.write_at("k", sealed(3), REGION, tick=told, ttl=None) == told
        assert peer.read("k", REGION)[0] == sealed(3)

    def test_a_write_at_a_tick_ends_a_lease(
        self, backend: Backend, peer: Backend
    ) -> None:
        """What was being created meanwhile is not stored."""
        lease = won(backend)
        tick = backend.tick(REGION)
        assert peer.write_at("k", sealed(1), REGION, tick=tick, ttl=None) == tick
        assert backend.commit(lease, sealed(2), REGION, ttl=None) is None
        assert peer.read("k", REGION)[0] == sealed(1)

    def test_remove_tells_whether_there_was_a_value(self, backend: Backend) -> None:
        """Removing is idempotent and says what it did."""
        backend.write("k", sealed(1), ttl=None)
        assert backend.remove("k") is True
        assert backend.remove("k") is False
        assert backend.read("k", REGION)[0] is None

    def test_purge_removes_what_is_past_its_ttl(
        self, backend: Backend, clock: FakeClock
    ) -> None:
        """Purging leaves exactly the entries within their ttl, and counts."""
        backend.write("short", sealed(1), ttl=5.0)
        backend.write("long", sealed(2), ttl=50.0)
        backend.write("endless", sealed(3), ttl=None)
        clock.advance(6.0)
        assert backend.purge() == (0 if self.expires_by_itself else 1)
        present = [backend.read(k, REGION)[0] is not None for k in ("short", "long")]
        assert present == [False, True]
        assert backend.read("endless", REGION)[0] is not None

    def test_what_lasts_is_shared(self, backend: Backend, peer: Backend) -> None:
        """Where a backend keeps what must not be evicted, all find it, and one wins."""
        kept, theirs = backend.lasting(), peer.lasting()
        if kept is None or theirs is None:
            assert kept is theirs, "one of them has such a place, and the other has not"
            return
        assert kept.compare_and_set("k", sealed(1), seen=None, ttl=None)
        assert not theirs.compare_and_set("k", sealed(2), seen=None, ttl=None)
        backend.purge()
        assert theirs.read("k", REGION)[0] == sealed(1)

    def test_several_at_once(self, backend: Backend, peer: Backend) -> None:
        """Many are written, read in the order of the asking, and removed."""
        backend.write_multi({k: sealed(k, k) for k in HOSTILE_KEYS}, ttl=60.0)
        wanted = ["missing", *reversed(HOSTILE_KEYS)]
        stored, tick = peer.read_multi(wanted, REGION)
        assert stored == [None, *(sealed(k, k) for k in reversed(HOSTILE_KEYS))]
        assert tick == backend.clock(REGION).tick
        assert peer.remove_multi(["missing", *HOSTILE_KEYS]) is True
        assert peer.remove_multi(HOSTILE_KEYS) is False
        assert backend.read_multi(wanted, REGION)[0] == [None] * len(wanted)
        assert backend.read_multi([], REGION)[0] == []

    def test_writing_several_ends_leases(self, backend: Backend) -> None:
        """What began before several were set or removed does not replace them."""
        leases = [won(backend, key) for key in "abc"]
        backend.write_multi({"a": sealed("set", "a")}, ttl=None)
        backend.remove_multi(["b"])
        commits = [(one, sealed("old", one.key), None) for one in leases]
        a, b, c = backend.commit_multi(commits, REGION)
        assert (a, b) == (None, None)
        assert c is not None

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

    def test_a_mark_reaches_a_part(self, backend: Backend, peer: Backend) -> None:
        """A tag or prefix is noted with its tick, and moves no floor."""
        before = backend.clock(REGION)
        tag, prefix = Reach(Scope.TAG, "a ☃"), Reach(Scope.PREFIX, "p:")
        first = backend.advance(REGION, hard=True, reaches=[tag, prefix])
        second = peer.advance(REGION, hard=False, reaches=[tag])
        assert before.tick < first.tick < second.tick
        assert (second.hard_floor, second.soft_floor) == (
            before.hard_floor,
            before.soft_floor,
        )
        assert backend.clock(REGION).marks == {
            Mark(tag, hard=True): first.tick,
            Mark(prefix, hard=True): first.tick,
            Mark(tag, hard=False): second.tick,
        }
        newer = backend.clock(REGION, since=first.tick)
        assert newer.marks[Mark(tag, hard=False)] == second.tick
        assert backend.read("k", REGION)[1] == second.tick

    def test_too_many_marks_raise_a_floor(self, backend: Backend) -> None:
        """Forgotten marks reach more than they did, never less."""
        reaches = [Reach(Scope.TAG, f"tag{n}") for n in range(MOST_MARKS)]
        first = backend.advance(REGION, hard=True, reaches=reaches[:1])
        last = backend.advance(REGION, hard=True, reaches=reaches)
        assert backend.clock(REGION).hard_floor < first.tick
        more = [Reach(Scope.TAG, "one more")]
        state = backend.advance(REGION, hard=False, reaches=more)
        assert state.hard_floor == state.soft_floor == last.tick
        assert backend.clock(REGION) == state
        assert state.marks == {Mark(more[0], hard=False): state.tick}

    @pytest.mark.parametrize("hard", [True, False])
    def test_a_clock_that_begins_was_never_invalidated(
        self, backend: Backend, *, hard: bool
    ) -> None:
        """Its first floor is told from that of an invalidation, by all who share it."""
        assert not backend.clock(REGION).was_invalidated
        backend.advance(REGION, hard=hard)
        assert backend.clock(REGION).was_invalidated

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
