"""What the tests of pages that Django shows share."""

import itertools
import queue

import pytest
from django.core.cache import caches
from django.http import HttpResponse
from django.test import AsyncClient, Client
from django.utils import timezone, translation
from django_caches import unused_name
from django_project import pages
from waiting import wait_until

from holdover import events
from holdover.contrib_django import cache_page
from holdover.contrib_django.pages import regenerating

SESSION = "django.contrib.sessions.middleware.SessionMiddleware"
PAGES = "holdover.contrib_django.PageCacheMiddleware"


def numbered(change=None, **headers):
    """Give a view that counts what it has rendered; *change* gets each response."""
    numbers = itertools.count(1)

    def view(request):
        response = HttpResponse(str(next(numbers)), headers=headers)
        if change is not None:
            change(request, response)
        return response

    return view


class Site:
    """The project, with one view that the test chooses.

    Attributes:
        region: The region behind its default cache.
        told: The events of that region.
    """

    def __init__(self, settings):
        self.settings = settings
        self.region = caches["default"].region
        self.told = []
        self.refreshed = queue.Queue()
        self.region.listen(self._hear)

    def _hear(self, event):
        self.told.append(event)
        if isinstance(event, events.Refreshed):
            self.refreshed.put(event)

    def show(self, view, timeout=10, **options):
        """Show a view, kept as *options* say."""
        pages.shown["view"] = cache_page(timeout, **options)(view)
        return view

    def show_async(self, view, timeout=10, **options):
        """Show a coroutine function, kept as *options* say."""
        pages.shown["async"] = cache_page(timeout, **options)(view)

    def get(self, path="/page/", method="GET", **headers):
        """Give a response."""
        client = Client(raise_request_exception=False)
        return client.generic(method, path, headers=headers)

    def text(self, path="/page/", **headers):
        """Give what a page says."""
        return self.get(path, **headers).content.decode()

    async def atext(self, path="/async/"):
        """Give what a page says to a task."""
        response = await AsyncClient().get(path)
        return response.content.decode()

    def becomes(self, text, path="/page/", **headers):
        """Wait until a page says something."""
        wait_until(lambda: self.text(path, **headers) == text, f"a page saying {text}")

    def use(self, *middleware):
        """Have other middleware."""
        self.settings.MIDDLEWARE = list(middleware)
        regenerating._handler.cache_clear()


class PageTests:
    """Tests that have a site, on the fake clock."""

    @pytest.fixture
    def options(self):
        """The cache's OPTIONS."""
        return {}

    @pytest.fixture
    def location(self):
        """Where it keeps its entries."""
        return f"memory://{unused_name()}"

    @pytest.fixture
    def site(self, settings, clock, options, location):
        """A project without middleware, whose default cache is one of its own."""
        settings.ROOT_URLCONF = "django_project.pages"
        settings.CACHES = {
            "default": {
                "BACKEND": "holdover.contrib_django.RegionCache",
                "LOCATION": location,
                "OPTIONS": {"time_source": clock, **options},
            },
        }
        made = Site(settings)
        made.use()
        # What middleware has chosen for a request stays with the thread of the tests.
        translation.deactivate()
        timezone.deactivate()
        yield made
        translation.deactivate()
        pages.shown.clear()
        regenerating._handler.cache_clear()
