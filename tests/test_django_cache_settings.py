"""What CACHES may say, and who then shares entries with whom."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.cache import CacheHandler
from django.core.exceptions import ImproperlyConfigured
from django_caches import CacheTests, in_threads, unused_name

from holdover import errors, registry
from holdover.contrib_django import RegionCache


class TestSharing(CacheTests):
    def test_one_location_is_one_region(self, new_cache):
        """However many objects Django makes, for threads and requests."""
        regions = in_threads(lambda _number: new_cache().region)
        assert len({id(region) for region in regions}) == 1

    def test_closing_one_leaves_it_to_the_others(self, new_cache):
        """Django closes every cache after every request."""
        one, two = new_cache(), new_cache()
        one.set("key", 1)
        one.close()
        assert (one.get("key"), two.get("key")) == (1, 1)

    def test_works_through_django_settings(self, location):
        """The dotted name in CACHES is all that Django needs."""
        caches = CacheHandler(
            {
                "default": {
                    "BACKEND": "holdover.contrib_django.RegionCache",
                    "LOCATION": location,
                },
                "other": {
                    "BACKEND": "holdover.contrib_django.RegionCache",
                    "LOCATION": location,
                    "KEY_PREFIX": "other",
                },
            }
        )
        caches["default"].set("key", 1)
        assert caches["default"].get("key") == 1
        assert "key" not in caches["other"]
        caches.close_all()

    def test_importing_the_package_loads_no_django(self):
        """Only its names do, when they are used."""
        check = "import sys, holdover.contrib_django; sys.exit('django' in sys.modules)"
        run = subprocess.run([sys.executable, "-c", check], check=False)
        assert run.returncode == 0


class TestLocation(CacheTests):
    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("", "memory://"),
            ("unique-snow_flake.1", "memory://unique-snow_flake.1"),
            ("memory://a b:c/d", "memory://a%20b:c/d"),
            ("{tmp}/cache", "file://{tmp}/cache"),
            ("{tmp}/cache", "{tmp}/x/../cache/"),
            ("{tmp}/cache", "file://localhost{tmp}/cache"),
            ("{tmp}/a b", "file://{tmp}/a%20b"),
        ],
    )
    def test_can_be_written_in_several_ways(self, tmp_path, one, other):
        """Both mean the same place."""
        first, second = (
            RegionCache(text.format(tmp=tmp_path), {}) for text in (one, other)
        )
        assert first.region is second.region

    def test_can_be_a_path_object(self, tmp_path):
        """As for Django's own file cache."""
        cache = RegionCache(tmp_path / "cache", {})
        cache.set("key", 1)
        assert (tmp_path / "cache").is_dir()
        assert cache.region is RegionCache(str(tmp_path / "cache"), {}).region

    def test_parts_stores(self, tmp_path):
        """Other places have other entries."""
        places = [unused_name(), unused_name(), f"{tmp_path}/a", f"{tmp_path}/b"]
        caches = [RegionCache(place, {}) for place in places]
        for number, cache in enumerate(caches):
            cache.set("key", number)
        assert [cache.get("key") for cache in caches] == [0, 1, 2, 3]

    def test_can_be_a_region_of_the_registry(self):
        """`region://name` is the application's own region, and its rules hold."""
        region = registry.region(unused_name())
        cache = RegionCache(f"region://{region.name}", {})
        with pytest.raises(errors.RegionNotConfigured, match=region.name):
            cache.get("key")
        region.configure("holdover.memory", arguments={"max_entries": 5})
        cache.set("key", 1)
        assert cache.get("key") == 1
        assert cache.region is region
        region.invalidate()
        assert cache.get("key") is None

    @pytest.mark.parametrize(
        ("location", "told"),
        [
            ("redis://localhost/0", "unknown scheme 'redis'"),
            ("Memory://x", "unknown scheme 'Memory'"),
            ("127.0.0.1:11211", "neither a name nor an absolute path"),
            ("var/cache", "neither a name nor an absolute path"),
            ("file://var/cache", "no absolute path"),
            ("file:///var/cache?max_bytes=5", "OPTIONS"),
            ("region://", "names no region"),
            (["10.0.0.1:11211"], "no text"),
            (None, "no text"),
        ],
    )
    def test_that_makes_no_sense_is_refused(self, location, told):
        """The error says why, and lists what is known."""
        with pytest.raises(ImproperlyConfigured, match=told) as raised:
            RegionCache(location, {})
        for scheme in ("memory://", "file:///", "region://"):
            assert scheme in str(raised.value)

    def test_that_others_can_write_to_is_refused(self, tmp_path):
        """An insecure directory is a mistake of configuration."""
        tmp_path.chmod(0o777)
        with pytest.raises(ImproperlyConfigured, match="chmod 700"):
            RegionCache(str(tmp_path), {})


class TestOptions(CacheTests):
    def test_bound_the_size(self, new_cache):
        """MAX_ENTRIES limits a store in memory."""
        cache = new_cache(unused_name(), {"MAX_ENTRIES": 5, "CULL_FREQUENCY": 3})
        cache.set_many(dict.fromkeys("abcdefghij", 1))
        assert len(cache.get_many("abcdefghij")) == 5

    def test_may_be_a_backends_own(self, tmp_path):
        """Its arguments are passed on."""
        cache = RegionCache(f"{tmp_path}/cache", {"OPTIONS": {"max_bytes": 500}})
        assert cache.set_many({"key": "x" * 600}) == ["key"]

    def test_may_be_rules_of_the_region(self, location):
        """Terms for leases hold for `get_or_set()`."""
        options = {"lease": {"wait": 0.01, "ttl": 2}, "on_timeout": "raise"}
        cache = RegionCache(location, {"OPTIONS": options})
        running, enough = threading.Event(), threading.Event()

        def slow():
            running.set()
            enough.wait(10)

        with ThreadPoolExecutor(1) as pool:
            creating = pool.submit(cache.get_or_set, "key", slow)
            running.wait(10)
            with pytest.raises(errors.LeaseTimeout):
                cache.get_or_set("key", "mine")
            enough.set()
            creating.result(10)

    @pytest.mark.parametrize(
        ("place", "options", "told"),
        [
            ("memory", {"max_entires": 5}, "'max_entires'.*'max_entries'"),
            ("memory", {"max_bytes": 5}, "'max_bytes'.*codec, lease, on_timeout"),
            ("memory", {"MAX_ENTRIES": 0}, "above 0"),
            ("memory", {"codec": "marshal"}, "'marshal'.*json"),
            ("memory", {"lease": {"tll": 5}}, "'lease.tll'"),
            ("memory", {"expiration_time": 5}, "TIMEOUT"),
            ("memory", {"stale_while_revalidate": 5}, "'stale_while_revalidate'"),
            ("file", {"MAX_ENTRIES": 5}, "max_bytes"),
            ("file", {"path": "/elsewhere"}, "LOCATION"),
            ("region", {"codec": "json"}, "codec"),
            ("region", {"MAX_ENTRIES": 5}, "MAX_ENTRIES"),
        ],
    )
    def test_that_make_no_sense_are_refused(self, tmp_path, place, options, told):
        """The error names the option, and what is known or where it belongs."""
        location = f"{place}://{tmp_path if place == 'file' else unused_name()}"
        with pytest.raises(ImproperlyConfigured, match=told):
            RegionCache(location, {"OPTIONS": options})

    def test_that_contradict_each_other_are_refused(self):
        """One store has one size, whichever of two aliases comes first."""
        name = unused_name()
        RegionCache(name, {"OPTIONS": {"MAX_ENTRIES": 5}})
        RegionCache(name, {"OPTIONS": {"MAX_ENTRIES": 5, "codec": "json"}})
        with pytest.raises(ImproperlyConfigured, match="a location of its own"):
            RegionCache(name, {"OPTIONS": {"MAX_ENTRIES": 6}})
