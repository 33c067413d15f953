"""Refreshes that callers order themselves, how long they count, and for whom."""

import threading

import pytest

from holdover import OrderContext, errors, events, make_region


class Worker:
    """A runner that carries out when it is told to."""

    name = "worker"
    takes_orders = False
    leaves_process = False

    def __init__(self):
        self.jobs = []

    def bind(self, execute):
        pass

    def submit(self, job):
        self.jobs.append(job)

    def work(self):
        while self.jobs:
            self.jobs.pop(0).carry_out()


@pytest.fixture
def worker():
    """Nothing is carried out until the test says so."""
    return Worker()


@pytest.fixture
def region(new_region, worker):
    """A region on each backend in turn, that orders."""
    return new_region(runner=worker, stale_while_revalidate=1000)


class TestOrder:
    def test_orders_what_is_missing_and_what_is_stale(self, region, worker, clock):
        """Nobody waits; a fresh value is left alone."""
        runs = []
        price = region.cache_on_arguments(namespace="order")(lambda: runs.append(1))
        price.order()
        assert runs == []
        worker.work()
        price.order()
        worker.work()
        assert len(runs) == 1
        clock.advance(20)
        price.order()
        price.order()
        assert len(worker.jobs) == 1
        worker.work()
        assert len(runs) == 2

    def test_does_nothing_without_a_runner(self, new_region):
        """There is nobody to be told."""
        price = new_region().cache_on_arguments()(pytest.fail)
        price.order()


class TestGetFresh:
    def test_takes_no_old_value(self, region, worker, clock, counter):
        """It creates in the foreground, also where a runner would have served stale."""
        price = region.cache_on_arguments(namespace="fresh")(lambda *_: counter())
        assert (price(), price.get_fresh()) == (1, 1)
        clock.advance(20)
        assert price() == 1
        assert price.get_fresh() == 2
        worker.work()  # the order was overtaken
        assert price() == 2

    def test_creates_once_for_all(self, new_region, clock):
        """Those who come meanwhile wait, and have the same value."""
        region, runs = new_region(), []
        meet = threading.Barrier(4)

        @region.cache_on_arguments()
        def price():
            runs.append(1)
            return len(runs)

        price()
        clock.advance(11)
        got = []

        def ask():
            meet.wait(20)
            got.append(price.get_fresh())

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for one in threads:
            one.start()
        for one in threads:
            one.join(20)
        assert got == [2] * 4
        assert len(runs) == 2

    def test_raises_what_the_creator_raises(self, region, clock):
        """What is there stays."""
        failing = []

        def price():
            if failing:
                raise LookupError("no price")
            return 1

        cached = region.cache_on_arguments(namespace="raises")(price)
        cached()
        failing.append(1)
        clock.advance(11)
        with pytest.raises(LookupError):
            cached.get_fresh()
        assert cached() == 1


class TestRefreshTimeout:
    def test_is_how_long_an_order_is_waited_for(self, region, worker, clock):
        """A second order is placed when it is over, and not before."""

        @region.cache_on_arguments(refresh_timeout=lambda span: span)
        def price(span):
            return span

        price.order(100.0)
        clock.advance(90)
        price.order(100.0)
        assert len(worker.jobs) == 1
        clock.advance(11)
        price.order(100.0)
        assert len(worker.jobs) == 2

    def test_is_how_long_a_failing_creator_is_left_alone(self, region, worker, clock):
        """So that callers of a broken service do not all try."""

        @region.cache_on_arguments(refresh_timeout=100.0)
        def price():
            raise LookupError("no price")

        price.order()
        worker.work()
        clock.advance(90)
        price.order()
        assert worker.jobs == []
        clock.advance(11)
        price.order()
        assert len(worker.jobs) == 1

    @pytest.mark.parametrize("wrong", [0, -1, "soon", 31 * 86_400])
    def test_is_refused_where_it_is_written(self, region, wrong):
        """It is a span of time, as a lease may last."""
        with pytest.raises(errors.InvalidLifetime, match="refresh_timeout"):
            region.cache_on_arguments(refresh_timeout=wrong)


class TestHeld:
    def test_tells_when_it_expires(self, region, clock):
        """In seconds from when it was read; what is soft-expired has expired now."""
        region.set("key", 1)
        assert region.hold("key").expires_in == pytest.approx(10.0, abs=0.01)
        clock.advance(12)
        held = region.hold("key", stale=True)
        assert held.expires_in == pytest.approx(-2.0, abs=0.01)
        region.set("key", 1)
        region.expire("key")
        assert region.hold("key", stale=True).expires_in == 0.0

    def test_never_expires(self, new_region):
        """None stands for that."""
        region = new_region(expiration_time=None)
        region.set("key", 1)
        held = region.hold("key")
        assert held.expires_in is None
        assert held.replace(2).expires_in is None


class TestVariant:
    def test_has_the_same_values(self, region):
        """What is set, deleted or invalidated in one is so in the other."""
        other = region.variant(runner=None)
        region.set("key", 1)
        assert other.get("key") == 1
        other.invalidate()
        assert region.get("key") != 1
        assert other.runners == ()
        assert len(region.runners) == 1

    def test_keeps_the_other_rules(self, region):
        """Those that are not named."""
        other = region.variant(on_timeout="raise")
        assert other.lifetime == region.lifetime
        assert other.runners == region.runners

    def test_adds_to_the_context(self, new_region, worker):
        """What orders take along for the region they take along for both."""
        one = OrderContext(dict, lambda _: pytest.fail("unused"))
        region = new_region(runner=worker, order_context={"one": one})
        with pytest.raises(errors.ConfigurationError):
            region.variant(order_context={"two": None})

    def test_listens_for_itself(self, region, heard):
        """Each tells of what went through it."""
        mine, others = heard(region), heard(region.variant())
        region.set("key", 1)
        region.get("key")
        assert [type(one) for one in mine] == [events.Hit]
        assert others == []

    def test_of_nothing(self):
        """There is nothing to vary yet."""
        with pytest.raises(errors.RegionNotConfigured):
            make_region("empty").variant()
