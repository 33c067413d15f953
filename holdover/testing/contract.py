"""The promises of the backend port, as tests that every backend inherits.

Subclass it in your tests and give it a ``backend`` fixture::

    class TestMyBackend(BackendContract):
        @pytest.fixture
        def backend(self, clock):
            return MyBackend({"time_source": clock})
"""

from __future__ import annotations

import pytest

from holdover.regions.backends.base import Backend
from holdover.regions.codecs import PickleCodec
from holdover.regions.envelope import open_sealed
from holdover.testing.clock import FakeClock
from holdover.testing.contract_leases import (
    REGION,
    LeaseContract,
    sealed,
    together,
    won,
)

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


class BackendContract(LeaseContract):
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
