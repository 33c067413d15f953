"""What every Django cache does, and what ours does better."""

import pickle
from datetime import timedelta

import pytest
from django_caches import THREADS, CacheTests, in_threads, unused_name

from holdover import Region, errors, registry
from holdover.contrib_django import RegionCache, UnpicklableValue


class TestValues(CacheTests):
    def test_are_given_back(self, cache):
        """What was set is got, and a missing key gives the default."""
        cache.set("key", {"a": [1, 2.5, None, "ä"]})
        assert cache.get("key") == {"a": [1, 2.5, None, "ä"]}
        assert cache.get("other") is None
        assert cache.get("other", "default") == "default"

    def test_may_be_none(self, cache):
        """None is a value, which a default does not replace."""
        cache.set("key", None)
        assert cache.get("key", "default") is None
        assert "key" in cache
        assert cache.add("key", 1) is False
        assert cache.get_or_set("key", "default") is None
        assert cache.get_many(["key"]) == {"key": None}

    def test_are_copies(self, cache):
        """Nobody's changes to a value reach those of others, in memory neither."""
        stored = ["a"]
        cache.set("key", stored)
        stored.append("b")
        cache.get("key").append("c")
        assert cache.get("key") == ["a"]

    @pytest.mark.parametrize("method", ["set", "add"])
    @pytest.mark.parametrize("value", [lambda: 1, (item for item in "abc")])
    def test_that_cannot_be_stored_are_refused(self, cache, method, value):
        """The error is of the kind that Django's own caches raise, and of ours."""
        with pytest.raises(UnpicklableValue) as raised:
            getattr(cache, method)("key", value)
        assert isinstance(raised.value, pickle.PickleError)
        assert isinstance(raised.value, errors.UncacheableValue)
        assert isinstance(raised.value.__cause__, errors.UncacheableValue)

    def test_keep_to_the_codec(self, tmp_path):
        """With another codec, what it cannot encode is refused."""
        cache = RegionCache(str(tmp_path / "cache"), {"OPTIONS": {"CODEC": "json"}})
        cache.set("key", [1])
        assert cache.get("key") == [1]
        with pytest.raises(UnpicklableValue, match="json"):
            cache.set("key", {1, 2})


class TestTimeout(CacheTests):
    @pytest.mark.parametrize(
        ("timeout", "lasts"),
        [(5, 5), (2.5, 2.5), (timedelta(minutes=1), 60), (10**9, 10**9)],
    )
    def test_ends_an_entry(self, cache, clock, timeout, lasts):
        """An entry is served up to its timeout, and never after."""
        cache.set("key", 1, timeout)
        clock.advance(lasts - 0.5)
        assert cache.get("key") == 1
        clock.advance(0.5)
        assert cache.get("key") is None
        assert "key" not in cache

    def test_is_that_of_the_cache_by_default(self, new_cache, clock):
        """TIMEOUT holds where none is given, and is Django's 300 s if not set."""
        short, default = new_cache(TIMEOUT=60), new_cache()
        short.set("short", 1)
        default.set("default", 1)
        clock.advance(60)
        assert default.get_many(["short", "default"]) == {"default": 1}
        clock.advance(240)
        assert default.get_many(["short", "default"]) == {}

    @pytest.mark.parametrize("way", ["given", "by default"])
    def test_of_none_never_ends(self, new_cache, clock, way):
        """None means for ever."""
        cache = new_cache(**({"TIMEOUT": None} if way == "by default" else {}))
        cache.set("key", 1, **({"timeout": None} if way == "given" else {}))
        clock.advance(10 * 365 * 86_400)
        assert cache.get("key") == 1

    @pytest.mark.parametrize("timeout", [0, -1, -0.5])
    def test_of_zero_or_less_stores_nothing(self, cache, timeout):
        """Such an entry has expired before it is stored."""
        cache.set("key", 1, timeout)
        assert cache.add("key", 1, timeout) is True
        assert cache.set_many({"key": 1}, timeout) == []
        assert cache.get_or_set("key", lambda: 2, timeout) == 2
        assert cache.get("key") is None

    @pytest.mark.parametrize("timeout", [0, -1])
    def test_of_zero_or_less_removes(self, cache, timeout):
        """What was there before is gone."""
        for method in ("set", "touch"):
            cache.set("key", 1)
            arguments = ["key", 2] if method == "set" else ["key"]
            getattr(cache, method)(*arguments, timeout=timeout)
            assert cache.get("key") is None

    def test_holds_for_a_region_that_serves_stale_values(self):
        """Even there, nothing that came through Django is served past its timeout."""
        region = registry.region(unused_name())
        region.configure("holdover.memory", 100, stale_while_revalidate=1000)
        cache = RegionCache(f"region://{region.name}", {})
        cache.set("key", "old", 60)
        cache.set("ever", "old", None)
        region.invalidate(hard=False)
        assert cache.get("key") is None
        assert cache.get_or_set("ever", "new") == "new"


class TestAdd(CacheTests):
    def test_stores_only_what_is_missing(self, cache, clock):
        """An entry that is there stays; one that expired is none."""
        assert cache.add("key", 1, 10) is True
        assert cache.add("key", 2, 10) is False
        assert cache.get("key") == 1
        clock.advance(10)
        assert cache.add("key", 3, 10) is True
        assert cache.get("key") == 3

    def test_has_one_winner(self, cache):
        """Of many callers at once, one is told that his value was stored."""
        won = in_threads(lambda number: cache.add("key", number))
        assert won.count(True) == 1
        assert cache.get("key") == won.index(True)


class TestTouch(CacheTests):
    def test_gives_a_new_timeout(self, cache, clock):
        """It counts from now, and the value stays."""
        cache.set("key", "value", 10)
        clock.advance(9)
        assert cache.touch("key", 20) is True
        clock.advance(19)
        assert cache.get("key") == "value"
        clock.advance(1)
        assert cache.get("key") is None

    def test_can_take_the_end_away(self, cache, clock):
        """None means for ever; without an argument it is the cache's own TIMEOUT."""
        cache.set_many({"ever": 1, "default": 1}, 10)
        assert cache.touch("ever", None) is True
        assert cache.touch("default") is True
        clock.advance(299)
        assert cache.get_many(["ever", "default"]) == {"ever": 1, "default": 1}
        clock.advance(1)
        assert cache.get_many(["ever", "default"]) == {"ever": 1}

    def test_of_nothing_does_nothing(self, cache, clock):
        """A key that is missing or expired is not brought back."""
        assert cache.touch("key", 10) is False
        cache.set("key", 1, 10)
        clock.advance(10)
        assert cache.touch("key", 10) is False
        assert cache.touch("key", 0) is False


class TestDelete(CacheTests):
    def test_says_whether_there_was_a_value(self, cache, clock):
        """Not one that had expired or was cleared, though its bytes may be there."""
        assert cache.delete("key") is False
        cache.set("key", 1)
        assert cache.delete("key") is True
        assert cache.delete("key") is False
        assert cache.get("key") is None
        cache.set("key", 1, 10)
        clock.advance(10)
        assert cache.delete("key") is False
        cache.set("key", 1)
        cache.clear()
        assert cache.delete("key") is False


class TestManyKeys(CacheTests):
    def test_are_got_as_far_as_they_are_there(self, cache):
        """The result has the keys that were found, as they were asked for."""
        assert cache.set_many({"a": 1, "b": 2}) == []
        assert cache.get_many(key for key in "abc") == {"a": 1, "b": 2}
        assert cache.get_many([]) == {}

    def test_are_deleted(self, cache):
        """Those that are not there do not matter."""
        cache.set_many({"a": 1, "b": 2, "c": 3})
        assert cache.delete_many(key for key in "abx") is None
        assert cache.get_many("abc") == {"c": 3}

    def test_are_stored_in_one_go(self, cache, monkeypatch):
        """However many they are, the backend is asked to write once."""
        backend, asked = cache.region.backend, []
        write_multi = backend.write_multi

        def noted(stored, *, ttl):
            asked.append(len(stored))
            write_multi(stored, ttl=ttl)

        monkeypatch.setattr(backend, "write_multi", noted)
        assert cache.set_many(dict.fromkeys("abc", 1)) == []
        assert asked == [3]

    def test_of_which_one_cannot_be_stored(self, cache):
        """It is told, and its neighbours stay as they were."""
        cache.set("a", "old")
        with pytest.raises(UnpicklableValue):
            cache.set_many({"a": "new", "b": lambda: 1})
        assert cache.get_many("ab") == {"a": "old"}

    def test_that_could_not_be_stored_are_told(self, tmp_path):
        """`set_many()` returns the keys of values that are too large."""
        options = {"MAX_BYTES": 1000}
        cache = RegionCache(f"file://{tmp_path}/small", {"OPTIONS": options})
        data = {"a": "small", "b": "large" * 1000, "c": "small"}
        assert cache.set_many(data) == ["b"]
        assert cache.get_many(data) == {"a": "small", "c": "small"}
        assert cache.set("b", "large" * 1000) is None


class TestCounting(CacheTests):
    def test_adds_and_subtracts(self, cache):
        """The new value is returned and stored."""
        cache.set("key", 10)
        assert cache.incr("key") == 11
        assert cache.incr("key", 10) == 21
        assert cache.decr("key") == 20
        assert cache.decr("key", 0.5) == 19.5
        assert cache.incr("key", -1.5) == cache.get("key") == 18

    @pytest.mark.parametrize("method", ["incr", "decr"])
    def test_needs_a_value(self, cache, clock, method):
        """A key that is missing, expired or cleared is a `ValueError`."""
        with pytest.raises(ValueError, match="'key' not found"):
            getattr(cache, method)("key")
        cache.set("key", 1, 10)
        clock.advance(10)
        with pytest.raises(ValueError, match="'key' not found"):
            getattr(cache, method)("key")
        cache.set("key", 1)
        cache.clear()
        with pytest.raises(ValueError, match="'key' not found"):
            getattr(cache, method)("key")

    def test_does_not_put_off_the_end(self, cache, clock):
        """A counter expires when it would have."""
        cache.set("key", 1, 10)
        clock.advance(6)
        cache.incr("key")
        clock.advance(3.9)
        assert cache.get("key") == 2
        clock.advance(0.1)
        assert cache.get("key") is None

    def test_loses_nothing(self, cache):
        """Of what many threads add at once, all arrives."""
        cache.set("key", 0)

        def count(number):
            for _ in range(5):
                cache.incr("key", number)
                cache.decr("key")

        in_threads(count)
        assert cache.get("key") == 5 * sum(range(THREADS)) - 5 * THREADS

    def test_of_what_is_no_number_changes_nothing(self, cache):
        """The error is Python's own, as with Django's memory cache."""
        cache.set("key", "text")
        with pytest.raises(TypeError):
            cache.incr("key")
        assert cache.get("key") == "text"


class Clearing:
    """A value that somebody clears away while it is being counted up."""

    cache = None

    def __add__(self, other):
        self.cache.clear()
        return self


class TestClear(CacheTests):
    def test_removes_everything(self, new_cache):
        """All keys and all versions."""
        cache = new_cache()
        cache.set_many({"a": 1, "b": None})
        cache.set("a", 1, None, version=2)
        assert cache.clear() is None
        assert cache.get_many("ab") == {}
        assert cache.get("a", version=2) is None
        cache.set("a", 2)
        assert cache.get("a") == 2

    def test_is_seen_by_all_who_share_the_entries(self, new_cache):
        """By other objects at the same location, too."""
        one, two = new_cache(), new_cache(VERSION=2)
        two.set("key", 1)
        one.clear()
        assert "key" not in two

    def test_is_not_undone_by_a_change_under_way(self, cache, monkeypatch):
        """What is made from a cleared value, as by `incr()`, is cleared with it."""
        monkeypatch.setattr(Clearing, "cache", cache)
        cache.set("key", Clearing())
        cache.incr("key")
        assert "key" not in cache

    def test_spares_the_entries_of_others(self, kind, new_cache):
        """Those with another KEY_PREFIX, and of other regions in the same backend."""
        cache, other = new_cache(), new_cache(KEY_PREFIX="other")
        region = Region("other").configure(cache.region.backend, codec="json")
        other.set("key", "spared")
        region.set("key", "spared")
        cache.clear()
        # In a region of the application's, all is one cache.
        spared = None if kind == "region" else "spared"
        assert (other.get("key"), region.get("key")) == (spared, "spared")

    def test_takes_one_step(self, cache, monkeypatch):
        """No entry is visited, however many there are."""
        backend = cache.region.backend
        cache.set_many(dict.fromkeys(map(str, range(20)), 1))
        for verb in ("read", "write", "remove", "purge"):
            monkeypatch.setattr(backend, verb, pytest.fail)
        cache.clear()
