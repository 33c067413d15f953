"""A decorated function answers hits itself, and never with what it should not."""

import gc
import threading
import weakref

import pytest
from dogpile.cache.region import RegionInvalidationStrategy

from holdover import make_region
from holdover.errors import BackendError
from holdover.regions import at_hand
from holdover.regions.backends.file import FileBackend
from holdover.regions.backends.memory import MemoryBackend
from holdover.testing import FakeClock

SECONDS = 60


@pytest.fixture
def clock():
    """The clock of the region."""
    return FakeClock()


@pytest.fixture(params=["memory", "near"])
def region(request, clock, tmp_path):
    """A region in memory, and one with a near cache before files."""
    made = make_region("shop", time_source=clock)
    if request.param == "memory":
        return made.configure("holdover.memory", SECONDS)
    where = {"path": tmp_path / "cache"}
    return made.configure("holdover.file", SECONDS, where, near_ttl=30)


@pytest.fixture
def asked(region, monkeypatch):
    """How often the region was asked, and not the function alone."""
    calls = []
    answer = region.fetch_key_call

    def fetch(key, *rest):
        calls.append(key)
        return answer(key, *rest)

    monkeypatch.setattr(region, "fetch_key_call", fetch)
    return calls


class Thing:
    """A value of which there may be weak references."""

    def __init__(self, *made_of):
        self.made_of = made_of

    def __eq__(self, other):
        return self.made_of == other.made_of

    def __hash__(self):
        return hash(self.made_of)


@pytest.fixture
def numbers():
    """What creators give in turn."""
    return iter(range(1_000_000))


@pytest.fixture
def price(region, numbers):
    """A cached function with a value in memory that it has at hand."""

    @region.cache_on_arguments(tags=["prices"])
    def price(item, *, currency="EUR"):
        return [next(numbers), item, currency]

    for _ in range(3):
        assert price(7) == [0, 7, "EUR"]
    return price


def seen_by(function):
    """What a function has at hand."""
    return function.__globals__["_holdover_seen"]


class TestHits:
    def test_are_answered_without_the_region(self, price, asked):
        """However the arguments are given."""
        assert price(7) == price(item=7) == price(7, currency="EUR") == [0, 7, "EUR"]
        assert asked == []

    def test_are_counted(self, region, price, asked):
        """As any other."""
        before = region.figures()
        for _ in range(5):
            price(7)
        after = region.figures()
        assert asked == []
        assert after.hits - before.hits == 5
        is_near = isinstance(region.backend, FileBackend)
        assert after.near_hits - before.near_hits == (5 if is_near else 0)

    def test_are_told_of(self, region, price, asked):
        """Whoever listens hears each, from the next one on."""
        heard = []
        end = region.listen(heard.append)
        price(7)
        price(7)
        assert len(heard) == len(asked) == 2
        end()
        price(7)
        price(7)
        assert (len(heard), len(asked)) == (2, 3)

    @pytest.mark.parametrize(
        "rule", [{"record_hot": 5}, {"orders": {"unless_idle_for": 60}}]
    )
    def test_are_noted(self, rule, clock):
        """Who wants to know of each call has the region asked."""
        region = make_region("shop", time_source=clock)
        region.configure("holdover.memory", SECONDS, **rule)
        name = region.cache_on_arguments()(lambda number: number)
        for _ in range(5):
            name(1)
        assert not seen_by(name).slots

    def test_are_of_the_mangled_key(self, region, price):
        """A mangler may tell calls apart that have the same arguments."""
        tenant = "one"
        region.key_mangler = lambda key: f"{tenant} {key}"
        for _ in range(3):
            assert price(7) == [1, 7, "EUR"]
        tenant = "two"
        assert price(7) == [2, 7, "EUR"]

    @pytest.mark.parametrize("other", [True, 7.0, "7", b"7", None, (7,)])
    def test_tell_types_apart(self, price, other):
        """Values that are equal are not always the same argument."""
        price(1)
        price(1)
        for _ in range(3):
            assert price(other)[1:] == [other, "EUR"]
            assert type(price(other)[1]) is type(other)
            assert type(price(1)[1]) is int
            assert type(price(7)[1]) is int

    def test_of_methods(self, region, asked):
        """Those whose object is left out of the key."""

        class Shop:
            @region.cache_on_arguments(ignore=["self"])
            def name(self, number):
                return f"shop {number}"

        for _ in range(5):
            assert Shop().name(1) == "shop 1"
        assert len(asked) < 5


class TestChanges:
    @pytest.mark.parametrize(
        "change",
        [
            lambda _, price: price.invalidate(7),
            lambda _, price: price.refresh(7),
            lambda region, price: region.delete(price.key_for(7)),
            lambda region, _: region.invalidate(),
            lambda region, _: region.invalidate(tags=["prices"]),
            lambda region, price: region.invalidate(prefix=price.key_for(7)[:9]),
        ],
    )
    def test_are_seen_at_once(self, region, price, change):
        """Also if somebody else's region made them."""
        change(region, price)
        assert price(7) == [1, 7, "EUR"]
        assert price(7) == [1, 7, "EUR"]

    def test_by_set(self, region, price):
        """What is stored is served from then on."""
        region.set(price.key_for(7), "new")
        assert [price(7) for _ in range(3)] == ["new"] * 3
        price.set("newer", 7)
        assert [price(7) for _ in range(3)] == ["newer"] * 3

    def test_by_another_region_of_that_name(self, region, price, clock):
        """In this process, on the same backend."""
        other = make_region("shop", time_source=clock)
        other.configure(region.backend, SECONDS)
        other.invalidate()
        region._tier.forget(None)  # what is near may be served for a while
        assert price(7) == [1, 7, "EUR"]

    def test_of_the_rules(self, region, price, clock):
        """A shorter lifetime counts for what is there already."""
        clock.advance(2)
        region.expiration_time = 1
        assert price(7) == [1, 7, "EUR"]

    def test_of_the_backend(self, region, price, numbers):
        """What the last one held is not served."""
        region.configure("holdover.memory", SECONDS, replace_existing_backend=True)
        assert price(7) == [1, 7, "EUR"]

    @pytest.mark.parametrize("failing", ["holdover.file", "holdover.memory"])
    def test_that_fail_leave_what_was_there(self, region, price, tmp_path, failing):
        """A backend that was tried, and is not taken."""
        where = {"path": tmp_path / "other"} if failing == "holdover.file" else {}
        with pytest.raises(TypeError):
            region.configure(
                failing, SECONDS, where, replace_existing_backend=True, wrap=[object]
            )
        for _ in range(3):
            assert price(7) == [0, 7, "EUR"]
        price.set("new", 7)
        assert price(7) == "new"

    @pytest.mark.parametrize("region", ["memory"], indirect=True)
    def test_of_backends_while_readers_are_at_work(self, region):
        """None of them keeps what the other one had."""

        @region.cache_on_arguments()
        def number():
            return None

        backends = []
        for value in (1, 2):
            region.backend = MemoryBackend({})
            backends.append(region.backend)
            number.set(value)
        stop, wrong = threading.Event(), []

        def read():
            while not stop.is_set():
                number()

        readers = [threading.Thread(target=read) for _ in range(2)]
        for one in readers:
            one.start()
        for _ in range(200):
            for value, backend in enumerate(backends, 1):
                region.backend = backend
                if number() != value:
                    wrong.append(value)
        stop.set()
        for one in readers:
            one.join()
        assert wrong == []

    def test_by_a_hook_of_dogpile_s(self, region, price):
        """A strategy may be assigned at any time, and change its mind at any time."""

        class Switch(RegionInvalidationStrategy):
            is_off = True

            def is_hard_invalidated(self, timestamp):
                return self.is_off

            def is_soft_invalidated(self, timestamp):
                return False

        region.region_invalidator = switch = Switch()
        assert price(7) == [1, 7, "EUR"]
        switch.is_off = False
        for _ in range(3):
            made = price(7)
        switch.is_off = True
        assert price(7) != made


class TestTime:
    def test_what_has_expired_is_not_served(self, price, clock):
        """To the second."""
        clock.advance(SECONDS - 0.5)
        assert price(7) == [0, 7, "EUR"]
        clock.advance(0.5)
        assert price(7) == [1, 7, "EUR"]

    @pytest.mark.parametrize("region", ["near"], indirect=True)
    def test_a_near_value_is_asked_for_again(self, price, asked, clock):
        """After near_ttl, however long it is fresh."""
        clock.advance(29)
        price(7)
        assert asked == []
        clock.advance(1)
        price(7)
        assert len(asked) == 1

    @pytest.mark.parametrize("region", ["memory"], indirect=True)
    def test_a_clock_that_was_set_back(self, price, asked, clock):
        """A value from the future is judged by the region."""
        clock.set_wall(clock.wall() - 1)
        assert price(7) == [0, 7, "EUR"]
        assert len(asked) == 1

    def test_another_lifetime_is_another_judgement(self, region, clock, numbers):
        """Two functions may share a key, and not how long they trust its value."""

        def fetch():
            return next(numbers)

        long = region.cache_on_arguments()(fetch)
        short = region.cache_on_arguments(expiration_time=1)(fetch)
        for _ in range(4):
            assert (long(), short()) == (0, 0)
        clock.advance(2)
        assert long() == 0
        assert short() == 1
        assert long() == 1


class TestBounds:
    def test_a_full_store_holds_no_more(self, clock):
        """What was evicted is not kept alive by the functions that had it."""
        region = make_region("small", time_source=clock)
        region.configure("holdover.memory", SECONDS, {"max_entries": 10})
        there = weakref.WeakSet()

        @region.cache_on_arguments()
        def thing(number):
            made = Thing(number)
            there.add(made)
            return made

        for number in range(100):
            for _ in range(3):
                assert thing(number) == Thing(number)
        gc.collect()
        assert len(there) <= 10

    def test_what_is_asked_for_stays(self, clock):
        """A hit that the store did not see keeps the value from being evicted."""
        region = make_region("small", time_source=clock)
        region.configure("holdover.memory", SECONDS, {"max_entries": 10})
        made = []

        @region.cache_on_arguments()
        def thing(number):
            made.append(number)
            return number

        for number in range(100):
            thing(number)
            for _ in range(3):
                thing("wanted")
        assert made.count("wanted") == 1

    def test_a_function_remembers_so_many_calls(self, region, price):
        """And begins anew then."""
        for number in range(at_hand._MOST + 5):
            price(number)
            price(number)
        assert len(seen_by(price).slots) <= at_hand._MOST

    def test_what_was_dropped_at_once(self, region, price):
        """Is kept alive no longer than until the next hit."""
        for _ in range(3):
            price(8)
        assert len(seen_by(price).slots) == 2
        region.invalidate()
        for _ in range(4):
            price(8)
        assert len(seen_by(price).slots) == 1

    def test_long_arguments(self, price):
        """They are not kept alive by the function."""
        before = len(seen_by(price).slots)
        for _ in range(3):
            price("x" * 1000)
        assert len(seen_by(price).slots) == before


def test_what_is_distrusted_is_not_at_hand(clock, monkeypatch):
    """A write that failed may have been carried out."""
    region = make_region("shop", time_source=clock)
    region.configure("holdover.memory", SECONDS)

    @region.cache_on_arguments()
    def name(number):
        return f"made {number}"

    for _ in range(3):
        name(1)

    def fail(*_args, **_kwargs):
        raise BackendError("no")

    with monkeypatch.context() as patch:
        for verb in ("write", "write_at", "write_multi", "remove"):
            patch.setattr(region.backend, verb, fail)
        region.set(name.key_for(1), "lost")
        assert name(1) == "made 1"
        assert region.figures().misses >= 2  # it was not served, but made
    assert name(1) == "made 1"


def test_an_acknowledged_write_is_never_missed(region):
    """Readers at work meanwhile get that value or a later one."""

    @region.cache_on_arguments()
    def number():
        return 0

    acknowledged, stop, wrong = [0], threading.Event(), []

    def read():
        while not stop.is_set():
            at_least = acknowledged[0]
            got = number()
            if got < at_least:
                wrong.append((got, at_least))

    readers = [threading.Thread(target=read) for _ in range(3)]
    for one in readers:
        one.start()
    for value in range(1, 1500):
        number.set(value)
        acknowledged[0] = value
    stop.set()
    for one in readers:
        one.join()
    assert wrong == []
    assert number() == 1499
