"""What has failed several times is left alone for a while."""

import subprocess
import sys

import pytest

from holdover.regions.breaker import Breaker


@pytest.fixture
def breaker(clock):
    """Opens after 3 failures, for 1 s at first and 8 s at most."""
    return Breaker(failures=3, pause=1.0, longest=8.0, time_source=clock)


def fail(breaker, times=1):
    """Let that many allowed tries fail."""
    for _ in range(times):
        assert breaker.allows()
        breaker.failed()


def test_closed_at_first(breaker):
    """It allows any number of tries."""
    assert all(breaker.allows() for _ in range(10))


def test_it_opens_after_some_failures(breaker):
    """Two in a row are forgiven, the third opens it."""
    fail(breaker, 2)
    assert breaker.allows()
    breaker.failed()
    assert not breaker.allows()


def test_failures_count_only_in_a_row(breaker):
    """A success in between starts the count anew."""
    for _ in range(5):
        fail(breaker, 2)
        breaker.succeeded()
    assert breaker.allows()


def test_one_probe_per_pause(breaker, clock):
    """After the pause exactly one caller may try, whatever becomes of him."""
    fail(breaker, 3)
    clock.advance(0.99)
    assert not breaker.allows()
    clock.advance(0.02)
    assert [breaker.allows() for _ in range(3)] == [True, False, False]
    clock.advance(1.0)
    assert breaker.allows()


def test_a_good_probe_closes(breaker, clock):
    """One success and all is as at first."""
    fail(breaker, 3)
    clock.advance(1.0)
    assert breaker.allows()
    breaker.succeeded()
    fail(breaker, 2)
    assert breaker.allows()


def test_pauses_double(breaker, clock):
    """Each failed probe doubles the pause, up to the longest."""
    fail(breaker, 3)
    for pause in (1, 2, 4, 8, 8, 8):
        clock.advance(pause - 0.01)
        assert not breaker.allows()
        clock.advance(0.02)
        fail(breaker)


def test_a_success_shortens_the_pause_again(breaker, clock):
    """The next outage begins with the first pause."""
    fail(breaker, 3)
    clock.advance(1.0)
    fail(breaker)
    clock.advance(2.0)
    assert breaker.allows()
    breaker.succeeded()
    fail(breaker, 3)
    clock.advance(1.0)
    assert breaker.allows()


def test_many_failures_at_once_are_one_outage(breaker, clock):
    """Calls that were under way when it opened are no failed probes."""
    for _ in range(32):
        assert breaker.allows()
    for _ in range(32):
        breaker.failed()
    clock.advance(1.0)
    assert breaker.allows()


FORKED = """
import os, signal, sys
from holdover.regions.breaker import Breaker
breaker = Breaker()
breaker.failed()
breaker._lock.held.acquire()
child = os.fork()
if child == 0:
    signal.alarm(30)
    for _ in range(3):
        breaker.failed()
    breaker.allows()
    os._exit(0)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_fork_while_a_thread_counts():
    """A child does not inherit a lock that somebody held in its parent."""
    done = subprocess.run([sys.executable, "-c", FORKED], timeout=60, check=False)
    assert done.returncode == 0
