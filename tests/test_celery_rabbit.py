"""Separate Celery workers on a real RabbitMQ broker: what holds on Redis holds here."""

import contextlib
import itertools
import os
import signal
import statistics
import time

import pytest
from fleet_workers import application, reports, runs, surround, worker
from rabbit_server import RabbitServer
from waiting import wait_until

from holdover.regions.refresh.base import TASK_NAME
from holdover.regions.refresh.celery_publishing import bounded_connection

pytestmark = pytest.mark.xdist_group("rabbit")  # one broker and its workers for all

PREFORK = [
    ("classic", "prefork"),
    pytest.param(("quorum", "prefork"), marks=pytest.mark.slow),
]
THREADS = [
    ("quorum", "threads"),
    pytest.param(("classic", "threads"), marks=pytest.mark.slow),
]
_articles = itertools.count(1000)


@pytest.fixture
def article():
    """An article that no other test has asked for."""
    return next(_articles)


@pytest.fixture(scope="module")
def rabbit():
    """The broker of the tests that do it no harm."""
    with RabbitServer() as server:
        yield server


@pytest.fixture(scope="module")
def fleet(request, rabbit, tmp_path_factory):
    """The application with two workers on queues of a kind; values lie in files."""
    queues, pool = request.param
    folder = tmp_path_factory.mktemp("fleet")
    with pytest.MonkeyPatch.context() as patch, contextlib.ExitStack() as stack:
        surround(patch, folder, rabbit, queues=queues)
        for name in ("one", "other"):
            stack.enter_context(worker(folder, pool, name=name))
        app = stack.enter_context(application(folder, rabbit, queues=queues))
        yield app
    with contextlib.closing(bounded_connection(app.app, 5.0)) as link:
        link.channel().queue_delete("celery")  # the next has another kind of it


def order(region, function, *calls):
    """Put old values there, let them go stale, and ask for each.

    Returns:
        How many seconds each call took.
    """
    for args in calls:
        function.set("old", *args)
    region.invalidate(hard=False)
    took = []
    for args in calls:
        begun = time.monotonic()
        assert function(*args) == "old"
        took.append(time.monotonic() - begun)
    return took


def fresh(function, *args):
    """Wait for the value that a worker makes."""
    return wait_until(lambda: (got := function(*args)) != "old" and got)


@pytest.mark.parametrize("fleet", [*PREFORK, *THREADS], indirect=True)
class TestWorkers:
    def test_a_stale_hit_is_refreshed_by_a_worker(self, fleet, article):
        """A stale value is served at once, and the worker's comes soon, made once."""
        order(fleet.fleet, fleet.price, [article])
        assert fresh(fleet.price, article)[1] != os.getpid()
        told = wait_until(lambda: reports(fleet, fleet.price, article))
        assert told == [[True, "refreshed"]]
        assert len(runs(fleet, article)) == 1

    def test_both_workers_take_orders(self, fleet):
        """Many orders are shared out, and each is carried out once."""
        articles = range(40)
        order(fleet.fleet, fleet.price, *[(one, 0.02) for one in articles])
        makers = {fresh(fleet.price, one, 0.02)[1] for one in articles}
        assert len(makers) > 1
        assert {len(runs(fleet, one)) for one in articles} == {1}

    def test_the_same_message_to_two_workers(self, fleet, article, monkeypatch):
        """Of a message that two workers get, one run is completed."""
        sent = []

        def send_twice(message, **_):
            for _ in range(2):
                fleet.app.send_task(TASK_NAME, (message,))
            sent.append(message)

        [runner, _] = fleet.fleet._chain.runners
        monkeypatch.setattr(runner, "publish", send_twice)
        order(fleet.fleet, fleet.price, [article, 1.0])
        wait_until(lambda: sent)
        wait_until(lambda: len(reports(fleet, fleet.price, article, 1.0)) == 2)
        told = sorted(reports(fleet, fleet.price, article, 1.0))
        assert [[False, "overtaken"], [True, "refreshed"]] == told
        assert len(runs(fleet, article)) == 1


@pytest.mark.parametrize("fleet", PREFORK, indirect=True)
class TestKilled:
    def test_in_mid_creation(self, fleet, article):
        """After SIGKILL the next value is there once the lease has lapsed."""
        order(fleet.fleet, fleet.price, [article, 1.5])
        victim = wait_until(lambda: runs(fleet, article))[0]
        os.kill(victim, signal.SIGKILL)
        killed = time.monotonic()
        assert fresh(fleet.price, article, 1.5)[1] != victim
        assert time.monotonic() - killed < fleet.TTL + 15  # a busy machine's
        assert len(runs(fleet, article)) == 2

    def test_right_after_adopting(self, fleet, article):
        """Whoever dies with the order in hand is followed by one completed run."""
        order(fleet.fleet, fleet.doomed, [article])
        made_by = fresh(fleet.doomed, article)[1]
        victim, successor = runs(fleet, article)
        assert victim != successor == made_by
        told = wait_until(lambda: reports(fleet, fleet.doomed, article))
        assert told == [[True, "refreshed"]]


class TestBroker:
    @pytest.mark.slow
    def test_it_is_refused_then_there_again(self, tmp_path):
        """While it is down this process refreshes; later it gets orders again."""
        with RabbitServer() as server, application(tmp_path, server) as lone:
            server.kill()
            order(lone.fleet, lone.price, [1])
            fresh(lone.price, 1)
            assert runs(lone, 1) == [os.getpid()]
            server.start()
            articles = itertools.count(100)

            def order_another():
                order(lone.fleet, lone.price, [next(articles)])
                return server.count("celery")

            wait_until(order_another)

    def test_it_hangs(self, rabbit, tmp_path):
        """A frozen broker costs a caller nothing, and this process refreshes."""
        with application(tmp_path, rabbit) as lone:
            order(lone.held, lone.held_price, [1])
            wait_until(lambda: rabbit.count("held"))
            rabbit.freeze()
            try:
                calls = [[one] for one in range(2, 50)]
                took = order(lone.held, lone.held_price, *calls)
                assert statistics.median(took) < 1.0  # waiting for it: 2 s each
                fresh(lone.held_price, 2)
            finally:
                rabbit.thaw()
            assert runs(lone, 2) == [os.getpid()]
