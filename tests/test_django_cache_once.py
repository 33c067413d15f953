"""One caller runs the default, in threads, processes and tasks."""

import asyncio
import subprocess
import sys
import threading
import time

import pytest
from django_caches import THREADS, CacheTests, in_threads

from holdover import events
from holdover.contrib_django import RegionCache


class TestGetOrSet(CacheTests):
    def test_gives_what_is_there(self, cache):
        """The default is neither used nor run."""
        cache.set("key", 1)
        assert cache.get_or_set("key", 2) == 1
        assert cache.get_or_set("key", pytest.fail) == 1

    @pytest.mark.parametrize("default", ["made", lambda: "made"])
    def test_stores_the_default(self, cache, clock, default):
        """A value or what makes it, for as long as the timeout says."""
        assert cache.get_or_set("key", default, 10) == "made"
        assert cache.get("key") == "made"
        clock.advance(10)
        assert cache.get("key") is None

    def test_stores_none(self, cache):
        """A default that returns None is run once."""
        runs = []
        for _ in range(2):
            assert cache.get_or_set("key", lambda: runs.append(1)) is None
        assert len(runs) == 1

    def test_runs_the_default_once_for_all_threads(self, cache):
        """Those who come while it runs wait, and get copies of what it made."""
        runs = []

        def slow():
            runs.append(1)
            time.sleep(0.1)
            return ["made"]

        got = in_threads(lambda _number: cache.get_or_set("key", slow))
        assert len(runs) == 1
        assert got == [["made"]] * THREADS
        assert len({id(value) for value in got}) == THREADS

    def test_runs_the_default_once_for_all_processes(self, tmp_path):
        """So it does where the processes share the cache's directory."""
        program = (
            "import sys, time; from holdover.contrib_django import RegionCache\n"
            "def slow():\n"
            "    open(sys.argv[1] + '/runs', 'a').write('.')\n"
            "    time.sleep(0.3)\n"
            "    return 'made'\n"
            "from django.conf import settings\n"
            "settings.configure(SECRET_KEY='one of many')\n"
            "cache = RegionCache(sys.argv[1] + '/cache', {})\n"
            "print('ready', flush=True); sys.stdin.readline()\n"
            "print(cache.get_or_set('key', slow))\n"
        )
        started = [
            subprocess.Popen(
                [sys.executable, "-c", program, str(tmp_path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(4)
        ]
        assert [one.stdout.readline() for one in started] == ["ready\n"] * 4
        for one in started:
            one.stdin.write("go\n")
            one.stdin.flush()
        assert [one.communicate(timeout=60)[0] for one in started] == ["made\n"] * 4
        assert (tmp_path / "runs").read_text() == "."

    def test_lets_the_error_of_the_default_out(self, cache):
        """It is raised unchanged, and the next caller tries again."""
        error = RuntimeError("broken")

        def broken():
            raise error

        with pytest.raises(RuntimeError) as raised:
            cache.get_or_set("key", broken)
        assert raised.value is error
        assert cache.get_or_set("key", "made") == "made"

    def test_does_not_undo_what_happened_meanwhile(self, cache):
        """A value set while the default ran is the newer one, and stays."""

        def interrupted():
            cache.set("key", "newer")
            return "older"

        assert cache.get_or_set("key", interrupted) == "newer"
        assert cache.get("key") == "newer"

    def test_gives_what_cannot_be_stored(self, cache, heard):
        """The caller has his value; that it was not stored is told to listeners."""
        told = heard(cache.region)
        value = cache.get_or_set("key", lambda: time.sleep, 10)
        assert value is time.sleep
        value = cache.get_or_set("other", lambda: threading.Lock(), 10)  # noqa: PLW0108
        assert isinstance(value, type(threading.Lock()))
        assert [event.key[-5:] for event in told if is_uncacheable(event)] == ["other"]


def is_uncacheable(event):
    """Say whether the event tells of a value that could not be stored."""
    return isinstance(event, events.Uncacheable)


class TestAsync(CacheTests):
    def test_offers_the_whole_api(self, cache, clock):
        """Every method has a twin that does the same."""

        async def use():
            assert await cache.aget("key", "default") == "default"
            assert await cache.aadd("key", 1) is True
            assert await cache.aadd("key", 2) is False
            assert await cache.aincr("key", 2) == 3
            assert await cache.adecr("key") == 2
            assert await cache.ahas_key("key") is True
            assert await cache.aincr_version("key") == 2
            assert await cache.adecr_version("key", version=2) == 1
            assert await cache.atouch("key", 10) is True
            assert await cache.aset_many({"a": 1, "b": 2}, 10) == []
            assert await cache.aget_many(["key", "a"]) == {"key": 2, "a": 1}
            assert await cache.adelete_many(["a"]) is None
            assert await cache.adelete("b") is True
            assert await cache.aget_or_set("c", lambda: "made", 10) == "made"
            assert await cache.aset("d", "set", 10) is None
            assert cache.get_many("abcd") == {"c": "made", "d": "set"}
            clock.advance(10)
            assert await cache.aget_many(["key", "c", "d"]) == {}
            await cache.aset("key", 1)
            await cache.aclear()
            assert await cache.aget("key") is None
            await cache.aclose()

        asyncio.run(use())

    def test_counts_atomically(self, cache):
        """Tasks that interleave lose nothing, as they would in Django's own way."""

        async def count():
            await cache.aset("key", 0)
            await asyncio.gather(*(cache.aincr("key") for _ in range(50)))
            await asyncio.gather(*(cache.adecr("key") for _ in range(20)))
            return await cache.aget("key")

        assert asyncio.run(count()) == 30

    @pytest.mark.parametrize("made_by", ["function", "coroutine function"])
    def test_runs_the_default_once_for_all_tasks(self, cache, made_by):
        """`aget_or_set()` has the same lease, and also takes coroutine functions."""
        runs = []

        def make():
            runs.append(1)
            return ["made"]

        async def amake():
            await asyncio.sleep(0.01)
            assert await cache.aget("other") is None
            return make()

        default = make if made_by == "function" else amake

        async def ask():
            return await asyncio.gather(
                *(cache.aget_or_set("key", default) for _ in range(10))
            )

        assert asyncio.run(ask()) == [["made"]] * 10
        assert len(runs) == 1

    def test_runs_the_default_once_for_threads_and_tasks(self, cache):
        """Asynchronous and synchronous callers share it."""
        runs = []

        def slow():
            runs.append(1)
            time.sleep(0.05)
            return "made"

        def ask(number):
            if number % 2:
                return cache.get_or_set("key", slow)
            return asyncio.run(cache.aget_or_set("key", slow))

        assert in_threads(ask) == ["made"] * THREADS
        assert len(runs) == 1

    def test_tells_of_keys_that_could_not_be_stored(self, tmp_path):
        """`aset_many()` returns them, which Django's own never does."""
        options = {"max_bytes": 1000}
        cache = RegionCache(f"file://{tmp_path}/small", {"OPTIONS": options})
        data = {"a": "small", "b": "large" * 1000}
        assert asyncio.run(cache.aset_many(data)) == ["b"]

    def test_has_the_same_errors(self, cache):
        """A missing key is a `ValueError`, and timeouts mean the same."""
        with pytest.raises(ValueError, match="'key' not found"):
            asyncio.run(cache.aincr("key"))
        with pytest.raises(ValueError, match="'key' not found"):
            asyncio.run(cache.aincr_version("key"))
        assert asyncio.run(cache.aget_or_set("key", 1, 0)) == 1
        assert cache.get("key") is None
