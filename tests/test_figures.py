"""What a region counts of itself, exactly, whoever asks and however often."""

import json
import os
import sys
import threading
import time

import pytest
from standins import UnservedQueue, broken
from waiting import at_once, wait_until

import holdover.dogpile
from holdover import NO_VALUE, Figures, Histogram, make_region
from holdover.regions.counters import Counters, Outage, StepCounter
from holdover.regions.flights import FLIGHTS
from holdover.regions.samples import BOUNDS
from holdover.regions.worker import carry_out


def counted(region):
    """Give those figures that are not 0; of histograms, how many there are."""
    told = region.figures().as_dict()
    plain = {
        n: one["count"] if isinstance(one, dict) else one for n, one in told.items()
    }
    return {name: one for name, one in plain.items() if one}


@pytest.fixture(
    params=[
        (make_region, "holdover.memory"),
        (make_region, "dogpile.cache.memory"),
        (holdover.dogpile.make_region, "holdover.memory"),
        (holdover.dogpile.make_region, "dogpile.cache.memory"),
    ],
    ids=["ours", "ours, its tier", "the preset", "the preset, its tier"],
)
def any_region(request):
    """A region on either tier, with either set of defaults."""
    make, backend = request.param
    return make("any").configure(backend, 60)


def asked(region, kind):
    """Ask for keys by one of the ways that there are: two misses, then three hits."""
    create = region.cache_on_arguments()(lambda *key: list(key))
    create_many = region.cache_multi_on_arguments()(lambda *keys: list(keys))
    ways = {
        "get_or_create": lambda key: region.get_or_create(key, lambda: key),
        "get_or_create_multi": lambda key: region.get_or_create_multi(
            [key], lambda *keys: list(keys)
        ),
        "decorated": create,
        "decorated multi": create_many,
    }
    for key in "aabba":
        ways[kind](key)


class TestWhatIsCounted:
    @pytest.mark.parametrize(
        "kind", ["get_or_create", "get_or_create_multi", "decorated", "decorated multi"]
    )
    def test_those_who_create(self, any_region, kind):
        """Every way to ask for a value counts the same, on both tiers."""
        asked(any_region, kind)
        assert {"hits": 3, "misses": 2, "created": 2} == counted(any_region)

    def test_those_who_only_read(self, any_region):
        """So does reading: region, function, one key or many, strictly or not."""
        value_of = any_region.cache_on_arguments()(lambda key: key)
        any_region.set("a", 1)
        value_of.set(1, "a")
        for got in (any_region.get("a"), *any_region.get_multi(["a", "a"])):
            assert got == 1
        assert value_of.get("a") == 1
        assert {"hits": 4} == counted(any_region)
        for got in (any_region.get("z"), *any_region.get_multi(["y", "z"])):
            assert got is NO_VALUE
        assert value_of.get("z") is NO_VALUE
        assert {"hits": 4, "misses": 4} == counted(any_region)

    def test_refresh_is_no_lookup(self, any_region):
        """Whoever creates anew asks for nothing."""
        value_of = any_region.cache_on_arguments()(lambda key: key)
        many_of = any_region.cache_multi_on_arguments()(lambda *keys: list(keys))
        value_of.refresh("a")
        many_of.refresh("a", "b")
        # The preset's functions of many are dogpile.cache's own, and just set.
        of_many = 0 if isinstance(any_region, holdover.dogpile.CacheRegion) else 2
        assert {"created": 1 + of_many} == counted(any_region)

    def test_failing_creators(self, any_region):
        """Each run counts, also of what callers are told of."""
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                any_region.get_or_create("k", lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            any_region.get_or_create_multi(["a", "b"], lambda *_: 1 / 0)
        assert {"misses": 5, "creator_failures": 5} == counted(any_region)

    def test_strict_reads(self, new_region):
        """They count as any others, on every backend."""
        region = new_region()
        region.set("a", 1)
        assert region.get("a", strict=True) == 1
        assert region.get_multi(["a", "z"], strict=True) == [1, NO_VALUE]
        assert {"hits": 2, "misses": 1} == counted(region)

    def test_old_values(self, clock):
        """They count by their age; who has to create instead has missed."""
        queue = UnservedQueue()
        arguments = {"time_source": clock}
        for runner, expected in (
            (queue, {"stale": 2, "orders": 1}),
            (None, {"misses": 1, "created": 1, "hits": 1}),
        ):
            region = make_region("old", time_source=clock)
            region.configure("holdover.memory", 10, arguments, runner=runner)
            region.set("k", 1)
            clock.advance(70)
            value_of = region.cache_on_arguments()(int)
            value_of.set(1, "5")
            clock.advance(70)
            for _ in range(2):
                value_of("5")
            assert expected == counted(region)
        first = region.figures()
        assert region.get("k", ignore_expiration=True) == 1
        age = region.figures().since(first).stale
        assert (1, 140.0, 140.0) == (age.count, age.sum, age.max)
        assert 1 == age.buckets[BOUNDS.index(600.0)]

    def test_an_old_value_after_a_failure(self, clock):
        """It is a miss, and then an old value that was served; the ratio stays one."""
        region = make_region("old", time_source=clock)
        region.configure("holdover.memory", 10, {"time_source": clock}, backoff=0)
        region.set("k", 1)
        clock.advance(70)
        assert region.get_or_create("k", lambda: 1 / 0) == 1
        assert {"misses": 1, "stale": 1, "creator_failures": 1} == counted(region)
        assert 0.5 == region.figures().hit_ratio == region.figures().stale_ratio

    def test_near_hits(self, tmp_path):
        """They are hits, too, and are told apart."""
        region = make_region("near")
        region.configure("holdover.file", 60, {"path": tmp_path}, near_ttl=60.0)
        asked(region, "decorated")
        region.get_or_create_multi(["k"], lambda *_: [1])
        region.get("k")
        region.get("k")
        told = region.figures()
        assert (5, 3, 3) == (told.hits, told.misses, told.created.count)
        assert 2 == told.near_hits  # the others were read from the backend
        assert 5 / 8 == told.hit_ratio

    def test_refreshes_count_where_they_are_carried_out(self, clock):
        """With their costs and their lag, and with the failures among them."""
        queue = UnservedQueue()
        region = make_region("refreshed", time_source=clock)
        arguments = {"time_source": clock}
        region.configure("holdover.memory", 10, arguments, runner=queue)
        value_of = region.cache_on_arguments()(refreshed)
        value_of.set(1, 5)
        value_of.set(1, 0)
        clock.advance(20)
        assert [1, 1] == [value_of(5), value_of(0)]
        wait_until(lambda: len(queue.messages) == 2)
        clock.advance(4)
        outcomes = [carry_out(message) for message in queue.messages]
        assert [True, False] == [one.done for one in outcomes]
        assert not carry_out(queue.messages[0]).done  # the same message once more
        told = region.figures()
        assert (1, 1, 1) == (
            told.refreshed.count, told.refresh_failures, told.creator_failures,
        )  # fmt: skip
        assert (1, 4.0) == (told.lag.count, told.lag.max)
        assert (2, 1) == (told.orders, told.orders_dropped)

    def test_waiting_for_a_thread(self):
        """Callers who wait for a creation in this process, and for how long."""
        region = make_region("waits").configure("holdover.memory", 60)
        begun = threading.Event()

        def create():
            begun.set()
            wait_until(lambda: flight_of_others(region) in FLIGHTS._waiting.values())
            return 1

        def wait():
            assert begun.wait(20)
            region.get_or_create("k", lambda: 2)

        at_once(lambda: region.get_or_create("k", create), wait)
        waits = region.figures().waits
        assert 1 == waits.count
        assert 0 < waits.sum < 20

    def test_waiting_for_a_process(self, clock):
        """The same of what others create elsewhere: all polls are one wait."""
        region = make_region("waits", time_source=clock)
        region.configure("holdover.memory", 60, {"time_source": clock})
        # Which nobody renews, nor lets go.
        assert region.backend.acquire("waits:k", "waits", ttl=5.0, seen=None)
        assert 2 == region.get_or_create("k", lambda: 2)
        waits = region.figures().waits
        assert 1 == waits.count
        assert 5.0 <= waits.sum < 5.1

    def test_a_backend_that_fails(self, clock, monkeypatch):
        """Its failures count, and so does the time for which it is left alone."""
        region = make_region("down", time_source=clock)
        region.configure("holdover.memory", 60, {"time_source": clock})
        monkeypatch.setattr(region.backend, "read", broken)
        for _ in range(5):
            assert region.get("k") is NO_VALUE
        assert {"misses": 5, "backend_failures": 3} == counted(region)
        clock.advance(1.5)
        assert region.figures().degraded_for == 1.5
        assert region.get("k") is NO_VALUE  # a probe, which fails
        clock.advance(3.0)
        monkeypatch.undo()
        assert region.get("k") is NO_VALUE
        clock.advance(100.0)
        assert region.figures().degraded_for == 4.5
        region.configure("holdover.memory", 60, replace_existing_backend=True)
        assert region.figures().degraded_for == 4.5

    def test_rare_events(self, clock, monkeypatch):
        """What is wrong with values and leases counts as well."""
        region = make_region("rare", time_source=clock)
        region.configure("holdover.memory", 60, {"time_source": clock}, codec="json")

        def create():
            region.set("k", 1)
            return 2

        region.get_or_create("k", create)
        region.get_or_create("set", lambda: {1})
        region.backend.write("rare:odd", b"odd", ttl=None)
        region.get("odd")
        told = region.figures()
        assert (1, 1, 1) == (told.leases_lost, told.uncacheable, told.unreadable)

    def test_it_goes_on_over_configurations(self, any_region):
        """Figures are the region's, whatever its backend is."""
        asked(any_region, "decorated")
        any_region.configure("holdover.memory", 60, replace_existing_backend=True)
        asked(any_region, "get_or_create")
        assert {"hits": 6, "misses": 4, "created": 4} == counted(any_region)


def refreshed(number):
    """Make a value, but for 0."""
    return 1 / number


def flight_of_others(region):
    """Give the flight that creates the key "k"."""
    return FLIGHTS._flights[region._tier, "waits:k"]


class TestExactness:
    def test_threads(self):
        """Eight threads lose nothing, while others read all the time."""
        region = make_region("threads").configure("holdover.memory", 60)
        region.set("k", 1)
        rounds, over = 4000, threading.Event()

        def use():
            for number in range(rounds):
                region.get_or_create("k", int)
                if not number % 4:
                    region.get(f"none {number}")

        def read():
            before = 0
            while not over.is_set():
                now = region.figures().lookups
                assert before <= now
                before = now

        reader = threading.Thread(target=read)
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-5)
        try:
            reader.start()
            at_once(*[use] * 8)
        finally:
            sys.setswitchinterval(interval)
            over.set()
            reader.join()
        assert {"hits": 8 * rounds, "misses": 2 * rounds} == counted(region)

    def test_without_a_gil(self, monkeypatch):
        """Where there is no GIL, steps are taken one at a time, too."""
        monkeypatch.setattr(sys, "_is_gil_enabled", lambda: False, raising=False)
        counter = StepCounter()
        at_once(*[lambda: [counter.one_more() for _ in range(5000)]] * 8)
        assert [40_000, 40_000] == [counter.total(), counter.total()]

    def test_what_nobody_reads_does_not_pile_up(self):
        """It is counted now and then, by those who come along."""
        region = make_region("unread").configure("holdover.memory", 60)
        for number in range(2000):
            region.get(f"none {number}")
        assert len(region._counters._uncounted) < 500
        assert {"misses": 2000} == counted(region)

    def test_counting_while_somebody_counts(self):
        """A signal handler, for one, may count within the thread that does."""
        counters = Counters()
        really, nested = counters._empty_the_queues, []

        def interrupted():
            for _ in range(600):
                counters.stale(1.0)
            nested.append(counters.figures().stale.count)
            really()

        counters._empty_the_queues = interrupted
        assert 600 == counters.figures().stale.count
        assert [0] == nested

    def test_a_fork_begins_at_nothing(self):
        """What the parent has seen is not told twice."""
        region = make_region("forked").configure("holdover.memory", 60)
        asked(region, "decorated")
        inlet, outlet = os.pipe()
        child = os.fork()
        if not child:
            try:
                first = counted(region)
                asked(region, "get_or_create")
                told = json.dumps([first, counted(region)])
                os.write(outlet, told.encode())
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        told = json.loads(os.read(inlet, 65_536))
        assert [{}, {"hits": 3, "misses": 2, "created": 2}] == told
        assert {"hits": 3, "misses": 2, "created": 2} == counted(region)

    def test_a_fork_while_the_backend_is_away(self, clock):
        """The child's time begins with it; it is still without the backend."""
        outage = Outage(clock)
        outage.begin()
        clock.advance(5)
        outage.after_fork()
        clock.advance(2)
        assert 2 == outage.seconds()
        outage.begin()  # another one, meanwhile
        outage.end()
        clock.advance(1)
        outage.end()
        clock.advance(9)
        assert 3 == outage.seconds()


class TestFigures:
    def test_adding_and_taking_away(self):
        """Sums and differences are those of each figure, and never below 0."""
        one = Figures(hits=3, stale=Histogram(2, 5.0, 4.0, (0,) * 6 + (2,) + (0,) * 5))
        two = one + one
        assert (6, 4, 10.0, 4.0) == (
            two.hits, two.stale.count, two.stale.sum, two.stale.max,
        )  # fmt: skip
        assert 4 == two.stale.buckets[6]
        assert one == two.since(one)
        assert (0, 0, 0.0) == (
            one.since(two).hits, one.since(two).stale.count, one.since(two).stale.sum,
        )  # fmt: skip
        assert 2.5 == two.stale.mean
        assert 0.0 == Histogram().mean == Figures().hit_ratio == Figures().stale_ratio
        assert (1.0, 4 / 10) == (two.hit_ratio, two.stale_ratio)

    def test_there_and_back(self):
        """JSON keeps them; figures that another release has are left out."""
        region = make_region("json").configure("holdover.memory", 60)
        asked(region, "decorated")
        figures = region.figures()
        plain = json.loads(json.dumps(figures.as_dict()))
        assert figures == Figures.from_dict({**plain, "new in the next release": 5})
        assert Figures() == Figures.from_dict({})

    @pytest.mark.parametrize(
        "plain",
        [
            None, 5, [], {"hits": -1}, {"hits": True}, {"hits": 2**70}, {"hits": 1.5},
            {"hits": "1"}, {"degraded_for": float("nan")}, {"degraded_for": -1.0},
            {"degraded_for": float("inf")}, {"degraded_for": 10**400}, {"stale": 5},
            {"degraded_for": "5"}, {"stale": {}}, {"stale": {"buckets": [0] * 99}},
            {"stale": {"count": 1, "sum": 1.0, "max": None, "buckets": [0] * 12}},
            {"stale": {"count": 1, "sum": 1.0, "max": 1.0, "buckets": [None] * 12}},
        ],
    )  # fmt: skip
    def test_what_is_none(self, plain):
        """Whatever else a store holds is no figures, and nothing worse."""
        with pytest.raises(ValueError, match=r"^no "):
            Figures.from_dict(plain)


def test_a_hit_costs_next_to_nothing():
    """Counting is a step of C: far below what a call of Python's costs."""
    count = Counters()
    count.hit()
    times = []
    for _ in range(200):
        begun = time.perf_counter()
        for _ in range(100):
            count.hit()
        times.append((time.perf_counter() - begun) / 100)
    assert min(times) < 0.5e-6
