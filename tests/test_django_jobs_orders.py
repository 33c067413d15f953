"""What travels in a job's order, what a worker makes of it, and what it refuses."""

import datetime as dt
import json
import logging
import uuid
from decimal import Decimal

import pytest
from django.core.cache import caches
from django_caches import unused_name
from django_jobs import JobTests
from django_project.catalogue.models import Pair
from django_project.jobshop import jobs as shop
from django_project.jobshop.models import Book
from waiting import wait_until

from holdover import errors
from holdover.contrib_django.jobs import (
    FunctionJob,
    Job,
    QuerySetFilterJob,
    QuerySetGetJob,
    QuerySetJob,
    cacheback,
)
from holdover.contrib_django.jobs.finding import find_class, find_function_for_order
from holdover.contrib_django.jobs.travelling import CannotTravel, packed, unpacked

pytestmark = pytest.mark.django_db


class OnMemory(JobTests):
    """Where it does not matter where values are kept."""

    @pytest.fixture
    def kind(self):
        return "memory"


def aged(clock):
    """Let everything be stale."""
    clock.advance(1000)


class TestTravelling:
    @pytest.mark.parametrize(
        "value",
        [
            None,
            1.5,
            "text",
            [1, [2]],
            {"a": {"b": [None]}},
            (1, (2, "3")),
            dt.datetime(2026, 1, 2, 3, 4, 5, 6),  # noqa: DTZ001
            dt.datetime(2026, 1, 2, tzinfo=dt.UTC),
            dt.date(2026, 1, 2),
            dt.time(1, 2),
            Decimal("1.50"),
            uuid.UUID(int=5),
            Book,
        ],
    )
    def test_comes_back_as_it_was(self, value):
        """Through JSON, with its type."""
        found = unpacked(json.loads(json.dumps(packed([value, {"in": value}]))))
        assert found == [value, {"in": value}]
        assert type(found[0]) is type(value)

    def test_instances_are_read_again(self):
        """By label and primary key."""
        book = Book.objects.create(title="Emma", price=5)
        data = json.loads(json.dumps(packed(book)))
        Book.objects.update(price=7)
        found = unpacked(data)
        assert (found, found.price) == (book, 7)
        book.delete()
        with pytest.raises(CannotTravel):
            unpacked(data)

    def test_instances_whose_key_has_several_parts(self):
        """All of them travel; without one, the instance does not."""
        pair = Pair.objects.create(left="[1]", right="b")
        Pair.objects.create(left="[1]", right="c")
        data = json.loads(json.dumps(packed(pair)))
        assert unpacked(data) == pair
        with pytest.raises(CannotTravel):
            unpacked({**data, "pk": '["[1]"]'})
        with pytest.raises(CannotTravel):
            packed(Pair(left="[1]", right=None))

    @pytest.mark.parametrize(
        "value",
        [
            object(),
            b"bytes",
            {1, 2},
            {"__holdover__": "tuple", "value": []},
            Book(title="not saved"),
            dt.datetime(2026, 1, 2, tzinfo=dt.timezone(dt.timedelta(hours=1))),
            "x" * 20_000,
        ],
        ids=lambda value: type(value).__name__,
    )
    def test_what_would_not_come_back_does_not_travel(self, value):
        """It is told where it is packed."""
        with pytest.raises(CannotTravel):
            packed(value)

    @pytest.mark.parametrize(
        "data",
        [
            {"__holdover__": "module", "value": "os"},
            {"__holdover__": "model", "value": "os.system"},
            {"__holdover__": "date", "value": "never"},
            {"__holdover__": "tuple"},
            {"__holdover__": "instance", "value": "jobshop.Book", "pk": "x"},
            {"__holdover__": []},
        ],
    )
    def test_what_was_made_up_stands_for_nothing(self, data):
        """It is an error of one type."""
        with pytest.raises(CannotTravel):
            unpacked(data)


class TestOrders(OnMemory):
    def test_an_order_is_json(self, queue):
        """It names a class, what it is made with, and what it is called with."""
        book = Book.objects.create(title="Emma")
        job = shop.Told("EUR")
        job.fetch_on_miss = False
        job.get(book, day=dt.date(2026, 1, 2))
        [message] = map(json.loads, queue.orders)
        [told] = message["args"]
        assert told["job"] == "django_project.jobshop.jobs.Told"
        assert told["init"] == [["EUR"], {}]
        assert told["call"][0][0]["value"] == "jobshop.Book"
        Book.objects.update(price=3)
        assert [one.done for one in queue.work()] == [True]
        assert job.get(book, day=dt.date(2026, 1, 2)) == "Emma: 3 EUR"

    def test_who_orders_reads_nothing_again(self, queue, django_assert_num_queries):
        """The worker does; a caller has the instance already."""
        book = Book.objects.create(title="Emma")
        with django_assert_num_queries(0):
            shop.Told("EUR").async_refresh(book)
        assert len(queue.orders) == 1

    def test_an_instance_that_is_gone_is_not_refreshed(self, queue, caplog):
        """The order is dropped and logged."""
        book = Book.objects.create(title="Emma")
        shop.Told("EUR").async_refresh(book)
        book.delete()
        assert [one.done for one in queue.work()] == [False]
        assert "was dropped" in caplog.text

    @pytest.mark.parametrize(
        "path",
        [
            "os.path.join",
            "subprocess.Popen",
            "django_project.jobshop.models.Book",
            "django_project.jobshop.jobs.Missing",
            "django_project.jobshop.jobs.QuerySetFilterJob",
            "django_project.jobshop.jobs.__builtins__",
            "django_project.settings.Job",
            "holdover.contrib_django.jobs.places.CallersRunner",
            "holdover.contrib_django.jobs.jobs.Missing",
            "nothing",
            "",
            5,
            None,
        ],
    )
    def test_no_other_class_is_made(self, path, queue, caplog):
        """Those of installed applications only; the refusal is logged, and typed."""
        with pytest.raises(errors.UnregisteredFunction):
            find_class(path)
        shop.Price().async_refresh(1)
        message = json.loads(queue.orders.pop())
        message["args"][0]["job"] = path
        queue.orders = [json.dumps(message)]
        with caplog.at_level(logging.WARNING, "holdover"):
            assert [one.done for one in queue.work()] == [False]
        assert "a refresh message was dropped" in caplog.text
        assert shop.calls == []

    @pytest.mark.parametrize(
        "text",
        [
            "os:system",
            "subprocess:run",
            "django_project.jobshop.jobs:Path",
            "django_project.jobshop.jobs:cacheback",
            "django_project.jobshop.jobs:Price.fetch",
            "django_project.jobshop.jobs:missing",
            "django_project.jobshop.jobs:__import__",
            "django_project.jobshop.missing:function",
            "holdover.contrib_django.jobs.finding:find_function",
            ":",
            5,
        ],
    )
    def test_no_other_function_is_called(self, text):
        """Those at the top of a module in an installed application only."""
        with pytest.raises(errors.UnregisteredFunction):
            find_function_for_order(text)

    @pytest.mark.parametrize(
        "change",
        [
            {"call": [[2], {}]},
            {"call": [[], {}]},
            {"call": 5},
            {"init": [[1], {}]},
            {"init": None},
            {"refresh_timeout": "soon"},
            {"refresh_timeout": -1},
        ],
    )
    def test_an_order_that_was_changed_is_dropped(self, change, queue):
        """Arguments that do not make the key, or that make no job."""
        shop.Price().async_refresh(1)
        message = json.loads(queue.orders.pop())
        message["args"][0] |= change
        queue.orders = [json.dumps(message)]
        assert [one.done for one in queue.work()] == [False]
        assert shop.calls == []

    def test_a_class_of_no_application_stays_here(self, queue, clock):
        """A thread of this process refreshes it."""

        class Local(Job):
            def fetch(self):
                shop.calls.append(1)
                return len(shop.calls)

        job = Local()
        job.get()
        aged(clock)
        assert job.get() == 1
        assert queue.orders == []
        wait_until(lambda: job.get() == 2)

    def test_what_a_message_of_cachebacks_names(self, caplog):
        """It is refreshed if it is a job; all else is logged."""
        path = "django_project.jobshop.jobs.Price"
        Job.perform_async_refresh(path, (), {}, (1,), {})
        assert shop.Price().get(1) == [[1], 1]
        Job.perform_async_refresh("os.path.join", (), {}, (1,), {})
        assert "'os.path.join' was not refreshed" in caplog.text


class TestFunctions(OnMemory):
    def test_a_decorated_function(self, queue, clock):
        """It is served, and refreshed by a worker under its name."""
        assert shop.decorated(1, unit="km") == shop.decorated(1, unit="km") == "1 km 1"
        aged(clock)
        assert shop.decorated(1, unit="km") == "1 km 1"
        assert [one.done for one in queue.work()] == [True]
        assert shop.decorated(1, unit="km") == "1 km 2"

    def test_fn_and_job(self, queue):
        """The function itself, and its job, which takes the function first."""
        assert shop.decorated.fn(1) == "1 m 1"
        job = shop.decorated.job
        assert isinstance(job, FunctionJob)
        job.set(shop.decorated.fn, 1, "set")
        assert shop.decorated(1) == "set"
        job.delete(shop.decorated, 1)
        assert job.raw_get(shop.decorated.fn, 1) is None
        assert shop.decorated.__name__ == "decorated"
        assert job.lifetime == 900

    def test_inline(self, queue):
        """Without a value nobody waits."""
        get = cacheback(900, fetch_on_miss=False)(shop.plain)
        assert get(10) is None
        assert [one.done for one in queue.work()] == [True]
        assert get(10) == 11

    def test_options(self, queue):
        """Each reaches the job."""
        get = cacheback(
            lifetime="5",
            fetch_on_miss=False,
            cache_alias="other",
            task_options={"queue": "slow"},
            set_data_kwarg="price",
        )(shop.plain)
        job = get.job
        assert (job.lifetime, job.fetch_on_miss, job.cache_alias) == (5, False, "other")
        get(1)
        assert queue.options == [{"queue": "slow"}]
        job.set(shop.plain, 1, price=7)
        assert get(1) == 7
        assert caches["other"].get(job.key("django_project.jobshop.jobs:plain", 1)) == 7
        assert caches["default"].get(job.key("jobshop", 1)) is None

    def test_job_class(self):
        """It gets all the arguments, and its own."""

        class Doubling(FunctionJob):
            def __init__(self, factor, **kwargs):
                super().__init__(**kwargs)
                self.factor = factor

            def process_result(self, result, **_):
                return result * self.factor

        get = cacheback(5, job_class=Doubling, factor=2)(shop.plain)
        assert get(10) == 22
        assert get.job.lifetime == 5

    def test_a_closure_says_what_to_do(self):
        """It could not be told from another of its name."""
        with pytest.raises(errors.UnimportableFunction, match="closures"):
            cacheback()(lambda: 1)()

    def test_functions_of_one_name_are_told_apart(self):
        """The module belongs to the key."""
        job = FunctionJob()
        assert job.prepare_args(shop.plain) != job.prepare_args(aged)
        assert job.prepare_args(shop.decorated) == job.prepare_args(shop.decorated.fn)


class TestQuerySets(OnMemory):
    @pytest.fixture(autouse=True)
    def books(self):
        """Two books."""
        Book.objects.create(title="Emma", price=5)
        Book.objects.create(title="Persuasion", price=5)

    def test_filter(self, django_assert_num_queries, queue, clock):
        """The rows are kept, not the question."""
        job = QuerySetFilterJob(Book)
        assert [book.title for book in job.get(price=5)] == ["Emma", "Persuasion"]
        with django_assert_num_queries(0):
            assert [book.title for book in job.get(price=5)] == ["Emma", "Persuasion"]
        Book.objects.create(title="Sanditon", price=5)
        aged(clock)
        job.get(price=5)
        assert [one.done for one in queue.work()] == [True]
        with django_assert_num_queries(0):
            assert len(job.get(price=5)) == 3

    def test_get(self, django_assert_num_queries):
        """One row; none, or several, are Django's errors."""
        job = QuerySetGetJob(Book)
        job.get(title="Emma")
        with django_assert_num_queries(0):
            assert job.get(title="Emma").price == 5
        with pytest.raises(Book.DoesNotExist):
            job.get(title="Ulysses")
        with pytest.raises(Book.MultipleObjectsReturned):
            job.get(price=5)

    def test_what_is_set_is_read_too(self, django_assert_num_queries):
        """A query set that was not read yet."""
        job = QuerySetFilterJob(Book)
        job.set(Book.objects.all(), price=1)
        with django_assert_num_queries(0):
            assert len(job.get(price=1)) == 2

    def test_options(self):
        """Each reaches the job, and what a worker needs goes along."""
        job = QuerySetGetJob(Book, 5, False, "other", {"queue": "slow"})
        assert (job.lifetime, job.fetch_on_miss, job.cache_alias) == (5, False, "other")
        assert job.task_options == {"queue": "slow"}
        made = {"model": Book, "lifetime": 5, "cache_alias": "other"}
        assert job.get_init_kwargs() == made

    def test_models_have_keys_of_their_own(self):
        """And instances, too."""
        from django.contrib.auth.models import Group

        assert QuerySetJob(Book).key(pk=1) != QuerySetJob(Group).key(pk=1)
        emma, other = Book.objects.all()
        job = shop.Price()
        assert job.key(emma) != job.key(other)
        assert job.key([emma]) != job.key([other])
        assert job.key(Book) != job.key(Group)
        assert job.key(emma) == job.key(Book.objects.get(pk=emma.pk))


class TestOtherCaches:
    """Jobs on caches that are not Holdover's."""

    @pytest.fixture(params=["locmem", "redis", "file", "dummy"])
    def kind(self, request):
        return request.param

    @pytest.fixture(autouse=True)
    def default(self, kind, request, settings, tmp_path, monkeypatch):
        """The default cache, and no queue but threads."""
        name, location = {
            "locmem": ("locmem.LocMemCache", unused_name()),
            "redis": ("redis.RedisCache", None),
            "file": ("filebased.FileBasedCache", str(tmp_path)),
            "dummy": ("dummy.DummyCache", ""),
        }[kind]
        if kind == "redis":
            location = request.getfixturevalue("redis_server").url
        settings.CACHES = {
            "default": {
                "BACKEND": f"django.core.cache.backends.{name}",
                "LOCATION": location,
                "KEY_PREFIX": unused_name(),
            }
        }
        settings.CACHEBACK_TASK_QUEUE = "thread"
        shop.calls.clear()

    def test_values_are_kept_and_refreshed(self, kind):
        """As everywhere; a dummy keeps nothing, and nobody minds."""
        job = shop.Price()
        assert job.get(1) == [[1], 1]
        if kind == "dummy":
            assert job.get(1) == [[1], 2]
            return
        assert job.get(1) == [[1], 1]
        job.invalidate(1)
        assert job.get(1)[0] == [1]
        wait_until(lambda: job.get(1) == [[1], 2])
        job.set(1, "set")
        assert job.get(1) == "set"
        job.delete(1)
        assert job.raw_get(1) is None

    def test_clearing_the_cache_reaches_jobs(self):
        """Their values are entries of that cache."""
        shop.Price().get(1)
        caches["default"].clear()
        assert shop.Price().raw_get(1) is None

    def test_an_entry_that_somebody_else_wrote_is_not_unpickled(self, kind):
        """What is there is signed by SECRET_KEY."""
        if kind != "locmem":
            return
        shop.Price().get(1)
        cache = caches["default"]
        names = [name for name in cache._cache if "holdover.v." in name]
        assert names
        for name in names:
            plain = name.split(":", 2)[2]
            cache.set(plain, cache.get(plain)[:-1] + b"x")
        assert shop.Price().raw_get(1) is None
