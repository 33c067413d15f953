"""A pytest plug-in: dogpile.cache's tests in parallel, each worker with its servers."""

import contextlib
import os
import tempfile
from pathlib import Path

from dogpile_servers import servers_for_the_suite

_running = contextlib.ExitStack()


def pytest_configure(config):
    """Give a worker a folder, before it imports the tests, and servers of its own.

    The tests write files into the folder and read certificates below it.
    """
    if not hasattr(config, "workerinput"):
        return
    folder = Path(_running.enter_context(tempfile.TemporaryDirectory()))
    (folder / "tests").symlink_to(config.rootpath / "tests")
    _running.enter_context(contextlib.chdir(folder))
    ports = servers_for_the_suite(folder, config.rootpath)
    os.environ.update(_running.enter_context(ports))


def pytest_unconfigure():
    """Stop them."""
    _running.close()


def pytest_collection_modifyitems(config, items):
    """Let each worker begin with one of the tests that take up to a minute."""
    if hasattr(config, "workerinput"):
        long = [item for item in items if item.path.stem == "test_lock"]
        items[:] = [item for item in items if item not in long]
        share = len(items) // config.workerinput["workercount"] + 1
        for place, item in enumerate(long):
            items.insert(place * share, item)
