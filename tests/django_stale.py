"""What the tests of stale serving under Django share."""

import threading

import pytest
from django_caches import unused_name

from holdover import LeaseTerms, registry
from holdover.contrib_django import RegionCache
from holdover.contrib_django.stale.keys import FRAGMENTS, PAGES

PAGE = f"{PAGES}one"
FRAGMENT = f"{FRAGMENTS}one"
WINDOW = 60


class StaleTests:
    """Tests that have a cache which serves stale values, on each backend in turn."""

    @pytest.fixture(
        params=["holdover.memory", "holdover.file", "holdover.sql", "holdover.redis"]
    )
    def backend_name(self, request):
        """The backends."""
        return request.param

    @pytest.fixture
    def new_cache(self, new_region, monkeypatch):
        """Make a cache; always at the same location."""
        # Longer than any clock is moved while somebody holds a lease.
        terms = LeaseTerms(ttl=600, max_hold=1000)
        region = new_region(name=unused_name(), lease=terms, codec="pickle")
        monkeypatch.setitem(registry._regions, region.name, region)

        def make(**options):
            options = {"STALE_WHILE_REVALIDATE": WINDOW, **options}
            return RegionCache(f"region://{region.name}", {"OPTIONS": options})

        return make

    @pytest.fixture
    def cache(self, new_cache):
        """A cache that serves pages and fragments stale."""
        return new_cache()

    @pytest.fixture
    def stale(self, cache, clock):
        """That cache, with a page that has expired."""
        cache.set(PAGE, "old", 10)
        clock.advance(11)
        return cache


def elsewhere(function, *args):
    """Give what *function(*args)* returns in a context of its own."""
    got = []
    thread = threading.Thread(target=lambda: got.append(function(*args)))
    thread.start()
    thread.join(20)
    return got[0]
