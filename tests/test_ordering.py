"""Handing on orders: a queue that fails or hangs is passed over, and nobody waits."""

import asyncio
import threading
import time

import pytest
from waiting import wait_until

from holdover.regions import ordering
from holdover.regions.background import Pool
from holdover.regions.ordering import Chain
from holdover.regions.refresh.base import Job, RefreshOrder

ORDER = RefreshOrder(
    region="r", function="m:f", args=[], kwargs={}, key="k", token="t", clock=1,
    not_after=1.0,
)  # fmt: skip
SOON = 5.0


class Queue:
    """A queue whose *submit* is given."""

    name = "queue"
    takes_orders = True
    leaves_process = False

    def __init__(self, submit):
        self._submit = submit
        self.asked = 0

    def bind(self, execute):
        pass

    def submit(self, job):
        self.asked += 1
        self._submit(job)


class Local(Queue):
    """A runner of this process, which remembers its jobs."""

    name = "local"
    takes_orders = False

    def __init__(self):
        super().__init__(lambda job: self.done.append(job.key))
        self.done = []


def job(key):
    """Make a job that can travel."""
    return Job(key=key, carry_out=int, order=ORDER)


def fail(_job):
    """Fail as a client does whose broker refuses."""
    raise ConnectionRefusedError


@pytest.fixture
def hanging():
    """A queue whose client does not come back until the test is over."""
    may_end = threading.Event()
    yield Queue(lambda _job: may_end.wait(SOON))
    may_end.set()


def test_orders_in_line_when_a_breaker_opens():
    """Orders that wait behind the failing ones do not each try a dead broker."""
    begun, may_go = threading.Event(), threading.Event()

    def fail_later(job):
        begun.set()
        assert may_go.wait(SOON)
        fail(job)

    queue, local = Queue(fail_later), Local()
    chain = Chain([queue, local])
    for number in range(100):
        chain.dispatch(job(str(number)), give_up=pytest.fail)
    assert begun.wait(SOON)
    may_go.set()
    wait_until(lambda: len(local.done) == 100)
    assert [str(number) for number in range(100)] == local.done
    assert queue.asked == 3


@pytest.mark.parametrize("error", [SystemExit(3), asyncio.CancelledError()])
def test_a_client_that_ends(error):
    """What is no Exception, such as gevent's Timeout, is a failure all the same."""

    def end(_job):
        raise error

    queue, local = Queue(end), Local()
    chain = Chain([queue, local])
    for number in range(5):
        chain.dispatch(job(str(number)), give_up=pytest.fail)
    wait_until(lambda: len(local.done) == 5)
    assert queue.asked == 3  # and then its breaker is open


def test_a_client_that_hangs(hanging, monkeypatch):
    """Once a queue's client has hung for some seconds, orders go to the next runner."""
    monkeypatch.setattr(ordering, "_HANGS_AFTER", 0.02)
    local = Local()
    chain = Chain([hanging, local])
    chain.dispatch(job("first"), give_up=pytest.fail)

    def next_is_taken():
        chain.dispatch(job("later"), give_up=pytest.fail)
        return local.done

    wait_until(next_is_taken)
    assert hanging.asked == 1
    assert set(local.done) == {"later"}


def test_a_client_that_hangs_alone(hanging, monkeypatch):
    """Where there is no other runner the order is given up, and the reason told."""
    monkeypatch.setattr(ordering, "_HANGS_AFTER", 0.02)
    chain, reasons = Chain([hanging]), []
    chain.dispatch(job("first"), give_up=reasons.append)
    wait_until(lambda: chain._links[0].publisher.busy_for() > 0.02)
    assert reasons == []
    chain.dispatch(job("later"), give_up=reasons.append)
    assert reasons == ["queue: its client hangs"]


def test_how_long_a_pool_is_busy():
    """A pool tells how long its longest work has taken, and forgets it at its end."""
    pool, begun, may_end = Pool("p", threads=2, backlog=5), [], threading.Event()
    assert pool.busy_for() == 0.0

    def work():
        begun.append(time.monotonic())
        assert may_end.wait(SOON)

    pool.submit(work)
    wait_until(lambda: begun)
    first = pool.busy_for()
    pool.submit(work)
    wait_until(lambda: len(begun) == 2)
    assert pool.busy_for() >= first
    may_end.set()
    wait_until(lambda: pool.busy_for() == 0.0)
