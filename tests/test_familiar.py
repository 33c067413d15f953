"""Hits of which only the value is decoded: never of what should not be served."""

import gc
import inspect
import os
import pickle
import weakref
from pathlib import Path
from typing import ClassVar

import pytest

from holdover import NO_VALUE, Compression, Lifetime, Region, events, make_region
from holdover.errors import BackendError
from holdover.regions import at_hand, sealing
from holdover.regions.backends import host_records
from holdover.regions.backends.dbm import DbmBackend
from holdover.regions.backends.file import FileBackend
from holdover.regions.backends.grants import Lease
from holdover.regions.backends.memory import MemoryBackend
from holdover.regions.backends.sql import SqlBackend
from holdover.regions.sealing import LARGEST
from holdover.testing import FakeClock

SECONDS = 10.0


@pytest.fixture(params=["file", "dbm", "redis", "memcached", "sql"])
def backend_name(request):
    """Every backend of bytes."""
    return f"holdover.{request.param}"


@pytest.fixture
def region(new_region):
    """The region of this process."""
    return new_region(SECONDS)


@pytest.fixture
def other(new_region):
    """The same region, as another process has it."""
    return new_region(SECONDS)


@pytest.fixture
def made():
    """What creators have been called with."""
    return []


@pytest.fixture
def price(region, made):
    """A cached function, one value of which is familiar."""

    @region.cache_on_arguments(tags=["prices"])
    def price(item, *, currency="EUR"):
        made.append(item)
        return [item, currency, len(made)]

    for _ in range(4):
        assert price(7) == [7, "EUR", 1]
    assert familiars(price)
    return price


def seen_by(function):
    """Where a cached function looks first."""
    return function.__globals__["_holdover_seen"]


def familiars(function):
    """What a cached function reads again and again."""
    return seen_by(function).familiar


@pytest.fixture
def opened(monkeypatch):
    """How often an envelope was opened."""
    calls = []
    real = sealing.open_sealed

    def counted(*args):
        calls.append(args)
        return real(*args)

    monkeypatch.setattr(sealing, "open_sealed", counted)
    return calls


class TestHits:
    def test_open_no_envelope(self, price, opened, region, made):
        """They are counted as all others are, and everybody gets a value of his own."""
        before = region.figures().hits
        values = [price(7) for _ in range(5)]
        assert not opened
        assert region.figures().hits == before + 5
        assert made == [7]
        values[0].append("mine")
        assert price(7) == values[1] == [7, "EUR", 1]

    def test_tell_calls_apart(self, price):
        """By every argument, and its type."""
        assert price(8) == [8, "EUR", 2]
        for _ in range(3):
            assert price(7, currency="USD") == [7, "USD", 3]
            assert price(7) == [7, "EUR", 1]
            assert price(8) == [8, "EUR", 2]
        assert price(True) == [True, "EUR", 4]
        assert price(1) == [1, "EUR", 5]
        assert price(1.0) == [1.0, "EUR", 6]

    @pytest.mark.parametrize(
        "change",
        [
            lambda price, region: price.set("new", 7),
            lambda price, region: region.set(price.key_for(7), "new"),
            lambda price, region: region.set_multi({price.key_for(7): "new"}),
            lambda price, region: region.change(price.key_for(7), lambda _: "new"),
        ],
    )
    @pytest.mark.parametrize("whose", ["region", "other"])
    def test_give_what_is_there_now(self, price, request, change, whose):
        """Whichever process has put it there."""
        region = request.getfixturevalue(whose)
        change(price, region)
        assert [price(7) for _ in range(3)] == ["new"] * 3

    @pytest.mark.parametrize(
        "end",
        [
            lambda price, region: region.delete(price.key_for(7)),
            lambda price, region: region.delete_multi([price.key_for(7)]),
            lambda price, region: region.invalidate(),
            lambda price, region: region.invalidate(tags=["prices"]),
            lambda price, region: region.invalidate(hard=False),
        ],
    )
    @pytest.mark.parametrize("whose", ["region", "other"])
    def test_end_with_the_value(self, price, request, end, whose, made):
        """Every way to invalidate, by whoever does it."""
        end(price, request.getfixturevalue(whose))
        assert price(7) == [7, "EUR", 2]
        assert made == [7, 7]

    def test_end_with_its_time(self, price, clock, made):
        """To the last moment."""
        clock.advance(SECONDS - 0.1)
        assert price(7) == [7, "EUR", 1]
        clock.advance(0.2)
        assert price(7) == [7, "EUR", 2]
        clock.advance(SECONDS - 0.1)
        assert [price(7) for _ in range(3)] == [[7, "EUR", 2]] * 3
        clock.advance(0.2)
        assert price(7) == [7, "EUR", 3]
        assert made == [7] * 3

    def test_a_lifetime_of_its_own(self, price, region, clock):
        """What says itself how long it lives is believed."""
        for number in range(3):
            lifetime = Lifetime(expiration_time=1.0)
            region.get_or_lease(f"x{number}")
            region.set(price.key_for(7), number, lifetime=lifetime)
            assert [price(7) for _ in range(3)] == [number] * 3
            clock.advance(1.1)
            assert price(7) != number

    def test_while_another_creates(self, price, other):
        """A lease does not touch what is there."""
        lease = other.backend.acquire(
            other._address(price.key_for(7)), "region", ttl=5.0, seen=None
        )
        assert not isinstance(lease, Lease)  # since there is a value
        assert price(7) == [7, "EUR", 1]


class TestListeners:
    def test_hear_of_hits(self, price, region, heard):
        """From the moment on when somebody listens."""
        told = heard(region)
        for _ in range(3):
            price(7)
        assert [type(one) for one in told] == [events.Hit] * 3


class TestWithout:
    def test_values_that_are_large(self, region, opened):
        """What takes long to read is checked each time."""

        @region.cache_on_arguments()
        def large(size):
            return os.urandom(size)

        for _ in range(3):
            large(LARGEST)
        del opened[:]
        large(LARGEST)
        assert opened

    def test_values_that_are_compressed(self, new_region, opened):
        """They are, each time."""
        small = Compression(algorithm="zlib", above=10)
        region = new_region(SECONDS, compress=small)

        @region.cache_on_arguments()
        def text(size):
            return "long" * size

        assert [text(300) for _ in range(4)] == ["long" * 300] * 4
        assert len(opened) >= 3

    def test_arguments_that_do_not_tell(self, region, opened):
        """Those of types with equal values."""

        @region.cache_on_arguments()
        def of(values):
            return list(values)

        assert [of((1, 2)) for _ in range(4)] == [[1, 2]] * 4
        assert not familiars(of)

    def test_more_than_so_many(self, region, monkeypatch):
        """They are forgotten, and read as before."""
        monkeypatch.setattr(at_hand, "_MOST_FAMILIAR", 5)

        @region.cache_on_arguments()
        def twice(number):
            return 2 * number

        for _ in range(3):
            for number in range(12):
                assert twice(number) == 2 * number
                assert len(familiars(twice)) <= 5


class TestConfiguration:
    def test_of_another_backend(self, price, region, tmp_path, made):
        """Nothing of the first one is served."""
        region.configure(
            "holdover.file",
            SECONDS,
            {"path": tmp_path / "another"},
            replace_existing_backend=True,
        )
        assert price(7) == [7, "EUR", 2]

    def test_signed_values(self, new_region, opened):
        """A signature is checked once for the same bytes, and by each secret."""
        region = new_region(SECONDS, secret="one " * 8, unsigned_pickle=False)

        @region.cache_on_arguments()
        def twice(number):
            return 2 * number

        for _ in range(4):
            assert twice(2) == 4
        del opened[:]
        assert twice(2) == 4
        assert not opened
        forger = new_region(SECONDS, secret="two " * 8, unsigned_pickle=False)
        forger.set(twice.key_for(2), "forged")
        assert twice(2) == 4


class Moody:
    """A value that can be decoded only in a good mood."""

    mood = "good"

    def __reduce__(self):
        return _moody, ()


def _moody():
    if Moody.mood != "good":
        raise ValueError
    return Moody()


class TestTrouble:
    def test_a_value_that_cannot_be_decoded_any_more(self, region, made):
        """It is a miss, as it would have been at first."""

        @region.cache_on_arguments()
        def moody():
            made.append(1)
            return Moody()

        for _ in range(4):
            assert isinstance(moody(), Moody)
        Moody.mood = "bad"
        try:
            assert isinstance(moody(), Moody)
            assert made == [1, 1]
        finally:
            Moody.mood = "good"

    def test_a_backend_that_fails(self, price, region, monkeypatch, made):
        """It is asked once, and told of; then the creator is called."""
        asked = []

        def fail(*args):
            asked.append(args)
            raise BackendError("away")

        read = region._entries._guard.calmed(fail, (None, 0))
        monkeypatch.setattr(familiars(price)[7, "EUR"], "read", read)
        told = []
        monkeypatch.setattr(region._entries, "tell", told.append)
        price(7)
        assert len(asked) == 1

    def test_bytes_that_were_changed(self, price, region, made):
        """They are a miss, whatever they begin with."""
        address = region._address(price.key_for(7))
        stored, _ = region.backend.read(address, "region")
        for damaged in (stored[:-1], stored[1:], stored + b"x", b"", pickle.dumps(1)):
            region.backend.write(address, damaged, ttl=None)
            before = len(made)
            assert price(7)[0] == 7
            assert len(made) == before + 1

    def test_what_could_not_be_removed(self, price, region, monkeypatch, made):
        """It is not served here, though it is still there."""
        with monkeypatch.context() as patched:

            def fail(*args, **kwargs):
                raise BackendError("away")

            patched.setattr(type(region.backend), "remove", fail)
            assert region.delete(price.key_for(7)).pending
            assert price(7) == [7, "EUR", 2]


class TestFiles:
    """A file is read only if something about it has changed."""

    @pytest.fixture
    def clock(self):
        return FakeClock()

    @pytest.fixture
    def backend(self, tmp_path, clock):
        return FileBackend({"path": tmp_path / "cache", "time_source": clock})

    @pytest.fixture
    def peer(self, tmp_path, clock):
        return FileBackend({"path": tmp_path / "cache", "time_source": clock})

    def test_it_is_looked_at_each_time(self, backend, monkeypatch):
        """And opened once."""
        backend.write("k", b"stored", ttl=None)
        read = backend.reader("k", "r")
        assert read()[0] == b"stored"
        with monkeypatch.context() as patched:
            patched.delattr("os.pread")
            assert [read()[0] for _ in range(3)] == [b"stored"] * 3
        backend.write("k", b"Stored", ttl=None)
        assert read()[0] == b"Stored"

    def test_many_changes_in_a_moment(self, backend, peer):
        """Two files take turns under one name, and each time another is meant."""
        read = backend.reader("k", "r")
        for number in range(2000):
            stored = b"%04d" % number
            peer.write("k", stored, ttl=60.0)
            assert read()[0] == stored
            assert read()[0] == stored

    def test_what_takes_its_place(self, backend, tmp_path):
        """Links, directories and files that went."""
        backend.write("k", b"stored", ttl=None)
        read = backend.reader("k", "r")
        assert [read()[0] for _ in range(2)] == [b"stored"] * 2
        path = Path(backend._path("k"))
        path.rename(tmp_path / "aside")
        assert read()[0] is None
        path.symlink_to(tmp_path / "aside")
        assert read()[0] is None
        path.unlink()
        path.mkdir()
        assert read()[0] is None
        path.rmdir()
        backend.write("k", b"again", ttl=None)
        assert read()[0] == b"again"

    def test_a_large_one_is_not_kept(self, backend):
        """It would cost more room than it saves time."""
        backend.write("k", b"x" * 5000, ttl=None)
        read = backend.reader("k", "r")
        assert [len(read()[0]) for _ in range(2)] == [5000] * 2
        kept = inspect.getclosurevars(read).nonlocals["read_value"].__self__
        assert kept._known[0] is None

    def test_it_is_gone_and_comes_again(self, backend, peer):
        """Of two lives with the same bytes the second counts."""
        backend.write("k", b"stored", ttl=None)
        read = backend.reader("k", "r")
        read()
        for _ in range(3):
            peer.remove("k")
            assert read()[0] is None
            peer.write("k", b"stored", ttl=None)
            assert read()[0] == b"stored"


def places(tmp_path):
    """A backend of each kind, and its arguments."""
    return {
        "file": (FileBackend, {"path": tmp_path / "cache"}),
        "dbm": (DbmBackend, {"filename": tmp_path / "cache.dbm"}),
        "sql": (SqlBackend, {"url": f"sqlite:///{tmp_path}/cache.db"}),
        "memory": (MemoryBackend, {}),
    }


@pytest.mark.parametrize("kind", ["file", "dbm", "sql", "memory"])
@pytest.mark.parametrize("how", ["subclass", "mixin"])
def test_a_class_that_reads_in_its_own_way(tmp_path, kind, how):
    """It does so each time."""
    base, arguments = places(tmp_path)[kind]

    class Counting:
        reads = 0

        def read(self, key, region):
            self.reads += 1
            return super().read(key, region)

    if how == "mixin":
        own = type("Own", (Counting, base), {})
    else:

        def read(self, key, region):
            self.reads = getattr(self, "reads", 0) + 1
            return base.read(self, key, region)

        own = type("Own", (base,), {"read": read, "reads": 0})
    backend = own(arguments)
    region = make_region("r").configure(backend, 60, unsigned_pickle=True)

    @region.cache_on_arguments()
    def twice(number):
        return 2 * number

    assert [twice(2) for _ in range(10)] == [4] * 10
    assert backend.reads >= 10


class Slow:
    """Something happens while it is decoded."""

    meanwhile: ClassVar = []

    def __init__(self, number):
        self.number = number

    def __setstate__(self, state):
        vars(self).update(state)
        if Slow.meanwhile:
            Slow.meanwhile.pop()()


class TestRules:
    def test_what_was_judged_by_other_rules(self, region, clock):
        """A lifetime that was shortened meanwhile counts."""
        numbers = iter(range(100))

        @region.cache_on_arguments()
        def slow(item):
            return Slow(next(numbers))

        def shorten():
            region.expiration_time = SECONDS / 10
            for _ in range(3):
                slow(1)

        assert [slow(1).number for _ in range(2)] == [0, 0]
        Slow.meanwhile.append(shorten)
        assert slow(1).number == 0
        clock.advance(SECONDS / 2)
        assert slow(1).number == 1


class TestMemory:
    """What is of no more use is let go."""

    @pytest.fixture
    def clock(self):
        return FakeClock()

    def test_of_backends_that_were_replaced(self, tmp_path, clock):
        """With their files and connections."""
        region = make_region("r", time_source=clock)

        @region.cache_on_arguments()
        def listed(number):
            return [number]

        old = []
        for number in range(3):
            backend = FileBackend({"path": tmp_path / str(number)})
            region.configure(backend, 60, replace_existing_backend=True)
            listed.set([number], number)  # no lease, which is remembered for a while
            assert [listed(number) for _ in range(3)] == [[number]] * 3
            old.append(weakref.ref(backend))
            del backend
        gc.collect()
        assert [one() is None for one in old] == [True, True, False]

    def test_of_near_values_that_were_dropped(self, tmp_path, clock):
        """At once, whether or not the function is called again."""
        region = make_region("r", time_source=clock).configure(
            "holdover.file", 60, {"path": tmp_path / "cache"}, near_ttl=30
        )

        @region.cache_on_arguments()
        def value(number):
            return Slow(number)

        known = []
        for number in range(5):
            known.extend(weakref.ref(value(number)) for _ in range(3))
        assert known[2]() is not None
        region.invalidate()
        gc.collect()
        assert all(one() is None for one in known)

    def test_of_functions_that_are_gone(self):
        """Though what they found is kept."""
        region = make_region("r").configure("memory://", 60)
        known = []
        for number in range(5):
            call = region.cached(lambda: "value", namespace=str(number))
            for _ in range(3):
                call()
            known.append(weakref.ref(seen_by(call)))
            del call
        gc.collect()
        assert all(one() is None for one in known)

    def test_of_long_keys(self, tmp_path):
        """Names of files are remembered of short ones only."""
        backend = FileBackend({"path": tmp_path / "cache"})
        before = host_records._known_digest.cache_info().currsize
        for number in range(20):
            backend.read("k" * 600 + str(number), "r")
        assert host_records._known_digest.cache_info().currsize <= before + 1


def test_a_region_that_answers_in_its_own_way(tmp_path):
    """What overrides `fetch_call` is asked each time."""

    class Own(Region):
        asked = 0

        def fetch_call(self, call):
            Own.asked += 1
            return super().fetch_call(call)

    region = Own("r").configure("memory://", 60)

    @region.cache_on_arguments()
    def twice(number):
        return 2 * number

    assert [twice(2) for _ in range(5)] == [4] * 5
    assert Own.asked == 5


class TestRemembering:
    """Bytes that were opened before are not checked again, wherever they are read."""

    @pytest.mark.parametrize("read", ["get", "get_multi", "get_or_create"])
    def test_they_are_opened_once(self, region, opened, read):
        """And decoded each time."""
        region.set_multi({"k": [1], "j": [2]})
        ways = {
            "get": lambda: region.get("k"),
            "get_multi": lambda: region.get_multi(["k", "j"])[0],
            "get_or_create": lambda: region.get_or_create("k", list),
        }
        values = [ways[read]() for _ in range(4)]
        assert values == [[1]] * 4
        assert len({id(value) for value in values}) == 4
        assert len(opened) <= 2

    def test_of_another_key(self, region):
        """What was stored for one key is nothing for another."""
        region.set("k", 1)
        assert [region.get("k") for _ in range(2)] == [1, 1]
        stored, _ = region.backend.read(region._address("k"), "region")
        region.backend.write(region._address("j"), stored, ttl=None)
        assert [region.get("j") for _ in range(2)] == [NO_VALUE, NO_VALUE]
        assert region.get("k") == 1

    def test_not_of_all(self, region, monkeypatch):
        """Few, and small ones."""
        monkeypatch.setattr(sealing, "_MOST", 5)
        region.set("large", "x" * LARGEST)
        region.get("large")
        known = region._tier.sealing.opened
        assert not known
        for number in range(12):
            region.set(f"k{number}", number)
            assert region.get(f"k{number}") == number
            assert len(known) <= 5
