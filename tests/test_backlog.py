"""How many messages there are: one for each key and lease, and no more than wanted."""

import itertools
import multiprocessing
import os
import time

import pytest
import redis
from fleet_workers import application, reports, runs, surround, worker
from waiting import PATIENCE, wait_until

from holdover import events

FORK = multiprocessing.get_context("fork")
PROCESSES = 8
MANY = 100_000


@pytest.fixture
def lone(tmp_path, own_redis, redis_server):
    """The application without a worker; its values lie in another Redis."""
    with application(tmp_path, own_redis, redis_server.url) as module:
        yield module


def length(server):
    """How many messages wait in the queue."""
    with redis.Redis(port=server.port) as client:
        return client.llen("celery")


def visit_all(region, function, keys, rounds):
    """Ask for each key in each of 8 processes, many times; give what they got."""
    publisher = region._chain._links[0].publisher
    barrier, served = FORK.Barrier(PROCESSES), FORK.SimpleQueue()

    def visit():
        barrier.wait()
        got = {function(key) for _ in range(rounds) for key in keys}
        served.put(got)
        wait_until(lambda: not publisher._unfinished)  # a thread of this process

    children = [FORK.Process(target=visit) for _ in range(PROCESSES)]
    for child in children:
        child.start()
    found = [served.get() for _ in children]
    for child in children:
        child.join(PATIENCE)
    assert [0] * PROCESSES == [child.exitcode for child in children]
    return set().union(*found)


def test_one_message_for_each_key(lone, own_redis):
    """Thousands of stale hits in 8 processes make one message for each key."""
    keys = range(25)
    for key in keys:
        lone.limited_price.set("old", key)
    lone.limited.invalidate(hard=False)
    assert visit_all(lone.limited, lone.limited_price, keys, 50) == {"old"}
    assert length(own_redis) == len(keys)


@pytest.mark.slow
def test_one_run_for_each_key(lone, own_redis, tmp_path, monkeypatch):
    """With two workers beside them, each key is made once for each time it expires."""
    surround(monkeypatch, tmp_path, own_redis, os.environ["FLEET_CACHE"])
    keys = range(25)
    with (
        worker(tmp_path, "prefork", name="one"),
        worker(tmp_path, "threads", name="other"),
    ):
        for generation in (1, 2):
            if generation == 1:
                for key in keys:
                    lone.price.set("old", key)
            lone.fleet.invalidate(hard=False)
            visit_all(lone.fleet, lambda key: str(lone.price(key)), keys, 50)
            wait_until(
                lambda done=generation: all(
                    len(reports(lone, lone.price, key)) == done for key in keys
                )
            )
            assert {len(runs(lone, key)) for key in keys} == {generation}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_very_many_keys_that_expire_together(lone, own_redis):
    """Queue off, then on: orders stay within the bucket, old values are served."""
    told = []
    lone.limited.listen(told.append)
    for start in range(0, MANY, 1000):
        some = range(start, start + 1000)
        lone.limited.set_multi({lone.limited_price.key_for(n): "old" for n in some})
    lone.limited.invalidate(hard=False)
    own_redis.kill()
    begun = time.monotonic()
    served = [lone.limited_price(key) for key in range(MANY)]
    own_redis.start()
    served += [lone.limited_price(key) for key in range(MANY)]
    # The longer the queue was away, the longer it is left alone: asked until it is not.
    more = itertools.cycle(reversed(range(MANY)))
    wait_until(
        lambda: lone.limited_price(next(more)) and length(own_redis), patience=60
    )
    elapsed = time.monotonic() - begun
    done = [one for one in told if isinstance(one, events.Refreshed)]
    failed = [one for one in told if isinstance(one, events.OrderFailed)]
    rate = lone.RATE
    allowed = rate["burst"] + rate["per_second"] * elapsed
    assert len(done) + len(failed) + length(own_redis) <= allowed
    assert len(done) > 0
    assert all(one == "old" or one[0] == "new" for one in served)
    assert served.count("old") > MANY
