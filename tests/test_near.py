"""A near cache answers for a moment, and never hides what this process has changed."""

import gc
import os
import threading
import weakref

import pytest
from dogpile.cache.proxy import ProxyBackend
from dogpile.cache.region import RegionInvalidationStrategy
from standins import broken
from waiting import wait_until

from holdover import NO_VALUE, Cached, Registry, make_region
from holdover.contrib_django import RegionCache
from holdover.errors import BackendError, ConfigurationError
from holdover.events import Hit
from holdover.regions.backends.file import FileBackend
from holdover.regions.near import NearCache, NearTerms
from holdover.regions.outcomes import MISSING
from holdover.testing import FakeClock

TTL = 2.0


class CountedFiles(FileBackend):
    """Files that note which keys are read."""

    def __init__(self, arguments):
        super().__init__(arguments)
        self.reads = []

    def read(self, key, region):
        """See `Backend.read`."""
        self.reads.append(key)
        return super().read(key, region)


@pytest.fixture
def clock():
    """A clock that the test moves."""
    return FakeClock()


@pytest.fixture
def backend(tmp_path, clock):
    """Files that count what is read."""
    return CountedFiles({"path": tmp_path / "cache", "time_source": clock})


@pytest.fixture
def make(tmp_path, clock):
    """Make regions over the same files: those of other processes, as it were."""

    def make(backend=None, expiration_time=10.0, **settings):
        backend = backend or FileBackend(
            {"path": tmp_path / "cache", "time_source": clock}
        )
        region = make_region("near", time_source=clock)
        return region.configure(backend, expiration_time, **settings)

    return make


@pytest.fixture
def other(make):
    """A region without a near cache, as another process has it."""
    return make()


@pytest.fixture
def region(make, backend):
    """A region with a near cache."""
    return make(backend, near_ttl=TTL)


def test_the_backend_is_asked_once_per_near_ttl(region, other, backend, clock):
    """Others' changes are seen near_ttl later, and until then nothing is read."""
    other.set("k", 1)
    assert region.get("k") == 1
    other.set("k", 2)
    clock.advance(TTL - 0.01)
    assert region.get("k") == region.get_or_create("k", broken) == 1
    assert len(backend.reads) == 1
    clock.advance(0.01)
    assert region.get("k") == 2
    assert len(backend.reads) == 2


def test_it_counts_from_the_read_s_beginning(region, other, backend, clock):
    """What took long to arrive is kept for as much less."""
    other.set("k", 1)
    read = backend.read

    def slow(key, name):
        found = read(key, name)
        clock.advance(TTL - 0.5)
        return found

    backend.read = slow
    assert region.get("k") == 1
    clock.advance(0.5)
    assert region.get("k") == 1
    assert len(backend.reads) == 2


def test_listeners_know_near_hits(region, other, heard):
    """A hit says whether the backend was asked."""
    other.set_multi({"k": 1, "l": 2})
    events = heard(region)
    for _ in range(2):
        region.get_or_create("k", broken)
        region.get_or_create_multi(["k", "l"], broken)
    hits = [event.near for event in events if isinstance(event, Hit)]
    assert hits == [False, True, False, True, True, True]


def test_only_what_is_fresh_is_served(make, backend, clock):
    """Age is judged as ever, by the region, the call and the value's own lifetime."""
    region = make(backend, near_ttl=60.0)
    region.set("k", "by the region")
    region.set("own", Cached("by itself", expiration_time=3))
    assert region.get_multi(["k", "own"]) == ["by the region", "by itself"]
    clock.advance(4)
    assert region.get("own") is NO_VALUE
    assert region.get("k", expiration_time=3) is NO_VALUE
    assert region.get("k") == "by the region"
    clock.advance(6)
    assert region.get("k") is NO_VALUE
    assert region.get("k", ignore_expiration=True) == "by the region"
    assert region.get_or_create("k", lambda: "new") == "new"
    assert region.get("k") == "new"


def test_early_refresh_goes_on(make, backend, clock):
    """A near hit draws lots, too: nobody finds the value expired."""
    region = make(backend, near_ttl=60.0, early_refresh=1.0)

    def dear():
        clock.advance(5)
        return clock.wall()

    first = region.get_or_create("k", dear)
    assert region.get("k") == first
    clock.advance(10 - 1e-6)
    assert region.get_or_create("k", dear) > first
    assert region.get("k") > first


@pytest.mark.parametrize(
    "change",
    [
        lambda region: region.set("k", "new"),
        lambda region: region.set_multi({"k": "new"}),
        lambda region: region.delete("k"),
        lambda region: region.delete_multi(["k"]),
        lambda region: region.expire("k"),
        lambda region: region.invalidate(),
        lambda region: region.invalidate(hard=False),
        lambda region: region.invalidate(tags=["tag"]),
        lambda region: region.invalidate(prefix="k"),
        lambda region: region.invalidate(tags=["tag"], hard=False),
        lambda region: region.change("k", lambda _: "new"),
        lambda region: region.copy("source", "k"),
        lambda region: region.lease("k").commit("new"),
    ],
)
def test_what_this_process_changes_is_seen_at_once(region, change):
    """Whatever is done here takes effect before it returns."""
    region.set("source", "new")
    region.set("k", "old", tags=["tag"])
    assert region.get("k") == region.get("k") == "old"
    change(region)
    assert region.get("k") in ("new", NO_VALUE)


def test_a_decorated_function_s_handles_too(region):
    """refresh, set, expire and invalidate of a function are seen at once."""
    values = iter("abcdefg")

    @region.cache_on_arguments()
    def letter():
        return next(values)

    assert letter() == letter() == "a"
    assert letter.refresh() == letter() == letter.get() == "b"
    letter.set("z")
    assert letter() == letter.get() == "z"
    letter.expire()
    assert letter.get() is NO_VALUE
    assert letter() == letter() == "c"
    letter.invalidate()
    assert letter() == letter() == "d"


def test_a_refresh_behind_the_callers_backs_is_seen_at_once(make, backend, clock):
    """Once this process's runner has made the next value, callers get it."""
    region = make(backend, near_ttl=60.0, runner="thread")
    region.set("k", "old")
    assert region.get("k") == "old"
    clock.advance(11)
    assert region.get_or_create("k", lambda: "new") == "old"
    assert wait_until(lambda: region.get("k") == "new")
    assert region.get_or_create("k", broken) == "new"


def test_add_after_expiry(region, clock):
    """What `add` stores is served."""
    region.set("k", "old")
    assert region.get("k") == "old"
    assert not region.add("k", "too early")
    clock.advance(11)
    assert region.add("k", "new")
    assert region.get("k") == "new"


@pytest.mark.parametrize(
    ("verb", "change"),
    [
        ("remove", lambda region: region.delete("k")),
        ("write", lambda region: region.set("k", "new")),
        ("advance", lambda region: region.invalidate()),
        ("advance", lambda region: region.invalidate(tags=["tag"])),
    ],
)
def test_what_is_pending_is_not_served(region, backend, monkeypatch, verb, change):
    """If the backend could not be told, the old value is not served here either."""
    region.set("k", "old", tags=["tag"])
    assert region.get("k") == "old"
    with monkeypatch.context() as context:
        context.setattr(backend, verb, broken)
        context.setattr(backend, "remove", broken)
        assert change(region).pending
        assert region.get("k") is NO_VALUE
    assert region.get("k") is NO_VALUE


def test_what_a_late_write_may_store_is_not_kept(region, other, backend, monkeypatch):
    """While a write that failed may still be carried out, every read asks."""
    with monkeypatch.context() as context:
        context.setattr(backend, "write", broken)
        assert region.set("k", "late").pending
    other.set("k", "new")
    for _ in range(3):
        region.get("k")
    assert len(region._tier.near) == 0


def test_it_answers_while_the_backend_is_away(region, other, backend):
    """For as long as its values may be served, nobody notices an outage."""
    other.set("k", 1)
    assert region.get("k") == 1
    backend.read = broken
    assert region.get("k") == 1


def test_whoever_changes_something_asks_the_backend(region, other):
    """A near value is never the ground for a write."""
    other.set("k", 1)
    assert region.get("k") == 1
    other.set("k", 10)
    assert region.change("k", lambda value: value + 1) == 11
    other.delete("k")
    assert region.add("k", 5)
    other.set("k", 20)
    assert region.copy("k", "l") == 20
    assert region.lease("k") is not None


def test_strict_reads_and_inspect_ask_the_backend(region, other, clock):
    """Who wants to know for certain is told what there is."""
    other.set("k", 1)
    assert region.get("k") == 1
    clock.advance(1)
    other.set("k", 2)
    assert region.get("k", strict=True) == 2
    assert region.get_multi(["k"], strict=True) == [2]
    assert region.get_or_create("k", broken, strict=True) == 2
    assert region.inspect("k").age == 0
    assert region.get("k") == 1
    region.backend.read = broken
    with pytest.raises(BackendError):
        region.get("k", strict=True)


def test_a_newer_value_that_is_met_takes_its_place(region, other):
    """Who asks for a lease and meets a newer value does not leave the older one."""
    other.set("k", 1)
    assert region.get("k") == 1
    tier, key = region._tier, region._address("k")
    seen = tier.find(key, region.lifetime).entry
    other.set("k", 2)
    assert tier.acquire(key, seen, region.lifetime, 1.0).entry.value == 2
    assert region.get("k") == 2


def test_several_keys_read_only_what_is_missing(region, other, backend):
    """Of many keys, the backend is asked for those that are not near."""
    other.set_multi({"a": 1, "b": 2, "c": 3})
    assert region.get_multi(["b", "b"]) == [2, 2]
    backend.reads.clear()
    assert region.get_multi(["c", "b", "a", "b", "x"]) == [3, 2, 1, 2, NO_VALUE]
    assert backend.reads == [region._address(key) for key in "cax"]
    backend.reads.clear()
    assert region.get_or_create_multi(["a", "b", "c"], broken) == [1, 2, 3]
    assert backend.reads == []


def test_django_s_caches_have_it_too(backend, clock, other, monkeypatch):
    """A Django cache in a region with near_ttl is served near."""
    caches = Registry()
    for user in ("regions.registry", "contrib_django.project.configuring"):
        monkeypatch.setattr(f"holdover.{user}.registry", caches)
    caches.configure({"site": {"backend": backend, "near_ttl": TTL}})
    cache = RegionCache("region://site", {})
    cache.set("key", 1)
    assert cache.get("key") == cache.get("key") == 1
    assert cache.get_many(["key"]) == {"key": 1}
    assert len(backend.reads) == 1
    assert cache.incr("key") == cache.get("key") == 2


def test_a_strategy_of_the_user_s_is_asked(make, backend):
    """An invalidation strategy of one's own reaches near values, too."""

    class Switch(RegionInvalidationStrategy):
        is_off = False

        def invalidate(self, hard=True):
            self.is_off = True

        def is_hard_invalidated(self, timestamp):
            return self.is_off

        def is_soft_invalidated(self, timestamp):
            return False

    region = make(backend, near_ttl=TTL, region_invalidator=Switch())
    region.set("k", 1)
    assert region.get("k") == region.get("k") == 1
    region.invalidate()
    assert region.get("k") is NO_VALUE


# -- races ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        lambda region: region.delete("k"),
        lambda region: region.set("k", "new"),
        lambda region: region.invalidate(),
        lambda region: region.invalidate(tags=["tag"]),
        lambda region: region.lease("k").commit("new"),
        lambda region: region._tier.near.drop_those(lambda key: key == "elsewhere"),
    ],
)
@pytest.mark.parametrize("read", ["get", "get_multi"])
def test_a_read_that_was_overtaken_is_not_kept(region, backend, change, read):
    """What was read before a change, and arrives after it, is not kept."""
    region.set("k", "old", tags=["tag"])
    has_read, may_return = threading.Event(), threading.Event()

    def held(original):
        def reading(*args):
            found = original(*args)
            if threading.current_thread() is reader:
                has_read.set()
                assert may_return.wait(20)
            return found

        return reading

    backend.read, backend.read_multi = held(backend.read), held(backend.read_multi)
    ask = {"get": lambda: region.get("k"), "get_multi": lambda: region.get_multi(["k"])}
    reader = threading.Thread(target=ask[read])
    reader.start()
    assert has_read.wait(20)
    change(region)
    may_return.set()
    reader.join()
    assert len(region._tier.near) == 0


def test_what_was_read_before_a_fill_is_not_put_back(clock):
    """Everything dropped at once: reads under way fill nothing that is looked at."""
    near = NearCache(NearTerms(TTL, 10), clock)
    begun = near.begin("k")
    near.drop_all()
    assert not near.fill("k", MISSING, begun)
    assert near.read("k") is None
    assert near.fill("k", MISSING, near.begin("k"))
    assert near.read("k") is MISSING


def test_it_is_bounded(make, backend, other):
    """No more than near_entries are kept, and those that are read survive."""
    region = make(backend, near_ttl=TTL, near_entries=10)
    other.set_multi({str(number): number for number in range(50)})
    assert region.get("0") == 0
    for number in range(50):
        assert region.get(str(number)) == number
        assert region.get("0") == 0
    assert len(region._tier.near) == 10
    assert backend.reads.count(region._address("0")) == 1


def test_a_value_s_own_end_may_use_the_region(make, backend):
    """No lock is held while a value that is dropped comes to its end."""
    region = make(backend, near_ttl=TTL, near_entries=1)
    ended = []

    class Value:
        def __del__(self):
            ended.append(region._tier.near.drop("other"))

    near = region._tier.near
    for key in ("a", "b", "b"):
        near.fill(key, Value(), near.begin(key))
    near.drop("b")
    gc.collect()
    assert len(ended) == 3


def test_a_fork_s_child_begins_with_nothing(region, other):
    """A child is told of no change that its parent makes, so it asks anew."""
    other.set("k", 1)
    assert region.get("k") == 1
    other.set("k", 2)
    child = os.fork()
    if child == 0:
        os._exit(0 if region.get("k") == 2 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert region.get("k") == 1


def test_a_fork_while_it_is_filled(region, other):
    """A child whose parent held the lock at the fork can use its own."""
    other.set("k", 1)
    with region._tier.near._lock:
        child = os.fork()
        if child == 0:
            os._exit(0 if region.get("k") == region.get("k") == 1 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_it_ends_with_its_region(make, backend, other):
    """Nothing keeps what nobody can read any more."""
    other.set("k", 1)
    region = make(backend, near_ttl=TTL)
    region.get("k")
    near = weakref.ref(region._tier.near)
    region.configure(backend, 10, near_ttl=TTL, replace_existing_backend=True)
    assert region.get("k") == 1
    gc.collect()
    assert near() is None


# -- configuration -------------------------------------------------------------


def test_it_is_off_by_default(other):
    """Without near_ttl nothing is kept, and every read asks."""
    assert not hasattr(other._tier, "near")


@pytest.mark.parametrize("way", ["url", "mapping", "env"])
def test_it_is_configured_by_text(way, tmp_path, monkeypatch):
    """Wherever options are text, near_ttl and near_entries are among them."""
    url = f"file://{tmp_path}/cache"
    caches = Registry()
    if way == "url":
        region = make_region("prices").configure(f"{url}?near_ttl=2&near_entries=50")
    elif way == "mapping":
        told = {"backend": url, "near_ttl": "2", "near_entries": "50"}
        caches.configure_from_config(
            {f"cache.prices.{name}": text for name, text in told.items()}
        )
        region = caches["prices"]
    else:
        monkeypatch.setenv("HOLDOVER_DEFAULTS_URL", url)
        monkeypatch.setenv("HOLDOVER_PRICES_NEAR_TTL", "2")
        monkeypatch.setenv("HOLDOVER_PRICES_NEAR_ENTRIES", "50")
        caches.configure_from_env()
        region = caches["prices"]
    assert region._tier.near._terms == NearTerms(2.0, 50)


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({"near_ttl": 0}, "near_ttl must be more than 0 seconds, got 0"),
        ({"near_ttl": "2"}, "near_ttl must be seconds, got '2'"),
        ({"near_ttl": 2, "near_entries": 0}, "near_entries must be an int above 0"),
        ({"near_ttl": 2, "near_entries": True}, "near_entries must be an int above 0"),
    ],
)
def test_wrong_settings(make, backend, settings, wanted):
    """What cannot be meant is told at once."""
    with pytest.raises(ConfigurationError, match=wanted):
        make(backend, **settings)


def test_it_is_refused_where_it_is_of_no_use():
    """What is in this process already needs no copy that can be outdated."""
    with pytest.raises(ConfigurationError, match="in it already: leave near_ttl"):
        make_region("near").configure("holdover.memory", 10, near_ttl=2.0)


def test_it_is_refused_on_the_dogpile_tier(make, backend):
    """Where dogpile.cache's code writes, nobody would tell the near cache."""
    wanted = "near_ttl needs a backend of Holdover, without proxies"
    with pytest.raises(ConfigurationError, match=wanted):
        make_region("near").configure("dogpile.cache.memory", 10, near_ttl=2.0)
    with pytest.raises(ConfigurationError, match=wanted):
        make(backend, near_ttl=2.0, wrap=[ProxyBackend])
    region = make(backend, near_ttl=2.0)
    with pytest.raises(ConfigurationError, match=wanted):
        region.wrap(ProxyBackend)
    with pytest.raises(ConfigurationError, match="leave near_ttl out"):
        region.backend = make_region("m").configure("holdover.memory", 10).backend
    region.set("k", 1)
    assert region.get("k") == region.get("k") == 1
