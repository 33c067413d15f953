"""What Django reads by get() and writes by set() is served stale while one makes it."""

import asyncio
import gc
import subprocess
import sys
import threading
from datetime import timedelta

import pytest
from asgiref.sync import sync_to_async
from django_caches import THREADS, in_threads, unused_name
from django_stale import FRAGMENT, PAGE, WINDOW, StaleTests, elsewhere
from standins import broken
from waiting import wait_until

from holdover.contrib_django import RegionCache, UnpicklableValue
from holdover.contrib_django.stale.leases import MOST_LEASES


class TestGet(StaleTests):
    def test_gives_fresh_values(self, cache, clock):
        """Until their timeout, there is nothing special about them."""
        cache.set(PAGE, "page", 10)
        clock.advance(9)
        assert cache.get(PAGE) == "page"
        assert cache.get_many([PAGE, FRAGMENT]) == {PAGE: "page"}

    @pytest.mark.parametrize("key", [PAGE, FRAGMENT])
    def test_misses_for_one_caller(self, cache, clock, key):
        """He makes it anew; the others are served the old value until he has."""
        cache.set(key, "old", 10)
        clock.advance(11)
        assert cache.get(key, "missing") == "missing"
        assert elsewhere(cache.get, key) == "old"
        cache.set(key, "new", 10)
        assert cache.get(key) == elsewhere(cache.get, key) == "new"

    def test_misses_for_one_of_many_threads(self, stale):
        """However many come at the same time."""
        got, leave = [], threading.Barrier(THREADS)

        def ask(_number):
            got.append(stale.get(PAGE))
            leave.wait(20)  # what has been won is held

        in_threads(ask)
        assert sorted(got, key=str) == [None, *["old"] * (THREADS - 1)]

    def test_misses_again_in_the_same_context(self, stale):
        """He who makes it may ask twice before he has; there is one lease."""
        assert stale.get(PAGE) is None
        assert stale.get(PAGE) is None
        assert stale.get_many([PAGE]) == {}
        stale.set(PAGE, "new", 10)
        assert elsewhere(stale.get, PAGE) == "new"

    def test_gives_what_others_have_made_meanwhile(self, stale):
        """He who was to make it may then write it all the same: he has seen it."""
        assert stale.get(PAGE) is None
        elsewhere(stale.set, PAGE, "newer", 10)
        assert stale.get(PAGE) == "newer"
        stale.set(PAGE, "newest", 10)
        assert elsewhere(stale.get, PAGE) == "newest"

    def test_misses_for_all_once_the_window_is_over(self, stale, clock):
        """STALE_WHILE_REVALIDATE begins with the timeout."""
        clock.advance(WINDOW)
        assert stale.get(PAGE) is None
        assert elsewhere(stale.get, PAGE) is None

    def test_of_other_keys_is_never_stale(self, cache, clock):
        """Nor is anything that has no timeout ever."""
        cache.set("key", "old", 10)
        cache.set(FRAGMENT, "fragment", None)
        clock.advance(11)
        assert cache.get("key") is None
        assert elsewhere(cache.get, "key") is None
        assert cache.get(FRAGMENT) == "fragment"

    def test_many_is_many_gets(self, stale, clock):
        """Of each stale key one caller is told that it is missing."""
        stale.set_many({FRAGMENT: "fragment", "key": 1}, 10)
        assert stale.get(PAGE) is None
        keys = [FRAGMENT, "key", PAGE]
        assert elsewhere(stale.get_many, keys) == {
            FRAGMENT: "fragment",
            "key": 1,
            PAGE: "old",
        }
        clock.advance(11)
        assert stale.get_many(keys) == {}
        assert elsewhere(stale.get_many, keys) == {FRAGMENT: "fragment", PAGE: "old"}
        assert stale.set_many(dict.fromkeys(keys, "new"), 10) == []
        assert elsewhere(stale.get_many, keys) == dict.fromkeys(keys, "new")

    def test_knows_versions(self, stale):
        """Another version is another key."""
        stale.set(PAGE, "second", 10, version=2)
        assert stale.get(PAGE) is None
        assert stale.get(PAGE, version=2) == "second"


class TestOthers(StaleTests):
    def test_treat_stale_as_absent(self, stale):
        """All but reading goes by the timeout."""
        assert not stale.has_key(PAGE)
        assert PAGE not in stale
        assert not stale.touch(PAGE, 10)
        assert not stale.delete(PAGE)
        for count in (stale.incr, stale.decr, stale.incr_version, stale.decr_version):
            with pytest.raises(ValueError, match="not found"):
                count(PAGE)

    def test_add_stores_over_it(self, stale, clock):
        """And what it stores is never stale: a lock, say, whatever its key."""
        assert stale.add(PAGE, "lock", 10)
        assert not stale.add(PAGE, "lock", 10)
        clock.advance(11)
        assert elsewhere(stale.get, PAGE) is None
        assert stale.add(PAGE, "lock", 10)

    def test_touch_ends_it(self, cache, clock):
        """A lock that is kept by touching it is not served stale, either."""
        cache.set(PAGE, "page", 10)
        assert cache.touch(PAGE, 20)
        clock.advance(21)
        assert elsewhere(cache.get, PAGE) is None

    def test_counters_keep_their_expiry(self, new_cache, clock):
        """They are counted on from a fresh value only."""
        cache = new_cache(STALE_KEYS=["count"])
        cache.set("count", 1, 10)
        assert cache.incr("count") == 2
        clock.advance(11)
        assert cache.get("count") is None
        assert elsewhere(cache.get, "count") == 2
        with pytest.raises(ValueError, match="not found"):
            cache.incr("count")

    def test_get_or_set_creates_once(self, stale):
        """One creates, the others are served the old value."""
        begun, go_on = threading.Event(), threading.Event()

        def make():
            begun.set()
            assert go_on.wait(20)
            return "new"

        maker = threading.Thread(target=stale.get_or_set, args=(PAGE, make, 10))
        maker.start()
        assert begun.wait(20)
        assert stale.get_or_set(PAGE, pytest.fail, 10) == "old"
        go_on.set()
        maker.join(20)
        assert stale.get(PAGE) == "new"

    def test_get_or_set_stores_what_can_be_stale(self, cache, clock):
        """As set() does; a value that is to be made anew by get() it makes itself."""
        assert cache.get_or_set(PAGE, "old", 10) == "old"
        clock.advance(11)
        assert cache.get(PAGE) is None
        assert elsewhere(cache.get, PAGE) == "old"
        assert cache.get_or_set(PAGE, lambda: "new", 10) == "new"
        clock.advance(11)
        assert cache.get(PAGE) is None
        assert asyncio.run(cache.aget_or_set(PAGE, lambda: "newer", 10)) == "newer"


class TestLateSet(StaleTests):
    @pytest.mark.parametrize("change", ["set", "delete", "clear"])
    def test_brings_nothing_back(self, stale, change):
        """Whatever others did meanwhile wins."""
        assert stale.get(PAGE) is None
        args = {"set": (PAGE, "newer", 10), "delete": (PAGE,), "clear": ()}[change]
        elsewhere(getattr(stale, change), *args)
        stale.set(PAGE, "late", 10)
        assert elsewhere(stale.get, PAGE) == ("newer" if change == "set" else None)

    @pytest.mark.parametrize(
        "change", ["add", "delete", "delete_many", "clear", "zero"]
    )
    def test_after_ones_own_change_is_not_late(self, stale, change):
        """One caller's calls have their effects one after the other."""
        assert stale.get(PAGE) is None
        args = {"add": (PAGE, "added"), "delete": (PAGE,), "delete_many": ([PAGE],)}
        if change == "zero":
            stale.set(PAGE, "never stored", 0)
        else:
            getattr(stale, change)(*args.get(change, ()))
        stale.set(PAGE, "new", 10)
        assert elsewhere(stale.get, PAGE) == "new"

    def test_after_a_version_has_moved_is_not_late(self, stale):
        """Nor is one to where it went."""
        stale.set(PAGE, "moved", 100, version=0)
        assert stale.get(PAGE) is None
        stale.incr_version(PAGE, version=0)
        stale.set(PAGE, "new", 10)
        assert elsewhere(stale.get, PAGE) == "new"

    def test_from_another_thread_is_a_plain_one(self, stale, clock):
        """And he who was to make it comes late, then."""
        assert stale.get(PAGE) is None
        elsewhere(stale.set, PAGE, "theirs", 10)
        stale.set(PAGE, "mine", 10)
        assert stale.get(PAGE) == "theirs"
        clock.advance(11)
        assert elsewhere(stale.get, PAGE) is None

    def test_twice_is_once_by_the_lease_and_once_plain(self, stale):
        """The second is a write like any other."""
        assert stale.get(PAGE) is None
        stale.set(PAGE, "new", 10)
        elsewhere(stale.set, PAGE, "theirs", 10)
        stale.set(PAGE, "newest", 10)
        assert elsewhere(stale.get, PAGE) == "newest"

    @pytest.mark.parametrize("timeout", [10, timedelta(seconds=10), None])
    def test_lasts_as_long_as_any(self, stale, clock, timeout):
        """Timeouts mean what they mean elsewhere."""
        assert stale.get(PAGE) is None
        stale.set(PAGE, "new", timeout)
        clock.advance(11)
        assert stale.get(PAGE) == ("new" if timeout is None else None)
        clock.advance(WINDOW)
        assert elsewhere(stale.get, PAGE) == ("new" if timeout is None else None)


class TestUnused(StaleTests):
    """A lease that nobody uses keeps the key from nobody."""

    def test_is_released_when_the_request_ends(self, stale):
        """Django closes its caches then."""
        assert stale.get(PAGE) is None
        stale.close()
        assert not is_locked(stale)
        assert elsewhere(stale.get, PAGE) is None

    def test_is_released_when_the_thread_ends(self, stale):
        """Whatever it was."""
        assert elsewhere(stale.get, PAGE) is None
        wait_until(lambda: not is_locked(stale))

    def test_is_released_when_the_task_ends(self, stale):
        """Of several tasks one has to make it, and then, another."""

        async def ask():
            return await asyncio.gather(*(stale.aget(PAGE) for _ in range(5)))

        assert sorted(asyncio.run(ask()), key=str) == [None, "old", "old", "old", "old"]
        gc.collect()
        wait_until(lambda: not is_locked(stale))

    def test_is_released_when_there_are_too_many(self, cache, clock):
        """A command that only reads does not hoard them."""
        keys = [f"{PAGE}{number}" for number in range(MOST_LEASES + 1)]
        cache.set_many(dict.fromkeys(keys, "old"), 10)
        clock.advance(11)

        def hoard():
            assert all(cache.get(key) is None for key in keys)
            return [is_locked(cache, key) for key in keys]

        assert elsewhere(hoard) == [False] + [True] * MOST_LEASES

    def test_is_not_another_cache_s(self, stale):
        """What is done to one cache ends its own leases only."""
        options = {"STALE_WHILE_REVALIDATE": WINDOW}
        other = RegionCache(f"memory://{unused_name()}", {"OPTIONS": options})
        assert stale.get(PAGE) is None
        other.clear()
        other.close()
        assert is_locked(stale)


class TestAsync(StaleTests):
    def test_a_task_is_a_context(self, stale):
        """It reads in one thread and writes in another; the others are served."""

        async def make():
            assert await stale.aget(PAGE) is None
            assert await stale.aget(PAGE) is None
            assert await sync_to_async(stale.get)(PAGE) is None
            assert await asyncio.to_thread(elsewhere, stale.get, PAGE) == "old"
            await stale.aset(PAGE, "new", 10)
            assert not is_locked(stale)
            assert await stale.aget(PAGE) == "new"

        asyncio.run(make())

    def test_tasks_are_apart(self, stale):
        """What a task has read before a deletion it does not bring back."""

        async def make():
            assert await stale.aget(PAGE) is None
            await asyncio.to_thread(elsewhere, stale.delete, PAGE)
            await stale.aset(PAGE, "late", 10)
            assert await stale.aget(PAGE) is None

        asyncio.run(make())

    def test_siblings_share_nothing(self, stale):
        """What one task won is not the other's, though one made both."""
        won, wrote = asyncio.Event(), asyncio.Event()

        async def make():
            assert await stale.aget(PAGE) is None
            won.set()
            await wrote.wait()
            await stale.aset(PAGE, "late", 10)

        async def other():
            await won.wait()
            assert await stale.aget_many([PAGE]) == {PAGE: "old"}
            assert await stale.aset_many({PAGE: "newer"}, 10) == []
            wrote.set()

        async def both():
            await asyncio.gather(make(), other())
            return await stale.aget(PAGE)

        assert asyncio.run(both()) == "newer"

    def test_ends_when_it_is_closed(self, stale):
        """As the end of an asynchronous request does."""

        async def make():
            assert await stale.aget(PAGE) is None
            assert is_locked(stale)
            await stale.aclose()
            assert not is_locked(stale)

        asyncio.run(make())


class TestTrouble(StaleTests):
    def test_where_nothing_can_be_written_old_values_do(self, stale, monkeypatch):
        """A disk that is full, a replica: everybody is served while they are kept."""
        for verb in ("acquire", "commit", "commit_multi", "write_at", "write"):
            monkeypatch.setattr(stale.region.backend, verb, broken)
        assert stale.get(PAGE) == "old"

    def test_where_nothing_can_be_read_there_is_nothing(self, stale, monkeypatch):
        """And nothing is raised."""
        for verb in ("read", "read_multi"):
            monkeypatch.setattr(stale.region.backend, verb, broken)
        assert stale.get(PAGE) is None
        assert stale.get_many([PAGE]) == {}

    def test_a_commit_that_fails_leaves_the_old_value(self, stale, monkeypatch, clock):
        """The next one makes it."""
        assert stale.get(PAGE) is None
        with monkeypatch.context() as patched:
            patched.setattr(stale.region.backend, "commit", broken)
            stale.set(PAGE, "new", 10)
        clock.advance(2)
        assert not is_locked(stale)
        assert elsewhere(stale.get, PAGE) is None

    def test_what_cannot_be_stored_is_told(self, stale):
        """As by any set(), and others may try."""
        assert stale.get(PAGE) is None
        with pytest.raises(UnpicklableValue):
            stale.set(PAGE, threading.Lock(), 10)
        assert not is_locked(stale)
        assert stale.get(PAGE) is None
        with pytest.raises(UnpicklableValue):
            stale.set(PAGE, (item for item in "ab"), 10)
        assert not is_locked(stale)


KILLED = """
import sys
from django.conf import settings
settings.configure(SECRET_KEY="of all these processes")
from holdover.contrib_django import RegionCache
options = {"STALE_WHILE_REVALIDATE": 60, "lease": {"ttl": 3.0}}
cache = RegionCache(sys.argv[1], {"OPTIONS": options})
key = "template.cache.one"
if sys.argv[2] == "set":
    cache.set(key, "old", 0.001)
else:
    print(cache.get(key), flush=True)
    sys.stdin.read()
"""


@pytest.mark.slow  # it is the lease that lapses, as any does
def test_a_killed_process_keeps_nothing(tmp_path):
    """Its lease lapses, and another process makes the value."""

    def start(what):
        return subprocess.Popen(
            [sys.executable, "-c", KILLED, str(tmp_path / "cache"), what],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    start("set").communicate(timeout=60)
    maker = start("get")
    assert maker.stdout.readline() == "None\n"
    other = start("get")
    assert other.stdout.readline() == "old\n"
    maker.kill()
    maker.wait(20)

    def asked():
        one = start("get")
        said = one.communicate(timeout=60)[0]
        return said == "None\n"

    wait_until(asked)
    other.communicate(timeout=60)
    maker.stdin.close()
    maker.stdout.close()


def is_locked(cache, key=PAGE):
    """Say whether somebody has the lease of *key*."""
    return cache.region.key_is_locked(cache.make_key(key))
