"""The a-methods: in which thread, in which context, and on how many connections."""

import asyncio
import contextvars
import threading

import pytest
from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django_caches import CacheTests, in_threads, unused_name

from holdover.contrib_django import RegionCache

asked_by = contextvars.ContextVar("asked_by", default="nobody")


class TestThreads(CacheTests):
    kinds = ("redis", "sqlite", "postgresql", "memcached")

    def test_of_the_event_loop_are_used_again(self, cache):
        """However many requests there are, each of which has a thread of its own."""

        async def request():
            async with ThreadSensitiveContext():
                await cache.aset("key", 1)
                return await cache.aget("key")

        async def site():
            seen = set()
            read = cache.region.get

            def noted(key):
                seen.add(threading.get_ident())
                return read(key)

            cache.region.get = noted
            try:
                assert [await request() for _ in range(30)] == [1] * 30
            finally:
                del cache.region.get
            return seen

        seen = asyncio.run(site())
        assert threading.get_ident() not in seen
        assert len(seen) < 30


class TestOneClient(CacheTests):
    kinds = ("redis",)

    def test_serves_all_threads_and_tasks(self, new_cache, redis_server):
        """A process keeps one connection per thread that asks, and no more."""
        before = clients(redis_server)

        def ask(_number):
            for _ in range(20):
                new_cache().get("key")

        in_threads(ask, count=4)
        new_cache().get("key")
        assert clients(redis_server) - before <= 4 + 1


class TestContext(CacheTests):
    kinds = ("memory", "file", "redis")

    def test_is_that_of_the_caller(self, cache):
        """A default sees the caller's variables, and the caller what it sets."""

        def make():
            asked_by.set(asked_by.get() + ", answered")
            return "made"

        async def amake():
            await asyncio.sleep(0)
            return make()

        async def use(default):
            asked_by.set("me")
            await cache.aget_or_set(unused_name(), default)
            return asked_by.get()

        assert asyncio.run(use(make)) == "me, answered"
        assert asyncio.run(use(amake)) == "me, answered"
        assert asyncio.run(use(lambda: amake())) == "me, answered"  # noqa: PLW0108

    def test_lets_a_default_use_the_request_s_thread(self, cache):
        """What Django runs in one thread per request finds its connections there."""

        async def request(default):
            async with ThreadSensitiveContext():
                own = await sync_to_async(threading.get_ident)()
                return own == await cache.aget_or_set(unused_name(), default)

        async def nested():
            return await sync_to_async(threading.get_ident)()

        assert asyncio.run(request(threading.get_ident))
        assert asyncio.run(request(nested))

    def test_does_not_end_a_default_s_error(self, cache):
        """It is raised unchanged, and the key is free for the next."""
        error = RuntimeError("broken")

        async def broken():
            raise error

        with pytest.raises(RuntimeError) as raised:
            asyncio.run(cache.aget_or_set("key", broken))
        assert raised.value is error
        assert asyncio.run(cache.aget_or_set("key", "made")) == "made"


def test_what_is_in_memory_needs_no_thread():
    """Nothing there can keep an event loop waiting."""
    cache = RegionCache(unused_name(), {})

    async def use():
        await cache.aset("key", 1)
        assert await cache.aget_many(["key"]) == {"key": 1}
        assert await cache.aincr("key") == 2
        return asyncio.get_running_loop()._default_executor

    assert asyncio.run(use()) is None


def clients(server):
    """Count the connections to a Redis."""
    with server.client() as client:
        return len(client.client_list())
