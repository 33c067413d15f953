"""The part of the backend contract that is about a store in trouble."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from typing import Any, ClassVar

import pytest

from holdover.regions.backends.base import Backend
from holdover.regions.errors import BackendError
from holdover.regions.ticks import EPOCH_MASK
from holdover.testing.clock import FakeClock
from holdover.testing.contract_leases import REGION, sealed, won

_RECOVERY = 20.0  # seconds that a store may need until it works again
_LARGE = "x" * 50_000  # what a full store has no room for


class Troubles:
    """What can happen to a store; tests of a backend bring their own.

    Each of ``down``, ``hung``, ``full`` and ``readonly`` gives a context manager: the
    trouble begins and ends with its block.
    """

    def restart(self) -> None:
        """Stop the store and start it again."""
        raise NotImplementedError

    def evict(self) -> None:
        """Have the store drop all that it may drop."""
        raise NotImplementedError

    def down(self) -> AbstractContextManager[object]:
        """Be out of reach."""
        raise NotImplementedError

    def hung(self) -> AbstractContextManager[object]:
        """Answer nothing, and refuse nothing."""
        raise NotImplementedError

    def full(self) -> AbstractContextManager[object]:
        """Have no room for another 50 KB."""
        raise NotImplementedError

    def readonly(self) -> AbstractContextManager[object]:
        """Let nobody write."""
        raise NotImplementedError


class TroubleContract:
    """Every verb works or raises `BackendError`, in time; nothing is wrong after it.

    Attributes:
        cannot: What cannot happen to the store, or what a test cannot bring about:
            names of methods of `Troubles`. There are no tests of it then.
        patience: Seconds that a verb may take in trouble.
    """

    cannot: ClassVar[frozenset[str]] = frozenset(
        {"restart", "evict", "down", "hung", "full", "readonly"}
    )
    patience: ClassVar[float] = 3.0

    def __init_subclass__(cls, **options: Any) -> None:
        """Leave out the tests of what cannot happen."""
        super().__init_subclass__(**options)
        for name, test in vars(TroubleContract).items():
            is_replaced = getattr(cls, name) not in (None, test)
            if name.startswith("test_") and not is_replaced:
                trouble = name.rpartition("_")[2]
                setattr(cls, name, None if trouble in cls.cannot else test)

    @pytest.fixture
    def clock(self) -> FakeClock:
        """Move the time that the backend under test goes by."""
        return FakeClock()

    @pytest.fixture
    def troubles(self) -> Troubles:
        """Bring about what the class does not exclude."""
        return Troubles()

    @pytest.fixture
    def hasty(self, backend: Backend) -> Backend:
        """Use the store with short time limits. Override where others are longer."""
        return backend

    # -- what is lost ----------------------------------------------------------

    def test_nothing_old_after_a_restart(
        self, hasty: Backend, troubles: Troubles, clock: FakeClock
    ) -> None:
        """What began before it is not stored over what came after, nor served."""
        _survives(hasty, clock, troubles.restart)

    def test_nothing_old_after_an_evict(
        self, hasty: Backend, troubles: Troubles, clock: FakeClock
    ) -> None:
        """Neither when leases and clocks are gone."""
        _survives(hasty, clock, troubles.evict)

    # -- what fails ------------------------------------------------------------

    def test_while_it_is_down(self, hasty: Backend, troubles: Troubles) -> None:
        """Out of reach, each verb says so; then all goes on."""
        self._endure(hasty, troubles.down)

    def test_while_it_is_hung(self, hasty: Backend, troubles: Troubles) -> None:
        """Without an answer, each verb gives up in time."""
        self._endure(hasty, troubles.hung)

    def test_while_it_is_full(self, hasty: Backend, troubles: Troubles) -> None:
        """Where nothing more can be stored, nothing old stays."""
        self._endure(hasty, troubles.full)

    def test_while_it_is_readonly(self, hasty: Backend, troubles: Troubles) -> None:
        """Where nothing can be written, nothing is taken for written."""
        self._endure(hasty, troubles.readonly)

    def _endure(
        self, backend: Backend, trouble: Callable[[], AbstractContextManager[object]]
    ) -> None:
        verbs = dict(_verbs(backend))
        with trouble():
            done = dict(self._attempts(verbs))
        assert "written" not in done, "there was no trouble"
        wait_until_it_works(backend)
        _check_what_was_done(backend, done)

    def _attempts(
        self, verbs: Mapping[str, Callable[[], Any]]
    ) -> Iterator[tuple[str, Any]]:
        """Give what came of those verbs that worked."""
        for name, verb in verbs.items():
            began = time.monotonic()
            with suppress(BackendError):  # which is what a store in trouble may say
                yield name, verb()
            took = time.monotonic() - began
            assert took < self.patience, (name, took)


def _verbs(backend: Backend) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Prepare a key for each verb, and give the verbs."""
    for key in ("read", "written", "swapped", "removed"):
        backend.write(key, sealed("old", key, fence=1), ttl=None)
    leases = {
        key: won(backend, key)
        for key in ("committed", "renewed", "adopted", "released", "paused")
    }
    large = {key: sealed(_LARGE, key, fence=2) for key in ("written", "swapped")}
    made = sealed(_LARGE, "committed", fence=2)
    held = leases["adopted"]
    yield "read", lambda: backend.read("read", REGION)
    yield "read_multi", lambda: backend.read_multi(["read", "missing"], REGION)
    yield "written", lambda: backend.write("written", large["written"], ttl=60.0)
    yield (
        "swapped",
        lambda: backend.compare_and_set("swapped", large["swapped"], seen=1, ttl=60.0),
    )
    yield "removed", lambda: backend.remove("removed")
    yield "acquired", lambda: backend.acquire("new", REGION, ttl=5.0, seen=None)
    yield (
        "committed",
        lambda: backend.commit(leases["committed"], made, REGION, ttl=60.0),
    )
    yield "renewed", lambda: backend.renew(leases["renewed"], ttl=5.0)
    yield "adopted", lambda: backend.adopt("adopted", REGION, held.token, ttl=5.0)
    yield "released", lambda: backend.release(leases["released"])
    yield "paused", lambda: backend.back_off(leases["paused"], ttl=1.0, reason="x")
    yield "leased", lambda: backend.leased("renewed")
    yield "clock", lambda: backend.clock(REGION)
    yield "advanced", lambda: backend.advance(REGION, hard=True)
    yield "purge", backend.purge


def _check_what_was_done(backend: Backend, done: Mapping[str, Any]) -> None:
    """Nothing that was acknowledged is undone, and nothing is half there."""
    for key in ("written", "swapped", "committed"):
        stored, _ = backend.read(key, REGION)
        new, old = sealed(_LARGE, key, fence=2), sealed("old", key, fence=1)
        assert stored in ((None, new) if done.get(key) else (None, new, old)), key
    if "removed" in done:
        assert backend.read("removed", REGION)[0] is None
    if "read" in done:
        assert done["read"][0] in (None, sealed("old", "read", fence=1))
    if "advanced" in done:
        tick, now = done["advanced"].tick, backend.clock(REGION)
        is_another_clock = (tick ^ now.tick) & EPOCH_MASK  # of which all older is gone
        assert is_another_clock or now.hard_floor >= tick


def wait_until_it_works(backend: Backend) -> None:
    """Use a store until it does what it is asked; fail if that takes too long."""
    deadline = time.monotonic() + _RECOVERY
    while True:
        try:
            backend.write("works", sealed("works", "works"), ttl=None)
            assert backend.read("works", REGION)[0] == sealed("works", "works")
            backend.release(won(backend, "free"))
            backend.advance("works", hard=True)
        except BackendError:
            assert time.monotonic() < deadline, "it does not work again"
            time.sleep(0.02)
        else:
            return


def _survives(backend: Backend, clock: FakeClock, loss: Callable[[], None]) -> None:
    """Hold leases over a loss, and see them refused where something came after it."""
    overtaken, removed = won(backend, "overtaken"), won(backend, "removed")
    invalidated = won(backend, "invalidated")
    backend.remove("removed")
    backend.advance(REGION, hard=True)
    clock.advance(1.0)
    loss()
    wait_until_it_works(backend)
    clock.advance(6.0)  # whoever still held the lease has lost it
    later = won(backend, "overtaken")
    new = sealed("new", "overtaken", fence=later.fence)
    assert backend.commit(later, new, REGION, ttl=None) is not None
    old = sealed("old", "overtaken", fence=overtaken.fence)
    assert backend.commit(overtaken, old, REGION, ttl=None) is None
    assert backend.read("overtaken", REGION)[0] == new
    assert backend.commit(removed, old, REGION, ttl=None) is None
    assert backend.read("removed", REGION)[0] is None
    assert backend.clock(REGION).hard_floor > invalidated.clock
