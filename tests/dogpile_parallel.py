"""A pytest plug-in: dogpile.cache's tests in parallel, each worker with its servers."""

import contextlib
import os
import tempfile
from pathlib import Path

import pytest
from dogpile_servers import servers_for_the_suite

_running = contextlib.ExitStack()


def pytest_configure(config):
    """Start a worker's servers before the tests are imported, which read the ports."""
    if hasattr(config, "workerinput"):
        folder = _running.enter_context(tempfile.TemporaryDirectory())
        ports = servers_for_the_suite(Path(folder), config.rootpath)
        os.environ.update(_running.enter_context(ports))


def pytest_unconfigure():
    """Stop them."""
    _running.close()


@pytest.hookimpl(tryfirst=True)  # before xdist looks for the marks
def pytest_collection_modifyitems(items):
    """Keep together what shares a file on disk."""
    for item in items:
        if item.path.stem == "test_dbm_backend":
            item.add_marker(pytest.mark.xdist_group("dbm"))
