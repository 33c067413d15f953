"""What the tests of jobs share."""

import json

import pytest
from django.core.cache import caches
from django_caches import unused_name
from django_project.jobshop import jobs as shop

from holdover import registry
from holdover.contrib_django.jobs import places

ALIASES = ["memory", "file", "redis"]


class Messages:
    """A runner whose messages travel when the test says so."""

    name = "messages"
    takes_orders = True
    leaves_process = False
    is_eager = True  # in so far as nothing is published by another thread

    def __init__(self):
        self.orders = []
        self.options = []

    def bind(self, execute):
        """Keep what carries out."""
        self._execute = execute

    def submit(self, job):
        """Write the order down, as a queue does."""
        self.orders.append(json.dumps(job.order.to_message()))
        self.options.append(dict(job.task_options))

    def work(self):
        """Carry out all orders, oldest first; give what became of them."""
        done = [self._execute(json.loads(one), "task") for one in self.orders]
        self.orders.clear()
        return done


class JobTests:
    """Tests that have jobs on the fake clock, on each kind of region in turn."""

    @pytest.fixture(params=ALIASES)
    def kind(self, request):
        """Where the default cache keeps its entries."""
        return request.param

    @pytest.fixture(autouse=True)
    def default(self, kind, request, settings, clock, tmp_path):
        """The default cache."""
        options = {"time_source": clock}
        locations = {"memory": unused_name(), "file": str(tmp_path / "cache")}
        if kind == "redis":
            name = unused_name()
            locations["redis"] = f"region://{name}"
            options = {}
            region = registry.region(name)
            region._time = clock
            region.configure(
                "holdover.redis",
                arguments={"url": request.getfixturevalue("redis_server").url},
                secret="a secret of the tests",
            )
        settings.CACHES = {
            "default": {
                "BACKEND": "holdover.contrib_django.RegionCache",
                "LOCATION": locations[kind],
                "OPTIONS": options,
            },
            "other": {
                "BACKEND": "holdover.contrib_django.RegionCache",
                "LOCATION": unused_name(),
                "OPTIONS": {"time_source": clock},
            },
        }
        return caches["default"]

    @pytest.fixture
    def clock(self, kind, request):
        """The clock of that cache."""
        from holdover.testing import FakeClock

        if kind == "redis":
            return request.getfixturevalue("aging_server")
        return FakeClock()

    @pytest.fixture(autouse=True)
    def queue(self, monkeypatch):
        """What has been ordered."""
        messages = Messages()
        monkeypatch.setattr(places, "runner_for", lambda *_, **__: messages)
        monkeypatch.setattr(places, "_places", {})
        shop.calls.clear()
        yield messages
        shop.failing.clear()
