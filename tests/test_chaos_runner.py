"""A runner that loses, doubles, delays and refuses orders; regions cope with it."""

import copy
import threading

import pytest
from standins import UnservedQueue
from waiting import PATIENCE, wait_until

from holdover import LeaseTerms, make_region
from holdover.errors import ConfigurationError, RunnerUnavailable, UnknownName
from holdover.events import OrderDropped, OrderFailed, Refreshed
from holdover.regions.refresh.base import Job
from holdover.regions.refresh.inline import InlineRunner
from holdover.regions.refresh.thread import ThreadRunner
from holdover.testing import ChaosRunner, Oracle, hammer


class Noting:
    """A runner that notes what it is given."""

    name = "noting"
    takes_orders = False
    leaves_process = False
    modules = ("shop",)

    def __init__(self):
        self.jobs = []
        self.came = threading.Event()
        self.execute = None

    def bind(self, execute):
        self.execute = execute

    def submit(self, job):
        self.jobs.append(job.key)
        self.came.set()


def job(key="k"):
    """Make one that nobody carries out."""
    return Job(key=key, carry_out=lambda: None, order=None)


def test_calm_it_is_the_runner_behind_it():
    """With all that it may have besides."""
    behind = Noting()
    chaos = ChaosRunner(behind, losing=0.0)
    chaos.bind(len)
    chaos.submit(job())
    assert behind.jobs == ["k"]
    assert behind.execute is len
    assert (chaos.name, chaos.modules) == ("noting", ("shop",))
    assert not hasattr(chaos, "is_eager")
    assert ChaosRunner(InlineRunner()).is_eager
    queue = ChaosRunner(UnservedQueue(leaves_process=True))
    assert (queue.takes_orders, queue.leaves_process) == (True, True)
    assert type(ChaosRunner("thread").runner) is ThreadRunner
    assert copy.copy(chaos).modules == ("shop",)


def test_what_befalls_an_order():
    """It is refused, lost, doubled, or late."""
    behind = Noting()
    chaos = ChaosRunner(behind, refusing=1.0, delay=0.0)
    with pytest.raises(RunnerUnavailable):
        chaos.submit(job())
    chaos.trouble(losing=1.0)
    chaos.submit(job())
    assert behind.jobs == []
    chaos.trouble(doubling=1.0)
    chaos.submit(job("twice"))
    assert behind.jobs == ["twice"] * 2
    behind.came.clear()
    chaos.trouble(late=1.0)
    chaos.submit(job("late"))
    assert behind.came.wait(PATIENCE)
    assert behind.jobs == ["twice", "twice", "late"]


def test_what_is_late_and_refused_is_lost():
    """Nobody is there any more who could be told."""
    failed = threading.Event()

    class Refusing(Noting):
        def submit(self, job):
            failed.set()
            raise OSError("the broker is away")

    ChaosRunner(Refusing(), late=1.0, delay=0.0).submit(job())
    assert failed.wait(PATIENCE)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"runner": 5}, "needs a runner, got 5"),
        ({"loosing": 0.1}, "no trouble of ChaosRunner 'loosing'. Did you mean"),
        ({"losing": 2.0}, "losing must be a chance"),
        ({"delay": -1.0}, "delay must"),
    ],
)
def test_what_makes_no_sense(wrong, named):
    """It says what was wanted."""
    with pytest.raises(ConfigurationError, match=named):
        ChaosRunner(**wrong)
    with pytest.raises(UnknownName):
        ChaosRunner("celeryy")


@pytest.fixture
def stale(heard, counter):
    """A region with a stale value, and what happens there."""

    def make(runner, **settings):
        region = make_region("chaos").configure(
            "holdover.memory", 60, runner=runner, **settings
        )
        region.set("k", "old")
        region.invalidate(hard=False)
        return region, heard(region), counter

    return make


def of_kind(events, kind):
    """Give the events of one kind."""
    return [one for one in events if isinstance(one, kind)]


class TestRegion:
    def test_a_lost_order_is_ordered_again(self, stale):
        """Meanwhile the old value is served; its lease lapses, and another goes out."""
        chaos = ChaosRunner(losing=1.0)
        region, _, create = stale(chaos, lease=LeaseTerms(ttl=0.05, queue_ttl=0.05))
        assert [region.get_or_create("k", create) for _ in range(5)] == ["old"] * 5
        chaos.calm()
        assert wait_until(lambda: region.get_or_create("k", create) != "old")
        assert region.get("k") == 1

    def test_a_doubled_order_counts_once(self, stale):
        """The second finds another lease, and nothing runs."""
        region, events, create = stale(ChaosRunner(doubling=1.0))
        assert region.get_or_create("k", create) == "old"
        wait_until(lambda: of_kind(events, OrderDropped) and of_kind(events, Refreshed))
        assert create() == 2  # it was called once

    def test_a_late_order_is_carried_out(self, stale):
        """While its lease waits for it."""
        region, events, create = stale(ChaosRunner(late=1.0))
        assert region.get_or_create("k", create) == "old"
        wait_until(lambda: of_kind(events, Refreshed))
        assert region.get("k") == 1

    def test_a_refused_order_goes_to_the_next_runner(self, stale):
        """Or, without one, is free to be ordered again at once."""
        region, events, create = stale([ChaosRunner(refusing=1.0), "thread"])
        assert region.get_or_create("k", create) == "old"
        wait_until(lambda: of_kind(events, Refreshed))
        region, events, create = stale(ChaosRunner(refusing=1.0))
        assert region.get_or_create("k", create) == "old"
        assert of_kind(events, OrderFailed)
        assert not region.key_is_locked("k")


def test_nothing_old_and_no_error(tmp_path):
    """Whatever becomes of orders: nothing that was invalidated is served."""
    oracle = Oracle(str(tmp_path / "oracle"), 4)
    troubles = dict.fromkeys(("refusing", "losing", "doubling", "late"), 0.2)
    region = make_region("oracle").configure(
        "holdover.memory",
        0.005,
        runner=ChaosRunner(seed=1, delay=0.005, **troubles),
        lease=LeaseTerms(ttl=0.1, queue_ttl=0.1),
    )
    findings = hammer(
        oracle,
        lambda key, creator: region.get_or_create(f"key{key}", creator),
        lambda key: not region.delete(f"key{key}").pending,
        calls=3_000,
        seed=1,
        invalidate_every=20,
    )
    assert findings.wrong == 0
    assert findings.creations > 100
