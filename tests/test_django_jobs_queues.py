"""Who refreshes jobs: CACHEBACK_TASK_QUEUE, and what comes of it."""

import importlib.util
import json
import sys

import celery
import pytest
import redis
from django.core import checks
from django.core.cache import caches
from django.core.exceptions import ImproperlyConfigured
from django_caches import unused_name
from django_project.jobshop import jobs as shop
from rq.job import Job as RqJob
from waiting import wait_until

from holdover import CeleryRunner, ThreadRunner, errors, registry
from holdover.contrib_django.checks.jobs import check_queue
from holdover.contrib_django.jobs import (
    DjangoRqRunner,
    DjangoTasksRunner,
    places,
    queues,
)


@pytest.fixture(autouse=True)
def forgetting(monkeypatch):
    """Make runners anew for each test."""
    queues.runner_for.cache_clear()
    monkeypatch.setattr(places, "_places", {})
    shop.calls.clear()
    shop.failing.clear()
    yield
    queues.runner_for.cache_clear()


@pytest.fixture
def on_redis(settings, redis_server):
    """A default cache that workers could reach."""
    name = unused_name()
    registry.region(name).configure(redis_server.url, secret="a secret of the tests")
    settings.CACHES = {
        "default": {
            "BACKEND": "holdover.contrib_django.RegionCache",
            "LOCATION": f"region://{name}",
        }
    }
    return redis_server


@pytest.fixture
def rq(settings, on_redis):
    """django-rq, with two queues on that Redis; its keys are gone afterwards."""
    settings.CACHEBACK_TASK_QUEUE = "rq"
    queue = {"URL": on_redis.url, "SERIALIZER": "rq.serializers.JSONSerializer"}
    settings.RQ_QUEUES = {
        "default": {**queue, "DEFAULT_TIMEOUT": 77},
        "slow": queue,
        "eager": {**queue, "ASYNC": False},
    }
    for name in ("django_rq", "django_rq.settings", "django_rq.queues"):
        sys.modules.pop(name, None)
    with redis.Redis.from_url(on_redis.url) as client:
        yield client
        for key in client.scan_iter("rq:*"):
            client.delete(key)


@pytest.fixture
def tasks(settings, on_redis):
    """Django's tasks, with a backend that keeps what is enqueued."""
    settings.CACHEBACK_TASK_QUEUE = "django-tasks"
    module = "django.tasks" if importlib.util.find_spec("django.tasks") else None
    module = module or "django_tasks"
    settings.TASKS = {
        "default": {
            "BACKEND": f"{module}.backends.dummy.DummyBackend",
            "QUEUES": ["default", "slow"],
        },
        "immediate": {"BACKEND": f"{module}.backends.immediate.ImmediateBackend"},
    }
    backends = importlib.import_module(module).task_backends
    backends.__dict__.pop("settings", None)
    backends._settings = backends.configure_settings(None)
    sys.modules.pop("holdover.contrib_django.jobs.django_task", None)
    return backends


def jobs_of(client, queue):
    """Give the jobs that wait in one of RQ's queues."""
    names = [one.decode() for one in client.lrange(f"rq:queue:{queue}", 0, -1)]
    return [
        RqJob.fetch(one, connection=client, serializer="rq.serializers.JSONSerializer")
        for one in names
    ]


class TestChoosing:
    def test_celery_unless_told(self, on_redis):
        """The current app is asked."""
        runner = places.place_of("default").region.runners[0]
        assert isinstance(runner, CeleryRunner)

    def test_a_region_with_runners_keeps_them(self, settings, redis_server):
        """Unless the setting says something."""
        name = unused_name()
        registry.region(name).configure(
            redis_server.url, secret="a secret of the tests", runner="thread"
        )
        settings.CACHES = {
            "default": {
                "BACKEND": "holdover.contrib_django.RegionCache",
                "LOCATION": f"region://{name}",
            }
        }
        [runner] = places.place_of("default").region.runners
        assert runner is registry.region(name).runners[0]
        settings.CACHEBACK_TASK_QUEUE = "celery"
        runner = places.place_of("default").region.runners[0]
        assert isinstance(runner, CeleryRunner)

    def test_threads(self, settings, on_redis):
        """For who wants no queue."""
        settings.CACHEBACK_TASK_QUEUE = "thread"
        [runner] = places.place_of("default").region.runners
        assert isinstance(runner, ThreadRunner)

    def test_an_unknown_queue(self, settings, on_redis):
        """Known ones are named, by a system check too."""
        settings.CACHEBACK_TASK_QUEUE = "huey"
        with pytest.raises(ImproperlyConfigured, match="'celery', 'rq'"):
            shop.Price().get(1)
        assert [one.id for one in check_queue()] == ["holdover.E101"]

    def test_an_unknown_cache(self, settings):
        """A system check tells."""
        settings.CACHEBACK_CACHE_ALIAS = "nowhere"
        assert [one.id for one in check_queue()] == ["holdover.E102"]

    def test_the_checks_are_registered(self, settings):
        """``manage.py check`` runs them."""
        settings.CACHEBACK_CACHE_ALIAS = "nowhere"
        assert "holdover.E102" in [one.id for one in checks.run_checks()]

    def test_a_cache_in_memory_is_refreshed_by_threads(self, settings, caplog):
        """No worker could reach it; a line in the log says so."""
        settings.CACHES = {
            "default": {
                "BACKEND": "holdover.contrib_django.RegionCache",
                "LOCATION": unused_name(),
            }
        }
        settings.CACHEBACK_TASK_QUEUE = "celery"
        job = shop.Price()
        job.get(1)
        job.invalidate(1)
        wait_until(lambda: job.get(1) == [[1], 2])
        assert "no worker of 'celery' could reach it" in caplog.text

    def test_an_eager_queue_refreshes_in_its_caller(self, settings):
        """So do those of projects under test."""
        settings.CACHES = {
            "default": {
                "BACKEND": "holdover.contrib_django.RegionCache",
                "LOCATION": unused_name(),
            }
        }
        app = celery.Celery("eager", set_as_current=False)
        app.conf.task_always_eager = True
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(places, "runner_for", lambda *_, **__: CeleryRunner(app))
            job = shop.Price()
            job.fetch_on_miss = False
            assert job.get(1) is None
            assert job.get(1) == [[1], 1]


class TestCelery:
    @pytest.mark.parametrize(
        ("given", "kept"), [(None, None), (True, None), (False, False)]
    )
    def test_ignore_result(self, settings, on_redis, monkeypatch, given, kept):
        """Results are kept if they are wanted, and only then."""
        if given is not None:
            settings.CACHEBACK_TASK_IGNORE_RESULT = given
        sent = []
        monkeypatch.setattr(
            CeleryRunner, "publish", lambda *_, **options: sent.append(options)
        )
        shop.Price().async_refresh(1)
        wait_until(lambda: sent)
        runner = places.place_of("default").region.runners[0]
        assert runner._options.get("ignore_result") is kept

    def test_options_that_are_the_runners(self, settings, on_redis):
        """They are refused where they are used."""
        settings.CACHEBACK_TASK_QUEUE = "celery"
        job = shop.Price()
        job.task_options = {"retry": True}
        with pytest.raises(errors.ConfigurationError, match="'retry'"):
            job.async_refresh(1)


class TestDjangoRq:
    def test_an_order_is_a_job(self, rq):
        """In the default queue, of one function, with nothing kept of it."""
        shop.Price().async_refresh(1)
        [job] = wait_until(lambda: jobs_of(rq, "default"))
        assert job.func_name == "holdover.contrib_django.jobs.rq_jobs.refresh"
        assert job.args[0]["args"][0]["job"] == shop.Price().class_path
        assert job.result_ttl == 0
        job.perform()
        assert shop.Price().get(1) == [[1], 1]
        assert len(shop.calls) == 1

    def test_task_options(self, rq):
        """In get_queue()'s words."""
        job = shop.Price()
        job.task_options = {"name": "slow", "default_timeout": 33}
        job.async_refresh(1)
        [sent] = wait_until(lambda: jobs_of(rq, "slow"))
        assert sent.timeout == 33

    def test_ignore_result(self, rq, settings):
        """If results are wanted, RQ keeps them as it does."""
        settings.CACHEBACK_TASK_IGNORE_RESULT = False
        shop.Price().async_refresh(1)
        [job] = wait_until(lambda: jobs_of(rq, "default"))
        assert job.result_ttl is None

    def test_an_unknown_queue(self, rq):
        """Those that there are are named."""
        with pytest.raises(errors.ConfigurationError, match=r"'missing'.*'slow'"):
            DjangoRqRunner("missing")
        job = shop.Price()
        job.task_options = {"name": "missing"}
        with pytest.raises(errors.ConfigurationError, match="'missing'"):
            job.async_refresh(1)

    def test_an_eager_queue(self, rq, monkeypatch):
        """What is ordered is carried out at once, in the caller."""
        monkeypatch.setattr(
            places, "runner_for", lambda *_, **__: DjangoRqRunner("eager")
        )
        job = shop.Price()
        job.fetch_on_miss = False
        assert job.get(1) is None
        assert job.get(1) == [[1], 1]

    def test_what_the_doctor_is_told(self, rq):
        """Where an order goes, and how its worker is started."""
        runner = DjangoRqRunner()
        command = runner.worker_command({"name": "slow"})
        assert command.startswith("manage.py rqworker --serializer rq.serializers.JSON")
        assert command.endswith(" slow")
        assert "'slow'" in runner.place({"name": "slow"})

    def test_a_redis_that_is_gone(self, rq, settings):
        """A thread takes the order over."""
        gone = {"URL": "redis://localhost:1/0"}
        from django_rq.settings import QUEUES

        QUEUES["default"] = gone
        job = shop.Price()
        job.get(1)
        job.invalidate(1)
        assert job.get(1) == [[1], 1]
        wait_until(lambda: job.get(1) == [[1], 2])


class TestDjangoTasks:
    def test_an_order_is_a_task(self, tasks, monkeypatch):
        """One task for all, which carries out or drops."""
        sent = []
        kind = type(tasks["default"])
        enqueue = kind.enqueue
        monkeypatch.setattr(
            kind,
            "enqueue",
            lambda self, task, args, kwargs: (
                sent.append((task, args)) or enqueue(self, task, args, kwargs)
            ),
        )
        job = shop.Price()
        job.task_options = {"queue_name": "slow", "priority": 5}
        job.async_refresh(1)
        [(task, args)] = wait_until(lambda: sent)
        assert (task.queue_name, task.priority) == ("slow", 5)
        assert task.module_path == "holdover.contrib_django.jobs.django_task.refresh"
        task.call(*json.loads(json.dumps(args)))
        assert shop.Price().get(1) == [[1], 1]
        assert len(shop.calls) == 1
        task.call({"made": "up"})

    def test_the_immediate_backend_is_refused(self, tasks, settings):
        """By the runner, and by a system check that says why."""
        with pytest.raises(errors.ConfigurationError, match="whoever enqueues"):
            DjangoTasksRunner({"backend": "immediate"})
        runner = DjangoTasksRunner()
        with pytest.raises(errors.ConfigurationError, match="whoever enqueues"):
            runner.check_task_options({"backend": "immediate"})
        settings.TASKS["default"] = settings.TASKS["immediate"]
        tasks._settings = tasks.configure_settings(None)
        del tasks["default"]
        [error] = check_queue()
        assert "whoever enqueues" in error.msg

    def test_options(self, tasks):
        """Unknown ones are refused, and unknown backends."""
        with pytest.raises(errors.ConfigurationError, match="queue_name"):
            DjangoTasksRunner({"queue": "slow"})
        with pytest.raises(errors.ConfigurationError, match="'missing'"):
            DjangoTasksRunner({"backend": "missing"})
        place = DjangoTasksRunner().place({"queue_name": "slow"})
        assert place == "TASKS 'default', queue 'slow'"


def test_clearing_one_cache_spares_another(settings):
    """Jobs live where their caches do."""
    settings.CACHEBACK_TASK_QUEUE = "thread"
    settings.CACHES = {
        name: {
            "BACKEND": "holdover.contrib_django.RegionCache",
            "LOCATION": unused_name(),
        }
        for name in ("default", "other")
    }
    job, other = shop.Price(), shop.Price()
    other.cache_alias = "other"
    job.get(1)
    other.get(1)
    caches["default"].clear()
    assert job.raw_get(1) is None
    assert other.raw_get(1) is not None
