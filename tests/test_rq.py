"""Refreshes as jobs of RQ, carried out by its real workers."""

import itertools
import json
import os
import signal
import socket
import time

import pytest
import redis
from fleet_workers import application, rq_worker, runs, surround
from servers import RedisServer
from waiting import wait_until

from holdover import RqRunner, make_region
from holdover.errors import ConfigurationError, InvalidLifetime, RunnerUnavailable
from holdover.regions.refresh.base import Job, RefreshOrder

pytestmark = pytest.mark.xdist_group("rq")  # one worker for all

_articles = itertools.count(1000)


@pytest.fixture
def article():
    """An article that no other test has asked for."""
    return next(_articles)


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    """The Redis of the tests that share a worker."""
    with RedisServer(tmp_path_factory.mktemp("broker")) as server:
        yield server


@pytest.fixture(scope="module", params=["Worker", "SimpleWorker"])
def fleet(request, broker, tmp_path_factory):
    """The application, and a worker that forks for each job, or does not."""
    folder = tmp_path_factory.mktemp("fleet")
    with pytest.MonkeyPatch.context() as patch:
        surround(patch, folder, broker)
        with (
            rq_worker(folder, request.param),
            application(folder, broker, module="rq_fleet") as module,
        ):
            yield module


@pytest.fixture
def lone(tmp_path, own_redis):
    """The application without any worker, on a Redis that the test may harm."""
    with application(tmp_path, own_redis, module="rq_fleet") as module:
        yield module


def order(fleet, function, *args):
    """Put an old value there, let it go stale, and ask for it."""
    function.set("old", *args)
    fleet.region.invalidate(hard=False)
    assert function(*args) == "old"


def fresh(function, *args):
    """Wait for the value that a worker makes."""
    return wait_until(lambda: (got := function(*args)) != "old" and got)


def kept(client):
    """The jobs of which Redis knows anything."""
    return client.keys("rq:job:*")


def states(client):
    """Give what the workers that Redis knows of say of themselves."""
    return [client.hget(one, "state") for one in client.smembers("rq:workers")]


class TestWorkers:
    @pytest.fixture(autouse=True)
    def _done(self, fleet):
        """Let what other tests have ordered be over."""
        wait_until(lambda: not kept(fleet.client))

    def test_a_stale_hit_is_refreshed_by_a_worker(self, fleet, article):
        """A stale value is served at once, and the worker's comes soon, made once."""
        order(fleet, fleet.price, article)
        assert fresh(fleet.price, article)[1] != os.getpid()
        assert len(runs(fleet, article)) == 1

    def test_nothing_is_kept(self, fleet, article):
        """Once an order is carried out nothing of it is left in Redis."""
        order(fleet, fleet.price, article)
        fresh(fleet.price, article)
        wait_until(lambda: not kept(fleet.client))
        assert fleet.client.llen("rq:queue:refresh") == 0
        assert fleet.client.zcard("rq:finished:refresh") == 0

    def test_a_duplicate(self, fleet, article):
        """Of two jobs with one message one runs the creator."""
        order(fleet, fleet.held_price, article)
        [name] = wait_until(lambda: fleet.client.lrange("rq:queue:held", 0, -1))
        fleet.client.delete("rq:queue:held")
        job = fleet.client.hgetall(b"rq:job:" + name)
        fleet.client.hset("rq:job:twin", mapping=job)
        fleet.client.rpush("rq:queue:refresh", name, "twin")
        assert fresh(fleet.held_price, article) == article
        wait_until(lambda: not kept(fleet.client))
        assert len(runs(fleet, article)) == 1

    def test_forged_jobs(self, fleet, article):
        """An order that names other code is dropped; the worker lives."""
        [runner, _] = fleet.region._chain.runners
        key = fleet.price.key_for(article)
        forged = RefreshOrder(
            region="rq fleet", function="os:system", args=["true"], kwargs={}, key=key,
            token="0" * 32, clock=0, not_after=time.time() + 60,
        )  # fmt: skip
        runner.submit(Job(key=key, carry_out=int, order=forged))
        wait_until(lambda: not kept(fleet.client))
        assert fleet.client.zcard("rq:failed:refresh") == 0
        self.test_a_stale_hit_is_refreshed_by_a_worker(fleet, article)


@pytest.mark.parametrize("fleet", ["Worker"], indirect=True)
class TestKilled:
    @pytest.fixture(autouse=True)
    def _forgotten(self, fleet):
        """Let others find no job of a victim; a busy machine may have several."""
        yield
        failed, client = "rq:failed:refresh", fleet.client
        # A worker's last words on a job come later than the job's place among the
        # failed. That of the last fleet may still be on its way out.
        wait_until(lambda: b"busy" not in states(client))
        wait_until(lambda: len(kept(client)) == client.zcard(failed))
        client.delete(failed, *kept(client))

    @pytest.mark.parametrize("moment", ["in mid-creation", "right after adopting"])
    def test_a_work_horse(self, fleet, article, moment):
        """After SIGKILL the next value is there once the lease has lapsed."""
        begun = time.monotonic()
        if moment == "in mid-creation":
            call = (fleet.price, article, 1.5)
            order(fleet, *call)
            victim = wait_until(lambda: runs(fleet, article))[0]
            os.kill(victim, signal.SIGKILL)
        else:
            call = (fleet.doomed, article)
            order(fleet, *call)
        made_by = fresh(*call)[1]
        assert time.monotonic() - begun < fleet.TTL + 15  # a busy machine's
        victim, successor = runs(fleet, article)
        assert victim != successor == made_by
        # What RQ remembers of the victim's job, and for how long.
        failed = wait_until(lambda: fleet.client.zrange("rq:failed:refresh", 0, -1))
        assert 0 < fleet.client.ttl(b"rq:job:" + failed[0]) <= 3600


class TestJobs:
    def test_what_is_published(self, lone):
        """A job names our function, carries JSON, lapses, and keeps no result."""
        order(lone, lone.price, 5)
        [name] = wait_until(lambda: lone.client.lrange("rq:queue:refresh", 0, -1))
        job = lone.client.hgetall(b"rq:job:" + name)
        assert 1 <= int(job[b"ttl"]) <= 30
        assert job[b"result_ttl"] == b"0"
        assert len(job[b"description"]) < 300
        # RQ compresses what its serializer makes.
        import zlib

        function, _, args, kwargs = json.loads(zlib.decompress(job[b"data"]))
        assert (function, kwargs) == ("holdover.rq_jobs.refresh", {})
        [message] = args
        assert message["function"] == "rq_fleet:price"
        assert message["args"] == [5, 0.0]

    def test_task_options(self, lone):
        """A function's options say in which queue, and where in it."""
        order(lone, lone.held_price, 1)
        wait_until(lambda: lone.client.llen("rq:queue:held") == 1)
        order(lone, lone.held_price, 2)
        wait_until(lambda: lone.client.llen("rq:queue:held") == 2)
        first, _ = lone.client.lrange("rq:queue:held", 0, -1)
        assert b"price(2)" in lone.client.hget(b"rq:job:" + first, "description")

    @pytest.mark.parametrize("state", ["refused", "frozen"])
    def test_redis_is_away(self, lone, own_redis, state):
        """A stale hit costs a caller nothing, and this process refreshes."""
        order(lone, lone.price, 1)
        wait_until(lambda: lone.client.llen("rq:queue:refresh"))
        (own_redis.kill if state == "refused" else own_redis.freeze)()
        for article in range(2, 50):
            lone.price.set("old", article)
        lone.region.invalidate(hard=False)
        begun = time.monotonic()
        assert {lone.price(article) for article in range(2, 50)} == {"old"}
        assert time.monotonic() - begun < 30.0  # waiting for it: 2 s each
        fresh(lone.price, 2)
        assert runs(lone, 2) == [os.getpid()]

    def test_what_cannot_travel(self, lone):
        """A call without an order is not the queue's."""
        with pytest.raises(RunnerUnavailable, match="travel"):
            RqRunner(lone.client).submit(Job(key="k", carry_out=int, order=None))


class TestConfiguration:
    def test_it_goes_by_a_name(self, monkeypatch, tmp_path):
        """runner="rq" takes RQ's own variable, and this host without it."""
        monkeypatch.setenv("RQ_REDIS_URL", "redis://example.org:7000/3")
        region = make_region("by name").configure(
            "holdover.file", 60, {"path": tmp_path}, runner="rq"
        )
        [runner, _] = region._chain.runners
        options = runner._connection.connection_pool.connection_kwargs
        assert (options["host"], options["port"]) == ("example.org", 7000)
        monkeypatch.delenv("RQ_REDIS_URL")
        options = RqRunner()._connection.connection_pool.connection_kwargs
        assert (options["host"], options["db"]) == ("localhost", 0)

    def test_the_client_is_left_alone(self):
        """Credentials and TLS are the client's, patience is the runner's."""
        client = redis.Redis.from_url(
            "rediss://user:word@example.org:7000/2", socket_timeout=60
        )
        pool = RqRunner(client, publish_timeout=0.3)._connection.connection_pool
        assert pool.connection_class is client.connection_pool.connection_class
        assert pool.connection_kwargs["password"] == "word"
        assert pool.connection_kwargs["socket_timeout"] == 0.3
        assert pool.connection_kwargs["socket_connect_timeout"] == 0.3
        assert client.connection_pool.connection_kwargs["socket_timeout"] == 60

    def test_a_mute_server(self):
        """A server that never answers costs publish_timeout, once."""
        with socket.create_server(("127.0.0.1", 0)) as mute:
            url = f"redis://127.0.0.1:{mute.getsockname()[1]}"
            runner = RqRunner(url, publish_timeout=2.0)
            order = RefreshOrder(
                region="r", function="m:f", args=[], kwargs={}, key="k", token="t",
                clock=0, not_after=time.time() + 9,
            )  # fmt: skip
            begun = time.monotonic()
            with pytest.raises(redis.TimeoutError):
                runner.submit(Job(key="k", carry_out=int, order=order))
            assert 1.5 < time.monotonic() - begun < 3.9

    @pytest.mark.parametrize(
        ("wrong", "named"),
        [
            ({"connection": 5}, "client of Redis"),
            ({"connection": "nonsense://x"}, "connection"),
            ({"queue": ""}, "queue"),
            ({"queue": 5}, "queue"),
            ({"task_options": {"result_ttl": 5}}, "result_ttl"),
            ({"task_options": {"at_fron": True}}, "at_front"),
        ],
    )
    def test_wrong_options(self, wrong, named):
        """What makes no sense is refused by name."""
        with pytest.raises(ConfigurationError, match=named):
            RqRunner(**wrong)

    def test_a_wrong_timeout(self):
        """publish_timeout is a number of seconds."""
        with pytest.raises(InvalidLifetime, match="publish_timeout"):
            RqRunner(publish_timeout=0)

    def test_a_backend_of_one_process(self):
        """A worker could not refresh what only this process sees."""
        with pytest.raises(ConfigurationError, match="not shared"):
            make_region("alone").configure("holdover.memory", 60, runner=RqRunner())
