"""What one call takes: on the whole, and where nothing disturbs it."""

import benchmark_tools  # noqa: F401 - tells where the next are
import pytest
from peers import timing
from peers.timing import TaskTimer, Timer, timer_of

COST = 4e-6  # seconds, of one call


class Clock:
    """A clock that moves by what calls cost, and by what disturbs some of them."""

    def __init__(self):
        self.now = 0.0
        self.calls = 0
        self.disturbing = set()

    def perf_counter(self):
        """Say what time it is."""
        return self.now

    def call(self):
        """Cost what it costs."""
        self.calls += 1
        self.now += COST + (0.001 if self.calls in self.disturbing else 0)
        return "value"

    async def awaited(self):
        """Cost the same."""
        return self.call()


@pytest.fixture
def clock(monkeypatch):
    """The clock that timers look at."""
    clock = Clock()
    monkeypatch.setattr(timing, "time", clock)
    return clock


@pytest.fixture
def tasks(clock):
    """A timer of calls that are awaited."""
    timer = TaskTimer(clock.awaited)
    yield timer
    timer._loop.close()


def test_undisturbed(clock):
    """Both figures are what a call costs."""
    assert timing.Round(*map(pytest.approx, (4, 4))) == Timer(clock.call).time(0.02)


def test_disturbed(clock):
    """The mean has what disturbed it; the fastest millisecond has not."""
    timer = Timer(clock.call)
    timer.settle()
    clock.disturbing = {clock.calls + 1}
    mean, fastest = timer.time(0.02)
    assert fastest == pytest.approx(4)
    assert mean > 4.1


def test_the_clock_is_looked_at_rarely(clock):
    """About a millisecond passes in between, so that looking costs nothing."""
    timer = Timer(clock.call)
    timer.settle()
    before = clock.calls
    timer.time(0)
    assert 0.0005 <= (clock.calls - before) * COST <= 0.001


def test_a_call_that_takes_long(clock):
    """At least one is made, however short the time."""
    clock.disturbing = range(1_000_000)
    timer = Timer(clock.call)
    timer.settle()
    before = clock.calls
    assert timer.time(0).mean == pytest.approx(1004)
    assert clock.calls == before + 1


def test_awaited(tasks, clock):
    """Calls that are awaited are timed as others are."""
    assert tasks.once() == "value"
    tasks.settle()
    assert timing.Round(*map(pytest.approx, (4, 4))) == tasks.time(0.02)


def test_a_crowd_of_threads():
    """They share their calls' time, and stay from round to round."""
    timer = timer_of(lambda: None, "threads")
    first, second = timer.time(0.001), timer.time(0.001)
    timer._pool.shutdown()
    assert min(*first, *second) > 0


def test_a_crowd_of_tasks():
    """So do tasks."""

    async def call():
        return None

    timer = timer_of(call, "threads")
    found = timer.time(0.001)
    timer._loop.close()
    assert found.mean == found.fastest > 0
