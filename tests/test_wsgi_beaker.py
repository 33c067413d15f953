"""Beaker's calls keep their promises, and gain Holdover's."""

import itertools
import subprocess
import sys
import threading
import time
import warnings
from datetime import timedelta
from functools import partial
from wsgiref.validate import validator

import beaker_shop
import pytest
import webtest
from hypothesis import given
from hypothesis import strategies as st
from standins import UnservedQueue
from waiting import wait_until

from holdover import Registry, errors
from holdover.regions.worker import carry_out
from holdover.wsgi import CacheMiddleware, beaker
from holdover.wsgi.beaker import (
    Cache,
    CacheManager,
    cache_region,
    cache_regions,
    parse_cache_config_options,
    region_invalidate,
)
from holdover.wsgi.beaker.naming import Address, joined

_sizes = itertools.count(1000)  # stores of memory are told apart by their arguments


@pytest.fixture(autouse=True)
def no_regions_of_others():
    """Leave the regions of the process as they were."""
    before = dict(cache_regions)
    yield
    cache_regions.clear()
    cache_regions.update(before)


@pytest.fixture(params=["memory", "file"])
def options(request, tmp_path):
    """Options of a place of the test's own."""
    if request.param == "file":
        return {"type": "file", "data_dir": str(tmp_path / "data")}
    return {"type": "memory", "arguments.max_entries": next(_sizes)}


@pytest.fixture
def manager(options):
    """Give a manager with a short region and a long one."""
    regions = {"short": {**options, "expire": 5}, "long": {**options, "expire": 3600}}
    return CacheManager(**options, cache_regions=regions)


@pytest.fixture
def letters(manager):
    """Give a cache without a region."""
    return manager.get_cache("letters")


def fail():
    """Raise, as creators may."""
    raise ZeroDivisionError("nothing to divide")


class TestCache:
    def test_creates_what_is_missing_once(self, letters, counter):
        """A value is created by the first who asks, and kept for the others."""
        values = [letters.get("a", createfunc=counter) for _ in range(3)]
        assert values == [1, 1, 1]
        assert letters.get_value("a") == letters["a"] == 1

    def test_raises_what_a_mapping_raises(self, letters):
        """Without a creator, what is missing is a KeyError that names the key."""
        for ask in (letters.get, letters.get_value, letters.__getitem__):
            with pytest.raises(KeyError) as raised:
                ask("a")
            assert raised.value.args == ("a",)

    def test_none_is_a_value(self, letters, counter):
        """None that was stored or created is there."""
        letters.put("a", None)
        letters.get("b", createfunc=lambda: None)
        assert letters.get("a", createfunc=counter) is None
        assert letters["b"] is None
        assert "b" in letters

    def test_a_creator_s_error_is_the_caller_s(self, letters, counter):
        """It is raised unchanged, nothing is stored, and the next one tries again."""
        with pytest.raises(ZeroDivisionError, match="nothing to divide"):
            letters.get("a", createfunc=fail)
        assert not letters.has_key("a")
        assert letters.get("a", createfunc=counter) == 1

    def test_its_error_is_raised_even_if_there_is_an_old_value(self, letters):
        """As with Beaker: who wants the old value says ``stale_if_error``."""
        letters.put("a", "old", expiretime=0.01)
        wait_until(lambda: "a" not in letters)
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                letters.get("a", createfunc=fail)

    def test_an_old_value_takes_its_place_if_wished(self, options, counter):
        """Holdover's own settings stand among Beaker's."""
        cache = Cache("letters", **options, stale_if_error=600)
        cache.put("a", "old", expiretime=0.01)
        wait_until(lambda: "a" not in cache)
        assert cache.get("a", createfunc=fail) == "old"

    @pytest.mark.parametrize("word", ["expire", "expiretime"])
    def test_a_call_s_own_lifetime_is_stored(self, letters, counter, word):
        """It holds for whoever reads the value."""
        letters.get("a", createfunc=counter, **{word: 0.01})
        letters.put("b", "b", **{word: timedelta(seconds=600)})
        wait_until(lambda: "a" not in letters)
        assert letters.get("a", createfunc=counter) == 2
        assert letters.region.inspect(letters._address("b")).expires_in > 500

    @pytest.mark.parametrize("expire", [0, -1, timedelta(0)])
    def test_what_lives_for_no_time_is_not_kept(self, manager, counter, expire):
        """Each call creates, and what was stored before is removed."""
        cache = manager.get_cache("letters", expire=expire)
        assert [cache.get("a", createfunc=counter) for _ in range(2)] == [1, 2]
        manager.get_cache("letters").put("a", "kept", expire=600)
        assert cache.get("a", createfunc=counter) == "kept"
        cache.put("a", "new")
        assert "a" not in cache

    def test_what_is_older_than_its_start_is_missing(self, manager, letters, counter):
        """Whoever names a start gets nothing that was stored before it."""
        letters.put("a", "old")
        future = time.time() + 600
        assert letters.get("a", starttime=1.0) == "old"
        with pytest.raises(KeyError):
            letters.get("a", starttime=future)
        assert "a" not in manager.get_cache("letters", starttime=future)
        assert letters.get("a", starttime=future, createfunc=counter) == 1
        assert letters["a"] == 1

    def test_removes(self, letters):
        """All three forms remove, and none minds what is not there."""
        for remove in (letters.remove, letters.remove_value, letters.__delitem__):
            letters["a"] = 1
            remove("a")
            assert "a" not in letters
            remove("a")

    def test_clears_its_namespace_only(self, manager):
        """Neighbours keep theirs, also those whose names begin alike."""
        names = ("a", "a|b", "ab", "", "x" * 100, "x" * 101)
        for cleared in names:
            caches = {name: manager.get_cache(name) for name in names}
            for cache in caches.values():
                cache.put("b|c" * 100, 1)
            caches[cleared].clear()
            gone = [n for n, cache in caches.items() if "b|c" * 100 not in cache]
            assert gone == [cleared]

    def test_two_things_never_share_a_value(self, manager):
        """Neither namespaces nor keys do, whatever signs are in them."""
        names = ["a", "a|", "a|b", "a%7C", "a#", "", "|", "é ü", "../../x", "a\nb"]
        keys = ["k", "|k", "b|k", 5, "5", None, "None", ("k", 1), b"k", "", 1.0, True]
        pairs = [(name, key) for name in names for key in keys]
        for name, key in pairs:
            manager.get_cache(name).put(key, (name, key))
        got = [(name, key, manager.get_cache(name)[key]) for name, key in pairs]
        assert got == [(name, key, (name, key)) for name, key in pairs]

    def test_what_has_only_an_address_is_no_key(self, letters):
        """Another object could get the address, and with it the value."""
        with pytest.raises(errors.UnkeyableArgument, match=r"object.*__str__"):
            letters.put(object(), 1)

    def test_caches_of_one_name_and_place_are_one(self, options, counter):
        """Whoever made them, and however long each lets its values live."""
        one = CacheManager(**options).get_cache("letters", expire=600)
        two = Cache("letters", **options)
        one.put("a", 1)
        assert two["a"] == 1
        two.clear()
        assert "a" not in one

    def test_a_type_in_a_call_is_another_cache(self, letters, tmp_path, counter):
        """The old form works, says that it is old, and keeps its value elsewhere."""
        other = {"type": "file", "data_dir": str(tmp_path / "other")}
        with pytest.warns(DeprecationWarning, match="get_cache"):
            assert letters.get("a", createfunc=counter, expiretime=60, **other) == 1
        assert "a" not in letters
        assert Cache("letters", **other)["a"] == 1
        with pytest.warns(DeprecationWarning, match="get_cache"):
            letters.put("b", 2, **other)
        with pytest.warns(DeprecationWarning, match="get_cache"):
            letters.remove_value("a", **other)
        assert ["b"] == [key for key in "ab" if key in Cache("letters", **other)]

    def test_many_threads_get_one_creation(self, letters):
        """Sixteen at once: one creates, the others get what it made."""
        runs, barrier, got = [], threading.Barrier(16), []

        def create():
            runs.append(1)
            time.sleep(0.1)
            return "made"

        def ask():
            barrier.wait()
            got.append(letters.get("a", createfunc=create))

        threads = [threading.Thread(target=ask) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (got, len(runs)) == (["made"] * 16, 1)

    @pytest.mark.parametrize(
        ("ask", "told"),
        [
            (lambda c: c.get("a", createfunc=5), "createfunc must be callable"),
            (lambda c: c.get("a", create=fail), "unknown argument 'create'"),
            (lambda c: c.put("a", 1, lifetime=5), "unknown argument 'lifetime'"),
            (lambda c: c.put("a", 1, expiretime="soon"), "must be seconds"),
            (lambda c: c.put("a", 1, expiretime=[]), "must be seconds"),
            (lambda c: Cache(None), "a namespace is a text"),
            (lambda c: Cache("a", type="nope"), "'nope'.*ext:redis"),
            (lambda c: Cache("a", type="ext:mongodb"), "no backend for it"),
            (lambda c: Cache("a", expires=5), "'cache.beaker.expires'"),
            (lambda c: Cache("a", type="file"), "data_dir' is not given"),
        ],
    )
    def test_mistakes_are_told(self, letters, ask, told):
        """What was wanted stands in the message; Beaker's name catches it."""
        with pytest.raises(beaker.BeakerException, match=told):
            ask(letters)


class TestManager:
    def test_regions_are_apart(self, manager):
        """A namespace in one region is not that in another."""
        manager.get_cache_region("a", "short").put("k", 1)
        assert "k" not in manager.get_cache_region("a", "long")
        assert manager.get_cache_region("a", "short")["k"] == 1

    def test_regions_are_holdover_s(self, manager, counter):
        """The registry has them, with their lifetimes."""
        assert manager.registry["short"].expiration_time == 5
        cache = manager.get_cache_region("a", "long")
        assert cache.region is manager.registry["long"]

    def test_a_region_that_is_not_there(self, manager):
        """The error names those that are."""
        with pytest.raises(beaker.BeakerException, match=r"'lnog'.*long.*short"):
            manager.get_cache_region("a", "lnog")

    def test_a_registry_s_regions_have_beaker_s_calls(self):
        """Regions that were configured elsewhere are found by their names."""
        registry = Registry()
        manager = CacheManager.over(registry)
        registry.configure({"prices": {"backend": "holdover.memory"}})
        manager.get_cache_region("a", "prices").put("k", 1)
        assert CacheManager.over(registry).get_cache_region("a", "prices")["k"] == 1

    def test_can_be_switched_off(self, options, counter):
        """Nothing is kept, and everything is created."""
        manager = CacheManager(**options, enabled=False)
        cached = manager.cache("a")(counter)
        cache = manager.get_cache("b")
        assert [cached(), cached(), cache.get("k", createfunc=counter)] == [1, 2, 3]
        cache.put("k", 1)
        assert "k" not in cache

    def test_the_old_is_served_while_a_thread_makes_the_new(self, options):
        """With a runner nobody waits who could have an old value."""
        rules = {"runner": "thread", "stale_while_revalidate": 600}
        manager = CacheManager(cache_regions={"short": {**options, **rules}})
        cache, hold = manager.get_cache_region("a", "short"), threading.Event()
        cache.put("k", "old", expiretime=0.01)
        wait_until(lambda: "k" not in cache)

        def create():
            hold.wait(20)
            return "new"

        assert cache.get("k", createfunc=create) == "old"
        hold.set()
        wait_until(lambda: "k" in cache)
        assert cache["k"] == "new"


class TestDecorators:
    def test_cache_by_arguments(self, manager, counter):
        """A call is created once; what takes the function's place has its name."""

        @manager.region("long", "f")
        def f(a, b=2):
            """Say so."""
            return (a, b, counter())

        assert [f(1), f(1), f(a=1), f("1")] == [(1, 2, 1)] * 4
        assert [f(1, 2), f(1, b=2)] == [(1, 2, 2)] * 2
        assert (f.__name__, f.__doc__, f._arg_region) == ("f", "Say so.", "long")

    def test_every_form_of_invalidation_reaches_them(self, manager, counter):
        """By the function, by its namespace, by the manager, by its own handle."""

        @manager.region("long", "f", 5)
        def f(a):
            return counter()

        for forget in (
            lambda: region_invalidate(f, None, "f", 5, 1),
            lambda: region_invalidate(f, "long", "f", "5", "1"),
            lambda: manager.region_invalidate(f, None, "f", 5, 1),
            lambda: region_invalidate(f._arg_namespace, "long", "f", 5, 1),
            lambda: f.invalidate(1),
        ):
            before, other = f(1), f(2)
            forget()
            assert (f(1) > before, f(2)) == (True, other)
        manager.get_cache_region(f._arg_namespace, "long").clear()
        assert f(2) > other

    def test_an_invalidation_reaches_its_call_only(self, manager, counter):
        """Texts that would be alike once joined stay apart."""

        @manager.cache("f", expire=60)
        def f(*words, **more):
            return counter()

        calls = [("a b", "c"), ("a", "b c"), ("a;", "b"), ("a", ";b"), ("",), (),
                 ("x=1",), ("a", "b", "c"), ("a%3B",)]  # fmt: skip
        values = [f(*words) for words in calls] + [f(x=1), f(y=1, x=2), f(x=2, y=1)]
        assert values == [*range(1, len(calls) + 2), len(calls) + 2, len(calls) + 2]
        manager.invalidate(f, "f", "a b", "c")
        assert f("a", "b c") == 2
        assert f("a b", "c") == len(calls) + 3
        f.invalidate(y=1, x=2)
        assert f(x=2, y=1) == len(calls) + 4

    def test_a_method_s_object_is_no_part_of_the_key(self, manager, counter):
        """As with Beaker: all objects share, also those of subclasses."""

        class Shelf:
            @manager.region("long", "m")
            def m(self, a):
                return counter()

            @classmethod
            @manager.region("long", "c")
            def c(cls, a):
                return counter()

            @staticmethod
            @manager.region("long")
            def s(a):
                return counter()

        class Board(Shelf):
            @manager.region("long", "m")
            def m(self, a):
                return counter()

        assert [Shelf().m(1), Shelf().m(1)] == [1, 1]
        assert [Board().m(1), Shelf.c(1), Board.c(1), Shelf().s(1)] == [2, 3, 3, 4]
        region_invalidate(Shelf().m, None, "m", 1)
        Shelf().c.invalidate(1)
        assert [Shelf().m(1), Shelf.c(1), Board().m(1)] == [5, 6, 2]

    def test_lambdas_are_told_apart(self, manager):
        """Even those of one line."""
        a, b = manager.cache()(lambda x: "a"), manager.cache()(lambda x: "b")
        assert [a(1), b(1), a(1)] == ["a", "b", "a"]

    def test_a_function_on_the_way_finds_what_its_like_has_made(self, manager, counter):
        """Beaker's manual decorates inside of functions."""

        def ask(x):
            @manager.region("long", "ask")
            def inner(x):
                return counter()

            return inner(x)

        assert [ask(1), ask(1), ask(2)] == [1, 1, 2]

    def test_what_could_be_read_only_once_is_refused(self, manager):
        """A generator would be empty for the second caller."""
        f = manager.cache()(lambda: (x for x in "ab"))
        with pytest.raises(errors.LazyValue, match="generator"):
            f()

    def test_an_address_is_no_part_of_a_key(self, manager):
        """An object without a text of its own is refused, and told how to get one."""
        f = manager.cache()(lambda x: 1)
        with pytest.raises(errors.UnkeyableArgument, match="object at 0x"):
            f([object()])

    def test_regions_may_come_later_and_anew(self, options, counter):
        """A function decorated before uses whatever has the name when it is called."""

        @cache_region("late")
        def f():
            return counter()

        with pytest.raises(
            beaker.BeakerException, match=r"'late', which .*f is cached in, is not"
        ):
            f()
        cache_regions["late"] = {**options, "expire": 60}
        assert [f(), f()] == [1, 1]
        cache_regions.update({"late": {**options, "enabled": False}})
        assert [f(), f()] == [2, 3]
        assert cache_regions.setdefault("late", {})["enabled"] is False

    def test_wrong_regions_change_nothing(self, manager):
        """One wrong option, and all regions stay what they were."""
        before = dict(cache_regions)
        with pytest.raises(errors.ConfigurationError, match=r"cache\.b\.expires"):
            cache_regions.update({"long": {"expire": 1}, "b": {"expires": 1}})
        assert dict(cache_regions) == before

    @pytest.mark.parametrize(
        ("ask", "told"),
        [
            (lambda: region_invalidate("f", None, 1), "name the region"),
            (lambda: region_invalidate("f", "nowhere", 1), "'nowhere' is not config"),
            (lambda: region_invalidate(fail, None, 1), "not cached by a decorator"),
            (lambda: cache_region(fail), "a region's name is a text"),
            (lambda: CacheManager().invalidate(fail), "not cached by a decorator"),
            (lambda: cache_region("long")(partial(fail)), "wrap it in a function"),
            (lambda: cache_region("long")(5), "only functions and methods"),
        ],
    )
    def test_mistakes_are_told(self, ask, told):
        """What is missing is named."""
        with pytest.raises(beaker.BeakerException, match=told):
            ask()


calls = st.tuples(
    st.lists(st.text(alphabet="a%;=|#3BD"), max_size=3),
    st.dictionaries(st.text("a;=", min_size=1), st.text("a%;=3"), max_size=2),
)


class TestKeys:
    @given(calls, calls)
    def test_no_two_calls_have_one_text(self, one, other):
        """Whatever signs are in the arguments, and however they are parted."""
        assert (joined(*one) == joined(*other)) == (one == other)

    @given(*[st.tuples(st.text("a|#%7C"), st.text("a|#%7C") | st.integers())] * 2)
    def test_no_two_places_have_one_key(self, one, other):
        """Nor do two keys, of one namespace or of two."""
        keys = [Address(name).of(key) for name, key in (one, other)]
        assert (keys[0] == keys[1]) == (one == other)


class TestQueues:
    def test_a_function_of_a_module_travels(self, tmp_path):
        """Its refresh is ordered by its name, and a worker stores the value."""
        queue = UnservedQueue(leaves_process=True)
        place = {"type": "file", "data_dir": str(tmp_path / "data"), "runner": queue}
        cache_regions["beaker shop"] = {**place, "expire": 600}
        first = beaker_shop.price("tea")
        namespace = beaker_shop.price._arg_namespace
        cache_regions["beaker shop"].region.invalidate(hard=False)
        assert beaker_shop.price("tea") == first
        assert queue.arrived.wait(20)
        [message] = queue.messages
        assert carry_out(message).done
        assert beaker_shop.price("tea") == ["tea", "EUR", first[2] + 1]
        assert namespace == "beaker_shop:price"
        region_invalidate(namespace, "beaker shop", "price", "tea")
        assert beaker_shop.price("tea")[2] == first[2] + 2

    def test_a_worker_knows_what_was_decorated_before(self, tmp_path):
        """It need not have called the function once."""
        queue = UnservedQueue(leaves_process=True)
        place = {"type": "file", "data_dir": str(tmp_path / "data"), "runner": queue}
        cache_regions["beaker shelf"] = {**place, "expire": 600}
        assert "beaker_shop:shelf" in cache_regions["beaker shelf"].region.functions


class TestOptions:
    def test_regions_fall_back_to_what_is_for_all(self):
        """As with Beaker, whichever of its two prefixes is written."""
        options = parse_cache_config_options({
            "beaker.cache.regions": "a, b", "cache.type": "file", "cache.expire": "60",
            "cache.data_dir": "/x", "cache.a.expire": "5", "beaker.cache.b.type":
            "memory", "cache.b.enabled": "off", "cache.arguments.max_bytes": "9000",
            "session.type": "memory", "debug": "true",
        })  # fmt: skip
        assert options["cache_regions"] == {
            "a": {"type": "file", "expire": 5, "data_dir": "/x", "enabled": True,
                  "arguments.max_bytes": "9000"},
            "b": {"type": "memory", "expire": 60, "data_dir": "/x", "enabled": False},
        }  # fmt: skip
        assert (options["type"], options["expire"]) == ("file", 60)

    def test_defaults_can_be_left_out(self):
        """Then only what is written is told."""
        read = {"cache.type": "file"}
        assert parse_cache_config_options(read, include_defaults=False) == {
            "type": "file"
        }
        assert parse_cache_config_options({})["type"] == "memory"

    @pytest.mark.parametrize(
        ("options", "told"),
        [
            ({"cache.expire": "soon"}, "expire must be seconds, got 'soon'"),
            ({"cache.enabled": "perhaps"}, "enabled must be true or false"),
            ({"cache.regions": 5}, "regions must name the regions"),
            ({"cache.regions": "a", "cache.a.expire": "x"}, "expire must be seconds"),
            ({"cache.type": "file", "beaker.cache.type": "dbm"}, "type is given twice"),
        ],
    )
    def test_mistakes_are_told(self, options, told):
        """What cannot be read is named."""
        with pytest.raises(errors.ConfigurationError, match=told):
            parse_cache_config_options(options)


def numbers(environ, start_response):
    """Answer with a number that is created once."""
    cache = environ["beaker.cache"].get_cache("numbers", expire=60)
    value = cache.get("number", createfunc=environ["test.counter"])
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(value).encode()]


class TestMiddleware:
    @pytest.mark.parametrize("make", [
        beaker.CacheMiddleware,
        lambda app, config: CacheMiddleware(app, config, beaker=True),
    ])  # fmt: skip
    def test_the_application_finds_the_manager(self, make, tmp_path, counter):
        """Both middlewares keep the rules of WSGI, and values between requests."""
        config = {"cache.type": "file", "cache.data_dir": str(tmp_path / "data"),
                  "cache.regions": "short", "cache.short.expire": "5"}  # fmt: skip
        seen = {}

        def site(environ, start_response):
            seen.update(environ)
            return numbers(environ, start_response)

        app = validator(make(validator(site), config))
        client = webtest.TestApp(app, extra_environ={"test.counter": counter})
        assert [client.get("/").text for _ in range(2)] == ["1", "1"]
        assert seen["holdover.cache"]["short"].expiration_time == 5
        assert seen["holdover.cache"] is seen["beaker.cache"].registry

    def test_arguments_stand_in_place_of_the_configuration(self, tmp_path):
        """With or without a prefix, and under another key."""
        folders = [str(tmp_path / name) for name in "ab"]
        app = beaker.CacheMiddleware(
            numbers, {"cache.type": "memory"}, "my.cache",
            type="file", **{"cache.data_dir": folders[0]},
        )  # fmt: skip
        environ = {}
        with pytest.raises(KeyError, match=r"beaker\.cache"):
            app(environ, None)
        assert environ["my.cache"] is app.cache
        assert app.cache.kwargs["type"] == "file"
        assert app.cache.kwargs["data_dir"] == folders[0]

    @pytest.mark.parametrize("config", [
        {"prices": {"backend": "holdover.memory"}},
        None,
    ])  # fmt: skip
    def test_other_configurations_do_as_well(self, config):
        """Nested options and the registry of the process have a manager, too."""
        seen = {}

        def site(environ, start_response):
            seen.update(environ)
            start_response("204 No Content", [])
            return []

        webtest.TestApp(CacheMiddleware(site, config, beaker=True)).get("/")
        assert seen["beaker.cache"].registry is seen["holdover.cache"]
        for name in config or ():
            seen["beaker.cache"].get_cache_region("a", name).put("k", 1)

    def test_nobody_else_pays_for_it(self):
        """Who does not ask for Beaker's calls loads none of their modules."""
        check = (
            "import sys; from holdover.wsgi import CacheMiddleware; "
            "CacheMiddleware(print); "
            "sys.exit(any('wsgi.beaker' in name for name in sys.modules))"
        )
        assert (
            subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
        )

    def test_importing_it_loads_no_optional_library(self):
        """Beaker itself need not be installed, nor anything else."""
        check = (
            "import sys, holdover.wsgi.beaker; "
            "sys.exit(bool({'beaker', 'webob', 'sqlalchemy'} & sys.modules.keys()))"
        )
        assert (
            subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
        )


def test_a_warning_names_the_line_that_is_old(letters, tmp_path):
    """Whoever reads it finds the call, and not ours."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        letters.put("a", 1, type="file", data_dir=str(tmp_path / "other"))
    assert [one.filename for one in caught] == [__file__]


class TestSessions:
    def visits(self, environ, start_response):
        """Count the visits of a browser, in Beaker's words."""
        session = environ["beaker.session"]
        session["visits"] = session.get("visits", 0) + 1
        session.save()
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [str(session["visits"]).encode()]

    def test_an_application_finds_them(self, tmp_path):
        """The middleware takes Beaker's options, and keeps the rules of WSGI."""
        config = {
            "session.type": "file",
            "session.data_dir": str(tmp_path / "sessions"),
            "beaker.session.timeout": "600",
            "cache.type": "memory",
        }
        app = beaker.SessionMiddleware(validator(self.visits), config, key="mine")
        assert app.sessions.options.idle_timeout == 600
        assert app.sessions.options.cookie_name == "mine"
        client = webtest.TestApp(validator(app), extra_environ={"HTTPS": "on"})
        client.extra_environ["wsgi.url_scheme"] = "https"
        assert [client.get("/").text for _ in range(3)] == ["1", "2", "3"]

    def test_under_another_key(self):
        """Both keys lead to the same session."""
        seen = {}

        def site(environ, start_response):
            seen.update(environ)
            return self.visits(environ, start_response)

        app = beaker.SessionMiddleware(site, None, "my.session")
        webtest.TestApp(app).get("/")
        assert seen["my.session"] is seen["beaker.session"]

    def test_what_is_unsafe_is_told(self):
        """The error names Beaker's option, and says why."""
        with pytest.raises(errors.ConfigurationError, match="can run code"):
            beaker.SessionMiddleware(self.visits, data_serializer="pickle")

    def test_what_is_given_under_both_prefixes_is_told(self):
        """As for the cache: nobody has to know which of the two counts."""
        config = {"session.timeout": "5", "beaker.session.timeout": "600"}
        with pytest.raises(errors.ConfigurationError, match="timeout is given twice"):
            beaker.SessionMiddleware(self.visits, config)
