"""The part of the backend contract that takes several processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from holdover.regions.backends.base import Backend
from holdover.regions.backends.grants import Lease, LeaseKind
from holdover.testing.contract_leases import REGION, sealed, won
from holdover.testing.crew import Crew

ROUNDS = 3


def _swap(backend: Backend, number: int, key: str) -> bool:
    new = sealed(number, key, fence=100 + number)
    return backend.compare_and_set(key, new, seen=1, ttl=None)


def _acquire(backend: Backend, number: int, key: str) -> bool:
    return isinstance(backend.acquire(key, REGION, ttl=30.0, seen=None), Lease)


def _adopt(backend: Backend, number: int, lease: Lease) -> Lease | None:
    return backend.adopt(lease.key, REGION, lease.token, ttl=30.0)


def _release(backend: Backend, number: int, lease: Lease) -> bool:
    return backend.release(lease)


def _renew_or_release(backend: Backend, number: int, lease: Lease) -> bool | None:
    if number % 2:
        backend.renew(lease, ttl=30.0)
        return None
    return backend.release(lease)


def _commit(backend: Backend, number: int, lease: Lease) -> int | None:
    made = sealed(number, lease.key, fence=lease.fence)
    return backend.commit(lease, made, REGION, ttl=None)


def _commit_or_remove(backend: Backend, number: int, lease: Lease) -> None:
    if number % 2:
        _commit(backend, number, lease)
    else:
        backend.remove(lease.key)


def _commit_or_write(backend: Backend, number: int, lease: Lease) -> None:
    if number % 2:
        _commit(backend, number, lease)
    else:
        backend.write(lease.key, sealed("written", lease.key), ttl=None)


def _advance(backend: Backend, number: int, region: str) -> int:
    return backend.advance(region, hard=True).tick


_TTL = 60.0  # seconds, which no machine is too busy for

WORKS: dict[str, Callable[[Backend, int, Any], Any]] = {
    "swap": _swap,
    "acquire": _acquire,
    "adopt": _adopt,
    "release": _release,
    "renew or release": _renew_or_release,
    "commit": _commit,
    "commit or remove": _commit_or_remove,
    "commit or write": _commit_or_write,
    "advance": _advance,
}


class ProcessContract:
    """Every verb is one step, whoever else is at it.

    Eight processes race; eight threads, where the store is one process's own.
    """

    @pytest.fixture
    def make(self, backend: Backend) -> Callable[[], Backend]:
        """Make a backend on the same store, in whatever process calls it.

        Override it unless a backend of yours can be used on in the child of a fork.
        """
        return lambda: backend

    @pytest.fixture
    def crew(self, backend: Backend, make: Callable[[], Backend]) -> Iterator[Crew]:
        """Hire those who race."""
        shared = backend.capabilities.shared_by != "process"
        with Crew(make, WORKS, in_processes=shared) as crew:
            yield crew

    def test_of_racing_processes_one_swaps(self, backend: Backend, crew: Crew) -> None:
        """Of swaps that saw the same value, one is carried out; it is what is read."""
        for key in "abc":
            backend.write(key, sealed("seen", key, fence=1), ttl=None)
            swapped = crew.do("swap", key)
            assert swapped.count(True) == 1
            winner = swapped.index(True)
            expected = sealed(winner, key, fence=100 + winner)
            assert backend.read(key, REGION)[0] == expected

    def test_of_racing_processes_one_leases(self, backend: Backend, crew: Crew) -> None:
        """One acquires, one adopts, one releases, one commits."""
        for key in "abc":
            assert crew.do("acquire", key).count(True) == 1
            backend.remove(key)
            lease = won(backend, key, ttl=_TTL)
            adopted = [one for one in crew.do("adopt", lease) if one is not None]
            assert len(adopted) == 1
            assert crew.do("release", lease).count(True) == 0
            assert crew.do("release", adopted[0]).count(True) == 1
            again = won(backend, key, ttl=_TTL)
            ticks = crew.do("commit", again)
            assert len([tick for tick in ticks if tick is not None]) == 1

    def test_a_lease_is_adopted_by_another_process(
        self, backend: Backend, crew: Crew
    ) -> None:
        """What is adopted there is void here, and is committed from anywhere."""
        queued = backend.acquire("k", REGION, ttl=30.0, seen=None, queued=True)
        assert isinstance(queued, Lease)
        [adopted] = [one for one in crew.do("adopt", queued) if one is not None]
        assert not backend.renew(queued, ttl=30.0)
        busy = backend.leased("k")
        assert busy is not None
        assert busy.kind is LeaseKind.HELD
        assert backend.commit(adopted, sealed(1), REGION, ttl=None) is not None

    def test_a_renewal_does_not_bring_back_a_lease(
        self, backend: Backend, crew: Crew
    ) -> None:
        """Whoever releases while others renew has released."""
        for key in "abc":
            released = crew.do("renew or release", won(backend, key, ttl=_TTL))
            assert released.count(True) == 1
            assert backend.leased(key) is None

    def test_nobody_commits_past_a_removal(self, backend: Backend, crew: Crew) -> None:
        """What was leased before a removal is not there after it."""
        for key in "abc":
            crew.do("commit or remove", won(backend, key, ttl=_TTL))
            assert backend.read(key, REGION)[0] is None

    def test_nobody_commits_past_a_write(self, backend: Backend, crew: Crew) -> None:
        """What was leased before a write does not replace what was written."""
        for key in "abc":
            crew.do("commit or write", won(backend, key, ttl=_TTL))
            assert backend.read(key, REGION)[0] == sealed("written", key)

    def test_no_invalidation_is_lost(self, backend: Backend, crew: Crew) -> None:
        """Each of those that race has a tick of its own; the last one stands."""
        before = backend.clock(REGION).tick
        ticks = [tick for _ in range(ROUNDS) for tick in crew.do("advance", REGION)]
        assert len(set(ticks)) == len(ticks)
        assert min(ticks) > before
        state = backend.clock(REGION)
        assert max(ticks) == state.tick == state.hard_floor
