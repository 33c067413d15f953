"""Keys, prefixes and versions are Django's, and an entry keeps its end."""

import pytest
from django.core.cache.backends.base import CacheKeyWarning
from django_caches import CacheTests

LONG_KEY = "x" * 251


class TestVersions(CacheTests):
    def test_part_values(self, new_cache):
        """Each version of a key has its own value; VERSION is the default one."""
        one, two = new_cache(), new_cache(VERSION=2)
        one.set("key", "one")
        two.set("key", "two")
        assert one.get("key") == two.get("key", version=1) == "one"
        assert two.get("key") == one.get("key", version=2) == "two"
        assert one.delete("key", version=2) is True
        assert "key" not in two
        assert one.get_many(["key"], version=2) == {}

    @pytest.mark.parametrize(
        ("method", "arguments", "version"),
        [("incr_version", (), 2), ("incr_version", (5,), 6), ("decr_version", (), 0)],
    )
    def test_can_be_changed(self, cache, method, arguments, version):
        """The value moves to the new version, which is returned."""
        cache.set("key", "value")
        assert getattr(cache, method)("key", *arguments) == version
        assert cache.get("key") is None
        assert cache.get("key", version=version) == "value"

    def test_are_changed_without_putting_off_the_end(self, cache, clock):
        """Django's own way gives the moved entry a new timeout; ours keeps it."""
        cache.set("key", "value", 10)
        cache.set("ever", "value", None)
        clock.advance(6)
        cache.incr_version("key")
        cache.incr_version("ever")
        clock.advance(3.9)
        assert cache.get("key", version=2) == "value"
        clock.advance(0.1)
        assert cache.get("key", version=2) is None
        clock.advance(10_000)
        assert cache.get("ever", version=2) == "value"

    @pytest.mark.parametrize("method", ["incr_version", "decr_version"])
    def test_of_a_missing_key_cannot_be_changed(self, cache, method):
        """That is a `ValueError`, and changes nothing."""
        cache.set("key", "value", version=5)
        with pytest.raises(ValueError, match="'key' not found"):
            getattr(cache, method)("key")
        assert cache.get("key", version=5) == "value"


class TestKeys(CacheTests):
    kinds = ("memory", "redis")

    def test_begin_with_the_prefix(self, new_cache):
        """Caches with different KEY_PREFIXes do not see each other's entries."""
        one, two = new_cache(KEY_PREFIX="one"), new_cache(KEY_PREFIX="two")
        one.set("key", 1)
        assert "key" not in two
        assert new_cache(KEY_PREFIX="one").get("key") == 1

    @pytest.mark.parametrize("function", ["function", "dotted path"])
    def test_are_made_by_the_key_function(self, new_cache, function):
        """KEY_FUNCTION takes the place of Django's own, for every method."""
        made = shouting if function == "function" else f"{__name__}.shouting"
        cache = new_cache(KEY_FUNCTION=made)
        cache.set("key", 1)
        assert cache.get("KEY", version=7) == 1
        assert cache.get_many(["kEy"]) == {"kEy": 1}

    @pytest.mark.parametrize("key", [LONG_KEY, "with space", "with\nline", "\x7f"])
    @pytest.mark.parametrize(
        ("method", "more"),
        [
            ("get", ()),
            ("set", (1,)),
            ("add", (1,)),
            ("touch", ()),
            ("delete", ()),
            ("has_key", ()),
            ("incr", ()),
            ("decr", ()),
            ("get_or_set", (1,)),
            ("incr_version", ()),
            ("decr_version", ()),
        ],
    )
    def test_that_memcached_would_refuse_bring_a_warning(
        self, cache, method, more, key
    ):
        """Django's own warning, from every method; the method works all the same."""
        with pytest.warns(CacheKeyWarning):
            cache.set(key, 1)
        with pytest.warns(CacheKeyWarning):
            getattr(cache, method)(key, *more)

    @pytest.mark.parametrize("method", ["get_many", "set_many", "delete_many"])
    def test_among_many_bring_a_warning_too(self, cache, method):
        """Each bad key is warned of."""
        with pytest.warns(CacheKeyWarning):
            getattr(cache, method)({LONG_KEY: 1, "key": 2})


def shouting(key, key_prefix, version):
    """Make a key that knows neither case, prefix nor version."""
    return key.upper()
