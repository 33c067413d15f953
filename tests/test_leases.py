"""A lease lives for as long as its creator does, and no longer than it may."""

import contextlib
import logging
import queue
import subprocess
import sys
import threading
import time
from itertools import pairwise

import pytest

from holdover.errors import BackendError
from holdover.regions.backends.grants import Busy, Lease
from holdover.regions.backends.memory import MemoryBackend
from holdover.regions.leases import Renewals
from holdover.regions.lifetime import LeaseTerms

SOON = 20.0  # seconds: longer than any of these waits should take
TTL = 0.03
STALL = 5.0  # seconds for which a busy machine may keep a thread waiting


class Recorder:
    """A backend of which only `renew` is used.

    Args:
        answers: What it returns or raises, in turn; then True.
    """

    def __init__(self, *answers):
        self._answers = list(answers)
        self.renewed = queue.Queue()

    def renew(self, lease, *, ttl):
        self.renewed.put((lease.key, ttl, time.monotonic()))
        answer = self._answers.pop(0) if self._answers else True
        if isinstance(answer, Exception):
            raise answer
        return answer

    def wait(self):
        """Wait for the next renewal."""
        return self.renewed.get(timeout=SOON)

    def is_quiet(self):
        """Say whether none comes for several times the span in which one would."""
        try:
            self.renewed.get(timeout=5 * TTL)
        except queue.Empty:
            return True
        return False


@pytest.fixture
def renewals():
    """The renewals of a process of its own."""
    return Renewals()


def a_lease(key="k", ttl=TTL):
    """Give a lease as its holder knows it."""
    return Lease(key=key, token="t", fence=1, clock=1, ttl=ttl)


def terms(ttl=TTL, **more):
    """Give lease terms with a short ttl."""
    return LeaseTerms(ttl=ttl, **more)


def test_renewed_every_third(renewals):
    """A lease is renewed before two thirds of it are over, for its whole ttl again."""
    backend, ttl = Recorder(), 1.5
    begun = time.monotonic()
    with renewals.holding(backend, a_lease(), terms(ttl)):
        renewed = [backend.wait() for _ in range(3)]
    assert [("k", ttl)] * 3 == [(key, span) for key, span, _ in renewed]
    moments = [begun, *(moment for _, _, moment in renewed)]
    gaps = [later - earlier for earlier, later in pairwise(moments)]
    assert all(ttl / 3 - 0.001 <= gap < ttl for gap in gaps), gaps


def test_not_renewed_before_it_is_due(renewals):
    """A creator that is done within a third of the ttl costs no renewal."""
    backend = Recorder()
    with renewals.holding(backend, a_lease(), terms(60.0)):
        pass
    assert backend.renewed.empty()


@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt])
def test_not_renewed_afterwards(renewals, error):
    """Renewing ends with the block, however it is left."""
    backend = Recorder()
    with (
        contextlib.suppress(error or ()),
        renewals.holding(backend, a_lease(), terms()),
    ):
        backend.wait()
        if error is not None:
            raise error
    while not backend.renewed.empty():
        backend.wait()
    assert backend.is_quiet() or backend.is_quiet()  # one may have been under way


def test_max_hold(renewals, caplog):
    """A creator that never returns loses its lease, with a warning."""
    backend = Recorder()
    with (
        caplog.at_level(logging.WARNING, "holdover"),
        renewals.holding(backend, a_lease(), terms(max_hold=0.5)),
    ):
        begun = time.monotonic()
        last = begun
        while not caplog.records and time.monotonic() < begun + SOON:
            try:
                last = backend.renewed.get(timeout=TTL)[2]
            except queue.Empty:
                continue
        while not backend.renewed.empty():
            last = backend.wait()[2]
        assert backend.is_quiet()
    assert "max_hold" in caplog.text
    assert last - begun < 0.5 + STALL  # a busy machine's


def test_a_lost_lease_is_let_go(renewals):
    """Once another holds it, renewing ends."""
    backend = Recorder(True, False)
    with renewals.holding(backend, a_lease(), terms()):
        backend.wait()
        backend.wait()
        assert backend.is_quiet()


def test_a_failing_backend_is_tried_again(renewals, caplog):
    """The backend may be back before the lease lapses."""
    backend = Recorder(BackendError("away"), BackendError("still"), True)
    with (
        caplog.at_level(logging.WARNING, "holdover"),
        renewals.holding(backend, a_lease(), terms()),
    ):
        for _ in range(4):
            backend.wait()
    assert "could not be renewed" in caplog.text
    assert "away" in caplog.text


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_backend_with_a_bug_harms_only_itself(renewals):
    """An error of any kind ends no other lease, now or later."""
    broken, sound = Recorder(*[AttributeError("bug")] * 100), Recorder()
    with (
        renewals.holding(broken, a_lease("broken"), terms()),
        renewals.holding(sound, a_lease("sound"), terms()),
    ):
        broken.wait()
        while not sound.renewed.empty():
            sound.wait()
        sound.wait()
        sound.wait()


def test_no_thread_to_be_had(renewals, monkeypatch):
    """Where no thread can be started the creator runs all the same; later ones may."""
    backend, ran = Recorder(), []

    def refuse(self):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as context:
        context.setattr(threading.Thread, "start", refuse)
        with renewals.holding(backend, a_lease(), terms()):
            ran.append(True)
    assert ran == [True]
    with renewals.holding(backend, a_lease(), terms()):
        backend.wait()


def test_one_thread_for_all(renewals):
    """However many leases are held, one thread renews them, each in its time."""
    before = set(threading.enumerate())
    backends = [Recorder() for _ in range(10)]
    holds = [
        renewals.holding(backend, a_lease(str(number)), terms(TTL * (1 + number % 3)))
        for number, backend in enumerate(backends)
    ]
    for hold in holds:
        hold.__enter__()
    for backend in backends:
        backend.wait()
    begun = [one.name for one in set(threading.enumerate()) - before]
    assert begun.count("holdover-renewal") == 1
    for hold in holds:
        hold.__exit__(None, None, None)


def test_a_shorter_lease_is_not_kept_waiting(renewals):
    """One that comes due earlier than all others is renewed first."""
    slow, quick = Recorder(), Recorder()
    with (
        renewals.holding(slow, a_lease("slow"), terms(600.0)),
        renewals.holding(quick, a_lease("quick"), terms()),
    ):
        assert quick.wait()[0] == "quick"
    assert slow.renewed.empty()


def test_the_backend_sees_it_held(renewals):
    """A creator twice as slow as its ttl has its lease to the end."""
    backend, ttl = MemoryBackend({}), 1.5
    lease = backend.acquire("k", "r", ttl=ttl, seen=None)
    end = time.monotonic() + 2 * ttl
    with renewals.holding(backend, lease, terms(ttl)):
        while time.monotonic() < end:
            assert isinstance(backend.acquire("k", "r", ttl=ttl, seen=None), Busy)
            time.sleep(0.005)
    assert backend.release(lease)


FORKED = """
import os, signal, sys, threading
from holdover.regions.backends.grants import Lease
from holdover.regions.leases import Renewals
from holdover.regions.lifetime import LeaseTerms
renewals, terms = Renewals(), LeaseTerms(ttl=0.03)

class Recorder:
    def __init__(self):
        self.renewed = threading.Event()
    def renew(self, lease, *, ttl):
        self.renewed.set()
        return True

theirs, ours = Recorder(), Recorder()
lease = Lease(key="k", token="t", fence=1, clock=1, ttl=0.03)
with renewals.holding(theirs, lease, terms):
    theirs.renewed.wait(20)
    with renewals._lock:
        child = os.fork()
    if child == 0:
        signal.alarm(30)
        theirs.renewed = threading.Event()
        with renewals.holding(ours, lease, terms):
            assert ours.renewed.wait(20)
        assert not theirs.renewed.wait(0.1)
        os._exit(0)
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_fork_renews_only_its_own():
    """A child leaves its parent's leases alone, and can renew those it wins."""
    done = subprocess.run([sys.executable, "-c", FORKED], timeout=90, check=False)
    assert done.returncode == 0


def test_released_by_the_thread(renewals, caplog):
    """A finalizer hands a release over and does not wait; a bug in it harms none."""
    backend, released = Recorder(), threading.Event()
    with renewals.holding(backend, a_lease(), terms()):
        renewals.release_soon(lambda: 1 / 0)
        renewals.release_soon(released.set)
        assert released.wait(SOON)
        backend.wait()
    assert "could not be released" in caplog.text
