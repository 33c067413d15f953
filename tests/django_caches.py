"""What the tests of the Django cache share."""

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from holdover.contrib_django import RegionCache

THREADS = 12

_names = itertools.count()


def unused_name():
    """A name for a store or a region that no other test knows: they live for ever."""
    return f"test-{next(_names)}"


def in_threads(run, *, count=THREADS):
    """Give what *run(number)* returns in *count* threads that start together."""
    barrier = threading.Barrier(count)

    def together(number):
        barrier.wait(10)
        return run(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(together, range(count)))


class CacheTests:
    """Tests that have a cache, on each backend in turn and on the fake clock."""

    @pytest.fixture(params=["holdover.memory", "holdover.file"])
    def backend_name(self, request):
        """The backends that a LOCATION can name."""
        return request.param

    @pytest.fixture
    def location(self, backend_name, tmp_path):
        """A LOCATION of its own."""
        if backend_name == "holdover.file":
            return str(tmp_path / "cache")
        return f"memory://{unused_name()}"

    @pytest.fixture
    def new_cache(self, location, clock):
        """Make a cache; by default at the same location every time."""

        def make(at=location, options=None, **params):
            options = {"time_source": clock, **(options or {})}
            return RegionCache(at, {"OPTIONS": options, **params})

        return make

    @pytest.fixture
    def cache(self, new_cache):
        """One cache with Django's default settings."""
        return new_cache()
