"""Orders: how many, how they travel, what they take along, when they are dropped."""

import contextlib
import contextvars
import threading
import time

import pytest
from standins import UnservedQueue
from waiting import wait_until

from holdover import (
    CeleryRunner,
    LeaseTerms,
    OrderContext,
    OrderTerms,
    allow_imports,
    events,
    make_region,
)
from holdover.errors import ConfigurationError, InvalidLifetime, InvalidOrder
from holdover.regions.bucket import Bucket
from holdover.regions.refresh.base import Origin, RefreshOrder
from holdover.regions.worker import carry_out
from holdover.testing import FakeClock

clock = FakeClock()
region = make_region("ordered", time_source=clock)
tenant = contextvars.ContextVar("tenant", default="nobody")
language = contextvars.ContextVar("language", default="none")
RUNS = []


@region.cache_on_arguments()
def price(article):
    """Note who runs for whom."""
    RUNS.append((article, threading.get_ident(), tenant.get()))
    tenant.set("left behind")
    language.set("left behind")
    return [article, len(RUNS)]


@region.cache_on_arguments(task_options=lambda article: {"queue": f"shop-{article}"})
def routed(article):
    """Have a queue for each article."""
    return article


@region.cache_on_arguments(task_options={"queue": "slow", "priority": 1})
def slow(article):
    """Have a queue of its own."""
    return article


@region.cache_on_arguments()
def failing(article):
    """Make nothing."""
    raise ValueError(article)


@region.cache_multi_on_arguments(task_options={"queue": "many"})
def many(*articles):
    """Make several."""
    RUNS.append(articles)
    return list(articles)


class Shop:
    @region.cache_on_arguments(ignore=["self"])
    def price(self, article):
        """Be a method."""
        return [article, type(self).__name__]


class RecordingQueue(UnservedQueue):
    """A queue that also keeps the options."""

    def __init__(self):
        super().__init__()
        self.options = []

    def submit(self, job):
        self.options.append(dict(job.task_options))
        super().submit(job)

    def check_task_options(self, options):
        if "colour" in options:
            raise ConfigurationError("no colours")


@pytest.fixture
def queue():
    """A queue without a worker."""
    RUNS.clear()
    tenant.set("nobody")
    language.set("none")
    return RecordingQueue()


@pytest.fixture
def configured(queue, clock_moves_on):
    """Configure the region on that queue."""

    def configure(**settings):
        settings.setdefault("lease", LeaseTerms(ttl=5.0, queue_ttl=60.0))
        settings.setdefault("runner", queue)
        return region.configure(
            "holdover.memory",
            10.0,
            {"time_source": clock},
            replace_existing_backend=True,
            **settings,
        )

    return configure


@pytest.fixture
def clock_moves_on():
    """Let nothing of an earlier test be remembered."""
    clock.advance(10_000.0)


@pytest.fixture
def told(heard):
    """What the region tells."""
    return heard(region)


def make_stale(function, *args):
    """Put a value there that has expired."""
    function.set("old", *args)
    clock.advance(11.0)


def ordered(queue, count=1):
    """Wait for messages."""
    return wait_until(lambda: len(queue.messages) >= count and queue.messages)


def kinds(told, kind):
    """The events of a kind."""
    return [one for one in told if type(one) is kind]


class TestBucket:
    def test_it_fills_with_time(self):
        """It begins full, gives what it holds, and fills up to its size."""
        clock = FakeClock()
        bucket = Bucket(OrderTerms(per_second=2.0, burst=3), clock)
        assert bucket.take(10) == 3
        assert bucket.take(1) == 0
        clock.advance(0.5)
        assert (bucket.take(1), bucket.take(1)) == (1, 0)
        clock.advance(100.0)
        assert bucket.take(10) == 3
        bucket.put_back(2)
        assert bucket.take(10) == 2

    @pytest.mark.parametrize(("per_second", "burst"), [(7.5, 7), (0.1, 1), (1, 1)])
    def test_its_size(self, per_second, burst):
        """Without a burst it holds what may be ordered in a second, at least one."""
        bucket = Bucket(OrderTerms(per_second=per_second), FakeClock())
        assert bucket.take(100) == burst

    def test_without_a_bound(self):
        """Without per_second it gives whatever is asked for."""
        bucket = Bucket(OrderTerms(), FakeClock())
        assert bucket.take(10**6) == 10**6

    @pytest.mark.parametrize(
        ("wrong", "named"),
        [
            ({"per_second": 0}, "per_second"),
            ({"per_second": "many"}, "per_second"),
            ({"per_second": True}, "per_second"),
            ({"per_second": float("inf")}, "per_second"),
            ({"per_second": 10**400}, "per_second"),
            ({"queue_wait": 0}, "queue_wait"),
            ({"unless_idle_for": -1}, "unless_idle_for"),
        ],
    )
    def test_wrong_terms(self, wrong, named):
        """What makes no sense is refused by name."""
        with pytest.raises(InvalidLifetime, match=named):
            OrderTerms(**wrong)

    @pytest.mark.parametrize(
        ("wrong", "told"),
        [
            ({"burst": 5}, "without per_second"),
            ({"per_second": 1, "burst": 0}, "burst must be an int above 0"),
            ({"per_second": 1, "burst": 1.5}, "burst must be an int above 0"),
            ({"per_second": 1, "burst": True}, "burst must be an int above 0"),
        ],
    )
    def test_wrong_counts(self, wrong, told):
        """So are counts, which are no spans of time."""
        with pytest.raises(ConfigurationError, match=told):
            OrderTerms(**wrong)

    def test_an_unknown_part(self, configured):
        """So is a part that there is not."""
        with pytest.raises(ConfigurationError, match=r"orders\.per_minute"):
            configured(orders={"per_minute": 5})

    def test_from_text(self, queue):
        """In a file the terms have dots."""
        made = make_region("text")
        made.configure_from_config(
            {"c.text.url": "memory://", "c.text.orders.per_second": "2.5",
             "c.text.orders.burst": "7", "c.text.orders.queue_wait": "none"},
            "c.text.",
        )  # fmt: skip
        wanted = OrderTerms(per_second=2.5, burst=7, queue_wait=None)
        assert made._rules.orders == wanted


class TestRate:
    def test_a_burst_and_then_a_trickle(self, configured, queue, told):
        """Of many stale values as many are ordered as the bucket has room for."""
        configured(orders={"per_second": 2.0, "burst": 5})
        for article in range(20):
            price.set("old", article)
        clock.advance(11.0)
        assert ["old"] * 20 == [price(article) for article in range(20)]
        assert len(ordered(queue, 5)) == 5
        assert len(kinds(told, events.OrderPostponed)) == 15
        clock.advance(1.0)
        assert ["old"] * 20 == [price(article) for article in range(20)]
        assert len(ordered(queue, 7)) == 7

    def test_what_is_not_ordered_costs_nothing(self, configured, queue):
        """A value whose lease others have takes nothing out of the bucket."""
        configured(orders={"per_second": 0.001, "burst": 2})
        make_stale(price, 1)
        make_stale(price, 2)
        for _ in range(5):
            price(1)
            clock.advance(1.1)  # until it is asked for again
        price(2)
        assert len(ordered(queue, 2)) == 2

    def test_several_at_once(self, configured, queue):
        """One order for several keys counts for as many."""
        configured(orders={"per_second": 1.0, "burst": 3})
        many.set(dict.fromkeys(range(10), "old"))
        clock.advance(11.0)
        assert ["old"] * 10 == many(*range(10))
        [message] = ordered(queue)
        assert len(message["keys"]) == 3


class TestDropped:
    def message(self, queue):
        """The one message of a stale hit."""
        make_stale(price, 1)
        price(1)
        return ordered(queue)[-1]

    def test_superseded(self, configured, queue, told):
        """Of a value that was made fresh meanwhile nothing is run."""
        configured()
        message = self.message(queue)
        price.refresh(1)
        assert len(RUNS) == 1
        assert not carry_out(message).done
        assert len(RUNS) == 1
        assert kinds(told, events.OrderDropped)

    def test_a_lapsed_lease(self, configured, queue):
        """So is it of an order whose lease has lapsed and was won anew."""
        configured(orders={"queue_wait": None})
        message = self.message(queue)
        clock.advance(61.0)
        price(1)
        ordered(queue, 2)
        late = {**message, "not_after": message["not_after"] + 1000.0}
        assert carry_out(late).reason == "overtaken"
        assert carry_out(queue.messages[1]).done

    def test_a_read_keeps_it(self, configured, queue):
        """Who reads a stale value wants the next, whatever else was noted."""
        configured(orders={"unless_idle_for": 5.0})
        assert carry_out(self.message(queue)).done

    def test_idle(self, configured, queue, told):
        """An order that no reader made is dropped if nobody has read of late."""
        configured(orders={"unless_idle_for": 100.0})
        price.set("old", 1)
        clock.advance(1000.0)
        price.set("old", 1)
        price.expire(1)
        message = ordered(queue)[0]
        assert message["read_at"] == 0.0
        assert carry_out(message).reason == "nobody asks for it"
        assert RUNS == []
        [dropped] = kinds(told, events.OrderDropped)
        assert "idle" in dropped.reason
        clock.advance(1.1)  # for so long the lease is remembered
        assert price(1) == "old"
        assert carry_out(ordered(queue, 2)[1]).done

    def test_read_while_fresh(self, configured, queue):
        """A hit by anybody in the fleet keeps such an order from being dropped."""
        configured(orders={"unless_idle_for": 100.0})
        price.set("old", 1)
        assert price(1) == "old"
        readers = region._readers
        wait_until(lambda: readers.are_there(region._address(price.key_for(1)), 0.0))
        clock.advance(5.0)
        price.expire(1)
        assert carry_out(ordered(queue)[0]).done

    @pytest.mark.parametrize(
        "read",
        [
            region.get,
            lambda key: region.get(key, strict=True),
            lambda key: region.get_multi([key]),
            lambda key: region.get_or_create(key, int),
            lambda key: region.get_or_create_multi([key], lambda *_: [0]),
            lambda _: price.get(1),
            lambda _: price(1),
        ],
        ids=[
            "get",
            "strict",
            "multi",
            "or_create",
            "or_create_multi",
            "handle",
            "call",
        ],
    )
    def test_every_way_to_read(self, configured, read):
        """Whatever door a reader takes, he is noted."""
        configured(orders={"unless_idle_for": 100.0})
        price.set("old", 1)
        read(price.key_for(1))
        address = region._address(price.key_for(1))
        wait_until(lambda: region._readers.are_there(address, 0.0))

    def test_read_long_after_ordering(self, configured, queue):
        """An order that has waited for longer is dropped unless read since."""
        configured(orders={"unless_idle_for": 5.0, "queue_wait": None})
        message = self.message(queue)
        clock.advance(50.0)
        assert carry_out(message).reason == "nobody asks for it"

    def test_several_keys(self, configured, queue):
        """Of an order for several keys those are made that somebody wants."""
        configured(orders={"unless_idle_for": 5.0, "queue_wait": None})
        many.set({1: "old", 2: "old"})
        clock.advance(11.0)
        many(1, 2)
        message = ordered(queue)[0]
        clock.advance(50.0)
        region.get_or_create(many.key_for(1), int)  # by which it is known to be read
        address = region._address(many.key_for(1))
        wait_until(lambda: region._readers.are_there(address, 0.0))
        assert carry_out(message).done
        assert RUNS == [(1,)]

    def test_a_hit_notes_rarely(self, configured):
        """Reads are noted a few times per span, however many there are."""
        configured(orders={"unless_idle_for": 100.0})
        written, readers = [], region._readers
        price.set("old", 1)
        readers._write = written.append
        for _ in range(100):
            price(1)
        wait_until(lambda: written)
        assert len(written) == 1


class TestLag:
    def test_it_is_told(self, configured, queue, told):
        """Event and outcome say how long an order has waited."""
        configured()
        make_stale(price, 1)
        price(1)
        message = ordered(queue)[0]
        clock.advance(3.0)
        assert carry_out(message, "task").lag == 3.0
        [refreshed] = kinds(told, events.Refreshed)
        assert (refreshed.lag, refreshed.task_id) == (3.0, "task")

    @pytest.mark.parametrize(
        ("ordered_at", "lag"), [(0.0, 0.0), (90.0, 10.0), (200, 0)]
    )
    def test_clocks_that_differ(self, ordered_at, lag):
        """A stamp from the future, or none, is no lag."""
        assert Origin(ordered_at=ordered_at).lag(100.0) == lag

    def test_inspect(self, configured, queue):
        """While an order waits, inspect tells for how long."""
        configured()
        make_stale(price, 1)
        assert region.inspect(price.key_for(1)).queued_for is None
        price(1)
        clock.advance(4.0)
        assert region.inspect(price.key_for(1)).queued_for == 4.0

    def test_a_queue_that_is_behind(self, configured, queue, told):
        """An order that waits for too long is carried out by who finds it, once."""
        configured(orders={"queue_wait": 10.0})
        make_stale(price, 1)
        price(1)
        message = ordered(queue)[0]
        clock.advance(9.0)
        assert price(1) == "old"
        assert kinds(told, events.QueueBehind) == []
        clock.advance(2.0)
        assert price(1) == "old"
        wait_until(lambda: kinds(told, events.Refreshed))
        assert len(queue.messages) == 1
        assert carry_out(message).reason == "overtaken"
        assert [one[0] for one in RUNS] == [1]
        assert RUNS[0][1] != threading.get_ident()
        # Others do not even try it for a while.
        make_stale(price, 2)
        price(2)
        wait_until(lambda: len(RUNS) == 2)
        assert len(queue.messages) == 1

    def test_several_that_are_behind(self, configured, queue):
        """So are those for several keys."""
        configured(orders={"queue_wait": 10.0})
        many.set({1: "old", 2: "old"})
        clock.advance(11.0)
        many(1, 2)
        ordered(queue)
        clock.advance(11.0)
        assert many(1, 2) == ["old", "old"]
        wait_until(lambda: RUNS)
        assert RUNS == [(1, 2)]

    def test_past_the_stale_window(self, configured, queue):
        """What is too old to be served is made by its caller, behind or not."""
        configured(stale_while_revalidate=20.0, orders={"queue_wait": None})
        make_stale(price, 1)
        assert price(1) == "old"
        ordered(queue)
        clock.advance(20.0)
        assert price(1) == [1, 1]
        assert RUNS[0][1] == threading.get_ident()


class TestEveryBackend:
    @pytest.fixture
    def fetch(self, new_region, queue, heard):
        """A function that is cached on each backend in turn, and its region."""
        import pantry

        allow_imports(["pantry"])
        made = new_region(
            10.0,
            runner=queue,
            lease=LeaseTerms(ttl=5.0, queue_ttl=60.0),
            orders={"queue_wait": 20.0, "unless_idle_for": 200.0},
        )
        told = heard(made)
        yield made, made.cached(pantry.fetch), told
        pantry.RUNS.clear()

    def test_a_queue_that_is_behind(self, fetch, queue, clock):
        """How long an order has waited is told, and acted upon, on any backend."""
        made, function, told = fetch
        function.set("old", 1)
        clock.advance(11.0)
        assert function(1) == "old"
        message = ordered(queue)[0]
        clock.advance(10.0)
        waited = made.inspect(function.key_for(1)).queued_for
        assert 8.0 < waited < 13.0  # memcached counts in whole seconds
        clock.advance(15.0)
        # The lease is remembered by a clock that not every backend's test moves.
        wait_until(lambda: function(1) and kinds(told, events.QueueBehind))
        wait_until(lambda: kinds(told, events.Refreshed))
        assert carry_out(message).reason == "overtaken"
        assert function(1) == [1, "ripe"]

    def test_idle(self, fetch, queue, clock):
        """What nobody reads is not made, on any backend; what one reads, is."""
        made, function, _ = fetch
        for article in (1, 2):
            function.set("old", article)
        function(1)
        address = made._address(function.key_for(1))
        wait_until(lambda: made._readers.are_there(address, 0.0))
        for article in (1, 2):
            function.expire(article)
        reasons = [carry_out(message).reason for message in ordered(queue, 2)]
        assert reasons == ["refreshed", "nobody asks for it"]


class TestTaskOptions:
    def sent(self, queue, function, *args):
        """The options of a stale hit's message."""
        function.set("old", 1)
        clock.advance(11.0)
        assert function(1) == "old"
        ordered(queue)
        return queue.options[0]

    def test_of_the_region(self, configured, queue):
        """A region's options go with all its orders."""
        configured(task_options={"queue": "region"})
        assert self.sent(queue, price) == {"queue": "region"}

    def test_of_a_function(self, configured, queue):
        """A function's take precedence, one by one."""
        configured(task_options={"priority": 9, "expires": 5})
        assert self.sent(queue, slow) == {"queue": "slow", "priority": 1, "expires": 5}

    def test_of_its_arguments(self, configured, queue):
        """They may depend on the call."""
        configured(task_options={"queue": "region"})
        assert self.sent(queue, routed) == {"queue": "shop-1"}

    @pytest.mark.parametrize("function", [price, slow, routed])
    def test_of_a_call(self, configured, queue, function):
        """A call's own decide."""
        configured(task_options={"queue": "region"})
        urgent = function.with_task_options(queue="urgent")
        assert self.sent(queue, urgent)["queue"] == "urgent"
        assert function.get.__doc__ == urgent.get.__doc__

    def test_of_a_call_that_expires(self, configured, queue):
        """The handles of such a call order by its options too."""
        configured()
        price.set("old", 1)
        price.with_task_options(queue="urgent").expire(1)
        ordered(queue)
        assert queue.options == [{"queue": "urgent"}]

    def test_of_many(self, configured, queue):
        """Functions that make many values have options as well."""
        configured(task_options={"priority": 2})
        many.set({1: "old", 2: "old"})
        clock.advance(11.0)
        many(1, 2)
        ordered(queue)
        assert queue.options == [{"queue": "many", "priority": 2}]

    def test_inline(self, configured, queue):
        """Functions that are cached inline travel with options, too."""
        import pantry

        configured()
        allow_imports(["pantry"])
        cached = region.cached(pantry.fetch, task_options={"queue": "inline"})
        cached.set("old", 1)
        clock.advance(11.0)
        assert cached(1) == "old"
        assert ordered(queue)[0]["function"] == "pantry:fetch"
        assert queue.options == [{"queue": "inline"}]

    def test_a_method(self, configured):
        """A method's copy is bound as the method is."""
        configured()
        assert Shop().price.with_task_options(queue="x")(5) == [5, "Shop"]

    @pytest.mark.parametrize("wrong", [{"colour": "red"}, ["queue"], "queue", {5: 5}])
    def test_wrong_ones(self, configured, wrong):
        """What the queue does not understand is told where it is written."""
        with pytest.raises(ConfigurationError, match=r"colours|task_options"):
            configured(task_options=wrong)
        configured()
        with pytest.raises(ConfigurationError, match=r"colours|task_options"):
            region.cache_on_arguments(task_options=wrong)
        with pytest.raises(ConfigurationError, match=r"colours|task_options"):
            region.cache_multi_on_arguments(task_options=wrong)

    def test_wrong_ones_of_a_call(self, configured):
        """So is it for a call."""
        configured()
        with pytest.raises(ConfigurationError, match="colours"):
            price.with_task_options(colour="red")

    def test_what_celery_s_runner_keeps_for_itself(self, configured):
        """Celery's runner refuses what would undo its bounds."""
        with pytest.raises(ConfigurationError, match="connection"):
            configured(runner=CeleryRunner(), task_options={"connection": 1})

    @pytest.mark.parametrize("made", [lambda _: 1 / 0, lambda _: {"colour": 1}])
    def test_options_that_cannot_be_made(self, configured, queue, told, made):
        """If what makes them fails, this process refreshes, and says why."""
        configured()
        function = region.cache_on_arguments(task_options=made)(routed.original)
        function.set("old", 1)
        clock.advance(11.0)
        assert function(1) == "old"
        wait_until(lambda: kinds(told, events.Refreshed))
        [failed] = kinds(told, events.OrderFailed)
        assert "task_options" in failed.reason
        assert queue.messages == []


@contextlib.contextmanager
def as_tenant(captured):
    """Run for a tenant."""
    token = tenant.set(captured["name"])
    try:
        yield
    finally:
        with contextlib.suppress(LookupError):
            tenant.reset(token)


TENANT = OrderContext(lambda: {"name": tenant.get()}, as_tenant)


class TestContext:
    def ordered_by(self, name, queue):
        """The message of a stale hit of a tenant's."""

        def ask():
            tenant.set(name)
            make_stale(price, 1)
            assert price(1) == "old"

        contextvars.copy_context().run(ask)
        return ordered(queue)[-1]

    def test_it_travels(self, configured, queue):
        """The creator runs in what was declared, captured where it was ordered."""
        configured(order_context={"tenant": TENANT})
        message = self.ordered_by("acme", queue)
        assert message["context"] == {"tenant": {"name": "acme"}}
        assert carry_out(message).done
        assert RUNS[0][2] == "acme"
        assert (tenant.get(), language.get()) == ("nobody", "none")

    def test_nothing_else_does(self, configured, queue):
        """What was not declared stays where it is, and what creators leave is gone."""
        configured()
        message = self.ordered_by("acme", queue)
        assert message["context"] == {}
        assert carry_out(message).done
        assert RUNS[0][2] == "nobody"
        assert tenant.get() == "nobody"

    def test_in_this_process(self, configured, queue):
        """This process's own threads run creators in it as well, one after another."""
        configured(order_context={"tenant": TENANT}, runner="thread")

        def ask(name, article):
            tenant.set(name)
            price(article)

        for article in range(8):
            price.set("old", article)
        clock.advance(11.0)
        for article in range(8):
            contextvars.copy_context().run(ask, f"tenant {article}", article)
        wait_until(lambda: len(RUNS) == 8)
        assert {f"tenant {article}" for article in range(8)} == {one[2] for one in RUNS}

    def test_many(self, configured, queue):
        """Orders for several keys take it along, too."""
        configured(order_context={"tenant": TENANT})
        many.set({1: "old", 2: "old"})
        clock.advance(11.0)
        many(1, 2)
        message = ordered(queue)[0]
        assert message["context"] == {"tenant": {"name": "nobody"}}
        assert carry_out(message).done

    def test_nothing_to_take_along(self, configured, queue):
        """A capture may say that there is nothing."""
        configured(order_context={"tenant": OrderContext(lambda: None, as_tenant)})
        assert self.ordered_by("acme", queue)["context"] == {}

    @pytest.mark.parametrize("function", [price, many])
    def test_one_that_is_unknown(self, configured, queue, told, caplog, function):
        """A worker that does not know a context drops the order, and says so."""
        configured(order_context={"tenant": TENANT})
        if function is price:
            message = self.ordered_by("acme", queue)
        else:
            many.set({1: "old", 2: "old"})
            clock.advance(11.0)
            many(1, 2)
            message = ordered(queue)[0]
        other = {**message, "context": {"shape": {}}}
        assert "shape" in carry_out(other).reason
        assert RUNS == []
        assert kinds(told, events.OrderDropped)
        assert "was dropped" in caplog.text
        assert carry_out(message).done

    @pytest.mark.parametrize("context", [{"tenant": 5}, {"tenant": None}, []])
    def test_a_forged_one(self, configured, queue, context):
        """What is no context runs nothing."""
        configured(order_context={"tenant": TENANT})
        message = self.ordered_by("acme", queue)
        assert not carry_out({**message, "context": context}).done
        assert RUNS == []

    @pytest.mark.parametrize("captured", [{"at": object()}, {5: 5}, 7])
    def test_one_that_cannot_travel(self, configured, queue, told, captured):
        """What JSON would change, or a failing capture, orders nothing in its place."""
        context = OrderContext(lambda: captured, as_tenant)
        configured(order_context={"tenant": context})
        make_stale(price, 1)
        assert price(1) == "old"
        failed = kinds(told, events.OrderFailed)
        assert failed
        assert "tenant" in failed[0].reason or "context" in failed[0].reason
        assert queue.messages == RUNS == []
        assert not region.key_is_locked(price.key_for(1))

    def test_one_that_cannot_be_restored(self, configured, queue, told):
        """A failing restore is a failing creator: the old value stays."""
        configured(order_context={"tenant": OrderContext(dict, lambda _: 1 / 0)})
        make_stale(price, 1)
        assert price(1) == "old"
        outcome = carry_out(ordered(queue)[0])
        assert "ZeroDivisionError" in outcome.reason
        assert kinds(told, events.RefreshFailed)

    def test_one_that_swallows_errors(self, configured, queue, told):
        """A restore may say that an error is no matter; that makes no value."""
        swallowing = OrderContext(dict, lambda _: contextlib.suppress(ValueError))
        configured(order_context={"tenant": swallowing})
        make_stale(failing, 1)
        assert failing(1) == "old"
        outcome = carry_out(ordered(queue)[0])
        assert "swallowed" in outcome.reason
        assert failing(1) == "old"
        assert kinds(told, events.RefreshFailed)

    @pytest.mark.parametrize(
        "wrong", [5, {"tenant": 5}, {5: TENANT}, [TENANT], {"tenant": (1, 2)}]
    )
    def test_what_is_none(self, configured, wrong):
        """order_context maps names to contexts."""
        with pytest.raises(ConfigurationError, match="order_context"):
            configured(order_context=wrong)

    def test_what_cannot_be_called(self):
        """A context is made of two functions."""
        with pytest.raises(ConfigurationError, match="restore"):
            OrderContext(dict, None)


MESSAGE = {
    "version": 1, "region": "r", "function": "m:f", "args": [], "kwargs": {},
    "key": "k", "token": "t", "clock": 1, "not_after": 1.0,
}  # fmt: skip


class TestMessages:
    def test_one_of_an_earlier_release(self):
        """A message without the newer parts is an order."""
        order = RefreshOrder.from_message(MESSAGE)
        assert (order.ordered_at, order.read_at, order.context) == (0.0, 0.0, {})

    @pytest.mark.parametrize("part", ["ordered_at", "read_at", "context"])
    def test_wrong_parts(self, part):
        """What is there has its type."""
        with pytest.raises(InvalidOrder, match=part):
            RefreshOrder.from_message({**MESSAGE, part: "x"})

    @pytest.mark.parametrize("part", ["not_after", "ordered_at", "read_at"])
    @pytest.mark.parametrize(
        "at",
        [10**400, -1e308, float("inf"), float("nan")],
        ids=["huge", "past", "inf", "nan"],
    )
    def test_no_instants(self, part, at):
        """A time at which nobody lives would upset whoever reckons with it."""
        with pytest.raises(InvalidOrder, match=part):
            RefreshOrder.from_message({**MESSAGE, part: at})


def test_what_a_hit_pays_for_readers(configured):
    """Noting reads costs a hit a small part of what it costs."""
    configured(orders={"unless_idle_for": 100.0})
    price.set("old", 1)
    price(1)
    begun = time.thread_time()
    for _ in range(10_000):
        region._readers.note("k")
    assert time.thread_time() - begun < 1.0  # 1 us or less each on a quiet machine
