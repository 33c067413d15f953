"""What CACHES may say, and who then shares entries with whom."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.core.cache import CacheHandler
from django.core.exceptions import ImproperlyConfigured
from django_caches import CacheTests, in_threads, unused_name

from holdover import errors, registry
from holdover.contrib_django import RegionCache


class TestSharing(CacheTests):
    kinds = ("memory", "file", "redis", "django-db")

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

    def test_works_through_django_settings(self, store):
        """The dotted name in CACHES is all that Django needs."""
        location, _, options = store
        default = {
            "BACKEND": "holdover.contrib_django.RegionCache",
            "LOCATION": location,
            "OPTIONS": {
                name: value for name, value in options.items() if "timeout" in name
            },
        }
        other = {**default, "KEY_PREFIX": "other"}
        caches = CacheHandler({"default": default, "other": other})
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

    def test_can_be_the_name_of_a_region(self):
        """A plain name is a region's if the registry knows one; else a store's."""
        region = registry.region(unused_name())
        region.configure("holdover.memory")
        assert RegionCache(region.name, {}).region is region
        store = unused_name()
        assert (
            RegionCache(store, {}).region is RegionCache(f"memory://{store}", {}).region
        )

    def test_does_not_change_its_meaning(self):
        """A region that comes too late for a name in use is told of, not mixed up."""
        name = unused_name()
        RegionCache(name, {}).set("key", 1)
        registry.region(name).configure("holdover.memory")
        with pytest.raises(ImproperlyConfigured, match=f"'region://{name}'"):
            RegionCache(name, {})
        assert RegionCache(f"memory://{name}", {}).get("key") == 1

    def test_of_nothing_is_as_django_s_dummy(self):
        """`null://` has the API, and keeps nothing."""
        cache = RegionCache("null://", {})
        assert cache.set("key", 1) is None
        assert cache.get("key", "nothing") == "nothing"
        assert (cache.add("key", 1), cache.add("key", 1)) == (True, True)
        assert (cache.touch("key"), cache.delete("key")) == (False, False)
        assert cache.set_many({"key": 1}) == []
        assert cache.get_or_set("key", lambda: "made") == "made"
        with pytest.raises(ValueError, match="not found"):
            cache.incr("key")

    @pytest.mark.parametrize(
        ("location", "told"),
        [
            ("postgres://localhost/x", "'postgres'.*'postgresql'"),
            ("var/cache", "neither a name, nor an absolute path"),
            ("file://var/cache", "no absolute path"),
            ("file:///var/cache?max_bytes=5", "OPTIONS"),
            ("memory://x?max_entries=5", "OPTIONS"),
            ("redis://localhost/0?codec=json", "OPTIONS"),
            ("region://", "names no region"),
            ("region://x?codec=json", "OPTIONS"),
            ("django-db://default/a/b", "alias/table"),
            ("django-db://nowhere", "no database in DATABASES 'nowhere'.*default"),
            ("sqlite:////nowhere/cache.db", "no folder '/nowhere'"),
            ("sqlite://", "in memory"),
            (["memcached://a:1", "memcached://b:1"], "only Redis"),
            (["10.0.0.1:11211", 5], "other things"),
            ([], "empty"),
            (None, "neither a text nor a list"),
        ],
    )
    def test_that_makes_no_sense_is_refused(self, location, told):
        """The error says why."""
        with pytest.raises(ImproperlyConfigured, match=told):
            RegionCache(location, {})

    def test_of_no_kind_brings_a_list_of_those_there_are(self):
        """Whoever errs sees what is known."""
        with pytest.raises(ImproperlyConfigured) as raised:
            RegionCache("var/cache", {})
        for known in ("memory://", "file:///", "region://", "host:port", "django-db:"):
            assert known in str(raised.value)

    @pytest.mark.parametrize(
        ("location", "options"),
        [
            ("redis://me:hush-hush@host/x/y", {}),
            ("redis://me:hush-hush@host/0", {"max_bites": 5}),
            ("redis://me:hush-hush@host/0?codec=json", {}),
            (["redis://me:hush-hush@host/0", "sqlite:///x"], {}),
            ("postgresql://me:hush-hush@host", {"table": "a b"}),
            ("redis://host", {"secret": "hush-hush"}),
            ("me:hush-hush@host:1234", {}),
            (["me:hush-hush@host:1234", 5], {}),
        ],
    )
    def test_is_refused_without_its_password(self, location, options):
        """Settings are printed into logs and mails."""
        with pytest.raises(ImproperlyConfigured) as raised:
            RegionCache(location, {"OPTIONS": options})
        error = raised.value
        while error is not None:
            assert "hush-hush" not in str(error)
            error = error.__cause__

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("127.0.0.1:1,127.0.0.1:2", ["127.0.0.1:1", "127.0.0.1:2"]),
            ("127.0.0.1:1;127.0.0.1:2", ["127.0.0.1:1", "127.0.0.1:2"]),
            ("127.0.0.1:1", ["127.0.0.1:1"]),
            ("unix:/nowhere/socket", ["/nowhere/socket"]),
            (["redis://127.0.0.1:1/0", "redis://127.0.0.1:2"], "redis://127.0.0.1:1/0"),
            ("redis://127.0.0.1:1/0;redis://127.0.0.1:2", "redis://127.0.0.1:1/0"),
        ],
    )
    def test_can_be_as_for_django_s_own_backends(self, one, other):
        """Lists of servers are memcached's; of Redis's URLs, the first is used."""
        assert RegionCache(one, {}).region is RegionCache(other, {}).region

    def test_of_several_servers_is_one_url(self):
        """Where a URL itself has commas between its hosts, it is not parted there."""
        cache = RegionCache("redis-cluster://127.0.0.1:1,127.0.0.1:2", {})
        assert "Cluster" in type(cache.region.backend).__name__

    def test_that_others_can_write_to_is_refused(self, tmp_path):
        """An insecure directory is a mistake of configuration."""
        tmp_path.chmod(0o777)
        with pytest.raises(ImproperlyConfigured, match="chmod 700"):
            RegionCache(str(tmp_path), {})


class TestOptions(CacheTests):
    kinds = ("memory", "file", "redis")

    def test_bound_the_size(self):
        """MAX_ENTRIES limits a store in memory."""
        options = {"MAX_ENTRIES": 5, "CULL_FREQUENCY": 3}
        cache = RegionCache(unused_name(), {"OPTIONS": options})
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
            enough.wait(20)

        with ThreadPoolExecutor(1) as pool:
            creating = pool.submit(cache.get_or_set, "key", slow)
            running.wait(20)
            with pytest.raises(errors.LeaseTimeout):
                cache.get_or_set("key", "mine")
            enough.set()
            creating.result(20)

    def test_may_name_the_region(self):
        """By that name, workers and figures tell it from those of other caches."""
        name = unused_name()
        one = RegionCache(name, {"OPTIONS": {"NAME": "one"}})
        two = RegionCache(name, {"OPTIONS": {"NAME": "two"}, "KEY_PREFIX": "shop"})
        other = RegionCache(name, {})
        names = [cache.region.name for cache in (one, two, other)]
        assert names == ["one", "two.shop", "django"]
        one.set("key", 1)
        other.clear()
        assert one.get("key") == 1
        assert "key" not in other

    @pytest.mark.parametrize(
        ("place", "options", "told"),
        [
            ("memory", {"max_entires": 5}, "'max_entires'.*'max_entries'"),
            ("memory", {"max_bytes": 5}, "'max_bytes'.*codec, .*lease, .*on_timeout"),
            ("memory", {"CODEC": "json", "codec": "json"}, "'codec' twice"),
            ("memory", {"version": 2}, "VERSION beside"),
            ("null", {"max_bytes": 5}, "'max_bytes'"),
            ("memory", {"MAX_ENTRIES": 0}, "above 0"),
            ("memory", {"TIME_SOURCE": 5}, "time_source must have .*got 5"),
            ("memory", {"CREATOR_TIMEOUT": 1e30}, "at most 2.592e.06 seconds"),
            ("memory", {"codec": "marshal"}, "'marshal'.*json"),
            ("memory", {"lease": {"tll": 5}}, "'lease.tll'"),
            ("memory", {"expiration_time": 5}, "TIMEOUT"),
            ("memory", {"stale_if_error": 5}, "'stale_if_error'"),
            ("file", {"MAX_ENTRIES": 5}, "max_bytes"),
            ("file", {"path": "/elsewhere"}, "LOCATION"),
            ("region", {"codec": "json"}, "codec"),
            ("region", {"MAX_ENTRIES": 5}, "max_entries"),
        ],
    )
    def test_that_make_no_sense_are_refused(self, tmp_path, place, options, told):
        """The error names the option, and what is known or where it belongs."""
        names = {"file": tmp_path, "null": ""}
        location = f"{place}://{names.get(place, unused_name())}"
        with pytest.raises(ImproperlyConfigured, match=told):
            RegionCache(location, {"OPTIONS": options})

    @pytest.mark.parametrize(
        "location", ["redis://127.0.0.1:1/0", "127.0.0.1:1", "null://"]
    )
    def test_bound_no_server(self, location):
        """As with Django's own backends, its size is the server's matter."""
        RegionCache(location, {"OPTIONS": {"MAX_ENTRIES": 5, "CULL_FREQUENCY": 0}})

    @pytest.mark.parametrize(
        ("params", "told"),
        [
            ({"TIMEOUTS": 5}, "'TIMEOUTS'.*'TIMEOUT'"),
            ({"TIMEOUT": "soon"}, "TIMEOUT must be"),
            ({"TIMEOUT": float("nan")}, "TIMEOUT must be"),
            ({"TIMEOUT": float("inf")}, "TIMEOUT must be"),
            ({"KEY_PREFIX": ["shop"]}, r"KEY_PREFIX must be a text, got \['shop'\]"),
            ({"VERSION": None}, "VERSION must be a number, got None"),
            ({"KEY_FUNCTION": 5}, "KEY_FUNCTION must be a function.*got 5"),
            ({"KEY_FUNCTION": "no.where"}, "KEY_FUNCTION must be.*'no.where'"),
            ({"OPTIONS": None}, "OPTIONS must be a dict, got None"),
            ({"OPTIONS": [5]}, r"OPTIONS must be a dict, got \[5\]"),
            ({"OPTIONS": {5: 5}}, "OPTIONS must be a text, got 5"),
            ({"OPTIONS": {"NAME": ""}}, "NAME in OPTIONS must be a text, got ''"),
            ({"OPTIONS": {"NAME": 5}}, "NAME in OPTIONS must be a text, got 5"),
            (
                {"OPTIONS": {"MAX_ENTRIES": float("inf")}},
                "MAX_ENTRIES must be a whole number, got inf",
            ),
        ],
    )
    def test_beside_them_are_checked_too(self, params, told):
        """Django would take its default for what it does not understand."""
        with pytest.raises(ImproperlyConfigured, match=told):
            RegionCache(unused_name(), params)

    @pytest.mark.parametrize(
        ("timeout", "seconds"),
        [(2.5, 2.5), ("60", 60), (timedelta(minutes=1), 60), (None, None)],
    )
    def test_beside_them_may_be_a_timeout_of_any_kind(self, timeout, seconds):
        """TIMEOUT is what a timeout may be elsewhere, and not cut off."""
        cache = RegionCache(unused_name(), {"TIMEOUT": timeout})
        assert cache.default_timeout == seconds

    def test_that_contradict_each_other_are_refused(self):
        """One store has one size, whichever of two aliases comes first."""
        name = unused_name()
        RegionCache(name, {"OPTIONS": {"MAX_ENTRIES": 5}})
        RegionCache(name, {"OPTIONS": {"MAX_ENTRIES": 5, "codec": "json"}})
        with pytest.raises(ImproperlyConfigured, match="a location of its own"):
            RegionCache(name, {"OPTIONS": {"MAX_ENTRIES": 6}})
