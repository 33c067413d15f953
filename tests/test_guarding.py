"""What a region's settings promise of its stored values, seen from outside."""

import dataclasses
import itertools
import pickle
import threading
import warnings

import pytest
from dogpile.cache.api import NO_VALUE
from dogpile.cache.proxy import ProxyBackend

from holdover import Compression, errors, events, make_region
from holdover.regions.backends.memory import MemoryBackend
from holdover.regions.decoding import Unreadable
from holdover.regions.envelope import Entry
from holdover.regions.guarding import build_sealing
from holdover.regions.settings import Settings

SECRET = "a secret of the shop"
LONG = [f"article {number} is green" for number in range(300)]


class FleetBackend(MemoryBackend):
    """Stands for a server that is reached over a network."""

    capabilities = dataclasses.replace(
        MemoryBackend.capabilities, shared_by="fleet", keeps_objects=False
    )


@pytest.fixture
def backend(clock):
    """Give one store that several releases share."""
    return FleetBackend({"time_source": clock})


@pytest.fixture
def release(backend, clock):
    """Configure a region of the same name in the same store, as another release."""

    def configure(name="shop", **settings):
        settings = {"codec": "json", **settings}
        return make_region(name, time_source=clock).configure(backend, 10, **settings)

    return configure


def stored(backend, key="shop:k"):
    """Give the bytes that are in the store."""
    found, _ = backend.read(key, "shop")
    return found


# -- releases side by side -----------------------------------------------------

RELEASES = {
    "pickle": {"codec": "pickle", "unsigned_pickle": True},
    "json": {"codec": "json"},
    "msgpack": {"codec": "msgpack"},
    "signed": {"secret": SECRET},
    "signed by another": {"secret": SECRET[::-1]},
    "signed pickle": {"secret": SECRET, "codec": "pickle"},
}


@pytest.mark.parametrize(("before", "after"), list(itertools.combinations(RELEASES, 2)))
def test_a_deploy_is_a_miss_both_ways(release, heard, before, after):
    """What another release wrote is a miss and an event, and is then replaced."""
    old, new = release(**RELEASES[before]), release(**RELEASES[after])
    told = {old: heard(old), new: heard(new)}
    for one, other in ((old, new), (new, old)):
        one.set("k", LONG)
        assert other.get("k") is NO_VALUE
        assert other.get_or_create("k", lambda: "made anew") == "made anew"
        assert other.get("k") == "made anew"
        kinds = [type(event) for event in told[other]]
        assert events.Unreadable in kinds
        assert events.BackendFailed not in kinds


@pytest.mark.parametrize("before", [None, "zstd", "zlib"])
@pytest.mark.parametrize("after", [None, "zstd", "zlib"])
@pytest.mark.parametrize("secret", [None, SECRET])
def test_compression_may_change(release, before, after, secret):
    """Compression can be turned on, changed and off without losing the cache."""
    release(compress=before, secret=secret).set("k", LONG)
    assert release(compress=after, secret=secret).get("k") == LONG


def test_a_rotated_secret(release):
    """A new secret in front keeps the cache; dropping the old one drops its values."""
    release(secret="the older secret").set("k", 1)
    both = release(secret=[SECRET, "the older secret"])
    assert both.get("k") == 1
    both.set("l", 2)
    new = release(secret=[SECRET])
    assert new.get("k") is NO_VALUE
    assert new.get("l") == 2


def test_a_swapped_value(release, backend, heard):
    """A value moved to another key or region of the store is no value there."""
    for settings in ({}, {"secret": SECRET}):
        region, other = release(**settings), release("other", **settings)
        told = heard(region), heard(other)
        region.set("k", "of k")
        raw = stored(backend)
        backend.write("shop:l", raw, ttl=None)
        backend.write("other:k", raw, ttl=None)
        assert region.get("l") is NO_VALUE
        assert other.get("k") is NO_VALUE
        assert [[events.Unreadable, events.Missed]] * 2 == [
            [type(one) for one in kind] for kind in told
        ]


def test_regions_sign_apart(backend):
    """Even under the same key: each region's signatures are worth nothing elsewhere."""
    rules = Settings.of(10, {"secret": SECRET})
    one, other = (
        build_sealing(rules, backend, name, None, None) for name in ("one", "other")
    )
    raw = one.seal(Entry("v", created_at=1.0), "key")
    assert one.open(raw, "key").value == "v"
    with pytest.raises(Unreadable, match="none of the secrets"):
        other.open(raw, "key")


class Gone:
    """A class that the next release does not have."""


class Changed:
    """One whose next release wants another state."""

    def __init__(self):
        self.price = 1


def refuse(self, state):
    """Refuse any state."""
    raise LookupError(f"no such article: {state}")


def test_a_class_that_is_gone(release, monkeypatch):
    """A pickled value whose class no longer exists is a miss."""
    region = release(codec="pickle", secret=SECRET)
    region.set("k", Gone())
    assert isinstance(region.get("k"), Gone)
    monkeypatch.delattr(f"{__name__}.Gone")
    assert region.get("k") is NO_VALUE


def test_a_class_that_has_changed(release, monkeypatch, heard):
    """One whose class refuses the old state is a miss, and the reason is told."""
    region = release(codec="pickle", secret=SECRET)
    told = heard(region)
    region.set("k", Changed())
    monkeypatch.setattr(Changed, "__setstate__", refuse, raising=False)
    assert region.get("k") is NO_VALUE
    assert "no such article" in told[0].reason


class RaisingCodec:
    """A codec that decodes nothing."""

    tag = b"mine"
    dumps = staticmethod(lambda value: b"v")

    def __init__(self, error):
        self._error = error

    def loads(self, payload):
        raise self._error


class Hostile(Exception):
    """An error that cannot even be shown."""

    def __repr__(self):
        raise self


@pytest.mark.parametrize("error", [Hostile(), MemoryError(), ValueError("x" * 10**6)])
def test_a_decoder_that_raises_anything(release, error, heard):
    """Whatever a decoder raises is a miss with a short reason."""
    region = release(codec=RaisingCodec(error))
    told = heard(region)
    region.set("k", 1)
    assert region.get("k") is NO_VALUE
    assert len(told[0].reason) < 300


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interruption_is_no_miss(release, error):
    """What ends a thread while it decodes reaches it: that is not the value's fault."""
    region = release(codec=RaisingCodec(error))
    region.set("k", 1)
    with pytest.raises(error):
        region.get("k")


@pytest.mark.parametrize("made", ["text", None, 5, bytearray(b"a")], ids=repr)
def test_a_codec_that_gives_no_bytes(release, made):
    """It is told of as a value that cannot be kept, and the caller gets his value."""
    region = make_region("shop", serializer=lambda value: made, deserializer=bytes)
    region.configure(FleetBackend({}), 10)
    with pytest.raises(errors.UncacheableValue, match=r"in place of bytes"):
        region.set("k", 1)
    assert region.get_or_create("k", lambda: 1) == 1


# -- secret and compress -------------------------------------------------------


def test_a_signed_region(release, backend):
    """It never reads what it has not signed, whoever wrote it."""
    region = release(codec="pickle", secret=SECRET)
    region.set("k", LONG)
    assert region.get("k") == LONG
    forger = release(codec="pickle", unsigned_pickle=True)
    forger.set("k", "forged")
    assert region.get("k") is NO_VALUE
    backend.write("shop:k", pickle.dumps("forged"), ttl=None)
    assert region.get("k") is NO_VALUE


def test_a_compressed_region(release, backend):
    """Large values take less room, small ones are as they were."""
    plain, compressed = release(), release(compress=True)
    sizes = []
    for region in (plain, compressed):
        region.set("k", LONG)
        sizes.append(len(stored(backend)))
        region.set("k", 1)
        sizes.append(len(stored(backend)))
    assert sizes[2] < sizes[0] / 3
    assert sizes[3] == sizes[1]


def test_signed_and_compressed_in_files(tmp_path):
    """Leases, swaps and invalidation work on signed, compressed values as on others."""
    arguments = {"path": tmp_path / "cache"}
    settings = {"secret": SECRET, "compress": True, "schema": 3}
    one, other = (
        make_region("shop").configure("holdover.file", 10, arguments, **settings)
        for _ in range(2)
    )
    assert one.get_or_create("k", lambda: LONG) == LONG
    assert other.get_or_create("k", lambda: "made twice") == LONG
    assert other.change("k", lambda value: value[:1]) == LONG[:1]
    assert one.get("k") == LONG[:1]
    assert not one.add("k", "added")
    one.invalidate()
    assert other.add("k", LONG)
    assert one.get("k") == LONG


def test_memory_keeps_objects(clock):
    """A store that nobody else can write needs neither: values stay as they are."""
    region = make_region("shop", time_source=clock)
    region.configure("holdover.memory", 10, secret=SECRET, compress=True)
    value = object()
    region.set("k", value)
    assert region.get("k") is value


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"secret": "short"}, "at least 16 bytes, got 5"),
        ({"secret": []}, "empty list"),
        ({"compress": "lzma"}, "'lzma'"),
        ({"schema": ""}, "schema must be an int or a text, got ''"),
        ({"schema": True}, "got True"),
        ({"schema": 1.5}, "got 1.5"),
        ({"unsigned_pickle": "yes"}, "unsigned_pickle must be True or False"),
        ({"secrte": SECRET}, "Did you mean 'secret'"),
    ],
)
def test_wrong_settings(settings, message):
    """Each is told when the region is configured, which then is not."""
    region = make_region("shop")
    with pytest.raises(errors.ConfigurationError, match=message):
        region.configure("holdover.memory", 10, **settings)
    assert not region.is_configured


def test_settings_do_not_show_the_secret():
    """Whoever prints a region's settings does not print its secret."""
    assert SECRET not in repr(Settings.of(10, {"secret": SECRET}))


@pytest.mark.parametrize("setting", [{"secret": SECRET}, {"schema": 2}], ids=str)
def test_what_dogpile_cache_s_stores_cannot_do(tmp_path, setting):
    """A promise that would not be kept is refused; in the process there is no need."""
    region = make_region("shop")
    arguments = {"filename": str(tmp_path / "dbm")}
    with pytest.raises(errors.ConfigurationError, match="needs a backend of Holdover"):
        region.configure("dogpile.cache.dbm", 10, arguments, **setting)
    assert not region.is_configured
    for name in ("null", "memory"):
        made = make_region("shop").configure(f"dogpile.cache.{name}", 10, **setting)
        assert made.get_or_create("k", lambda: 1) == 1


def test_a_signed_region_stays_signed(tmp_path):
    """Nor can a store that cannot be signed be put in its place afterwards."""
    region = make_region("shop").configure("holdover.memory", 10, secret=SECRET)
    before = region.backend
    dbm = make_region().configure(
        "dogpile.cache.dbm", 10, {"filename": str(tmp_path / "dbm")}
    )
    with pytest.raises(errors.ConfigurationError, match="secret needs"):
        region.backend = dbm.backend
    assert region.backend is before


def test_a_proxied_store_is_judged_by_what_it_stands_for(tmp_path):
    """A proxy before a store does not change what it can do."""
    region = make_region("shop")
    with pytest.raises(errors.ConfigurationError, match="secret needs"):
        region.configure(proxied_dbm(tmp_path), 10, secret=SECRET)


def proxied_dbm(path):
    """Give dogpile.cache's file store behind a proxy."""
    arguments = {"filename": str(path / "dbm")}
    inner = make_region().configure("dogpile.cache.dbm", 10, arguments)
    return ProxyBackend().wrap(inner.backend)


# -- unsigned pickles ----------------------------------------------------------


def warned(region, backend, **settings):
    """Configure and use a region; give the warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        region.configure(backend, 10, replace_existing_backend=True, **settings)
        region.set("k", 1)
        assert region.get("k") == 1
    return [str(one.message) for one in caught]


def test_unsigned_pickles_over_a_network(backend):
    """They give one warning in a region's life, which says what to do."""
    region = make_region("shop")
    (message,) = warned(region, backend)
    for part in (
        "'shop'",
        "FleetBackend",
        "secret=",
        "msgpack",
        "unsigned_pickle=True",
    ):
        assert part in message
    assert warned(region, backend) == []
    assert len(warned(make_region("other"), backend)) == 1


@pytest.mark.parametrize(
    "settings",
    [
        {"secret": SECRET},
        {"codec": "json"},
        {"codec": "msgpack", "compress": True},
        {"unsigned_pickle": True},
    ],
    ids=str,
)
def test_what_needs_no_warning(backend, settings):
    """A secret, another codec or a word from the user leaves nothing to warn of."""
    assert warned(make_region("shop"), backend, **settings) == []


def test_near_stores_need_no_warning(tmp_path):
    """Memory and the host's own files are not reached over a network."""
    assert warned(make_region("shop"), "holdover.memory", codec="pickle") == []
    arguments = {"path": tmp_path / "cache"}
    assert warned(make_region("shop"), "holdover.file", arguments=arguments) == []


def test_the_warning_is_a_user_warning():
    """It is shown by default, and filters can name it."""
    assert issubclass(errors.UnsignedPickleWarning, UserWarning)


# -- schema --------------------------------------------------------------------


def test_schemas_part_releases(release):
    """Releases of two schemas neither read nor replace each other's values."""
    old, new, bare = release(schema=1), release(schema=2), release()
    for region, value in ((old, "old"), (new, "new"), (bare, "bare")):
        region.set("k", value)
    assert [old.get("k"), new.get("k"), bare.get("k")] == ["old", "new", "bare"]
    assert release(schema="2").get("k") == "new"


def test_invalidating_a_region_reaches_all_schemas(release):
    """The region's clock goes by its name alone."""
    old, new = release(schema=1), release(schema=2)
    old.set("k", "old")
    new.set("k", "new")
    new.invalidate()
    assert old.get("k") is NO_VALUE
    assert new.get("k") is NO_VALUE


def test_deleting_reaches_one_schema(release):
    """A key belongs to its schema: the other release deletes its own."""
    old, new = release(schema=1), release(schema=2)
    old.set("k", "old")
    new.set("k", "new")
    new.delete("k")
    assert [old.get("k"), new.get("k")] == ["old", NO_VALUE]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("a@2", None), ("a", "2")),
        (("a", "2:b"), ("a", "2")),
        (("a", "2@3"), ("a@2", "3")),
        (("a", "2:k"), ("a:2", "k")),
        (("", "a"), ("@a", None)),
    ],
)
def test_schemas_and_names_do_not_mix(release, one, other):
    """No region's schema makes its keys those of another region."""
    regions = [release(name, schema=schema) for name, schema in (one, other)]
    for region in regions:
        region.set("k", region.name)
        region.set("b:k", region.name)
    assert [region.get("k") for region in regions] == [one[0], other[0]]
    assert [region.get("b:k") for region in regions] == [one[0], other[0]]


def decorated(region, **options):
    """Decorate a function as a release does."""

    def price_of(article):
        return f"{options.get('schema')} {article}"

    return region.cache_on_arguments(**options)(price_of)


def test_a_function_s_schema(release):
    """A decorator's schema parts the values of one function alone."""
    old = decorated(release(), schema=1)
    new = decorated(release(), schema=2)
    bare = decorated(release())
    assert [old(7), new(7), bare(7)] == ["1 7", "2 7", "None 7"]
    assert [old.get(7), new.get(7), bare.get(7)] == ["1 7", "2 7", "None 7"]
    new.invalidate(7)
    assert [old.get(7), new.get(7)] == ["1 7", NO_VALUE]
    assert len({cached.key_for(7) for cached in (old, new, bare)}) == 3


@pytest.mark.parametrize("namespace", [None, "a"])
def test_a_function_s_schema_with_a_key_generator(release, namespace):
    """It does so for keys that a generator of the user's own makes, too."""

    def generator(namespace, function, **kw):
        return lambda *args: f"{namespace}|{args}"

    options = {"namespace": namespace, "function_key_generator": generator}
    old = decorated(release(), schema=1, **options)
    new = decorated(release(), schema=2, **options)
    bare = decorated(release(), **options)
    assert [old(7), new(7), bare(7)] == ["1 7", "2 7", "None 7"]
    assert bare.key_for(7) == f"{namespace}|(7,)"


def test_a_generator_s_keys_are_no_schema(release):
    """What a generator makes is never taken for a part of the schema."""

    def generator(namespace, function, **kw):
        return lambda *args: f"{namespace}:{args}"

    made = {"function_key_generator": generator}
    one = decorated(release(), schema="1:a", namespace="b", **made)
    other = decorated(release(), schema="1", namespace="a:b", **made)
    assert one.key_for(7) != other.key_for(7)


def test_a_namespace_is_no_schema(release):
    """What stands in a namespace is never taken for a schema."""
    region = release()
    keys = {
        decorated(region, **options).key_for(7)
        for options in (
            {"namespace": "a", "schema": 1},
            {"namespace": "a'@'1"},
            {"namespace": "a@1"},
            {"namespace": "@'1'"},
        )
    }
    assert len(keys) == 4


def test_a_wrong_schema_of_a_function(release):
    """It is told where the function is decorated."""
    with pytest.raises(errors.ConfigurationError, match="schema must be an int"):
        decorated(release(), schema=[2])


# -- from many threads ---------------------------------------------------------


def test_threads_share_a_signer(release):
    """Signing and verifying from many threads at once mixes nothing up."""
    region = release(secret=[SECRET, "the older secret"], compress=Compression(above=1))
    wrong = []

    def work(number):
        for turn in range(100):
            value = [number, turn, "x" * 3_000]
            region.set(f"{number}", value)
            if region.get(f"{number}") != value:
                wrong.append(value)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
