"""Jobs: what callers get, and each attribute, hook and setting."""

import threading
import time

import pytest
from django.core.cache import caches
from django_jobs import JobTests
from django_project.jobshop import jobs as shop
from waiting import wait_until

from holdover import errors
from holdover.contrib_django.jobs import Job, NotWritten
from holdover.contrib_django.jobs.base import Call


class TestGet(JobTests):
    def test_fetches_what_is_missing(self):
        """Once; then it is a hit."""
        job = shop.Price()
        assert job.get(1) == job.get(1) == [[1], 1]
        assert shop.calls == [((1,), {})]

    def test_serves_what_is_stale_and_orders_the_next(self, clock, queue):
        """One order, however many ask."""
        job = shop.Price()
        job.get(1)
        clock.advance(601)
        assert [job.get(1) for _ in range(3)] == [[[1], 1]] * 3
        assert len(queue.orders) == 1
        assert [one.reason for one in queue.work()] == ["refreshed"]
        assert job.get(1) == [[1], 2]

    def test_fetches_once_for_all(self):
        """Those who miss it together wait for the one who fetches it."""
        started, done = threading.Barrier(5), []

        class Slow(Job):
            def fetch(self):
                shop.calls.append(1)
                time.sleep(0.1)
                return ["made"]

        def ask():
            started.wait(20)
            done.append(Slow().get())

        threads = [threading.Thread(target=ask) for _ in range(5)]
        for one in threads:
            one.start()
        for one in threads:
            one.join(20)
        assert done == [["made"]] * 5
        assert len({id(one) for one in done}) == 5
        assert len(shop.calls) == 1

    def test_lets_the_error_of_a_fetch_out(self):
        """Unchanged."""
        shop.failing.append(1)
        with pytest.raises(LookupError, match="no price"):
            shop.Price().get(1)

    def test_none_is_a_value(self):
        """It is fetched once, too."""

        class Nothing(Job):
            def fetch(self):
                shop.calls.append(1)

        assert Nothing().get() is Nothing().get() is None
        assert len(shop.calls) == 1

    def test_needs_a_fetch(self):
        """A job that has none says so."""
        with pytest.raises(NotImplementedError, match="fetch"):
            Job().get()


class TestAttributes(JobTests):
    def test_lifetime(self, clock, queue):
        """For so long a value is fresh."""
        job = shop.Price()
        job.lifetime = 10
        job.get()
        clock.advance(9.5)
        job.get()
        assert queue.orders == []
        clock.advance(1)
        job.get()
        assert len(queue.orders) == 1

    def test_refresh_timeout(self, clock, queue):
        """For so long no second refresh is ordered, whatever becomes of the first."""
        job = shop.Price()
        job.refresh_timeout = 100
        job.get()
        clock.advance(601)
        job.get()
        clock.advance(95)
        job.get()
        assert len(queue.orders) == 1
        clock.advance(6)
        job.get()
        assert len(queue.orders) == 2

    def test_refresh_timeout_after_a_failure(self, clock, queue):
        """What is there is served, and a failing service left alone for so long."""
        job = shop.Price()
        job.refresh_timeout = 100
        job.get()
        clock.advance(601)
        job.get()
        shop.failing.append(1)
        [outcome] = queue.work()
        assert "no price" in outcome.reason
        clock.advance(95)
        assert job.get() == [[], 1]
        assert queue.orders == []
        clock.advance(6)
        job.get()
        assert len(queue.orders) == 1

    def test_cache_alias(self, default):
        """That cache has the value, by the key that the job says."""
        job = shop.Price()
        job.cache_alias = "other"
        job.get(1)
        assert caches["other"].get(job.key(1)) == [[1], 1]
        assert default.get(job.key(1)) is None

    def test_cache_ttl(self, clock):
        """When it is over, there is no value at all."""
        job = shop.Price()
        job.cache_ttl = 700
        job.get()
        clock.advance(690)
        assert job.raw_get() is not None
        clock.advance(11)
        assert job.raw_get() is None

    def test_cache_ttl_shorter_than_the_lifetime(self, clock):
        """It decides."""
        job = shop.Price()
        job.cache_ttl = 7
        job.set("data")
        clock.advance(8)
        assert job.raw_get() is None

    def test_cache_ttl_of_nothing(self):
        """Then nothing is kept."""
        job = shop.Price()
        job.set("data")
        job.cache_ttl = 0
        job.set("newer")
        assert job.raw_get() is None
        assert job.get() == [[], 1]
        assert job.raw_get() is None

    def test_cache_ttl_without_end(self, clock):
        """None stands for that."""
        job = shop.Price()
        job.cache_ttl = None
        job.set("data")
        clock.advance(3e7)
        assert job.get() == "data"

    def test_fetch_on_miss(self, queue):
        """Without it, nobody waits, and one refresh is ordered."""
        job = shop.Price()
        job.fetch_on_miss = False
        assert [job.get(1), job.get(1)] == [None, None]
        assert len(queue.orders) == 1
        queue.work()
        assert job.get(1) == [[1], 1]

    def test_fetch_on_stale_threshold(self, clock, queue):
        """Beyond it a value is too old to be served."""
        job = shop.Price()
        job.fetch_on_stale_threshold = 900
        job.get()
        clock.advance(899)
        assert job.get() == [[], 1]
        clock.advance(2)
        assert job.get() == [[], 2]
        assert [one.done for one in queue.work()] == [False]  # overtaken

    def test_set_data_kwarg(self):
        """The value goes by that name, or comes last."""
        job = shop.Price()
        job.set_data_kwarg = "price"
        job.set(1, price="named")
        assert job.get(1) == "named"
        job.set(1, "last")
        assert job.get(1) == "last"
        job.set(1, data=2, price="other")
        assert job.get(1, data=2) == "other"

    def test_task_options(self, queue):
        """They say how the order travels."""
        job = shop.Price()
        job.task_options = {"queue": "slow"}
        job.async_refresh(1)
        assert queue.options == [{"queue": "slow"}]

    def test_statuses(self):
        """As django-cacheback numbers them."""
        assert (Job.MISS, Job.HIT, Job.STALE) == (0, 1, 2)


class TestCalls(JobTests):
    def test_raw_get(self, clock, queue):
        """When it expires and what it is; nothing is ordered."""
        job = shop.Price()
        assert job.raw_get(1) is None
        job.get(1)
        expiry, data = job.raw_get(1)
        assert data == [[1], 1]
        assert expiry == pytest.approx(time.time() + 600, abs=5)
        clock.advance(700)
        assert job.raw_get(1)[0] == pytest.approx(time.time() - 100, abs=5)
        assert queue.orders == []

    def test_set(self, clock, queue):
        """It is fresh from then on."""
        job = shop.Price()
        job.set(1, "data")
        assert job.get(1) == "data"
        clock.advance(601)
        assert job.get(1) == "data"
        assert len(queue.orders) == 1

    def test_invalidate(self, queue):
        """The old value is served, and the next is ordered; nothing for nothing."""
        job = shop.Price()
        job.invalidate(1)
        assert queue.orders == []
        job.get(1)
        job.invalidate(1)
        assert job.get(1) == [[1], 1]
        assert len(queue.orders) == 1
        queue.work()
        assert job.get(1) == [[1], 2]

    def test_delete(self):
        """The next caller misses it."""
        job = shop.Price()
        job.get(1)
        job.delete(1)
        assert job.raw_get(1) is None

    def test_refresh(self):
        """It is fetched now, whatever there is."""
        job = shop.Price()
        assert job.refresh(1) == [[1], 1]
        assert job.refresh(1) == [[1], 2]
        assert job.get(1) == [[1], 2]

    def test_async_refresh(self, queue):
        """It is ordered, whatever there is; what is there is served meanwhile."""
        job = shop.Price()
        job.async_refresh(1)
        queue.work()
        job.async_refresh(1)
        assert job.get(1) == [[1], 1]
        assert len(queue.orders) == 1
        queue.work()
        assert job.get(1) == [[1], 2]

    def test_store(self):
        """It takes a key and an expiry."""
        job = shop.Price()
        job.store(job.key(1), time.time() + 10, "data")
        assert job.get(1) == "data"

    def test_clearing_the_cache_reaches_jobs(self, default):
        """Their values are entries of that cache."""
        job = shop.Price()
        job.get(1)
        default.clear()
        assert job.raw_get(1) is None


class TestHooks(JobTests):
    @pytest.fixture(autouse=True)
    def unasked(self):
        shop.Hooked.asked = ()

    def test_prepare(self, default):
        """Both change what is fetched, and keys; callers' own arguments stay."""
        job = shop.Hooked()
        assert job.get(1, unit=2) == ("processed", [["prepared 1"], 1])
        assert shop.calls == [(("prepared 1",), {"unit": "prepared 2"})]
        key = "hooked:prepared_1-unit=prepared_2"
        assert default.get(key) == [["prepared 1"], 1]
        assert shop.Hooked.asked[0][0] == Call((1,), {"unit": 2})

    def test_process_result(self, clock):
        """It is told what happened; what is kept is the plain value."""
        job = shop.Hooked()
        job.get()
        job.get()
        clock.advance(11)
        job.get()
        told = [(status, fetched) for _, status, fetched in shop.Hooked.asked]
        assert told == [(Job.MISS, True), (Job.HIT, None), (Job.STALE, False)]
        job.fetch_on_stale_threshold = 0
        job.get()
        job.delete()
        job.fetch_on_miss = False
        job.get()
        told = [(status, fetched) for _, status, fetched in shop.Hooked.asked[3:]]
        assert told == [(Job.STALE, True), (Job.MISS, False)]

    def test_empty(self):
        """It is what there is until there is something."""
        job = shop.Hooked()
        job.fetch_on_miss = False
        assert job.get() == ("processed", "empty")

    def test_expiry(self, clock, queue):
        """It says when, also for what is set and refreshed."""
        job = shop.Hooked()
        for store in (job.get, lambda: job.set("data"), job.refresh):
            store()
            clock.advance(9)
            assert queue.orders == []
            job.get()
            assert shop.Hooked.asked[-1][1] == Job.HIT
            clock.advance(2)
            job.get()
            assert shop.Hooked.asked[-1][1] == Job.STALE
            queue.orders.clear()

    def test_timeout(self, clock, queue):
        """It says for how long an order is waited for."""
        job = shop.Hooked()
        job.get()
        clock.advance(11)
        job.get()
        clock.advance(190)
        job.get()
        assert len(queue.orders) == 1
        clock.advance(11)
        job.get()
        assert len(queue.orders) == 2

    def test_hash(self):
        """Keys have it."""

        class Hashing(shop.Price):
            def hash(self, value):
                return f"hash of {list(value)}"

        path = Hashing().class_path
        assert Hashing().key(1) == f"{path}:hash of [1]"
        assert Hashing().key() == path

    def test_missing(self):
        """It is asked with the arguments."""
        job = shop.Price()
        job.should_missing_item_be_fetched_synchronously = lambda *args: args == (1,)
        assert job.get(1) == [[1], 1]
        assert job.get(2) is None

    def test_stale(self, clock):
        """It is asked with the seconds since the value expired, and the arguments."""
        asked, job = [], shop.Price()

        def is_too_stale(delta, *args):
            asked.append((delta, args))
            return delta > 50

        job.should_stale_item_be_fetched_synchronously = is_too_stale
        job.get(1)
        clock.advance(640)
        assert job.get(1) == [[1], 1]
        clock.advance(20)
        assert job.get(1) == [[1], 2]
        assert asked == [
            (pytest.approx(40, abs=2), (1,)),
            (pytest.approx(60, abs=2), (1,)),
        ]

    def test_class_path(self):
        """Where a worker finds it."""
        assert shop.Price().class_path == "django_project.jobshop.jobs.Price"


class TestSettings(JobTests):
    def test_cache_alias(self, settings):
        """Jobs that name no cache have that one."""
        settings.CACHEBACK_CACHE_ALIAS = "other"
        shop.Price().get(1)
        assert caches["other"].get(shop.Price().key(1)) == [[1], 1]

    def test_verify_cache_write(self, settings, default, monkeypatch):
        """A value that could not be stored is an error, unless nobody wants to know."""
        job = shop.Price()

        def fail(*_, **__):
            raise errors.BackendError("full")

        monkeypatch.setattr(type(default.region.backend), "write", fail)
        monkeypatch.setattr(type(default.region.backend), "write_at", fail)
        with pytest.raises(NotWritten, match="full"):
            job.set("data")
        assert issubclass(NotWritten, RuntimeError)
        settings.CACHEBACK_VERIFY_CACHE_WRITE = False
        job.set("data")

    def test_validate_job_refresh_needed(self, settings, queue):
        """With it, what is fresh for long is not refreshed."""
        job = shop.Price()
        job.get(1)
        settings.CACHEBACK_VALIDATE_JOB_REFRESH_NEEDED = True
        job.async_refresh(1)
        assert queue.orders == []
        job.refresh_timeout = 1000
        job.async_refresh(1)
        assert len(queue.orders) == 1

    def test_the_worker_asks_whether_a_refresh_is_needed(self, clock, queue):
        """A job may know better."""
        job = shop.Price()
        job.get(1)
        clock.advance(601)
        job.get(1)
        needed = shop.Price.should_refresh
        shop.Price.should_refresh = lambda *_, **__: False
        try:
            assert [one.reason for one in queue.work()] == ["not stored"]
        finally:
            shop.Price.should_refresh = needed
        assert len(shop.calls) == 1


class TestHoles(JobTests):
    """What django-cacheback loses."""

    def test_a_stale_read_does_not_overwrite_what_is_newer(self, clock, queue):
        """It writes nothing at all; there, it writes the old value once more."""
        job, reader = shop.Price(), shop.Price()
        job.get(1)
        clock.advance(601)
        timeout = reader.timeout
        reader.timeout = lambda *args: (job.set(1, "newer"), timeout(*args))[1]
        reader.get(1)
        assert job.get(1) == "newer"

    @pytest.mark.parametrize("change", ["set", "delete", "invalidate"])
    def test_a_refresh_does_not_overwrite_what_is_newer(self, change):
        """What began before is not stored."""
        job = shop.Price()
        job.set(1, "old")
        fetching, changed = threading.Event(), threading.Event()

        class Slow(shop.Price):
            class_path = job.class_path

            def fetch(self, *_):
                fetching.set()
                assert changed.wait(20)
                return "of long ago"

        refresh = threading.Thread(target=Slow().refresh, args=(1,))
        refresh.start()
        assert fetching.wait(20)
        if change == "set":
            job.set(1, "newer")
        else:
            getattr(job, change)(1)
        changed.set()
        refresh.join(20)
        kept = {"set": "newer", "invalidate": "old"}.get(change)
        found = job.raw_get(1)
        assert (None if found is None else found[1]) == kept

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            (("a:b", "c"), ("a", "b:c")),
            ((1,), ("1",)),
            ((None,), ("None",)),
            ((1,), (True,)),
            (([1, 2],), ((1, 2),)),
        ],
    )
    def test_other_arguments_have_other_keys(self, one, other):
        """By position and by name."""
        job = shop.Price()
        assert job.key(*one) != job.key(*other)
        assert job.key(x=one) != job.key(x=other)
        assert job.key(*one) != job.key(x=one)

    def test_what_has_no_lasting_key_is_refused(self):
        """Rather than never found again."""
        with pytest.raises(errors.UnkeyableArgument):
            shop.Price().get(object())

    def test_of_what_contains_itself_there_is_none(self):
        """As of all that no lasting key can be made of."""
        endless = []
        endless.append(endless)
        with pytest.raises(errors.UnkeyableArgument, match="contains itself"):
            shop.Price().key(endless)

    def test_a_lost_order_is_placed_again(self, clock, queue):
        """By the next who asks, after the timeout."""
        job = shop.Price()
        job.fetch_on_miss = False
        job.get(1)
        queue.orders.clear()
        clock.advance(61)
        job.get(1)
        assert len(queue.orders) == 1

    def test_an_order_that_came_twice_is_carried_out_once(self, queue):
        """The second finds another token."""
        shop.Price().async_refresh(1)
        queue.orders *= 2
        assert [one.done for one in queue.work()] == [True, False]
        assert len(shop.calls) == 1


class TestTrouble(JobTests):
    def test_a_cache_that_fails_is_no_trouble_for_callers(self, default, monkeypatch):
        """They get what was fetched, or nothing yet; later calls, too."""

        def fail(*_, **__):
            raise errors.BackendError("gone")

        for verb in ("read", "read_multi", "acquire", "remove", "clock", "tick"):
            monkeypatch.setattr(type(default.region.backend), verb, fail)
        job = shop.Price()
        assert job.get(1) == [[1], 1]
        assert job.raw_get(1) is None
        job.delete(1)
        job.fetch_on_miss = False
        assert job.get(2) is None

    def test_arguments_that_cannot_travel_stay_here(self, queue, clock):
        """They are refreshed by a thread of this process."""
        job, odd = shop.Price(), frozenset({1})
        job.get(odd)
        clock.advance(601)
        assert job.get(odd) == [[odd], 1]
        assert queue.orders == []
        wait_until(lambda: len(shop.calls) == 2)
