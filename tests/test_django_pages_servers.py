"""Pages under gunicorn's threads and uvicorn's loop: one renders for all."""

import time
from pathlib import Path

import pytest
from django_caches import in_threads
from serving import WSGIServer, visit
from waiting import wait_until

TESTS = Path(__file__).parent


@pytest.fixture(params=["gunicorn", "uvicorn"])
def server(request, tmp_path):
    """A server of two processes that share the cache."""
    variables = {
        "PYTHONPATH": str(TESTS),
        "PAGES_CACHE": str(tmp_path / "cache"),
        "PAGES_RENDERS": str(tmp_path / "renders"),
    }
    name = request.param
    entry, view, options = {
        "gunicorn": ("wsgi", "slow", ("--workers=2", "--threads=16")),
        "uvicorn": ("asgi", "async", ("--workers=2",)),
    }[name]
    application = f"django_project.pages_served:{entry}"
    with WSGIServer(name, application, tmp_path, variables, *options) as made:
        made.page = f"{made.address}{view}/"
        yield made


def test_one_renders_for_the_fleet(server, tmp_path):
    """Cold, the others wait for it; stale, all are served at once."""
    assert set(in_threads(lambda _: visit(server.page))) == {"1"}
    time.sleep(1)  # it goes stale by the clock of other processes
    took = []

    def timed(_number):
        begun = time.monotonic()
        text = visit(server.page)
        took.append(time.monotonic() - begun)
        return text

    assert set(in_threads(timed)) == {"1"}
    assert max(took) < 3.0  # what rendering takes
    wait_until(lambda: visit(server.page) == "2")
    assert len((tmp_path / "renders").read_text().split()) == 2
