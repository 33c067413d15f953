"""Separate Celery workers on a real Redis broker: one run per order, come what may."""

import contextlib
import itertools
import json
import multiprocessing
import os
import signal
import time

import pytest
import redis
from fleet_workers import application, reports, runs, surround, worker
from servers import RedisServer
from waiting import PATIENCE, wait_until

from holdover.regions.refresh.base import TASK_NAME

pytestmark = pytest.mark.xdist_group("fleet")  # one worker for all

FORK = multiprocessing.get_context("fork")
HELD = "held\x06\x163"  # the queue "held" for priority 3, as Kombu spells it
_articles = itertools.count(1000)


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    """The broker of the tests that share a worker."""
    with RedisServer(tmp_path_factory.mktemp("broker")) as server:
        yield server


@pytest.fixture(scope="module")
def fleet(broker, tmp_path_factory):
    """The application, one prefork worker with two children, and this web process.

    The worker is there first. Values lie in Redis, too; elsewhere in files.
    """
    folder = tmp_path_factory.mktemp("fleet")
    with pytest.MonkeyPatch.context() as patch:
        cache = broker.url.removesuffix("/0") + "/1"
        surround(patch, folder, broker, cache)
        with (
            worker(folder, "prefork", "-E") as process,
            application(folder, broker, cache) as module,
        ):
            module.worker = process
            yield module


@pytest.fixture
def article():
    """An article that no other test has asked for."""
    return next(_articles)


@pytest.fixture
def lone(tmp_path, own_redis):
    """The application without any worker, on a broker that the test may harm."""
    with application(tmp_path, own_redis) as module:
        yield module


@pytest.fixture
def queues(broker):
    """A client of the shared broker, for its queues."""
    with redis.Redis(port=broker.port) as client:
        yield client


def make_stale(fleet, function, article, cost=0.0):
    """Put a value there and let it go stale."""
    value = function(article, cost)
    fleet.fleet.invalidate(hard=False)
    fleet.held.invalidate(hard=False)
    return value


def held_message(fleet, queues, article):
    """Order a refresh, and take its message out of the queue."""
    make_stale(fleet, fleet.held_price, article)
    queues.delete(HELD)
    fleet.held_price(article)
    return wait_until(lambda: queues.rpop(HELD))


class TestWorkers:
    def test_a_stale_hit_is_refreshed_by_a_worker(self, fleet, article):
        """A stale value is served at once, and the worker's comes soon, made once."""
        old = make_stale(fleet, fleet.price, article)
        assert fleet.price(article) == old
        new = wait_until(lambda: (got := fleet.price(article)) != old and got)
        assert new[1] != os.getpid()
        assert runs(fleet, article) == [os.getpid(), new[1]]
        told = wait_until(lambda: reports(fleet, fleet.price, article))
        assert told == [[True, "refreshed"]]

    def test_the_worker_s_figures(self, fleet, article):
        """Refreshes count where they are carried out, lookups where they are made."""
        make_stale(fleet, fleet.price, article)
        before = fleet.fleet.figures()
        fleet.price(article)
        wait_until(lambda: reports(fleet, fleet.price, article))
        here = fleet.fleet.figures().since(before)
        assert (1, 1, 0) == (here.stale.count, here.orders, here.refreshed.count)

        def elsewhere():
            told = fleet.fleet.fleet_figures().processes
            return [one for one in told if one.figures.refreshed.count]

        assert os.getpid() not in {one.pid for one in wait_until(elsewhere)}
        assert elsewhere()[0].figures.lag.sum > 0

    def test_a_worker_of_threads(self, tmp_path, own_redis, monkeypatch):
        """A worker that starts later, with threads, finds what was ordered before."""
        surround(monkeypatch, tmp_path, own_redis)
        with application(tmp_path, own_redis) as web:
            old = [web.price(number) for number in range(4)]
            web.fleet.invalidate(hard=False)
            assert old == [web.price(number) for number in range(4)]
            with worker(tmp_path, "threads"):
                wait_until(lambda: not [one for one in old if one == web.price(one[0])])
                wait_until(lambda: len(web.notes("reports")) == 4)
            assert all(len(runs(web, number)) == 2 for number in range(4))
            assert [True] * 4 == [done for _, _, done, _ in web.notes("reports")]

    def test_many_processes_order_once(self, fleet, broker, article, queues):
        """Eight forked web processes that see it stale at once make one task of it.

        None of them uses the connection that their parent has published over.
        """
        old = make_stale(fleet, fleet.price, article)
        make_stale(fleet, fleet.price, -article)
        fleet.price(-article)  # so that there is a connection to inherit
        wait_until(lambda: reports(fleet, fleet.price, -article))
        fleet.fleet.invalidate(hard=False)
        inherited = {one["addr"] for one in queues.client_list()}
        barrier, served = FORK.Barrier(8), FORK.SimpleQueue()

        def visit():
            barrier.wait()
            served.put(fleet.price(article))
            # Each orders another one, so that each has to connect. Its number alone
            # might be part of another's message.
            mine = f"child {os.getpid()}"
            fleet.held_price.set("old", mine)
            fleet.held.invalidate(hard=False)
            fleet.held_price(mine)
            wait_until(lambda: mine in str(queue_of(broker, HELD)))

        children = [FORK.Process(target=visit) for _ in range(8)]
        with queues.monitor() as monitor:
            for child in children:
                child.start()
            for child in children:
                child.join(PATIENCE)
            queues.echo("done")
            pushers = pushed_by(monitor)
        assert [0] * 8 == [child.exitcode for child in children]
        wait_until(lambda: reports(fleet, fleet.price, article))
        assert len(runs(fleet, article)) == 2
        # On a busy machine the last of them may come when the task is done.
        answers = [served.get() for _ in range(8)]
        assert all(one in (old, fleet.price(article)) for one in answers)
        assert old in answers
        assert len(pushers) == 9  # each child's for the queue "held", one for the task
        assert pushers.isdisjoint(inherited)

    def test_a_killed_child(self, fleet, article):
        """After SIGKILL in mid-refresh stale is served until the lease lapses."""
        make_stale(fleet, fleet.price, article, 0.0)
        old = make_stale(fleet, fleet.price, article, 1.5)
        fleet.price(article, 1.5)
        victim = wait_until(lambda: runs(fleet, article)[2:])[0]
        os.kill(victim, signal.SIGKILL)
        begun = time.monotonic()
        new = wait_until(lambda: (got := fleet.price(article, 1.5)) != old and got)
        assert time.monotonic() - begun < fleet.TTL + 15  # a busy machine's
        assert new[1] not in {victim, os.getpid()}
        assert len(runs(fleet, article)) == 4

    def test_a_child_killed_right_after_adopting(self, fleet, article):
        """Whoever dies with the order in hand is followed by one completed run."""
        fleet.doomed.set("old", article)
        fleet.fleet.invalidate(hard=False)
        assert fleet.doomed(article) == "old"
        made_by = wait_until(lambda: (got := fleet.doomed(article)) != "old" and got[1])
        victim, successor = runs(fleet, article)
        assert victim != successor == made_by
        told = wait_until(lambda: reports(fleet, fleet.doomed, article))
        assert told == [[True, "refreshed"]]

    def test_celery_s_signals(self, fleet, article):
        """Around each order the worker sends Celery's signals, as for any task."""
        before = len(fleet.notes("signals"))
        make_stale(fleet, fleet.price, article)
        fleet.price(article)
        wait_until(lambda: reports(fleet, fleet.price, article))
        seen = wait_until(
            lambda: len(found := fleet.notes("signals")[before:]) >= 3 and found
        )
        for name in ("task_prerun", "task_success", "task_postrun"):
            assert [name, TASK_NAME] in seen

    def test_celery_s_events(self, fleet, article):
        """A worker started with -E tells its events of each order."""
        seen, key = [], fleet.price.key_for(article)

        def ours():
            ids = {one.get("uuid") for one in seen if key in str(one.get("args"))}
            return [one["type"] for one in seen if one.get("uuid") in ids]

        with fleet.app.connection_for_read() as link:
            receiver = fleet.app.events.Receiver(link, handlers={"*": seen.append})
            with receiver.consumer_context(wakeup=False) as (listening, _, _):

                def heard(name):
                    with contextlib.suppress(TimeoutError):
                        listening.drain_events(timeout=0.1)
                    return name in ours()

                heard("nothing yet")  # by which Kombu subscribes
                make_stale(fleet, fleet.price, article)
                fleet.price(article)
                wait_until(lambda: heard("task-succeeded"))
        assert ours() == ["task-received", "task-started", "task-succeeded"]

    def test_lag(self, fleet, article):
        """A report says how long its order has waited."""
        make_stale(fleet, fleet.price, article)
        fleet.price(article)
        wait_until(lambda: reports(fleet, fleet.price, article))
        assert all(0.0 < lag < 20.0 for lag in fleet.notes("lags")[-1:])

    def test_a_frozen_child(self, fleet, article):
        """A child stopped for longer than its lease cannot store once overtaken."""
        old = make_stale(fleet, fleet.price, article, 1.5)
        fleet.price(article, 1.5)
        stopped = wait_until(lambda: runs(fleet, article)[1:])[0]
        os.kill(stopped, signal.SIGSTOP)
        new = wait_until(lambda: (got := fleet.price(article, 1.5)) != old and got)
        os.kill(stopped, signal.SIGCONT)
        told = wait_until(
            lambda: (
                len(found := reports(fleet, fleet.price, article, 1.5)) == 2 and found
            )
        )
        assert [[True, "refreshed"], [False, "not stored"]] == told
        assert fleet.price(article, 1.5) == new
        assert new[1] != stopped


class TestMessages:
    def test_task_options_route(self, fleet, queues, article):
        """A region's orders take the queue and the priority of its runner."""
        message = json.loads(held_message(fleet, queues, article))
        assert message["properties"]["priority"] == 3
        assert message["properties"]["delivery_info"]["routing_key"] == "held"
        assert message["headers"]["task"] == TASK_NAME
        assert message["headers"]["ignore_result"] is True
        assert message["headers"]["expires"]

    def test_a_duplicate(self, fleet, queues, article):
        """Of a message that comes twice, one is carried out."""
        message = held_message(fleet, queues, article)
        queues.lpush("celery", message, message)
        told = wait_until(
            lambda: (
                len(found := reports(fleet, fleet.held_price, article)) == 2 and found
            )
        )
        assert [[False, "overtaken"], [True, "refreshed"]] == sorted(told)
        assert len(runs(fleet, article)) == 2

    def test_a_message_after_an_invalidation(self, fleet, queues, article):
        """A message does not bring back what was invalidated since it was sent."""
        message = held_message(fleet, queues, article)
        fleet.held_price.invalidate(article)
        queues.lpush("celery", message)
        told = wait_until(lambda: reports(fleet, fleet.held_price, article))
        assert told == [[False, "overtaken"]]
        assert len(runs(fleet, article)) == 1

    def test_forged_messages(self, fleet, article):
        """What names other code, or is no order, is dropped; the worker lives."""
        key = fleet.price.key_for(article)
        order = {
            "version": 1, "region": "fleet", "function": "os:system", "args": ["true"],
            "kwargs": {}, "key": key, "token": "0" * 32, "clock": 0,
            "not_after": time.time() + 60,
        }  # fmt: skip
        for forged in (order, {**order, "function": "fleet:price"}, {"key": key}):
            fleet.app.send_task(TASK_NAME, (forged,))
        for wrong in ((), (1, 2), ("text",), (None,)):
            fleet.app.send_task(TASK_NAME, wrong)
        fleet.app.send_task("holdover.no_such_task", (order,))
        told = wait_until(
            lambda: len(found := reports(fleet, fleet.price, article)) == 3 and found
        )
        assert not any(done for done, _ in told)
        assert runs(fleet, article) == []
        self.test_a_later_order(fleet, article)

    def test_a_later_order(self, fleet, article):
        """The next order is carried out."""
        old = make_stale(fleet, fleet.price, article)
        fleet.price(article)
        wait_until(lambda: fleet.price(article) != old)

    def test_a_flushed_broker(self, fleet, queues, article):
        """After FLUSHALL, publishing and the worker go on as before."""
        queues.flushall()
        self.test_a_later_order(fleet, article)


class TestBroker:
    def test_messages_that_are_lost(self, lone, own_redis):
        """If the broker loses its messages, they are ordered again after queue_ttl."""
        old = lone.patient_price(1)
        lone.patient.invalidate(hard=False)
        lone.patient_price(1)
        wait_until(lambda: queue_of(own_redis, "celery"))
        own_redis.kill()
        own_redis.start()
        assert queue_of(own_redis, "celery") == []
        wait_until(
            lambda: lone.patient_price(1) == old and queue_of(own_redis, "celery")
        )
        assert len(runs(lone, 1)) == 1

    def test_refused_then_there_again(self, lone, own_redis):
        """While it is refused this process refreshes; later the broker gets orders."""
        own_redis.kill()
        for number in range(5):
            old = make_stale(lone, lone.price, number)
            assert lone.price(number) == old
            wait_until(lambda number=number: len(runs(lone, number)) == 2)
        own_redis.start()
        lone.fleet.invalidate(hard=False)
        numbers = itertools.count(100)

        def order_another():
            lone.price.set("old", number := next(numbers))
            lone.fleet.invalidate(hard=False)
            lone.price(number)
            return queue_of(own_redis, "celery")

        wait_until(order_another)

    @pytest.mark.parametrize("state", ["healthy", "refused", "frozen"])
    def test_a_caller_feels_nothing(self, lone, own_redis, state):
        """A stale hit takes at most 50 ms more than a hit, whatever the broker does."""
        for number in range(300):
            lone.patient_price.set("old", number)
        hits = timed(lone.patient_price, range(300))
        lone.patient.invalidate(hard=False)
        stale = timed(lone.patient_price, range(50))
        if state == "refused":
            own_redis.kill()
        if state == "frozen":
            own_redis.freeze()
        stale += timed(lone.patient_price, range(300))
        assert percentile(stale, 95) < percentile(hits, 50) + 0.05
        assert max(stale) < 3.0  # of any that waited for the broker: 5 s

    def test_eager(self, lone, own_redis):
        """With task_always_eager the order is carried out here, without a broker."""
        own_redis.kill()
        lone.app.conf.task_always_eager = True
        old = make_stale(lone, lone.price, 1)
        assert lone.price(1) == old  # in whose turn the next one was made
        assert reports(lone, lone.price, 1) == [[True, "refreshed"]]
        assert lone.price(1) != old
        assert runs(lone, 1) == [os.getpid()] * 2


def timed(function, arguments):
    """Call *function* with each argument; give the seconds that each call took."""
    took = []
    for argument in arguments:
        begun = time.perf_counter()
        assert function(argument)
        took.append(time.perf_counter() - begun)
    return took


def percentile(values, percent):
    """The value that *percent* of all do not exceed."""
    return sorted(values)[int(len(values) * percent / 100) - 1]


def queue_of(server, name):
    """The messages of a queue."""
    with redis.Redis(port=server.port) as client:
        return client.lrange(name, 0, -1)


def pushed_by(monitor):
    """The connections that sent messages, among what *monitor* saw until an ECHO."""
    pushers = set()
    for seen in monitor.listen():
        if seen["command"].startswith("ECHO"):
            return pushers
        if seen["command"].startswith("LPUSH"):
            pushers.add(f"{seen['client_address']}:{seen['client_port']}")
    return pushers
