"""The preset: dogpile.cache's keys, values and manners, whatever the backend."""

import itertools
import json
import pickle
import re
import subprocess
import sys
import textwrap
import threading
from datetime import timedelta
from pathlib import Path
from unittest import mock

import dogpile.cache
import pytest
from dogpile.cache.api import CantDeserializeException

import holdover
import holdover.dogpile
from holdover import errors, events
from holdover.dogpile import NO_VALUE, CacheRegion, make_region

YEAR = 365 * 86_400.0


@pytest.fixture(params=["memory_pickle", "dbm", "redis"])
def shared_store(request, tmp_path):
    """Give the name and the arguments of a backend of dogpile.cache's."""
    if request.param == "redis":
        url = request.getfixturevalue("redis_server").url
        return "dogpile.cache.redis", {"url": url}
    if request.param == "dbm":
        return "dogpile.cache.dbm", {"filename": str(tmp_path / "cache.dbm")}
    return "dogpile.cache.memory_pickle", {"cache_dict": {}}


@pytest.fixture(params=["its value, our hit", "our value, its hit"])
def pair(request, shared_store):
    """Give a region that writes and one that reads; one is dogpile.cache's own."""
    name, arguments = shared_store
    both = [
        make().configure(name, 300, arguments)
        for make in (dogpile.cache.make_region, make_region)
    ]
    return both if request.param.startswith("its") else both[::-1]


@pytest.fixture
def region(backend_name, arguments, clock):
    """Give a region of the preset on each backend in turn, on the fake clock."""
    made = make_region("region", time_source=clock)
    return made.configure(backend_name, 10, arguments)


@pytest.fixture
def on_disk(tmp_path, clock):
    """Make regions that share a directory, as processes do."""

    def make(made_by=make_region, made_with=None, **settings):
        arguments = {"path": tmp_path / "cache", "time_source": clock}
        region = made_by("region", time_source=clock, **(made_with or {}))
        return region.configure("holdover.file", 10, arguments, **settings)

    return make


def as_dogpile_writes(value, created_at, version=2):
    """Give the bytes that dogpile.cache stores."""
    metadata = json.dumps({"ct": created_at, "v": version}).encode()
    return metadata + b"|" + pickle.dumps(value)


def never():
    """Stand for a creator that must not run."""
    raise AssertionError("this should have been a hit")


# -- dogpile.cache's backends: one store, two libraries ------------------------


def test_what_one_sets_the_other_gets(pair):
    """A value is stored in one format under one key, whoever stores it."""
    writer, reader = pair
    writer.set("a key", {"any": ["value"]})
    assert {"any": ["value"]} == reader.get("a key")
    assert {"any": ["value"]} == reader.get_or_create("a key", never)


def test_what_one_creates_the_other_finds(pair):
    """Created values are shared too."""
    writer, reader = pair
    assert None is writer.get_or_create("nothing", lambda: None)
    assert None is reader.get_or_create("nothing", never)
    assert NO_VALUE is reader.get("something else")


def test_several_at_once_are_shared(pair):
    """Multi reads find what multi writes of the other library stored."""
    writer, reader = pair
    writer.set_multi({"a": 1, "b": 2})
    assert [1, NO_VALUE, 2] == reader.get_multi(["a", "c", "b"])
    found = reader.get_or_create_multi(["b", "c", "a"], lambda *keys: [*keys])
    assert [2, "c", 1] == found
    assert ["c"] == writer.get_multi(["c"])


@pytest.mark.parametrize("namespace", [None, "part"])
def test_decorated_functions_share_their_values(pair, namespace):
    """A decorated function of the old release and of the new one have one cache."""
    values = itertools.count(1)

    def made_by(region):
        @region.cache_on_arguments(namespace=namespace)
        def function(first, second="x"):
            return next(values)

        return function

    writer, reader = map(made_by, pair)
    assert 1 == writer("a")
    assert 1 == reader("a") == reader("a", "x")
    assert 2 == reader("a", "y") == writer("a", "y")
    reader.invalidate("a", "x")
    assert 3 == writer("a")
    writer.set(7, "a", "x")
    assert 7 == reader.get("a", "x") == reader("a", "x")


def test_decorated_methods_share_their_values(pair):
    """``self`` is no part of the key, as in dogpile.cache."""
    values = itertools.count(1)

    def made_by(region):
        class Page:
            @region.cache_on_arguments()
            def render(self, name):
                return next(values)

        return Page()

    writer, reader = map(made_by, pair)
    assert 1 == writer.render("home")
    assert 1 == reader.render("home")
    reader.render.invalidate(reader, "home")
    assert 2 == writer.render("home")


def test_multi_decorated_functions_share_their_values(pair):
    """``cache_multi_on_arguments`` shares too."""

    def made_by(region):
        @region.cache_multi_on_arguments()
        def function(*numbers):
            return [f"{number} by {id(region)}" for number in numbers]

        return function

    writer, reader = map(made_by, pair)
    first = writer(1, 2)
    assert first == reader(1, 2) == reader.get(1, 2)
    reader.invalidate(1)
    assert first[1] == writer(1, 2)[1] == reader(2)[0]


def test_the_bytes_are_the_same(redis_server):
    """What is in the server differs in the time only."""
    stored = {}
    for made_by in (dogpile.cache.make_region, make_region):
        region = made_by()
        region.configure("dogpile.cache.redis", 300, {"url": redis_server.url})
        region.set("key", ["a", 1])
        raw = region.backend.get_serialized("key")
        metadata, _, payload = raw.partition(b"|")
        stored[made_by] = (sorted(json.loads(metadata)), payload)
    assert 1 == len(set(map(str, stored.values())))


OLD_RELEASE = """
    import sys
    from {library} import make_region

    region = make_region().configure("dogpile.cache.redis", 300, {{"url": sys.argv[1]}})

    @region.cache_on_arguments()
    def answer(question):
        return f"{{question}}, by {library}"

    print(answer("what?"))
"""


def test_two_processes_share_a_cache_during_a_rolling_deploy(redis_server):
    """The old release and the new one, one import apart, hit each other's values."""
    for first, second in itertools.permutations(["dogpile.cache", "holdover.dogpile"]):
        redis_server.ask("FLUSHALL")
        said = [
            subprocess.run(
                [
                    sys.executable,
                    "-c",
                    textwrap.dedent(OLD_RELEASE.format(library=library)),
                    redis_server.url,
                ],
                check=True,
                capture_output=True,
                text=True,
            ).stdout
            for library in (first, second)
        ]
        assert [f"what?, by {first}\n"] * 2 == said


# -- our backends: a value that dogpile.cache wrote is a hit -------------------


@pytest.fixture
def found_old(on_disk, clock):
    """Give a region that finds a value of dogpile.cache's, older than the region."""

    def make(age=5.0, **settings):
        region = on_disk(**settings)
        raw = as_dogpile_writes("its value", clock.wall() - age)
        region.backend.set_serialized("key", raw)
        return region

    return make


def test_a_value_of_dogpile_cache_is_a_hit(found_old, clock):
    """Its value is served, though it is older than all that this store knows of us."""
    region = found_old()
    assert "its value" == region.get("key") == region.get_or_create("key", never)
    made_at = region.get_value_metadata("key").cached_time
    assert 5.0 == pytest.approx(clock.wall() - made_at)


def test_a_value_of_dogpile_cache_grows_old(found_old):
    """Its own time of creation counts; then it is replaced by a value of ours."""
    region = found_old(age=11.0)
    assert NO_VALUE is region.get("key")
    assert "its value" == region.get("key", ignore_expiration=True)
    assert "ours" == region.get_or_create("key", lambda: "ours")
    assert "ours" == region.get("key")


def test_a_stale_value_of_dogpile_cache_is_served_while_a_runner_works(
    found_old, heard
):
    """It is as good an old value as one of ours."""
    region = found_old(age=11.0, runner="thread")
    told = heard(region)
    assert "its value" == region.get_or_create("key", lambda: "ours")
    assert any(isinstance(event, events.StaleServed) for event in told)


def test_an_error_of_the_creator_is_raised_over_a_value_of_dogpile_cache(found_old):
    """The preset raises what the creator raises, and the old value stays."""
    region = found_old(age=11.0)
    with pytest.raises(ZeroDivisionError):
        region.get_or_create("key", lambda: 1 / 0)
    assert "its value" == region.get("key", ignore_expiration=True)


def test_invalidating_the_region_reaches_values_of_dogpile_cache(found_old, on_disk):
    """Once acknowledged, an older value of its is gone, in later processes too."""
    region = found_old()
    region.invalidate()
    for one in (region, on_disk()):
        assert NO_VALUE is one.get("key", ignore_expiration=True)
    assert "ours" == region.get_or_create("key", lambda: "ours")


def test_what_dogpile_cache_stores_after_an_invalidation_is_a_hit(found_old, clock):
    """An old process that is still running goes on sharing its values."""
    region = found_old()
    region.invalidate()
    clock.advance(1.0)
    raw = as_dogpile_writes("newer", clock.wall())
    region.backend.set_serialized("key", raw)
    assert "newer" == region.get("key")


def test_softly_invalidated_values_of_dogpile_cache_have_expired(found_old, clock):
    """A soft invalidation makes its value one to be refreshed, never a fresh one."""
    region = found_old()
    region.invalidate(hard=False)
    assert NO_VALUE is region.get("key")
    assert "ours" == region.get_or_create("key", lambda: "ours")


def test_deleting_reaches_values_of_dogpile_cache(found_old):
    """A value of its is removed as one of ours."""
    region = found_old()
    assert region.delete("key").existed
    assert NO_VALUE is region.get("key")


def test_the_user_s_own_serializer_reads_its_own(on_disk, clock):
    """With a pair of functions, these read what they wrote for dogpile.cache."""
    functions = {
        "serializer": lambda value: json.dumps(value).encode(),
        "deserializer": json.loads,
    }
    region = on_disk(made_with=functions)
    raw = b'{"ct": %r, "v": 2}|["a"]' % clock.wall()
    region.backend.set_serialized("key", raw)
    assert ["a"] == region.get("key")


def test_a_deserializer_may_refuse(on_disk, clock):
    """``CantDeserializeException`` is a miss, as in dogpile.cache."""

    def refuse(_):
        raise CantDeserializeException

    functions = {"serializer": pickle.dumps, "deserializer": refuse}
    region = on_disk(made_with=functions)
    region.backend.set_serialized("key", as_dogpile_writes(1, clock.wall()))
    assert NO_VALUE is region.get("key")


def test_other_codecs_do_not_read_it(found_old):
    """A region that reads JSON only is not talked into unpickling."""
    assert NO_VALUE is found_old(codec="json").get("key")


def test_subclasses_of_a_codec_do_not_read_it(found_old):
    """A codec that wraps pickle, as to sign it, is not bypassed."""

    class Wrapped(holdover.regions.codecs.PickleCodec):
        tag = b"wrapped"

    assert NO_VALUE is found_old(codec=Wrapped()).get("key")


def test_modern_regions_do_not_read_it(on_disk, clock):
    """Without the preset, foreign bytes are foreign."""
    region = on_disk(holdover.make_region)
    raw = as_dogpile_writes("its value", clock.wall())
    region.backend.set_serialized(region._address("key"), raw)
    assert NO_VALUE is region.get("key")


PAYLOAD = b"|" + pickle.dumps("value")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"|",
        b"no bar at all",
        b"{}" + PAYLOAD,
        b"[]" + PAYLOAD,
        b"7" + PAYLOAD,
        b'{"ct": 1.0}' + PAYLOAD,
        b'{"v": 2}' + PAYLOAD,
        b'{"ct": "soon", "v": 2}' + PAYLOAD,
        b'{"ct": null, "v": 2}' + PAYLOAD,
        b'{"ct": NaN, "v": 2}' + PAYLOAD,
        b'{"ct": Infinity, "v": 2}' + PAYLOAD,
        b'{"ct": -1.0, "v": 2}' + PAYLOAD,
        b'{"ct": 1.0, "v": 1}' + PAYLOAD,
        b'{"ct": 1.0, "v": 3}' + PAYLOAD,
        b'{"ct": 1.0, "v": [2]}' + PAYLOAD,
        b'{"ct": 1%s, "v": 2}' % (b"0" * 400) + PAYLOAD,
        b"[" * 190 + PAYLOAD,
        b"\xff\xfe" + PAYLOAD,
        b'{"ct": 1.0, "v": 2}|',
        b'{"ct": 1.0, "v": 2}|no pickle',
        b'{"ct": 1.0, "v": 2}|' + pickle.dumps("cut")[:-3],
    ],
)
def test_garbage_is_a_miss_and_an_event(on_disk, heard, raw):
    """Bytes that only look like dogpile.cache's never reach the caller."""
    region = on_disk()
    region.backend.set_serialized("key", raw)
    told = heard(region)
    assert NO_VALUE is region.get("key", ignore_expiration=True)
    assert [events.Unreadable, events.Missed] == [type(event) for event in told]
    assert "made" == region.get_or_create("key", lambda: "made")
    assert "made" == region.get("key")


# -- the preset's manners ------------------------------------------------------


def test_its_names_are_dogpile_cache_s():
    """What ``dogpile.cache`` offers can be imported from the preset."""
    for name in dogpile.cache.__all__:
        assert name == "__version__" or hasattr(holdover.dogpile, name)
    for name in holdover.dogpile.__all__:
        assert getattr(holdover.dogpile, name) is not None


def test_a_region_is_one_of_both_kinds():
    """Code that asks for dogpile.cache's class is satisfied, and so is ours."""
    region = make_region(name="some")
    assert type(region) is CacheRegion
    assert isinstance(region, dogpile.cache.CacheRegion)
    assert isinstance(region, holdover.Region)
    assert "some" == region.name


def test_keys_are_stored_as_they_are(region):
    """No prefix and no shortening: a key is where dogpile.cache would look for it."""

    @region.cache_on_arguments(namespace="part")
    def function(first, second):
        return "made"

    function(1, "x y")
    for key in ("short", "k" * 2000, "with spaces: and |bars|"):
        region.set(key, 1)
        assert NO_VALUE is not region.backend.get_serialized(key)
    module = function.original.__module__
    stored = region.backend.get_serialized(f"{module}:function|part|1 x y")
    assert NO_VALUE is not stored


def test_its_key_generator_may_be_assigned(region):
    """It is asked for when a function is decorated, as in dogpile.cache."""
    region.function_key_generator = lambda namespace, function: lambda n: f"key {n}"

    @region.cache_on_arguments()
    def function(number):
        return number

    function(5)
    assert 5 == region.get("key 5")


def test_keyword_arguments_reach_its_key_generator(region):
    """It refuses those of ``**kw``, in dogpile.cache's own words."""

    @region.cache_on_arguments()
    def function(first, **rest):
        return first

    assert 1 == function(first=1)
    with pytest.raises(ValueError, match="does not accept keyword arguments"):
        function(1, other=2)


def test_manglers_are_applied_once(backend_name, arguments, clock):
    """A region's mangler, given or assigned, makes the stored key from the user's."""
    region = make_region(key_mangler=lambda key: f"<{key}>", time_source=clock)
    region.configure(backend_name, 10, arguments)
    region.get_or_create("key", lambda: 1)
    assert NO_VALUE is not region.backend.get_serialized("<key>")
    region.key_mangler = None
    assert NO_VALUE is region.get("key")


def test_a_backend_s_mangler_is_used(backend_name, arguments, clock, monkeypatch):
    """Unless the region has its own, as in dogpile.cache."""
    made = make_region(time_source=clock).configure(backend_name, 10, arguments)
    backend = made.backend
    monkeypatch.setattr(type(backend), "key_mangler", lambda _, key: f"[{key}]")
    region = make_region(time_source=clock).configure(backend, 10)
    region.set("key", 1)
    assert NO_VALUE is not backend.get_serialized("[key]")
    assert 1 == region.get("key")


def test_staleness_has_no_bound(region, clock):
    """A value is kept and good for serving years after it expired."""
    region.set("key", "old")
    clock.advance(10 * YEAR)
    assert NO_VALUE is region.get("key")
    assert "old" == region.get("key", ignore_expiration=True)
    assert "old" == region.get_or_create("key", never, expiration_time=-1)


def test_a_bound_may_be_asked_for(backend_name, arguments, clock):
    """The preset's are defaults: ``configure`` may say otherwise."""
    region = make_region(time_source=clock)
    region.configure(backend_name, 10, arguments, keep_for=60, stale_if_error=None)
    region.set("key", "old")
    clock.advance(11)
    assert "old" == region.get_or_create("key", lambda: 1 / 0)
    clock.advance(61)
    assert NO_VALUE is region.get("key", ignore_expiration=True)


def test_a_creator_s_error_is_raised_though_an_old_value_is_there(region, clock):
    """As in dogpile.cache: the very error, and the old value is not lost."""
    region.set("key", "old")
    clock.advance(11)
    error = ZeroDivisionError("this one")

    def fail():
        raise error

    with pytest.raises(ZeroDivisionError) as caught:
        region.get_or_create("key", fail)
    assert error is caught.value
    assert "old" == region.get("key", ignore_expiration=True)


def test_a_modern_region_may_ask_for_its_creators_errors(on_disk, clock):
    """``stale_if_error=0``: who ran the creator gets its error, the others stale."""
    region = on_disk(holdover.make_region, stale_if_error=0)
    region.set("key", "old")
    clock.advance(11)
    meanwhile = []

    def fail():
        other = threading.Thread(
            target=lambda: meanwhile.append(region.get_or_create("key", never))
        )
        other.start()
        other.join()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        region.get_or_create("key", fail)
    assert ["old"] == meanwhile


def test_zero_means_at_once(region, clock):
    """An expiration time of 0 makes every later call create anew."""
    values = itertools.count(1)

    @region.cache_on_arguments(expiration_time=lambda: 0)
    def function():
        return next(values)

    for expected in (1, 2, 3):
        assert expected == function()
        clock.advance(0.001)
    region.expiration_time = 0
    region.set("key", 1)
    clock.advance(0.001)
    assert NO_VALUE is region.get("key")


@pytest.mark.parametrize("never_expires", [None, -1])
def test_never_is_spelt_in_two_ways(region, clock, never_expires):
    """None and -1 mean that a value does not expire."""
    region.expiration_time = never_expires
    region.set("key", 1)
    clock.advance(YEAR)
    assert 1 == region.get("key") == region.get_or_create("key", never)


def test_wrong_expiration_times_are_still_told():
    """Only 0 and -1 have a meaning of their own."""
    with pytest.raises(errors.InvalidLifetime):
        make_region().configure("holdover.memory", -5)
    with pytest.raises(errors.InvalidLifetime):
        holdover.make_region().configure("holdover.memory", 0)
    region = make_region().configure("holdover.memory", timedelta(minutes=1))
    assert 60 == region.expiration_time


def test_attributes_can_be_patched(region):
    """Tests of users patch a region's attributes, and get them back."""
    before = region.region_invalidator
    with (
        mock.patch.object(region, "expiration_time", 99),
        mock.patch.object(region, "region_invalidator", mock.Mock()),
    ):
        assert 99 == region.expiration_time == region.lifetime.expiration_time
        assert before is not region.region_invalidator
    assert 10 == region.expiration_time
    assert before is region.region_invalidator


def test_a_function_may_be_decorated_where_it_is_used(region):
    """Closures of one name share one key, as in dogpile.cache, and are no error."""

    def ask(number):
        @region.cache_on_arguments()
        def answer():
            return number

        return answer()

    assert [1, 1] == [ask(1), ask(2)]


def test_methods_are_invalidated_with_their_object(region):
    """``obj.method.invalidate(obj, x)``, as dogpile.cache's users wrote it."""
    values = itertools.count(1)

    class Page:
        @region.cache_on_arguments()
        def render(self, name):
            return next(values)

        @classmethod
        @region.cache_on_arguments(namespace="of the class")
        def of_class(cls, name):
            return next(values)

    page = Page()
    assert 1 == page.render("home") == Page().render("home")
    page.render.invalidate(page, "home")
    assert 2 == page.render("home")
    page.render.set(7, page, "home")
    assert 7 == page.render.get(page, "home")
    assert 3 == page.render.refresh(page, "home")
    assert 4 == Page.of_class("x") == page.of_class("x")
    Page.of_class.invalidate(Page, "x")
    assert 5 == Page.of_class("x")


def test_an_async_creation_runner_gets_what_it_got(region, clock):
    """Region, key, creator and a held mutex, which it must release."""
    calls = []

    def run(cache, key, creator, mutex):
        calls.append((cache, key))
        cache.set(key, creator())
        mutex.release()

    region.async_creation_runner = run
    assert "old" == region.get_or_create("key", lambda: "old")
    clock.advance(11)
    assert [] == calls
    with mock.patch("time.time", clock.wall):
        assert "old" == region.get_or_create("key", lambda: "new")
    assert [(region, "key")] == calls
    assert "new" == region.get("key")


def test_an_async_creation_runner_is_asked_after_a_soft_invalidation(region, clock):
    """It refreshes what was softly invalidated, though that was still young."""
    asked = []

    def run(cache, key, creator, mutex):
        asked.append(key)
        mutex.release()

    region.async_creation_runner = run
    region.set("key", "old")
    with mock.patch("time.time", clock.wall):
        assert "old" == region.get_or_create("key", never)
        region.invalidate(hard=False)
        assert "old" == region.get_or_create("key", never)
        assert ["key"] == asked
        region.invalidate()
        assert "new" == region.get_or_create("key", lambda: "new")


def test_a_region_is_configured_from_a_mapping(tmp_path):
    """dogpile.cache's own spelling of options works for our backends."""
    region = make_region()
    region.configure_from_config(
        {
            "cache.backend": "holdover.file",
            "cache.expiration_time": "600",
            "cache.arguments.path": str(tmp_path / "cache"),
        },
        "cache.",
    )
    assert 600 == region.expiration_time
    region.set("key", 1)
    assert 1 == region.get("key")


def test_the_document_s_two_steps_work(tmp_path):
    """The code of "Coming from dogpile.cache" runs as it is written."""
    text = (Path(__file__).parent.parent / "docs" / "dogpile.rst").read_text()
    blocks = re.findall(r"\.\. code-block:: python\n\n((?:    .*\n|\n)+)", text)
    assert 2 == len(blocks)
    for block in blocks:
        code = textwrap.dedent(block).replace("/var/cache/shop", str(tmp_path))
        names = {}
        exec(code, names)
        assert 1 == names["region"].get_or_create("key", lambda: 1)


@pytest.mark.parametrize("bytes_", [b"", b"garbage", b"{}|x", b"\x80\xff|", b"[1]|x"])
@pytest.mark.parametrize("make", [make_region, holdover.make_region])
def test_strange_bytes_on_dogpile_s_backends_are_a_miss(make, bytes_):
    """Such as those of a process that has moved on already: told of, and replaced."""
    store = {}
    region = make().configure("dogpile.cache.memory_pickle", 60, {"cache_dict": store})
    told = []
    region.listen(told.append)
    store["k"] = bytes_
    assert region.get("k") is NO_VALUE
    assert region.get_multi(["k"]) == [NO_VALUE]
    assert region.get_or_create("k", lambda: "new") == "new"
    assert region.get("k") == "new"
    assert any(isinstance(event, events.Unreadable) for event in told)
