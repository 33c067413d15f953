"""What goes wrong with dogpile.cache, and does not here.

Each trap is laid for both: for dogpile.cache, where it must spring (or the test tells
nothing), and for the preset and the modern region on the backends of Holdover.
"""

import asyncio
import functools
import itertools
import multiprocessing
import os
import pickle
import queue
import signal
import threading
import time
import warnings
from dataclasses import replace
from unittest import mock

import dogpile.cache
import pymemcache
import pytest
import redis
from dogpile.cache.backends.memcached import MemcachedLock
from servers import MemcachedServer
from waiting import PATIENCE, wait_until

import holdover
import holdover.dogpile
from holdover import LeaseTerms, errors
from holdover.testing import FakeClock

FORK = multiprocessing.get_context("fork")
TTL = 0.5
SOON = 3.0  # seconds: far more than a lease of TTL takes to lapse
MAKERS = {
    "dogpile.cache": dogpile.cache.make_region,
    "preset": holdover.dogpile.make_region,
    "modern": holdover.make_region,
}


def on_redis(url, **arguments):
    """Give the backend that dogpile.cache offers to several processes."""
    arguments = {
        "url": url,
        "distributed_lock": True,
        "thread_local_lock": False,
        **arguments,
    }
    return "dogpile.cache.redis", arguments


# The backends of ours that processes share, each with its arguments.
SHARED = {
    "holdover.file": lambda _request, path: {"path": path / "cache"},
    "holdover.redis": lambda request, _path: {
        "url": request.getfixturevalue("redis_server").url
    },
}


@pytest.fixture(params=["dogpile.cache", "preset", "modern"])
def library(request):
    """Give each library in turn."""
    return request.param


@pytest.fixture
def springs(library):
    """Whether the trap is to spring."""
    return library == "dogpile.cache"


@pytest.fixture(params=list(SHARED))
def new_region(request, library, tmp_path):
    """Make regions that share a store, as processes do, in each library."""
    its_own_url = (
        library == "dogpile.cache" and request.getfixturevalue("redis_server").url
    )

    def make(expiration_time=60, *, its_own=None, **ours):
        region = MAKERS[library]("traps")
        if library == "dogpile.cache":
            name, arguments = on_redis(its_own_url, **(its_own or {}))
            return region.configure(name, expiration_time, arguments)
        arguments = SHARED[request.param](request, tmp_path)
        ours = {"lease": LeaseTerms(ttl=TTL, wait=10.0), "unsigned_pickle": True} | ours
        return region.configure(request.param, expiration_time, arguments, **ours)

    return make


@pytest.fixture
def new_local_region(library):
    """Make regions in this process's memory, in each library."""

    def make(expiration_time=60, **ours):
        region = MAKERS[library]("traps")
        if library == "dogpile.cache":
            return region.configure("dogpile.cache.memory_pickle", expiration_time)
        return region.configure("holdover.memory", expiration_time, **ours)

    return make


def expire(region):
    """Let all values of a region expire, and stay."""
    region.invalidate(hard=False)


def in_time(function, seconds):
    """Say whether another process is done with *function* in time."""
    process = FORK.Process(target=function, daemon=True)
    process.start()
    process.join(seconds)
    done = process.exitcode == 0
    process.kill()
    process.join()
    return done


# -- field.md 2.1 and runtime.md 1 ---------------------------------------------


def test_a_creator_that_died_blocks_nobody(new_region, springs):
    """After a crash in a creator the next caller creates, within moments."""

    def die():
        os.kill(os.getpid(), signal.SIGKILL)

    crashed = FORK.Process(target=lambda: new_region().get_or_create("key", die))
    crashed.start()
    crashed.join()
    read = functools.partial(new_region().get_or_create, "key", lambda: "value")
    assert in_time(read, SOON if springs else PATIENCE) is not springs


def test_a_creator_may_outlast_its_lock(new_region, springs):
    """A value that was made late is the caller's, not an error about a lock."""
    short = LeaseTerms(ttl=0.1, wait=10.0, max_hold=0.1)
    region = new_region(its_own={"lock_timeout": 0.1}, lease=short)

    def create():
        time.sleep(0.3)
        return "value"

    if springs:
        with pytest.raises(redis.exceptions.LockNotOwnedError):
            region.get_or_create("key", create)
    else:
        assert "value" == region.get_or_create("key", create)


class BrokenRunner:
    """A runner whose broker is down."""

    name = "broken"
    takes_orders = leaves_process = False

    def bind(self, execute):
        """Take no orders."""

    def submit(self, job):
        """Fail as a client does."""
        raise ConnectionError("the broker is down")


class Keyed:
    """What may be a modern method's ``self``: it says what identifies it."""

    def __cache_key__(self):
        return "the only one"


def test_a_broken_runner_reaches_nobody_who_has_an_old_value(new_local_region, springs):
    """With a stale value at hand, a broker that is down is not the caller's trouble."""
    region = new_local_region(runner=BrokenRunner())
    region.set("key", "old")
    expire(region)
    if springs:
        region.async_creation_runner = mock.Mock(side_effect=ConnectionError)
        with pytest.raises(ConnectionError):
            region.get_or_create("key", lambda: "new")
    else:
        assert "old" == region.get_or_create("key", lambda: "new")


def test_a_failing_creator_reaches_nobody_who_has_an_old_value(
    new_local_region, library
):
    """A modern region serves the old value; the preset raises as its model does."""
    region = new_local_region()
    region.set("key", "old")
    expire(region)
    if library == "modern":
        assert "old" == region.get_or_create("key", lambda: 1 / 0)
    else:
        with pytest.raises(ZeroDivisionError):
            region.get_or_create("key", lambda: 1 / 0)


def test_the_preset_serves_the_old_value_too_if_asked(tmp_path):
    """``stale_if_error`` is one word in its configuration."""
    region = holdover.dogpile.make_region()
    arguments = {"path": tmp_path / "cache"}
    region.configure("holdover.file", 60, arguments, stale_if_error=None)
    region.set("key", "old")
    expire(region)
    assert "old" == region.get_or_create("key", lambda: 1 / 0)


def test_a_runner_in_a_thread_leaves_no_lock(new_region, springs):
    """Refreshing in a thread works, and the key can be refreshed again."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # it does warn of this trap
        region = new_region(its_own={"thread_local_lock": True}, runner="thread")
    if springs:
        problems = run_in_a_thread(region)
    region.set("key", "old")
    expire(region)
    assert "old" == region.get_or_create("key", lambda: "new")
    if springs:
        assert isinstance(problems.get(timeout=20), AttributeError)
    else:
        wait_until(lambda: region.get("key") == "new")
    assert region.key_is_locked("key") is springs


def run_in_a_thread(region):
    """Give a region of dogpile.cache a runner; give what collects its problems."""
    problems = queue.Queue()

    def run(cache, key, creator, mutex):
        def work():
            try:
                cache.set(key, creator())
                mutex.release()
            except Exception as problem:
                problems.put(problem)

        threading.Thread(target=work).start()

    region.async_creation_runner = run
    return problems


def test_a_lock_can_be_handed_to_another_process(redis_server, tmp_path):
    """A mutex cannot be sent; a lease is a token, which another process adopts."""
    name, arguments = on_redis(redis_server.url)
    its_own = dogpile.cache.make_region().configure(name, 60, arguments)
    with pytest.raises(TypeError):
        pickle.dumps(its_own.backend.get_mutex("key"))
    region = holdover.make_region("traps")
    region.configure("holdover.file", 60, {"path": tmp_path / "cache"})
    backend = region.backend
    lease = backend.acquire("key", "traps", ttl=5, seen=None)
    sent = pickle.loads(pickle.dumps(lease))
    assert backend.adopt("key", "traps", sent.token, ttl=5) is not None
    assert backend.adopt("key", "traps", sent.token, ttl=5) is None


def test_a_stale_reader_who_is_late_creates_nothing(new_local_region, springs):
    """Who read the old value just before others stored the next one gets that."""
    region = new_local_region()
    region.set("key", "old")
    expire(region)
    verb = "get_serialized" if springs else "read"
    created = []
    read = getattr(region.backend, verb)

    def read_and_be_overtaken(*args):
        found = read(*args)
        setattr(region.backend, verb, read)
        other = threading.Thread(target=ask)
        other.start()
        other.join()
        return found

    def create():
        created.append("new")
        return f"new {len(created)}"

    def ask():
        assert region.get_or_create("key", create).startswith("new")

    setattr(region.backend, verb, read_and_be_overtaken)
    ask()
    assert len(created) == (2 if springs else 1)


@pytest.fixture(scope="module")
def memcached():
    """Start a memcached server."""
    with MemcachedServer() as server:
        yield server


@pytest.fixture
def on_memcached(memcached):
    """Configure regions on dogpile.cache's memcached backend, in each library."""
    made = []

    def make(library, made_with=None, **arguments):
        region = MAKERS[library](**(made_with or {}))
        arguments["url"] = f"127.0.0.1:{memcached.port}"
        made.append(region.configure("dogpile.cache.pymemcache", 60, arguments))
        return region

    yield make
    for region in made:
        region.backend.client.close()


ODD_KEYS = [
    "with a space",
    "k" * 251,
    "line\nbreak",
    "ключ",
    "digest:" + "0" * 64,
    "\0",
]


@pytest.mark.parametrize("key", ODD_KEYS)
def test_any_key_can_be_kept_in_memcached(on_memcached, library, key):
    """A modern region takes any text; dogpile.cache's keys are kept as they are."""
    region = on_memcached(library)
    refused = key != ODD_KEYS[4]
    if library == "modern" or not refused:
        region.set(key, "value")
        assert "value" == region.get(key)
        assert "value" == region.get_or_create(key, lambda: "another")
    else:
        with pytest.raises(pymemcache.exceptions.MemcacheIllegalInputError):
            region.set(key, "value")


def test_ordinary_keys_are_not_touched_for_memcached(on_memcached):
    """Only what memcached refuses is replaced, so that operators can look keys up."""
    on_memcached("modern").set("module:function(1)", "value")
    assert "value" == on_memcached("dogpile.cache").get("module:function(1)")


def test_a_user_s_mangler_comes_first(on_memcached):
    """A mangler that the user chose is the only one."""
    region = on_memcached("modern", {"key_mangler": lambda key: "mangled"})
    region.set("any key", 1)
    assert 1 == on_memcached("dogpile.cache").get("mangled")


def test_a_waiter_asks_often(tmp_path, library, springs):
    """Who waits for another process's creator looks again within moments."""
    pauses = []
    if springs:
        locked = mock.Mock(**{"add.side_effect": [0] * 20 + [1]})
        with mock.patch("time.sleep", pauses.append):
            MemcachedLock(lambda: locked, "key").acquire()
    else:
        pauses = pauses_behind_a_creator(library, tmp_path)
    assert len(pauses) == 20
    assert (max(pauses) > 60) is springs
    assert (sum(pauses) < 0.5) is not springs


def pauses_behind_a_creator(library, path):
    """Let another process finish after 20 pauses of a waiter; give their lengths."""
    pauses = []

    class Clock(FakeClock):
        def sleep(self, seconds):
            pauses.append(seconds)
            if len(pauses) == 20:
                region.backend.release(lease)
            super().sleep(seconds)

    clock = Clock()
    region = MAKERS[library]("traps", time_source=clock)
    region.configure("holdover.file", 60, {"path": path / "c", "time_source": clock})
    lease = region.backend.acquire(region._address("key"), "traps", ttl=5, seen=None)
    assert "mine" == region.get_or_create("key", lambda: "mine")
    return pauses


def test_a_lock_is_released_by_its_owner_only(tmp_path, on_memcached):
    """Another process cannot end a lease by accident; memcached's lock it can."""
    region = on_memcached("dogpile.cache", distributed_lock=True)
    mine, foreign = (region.backend.get_mutex("owned") for _ in range(2))
    assert mine.acquire(False)
    foreign.release()
    assert foreign.acquire(False)

    region = holdover.make_region("traps")
    region.configure("holdover.file", 60, {"path": tmp_path / "cache"})
    lease = region.backend.acquire("key", "traps", ttl=5, seen=None)
    assert not region.backend.release(replace(lease, token="made up"))
    assert region.backend.is_locked("key")
    assert region.backend.release(lease)


def test_a_bound_method_s_invalidation_is_never_silent(new_local_region, springs):
    """``obj.m.invalidate(5)`` takes 5 for self there; here it works or is an error."""
    region = new_local_region()
    values = itertools.count(1)

    class Page(Keyed):
        @region.cache_on_arguments()
        def render(self, number):
            return next(values)

    page = Page()
    assert 1 == page.render(5)
    try:
        page.render.invalidate(5)
    except TypeError:
        noticed = True
    else:
        noticed = page.render(5) == 2
    assert noticed is not springs


def test_methods_of_one_name_have_keys_of_their_own(new_local_region, library):
    """Modern keys name the class; the preset's are dogpile.cache's, for its values."""
    region = new_local_region()

    class Cat(Keyed):
        @region.cache_on_arguments()
        def sound(self):
            return "meow"

    class Dog(Keyed):
        @region.cache_on_arguments()
        def sound(self):
            return "woof"

    assert "meow" == Cat().sound()
    assert ("woof" if library == "modern" else "meow") == Dog().sound()


def test_coroutines_are_refused(library):
    """An ``async def`` is refused at once; dogpile.cache keeps a used-up coroutine."""
    region = MAKERS[library]()

    async def function():
        return "value"

    if library != "dogpile.cache":
        with pytest.raises(errors.LazyValue, match="async def"):
            region.cache_on_arguments()(function)
        return
    region.configure("dogpile.cache.memory", 60)
    cached = region.cache_on_arguments()(function)
    assert "value" == asyncio.run(cached())
    with pytest.raises(RuntimeError, match="already awaited"):
        asyncio.run(cached())


# -- the weak points of its source ---------------------------------------------


def test_soft_invalidation_needs_no_expiration_time(new_local_region, springs):
    """Values that never expire can be refreshed softly."""
    region = new_local_region(None)
    region.set("key", "old")
    expire(region)
    if springs:
        with pytest.raises(dogpile.cache.exception.DogpileCacheException):
            region.get_or_create("key", lambda: "new")
    else:
        assert "new" == region.get_or_create("key", lambda: "new")


def test_an_invalidation_reaches_other_processes(new_region, springs):
    """What one process invalidates no other serves any longer."""
    first, second = new_region(), new_region()
    first.set("key", "old")
    assert "old" == second.get("key")
    first.invalidate()
    assert ("old" == second.get("key", ignore_expiration=True)) is springs


def test_damaged_bytes_are_a_miss(new_region, springs):
    """What cannot be read is made anew, not raised at the caller."""
    region = new_region()
    region.set("key", "value")
    address = "key" if springs else region._address("key")
    raw = region.backend.get_serialized(address)
    region.backend.set_serialized(address, raw[:-3])
    if springs:
        with pytest.raises(pickle.UnpicklingError):
            region.get_or_create("key", lambda: "new")
    else:
        assert "new" == region.get_or_create("key", lambda: "new")


def test_a_value_that_cannot_be_stored_is_still_the_caller_s(new_region, springs):
    """What pickle refuses is given to who asked for it, and told as an event."""
    region = new_region()
    if springs:
        with pytest.raises((pickle.PicklingError, AttributeError, TypeError)):
            region.get_or_create("key", threading.Lock)
    else:
        assert region.get_or_create("key", threading.Lock) is not None


def test_a_locked_key_is_found_under_its_mangled_name(redis_server, library, springs):
    """``key_is_locked`` means the lock that creators take."""
    name, arguments = on_redis(redis_server.url)
    region = MAKERS[library](key_mangler=lambda key: f"mangled {key}")
    region.configure(name, 60, arguments)
    seen = region.get_or_create("key", lambda: region.key_is_locked("key"))
    assert seen is not springs


def test_an_invalidation_knows_the_function_s_defaults(library, springs):
    """``f.invalidate(1)`` reaches the value of ``f(1)``, on its backends too."""
    region = MAKERS[library]().configure("dogpile.cache.memory", 60)
    values = itertools.count(1)

    @region.cache_on_arguments()
    def function(first, second="x"):
        return next(values)

    assert 1 == function(1)
    function.invalidate(1)
    assert function(1) == (1 if springs else 2)


# -- a server that is away -----------------------------------------------------


@pytest.mark.parametrize("trouble", ["refused", "dying", "frozen"])
@pytest.mark.usefixtures("default_timeouts")
def test_a_redis_that_is_away_reaches_no_caller(
    tmp_path, own_redis, library, springs, trouble
):
    """dogpile.cache raises, or hangs for as long as its client does."""
    region = MAKERS[library]("traps")
    if library == "dogpile.cache":
        # Its client's own patience is 5 s, eleven times.
        name, arguments = on_redis(own_redis.url, socket_timeout=0.1)
        region.configure(name, 60, arguments)
    else:
        terms = LeaseTerms(ttl=TTL, wait=2.0)
        region.configure(
            "holdover.redis",
            60,
            {"url": own_redis.url},
            lease=terms,
            unsigned_pickle=True,
        )
    if trouble == "dying":
        region.set("k", "value")
    own_redis.freeze() if trouble == "frozen" else own_redis.kill()
    begun = time.monotonic()
    if springs:
        with pytest.raises(redis.exceptions.RedisError):
            region.get_or_create("k", lambda: "created")
    else:
        assert region.get_or_create("k", lambda: "created") == "created"
        assert region.get("k") is holdover.NO_VALUE
        assert region.set("k", "new").pending
        assert region.delete("k").pending
        assert time.monotonic() - begun < 3 * SOON
