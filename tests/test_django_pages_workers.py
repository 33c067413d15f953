"""Pages that a real Celery worker makes anew for a real server, and what if it dies."""

import contextlib
import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from servers import RedisServer
from serving import ENVIRONMENT, WSGIServer, visit
from waiting import wait_until

pytestmark = pytest.mark.xdist_group("pages")  # one server and its worker for all

HERE = Path(__file__).parent
PROJECT = "django_project.pages_celery"
WORKER = ["-m", "celery", "-A", PROJECT, "worker", "-c", "1", "-l", "INFO"]


class Fleet:
    """A server of one process, a worker with one child, and what they share.

    Args:
        folder: Where pages note who renders them.
        redis: The broker, where pages are kept, too.
    """

    def __init__(self, folder, redis):
        self._folder = folder
        self._variables = {
            "PYTHONPATH": str(HERE),
            "PAGES_REDIS": redis.url,
            "PAGES_FOLDER": str(folder),
            "DJANGO_SETTINGS_MODULE": PROJECT,
        }
        self._log = folder / "worker.log"

    def __enter__(self):
        options = ("--workers=1", "--threads=4")
        self.server = WSGIServer(
            "gunicorn", f"{PROJECT}:wsgi", self._folder, self._variables, *options
        )
        self.server.start()
        self.start_worker()
        return self

    def __exit__(self, *_):
        self.server.__exit__()
        self.worker.terminate()
        try:
            self.worker.wait(20)
        except subprocess.TimeoutExpired:
            self.worker.kill()
            self.worker.wait()

    def start_worker(self):
        """Start it, and wait until it takes orders."""
        with self._log.open("wb") as log:
            self.worker = subprocess.Popen(
                [sys.executable, *WORKER, "--without-mingle", "--without-gossip"],
                env={**ENVIRONMENT, **self._variables},
                stdout=log,
                stderr=log,
            )
        wait_until(lambda: " ready." in self._log.read_text(), self._log, 60.0)

    def wait_for_orders(self):
        """Have pages made anew until the worker does it: it may just have been killed.

        The first order that the server places may take too long, besides.
        """
        for number in itertools.count(len(list(self._folder.iterdir()))):
            name = f"trial{number}"
            visit(f"{self.server.address}{name}/")
            wait_until(lambda name=name: visit(f"{self.server.address}{name}/") == "2")
            if self.renderers(name)[1] not in self.server.workers():
                return

    def text(self, name):
        """Give what a page says; nobody waits for one that was there before."""
        begun = time.monotonic()
        said = visit(f"{self.server.address}{name}/")
        assert time.monotonic() - begun < 5.0
        return said

    def renderers(self, name):
        """Give the processes that have rendered a page."""
        return list(map(int, (self._folder / name).read_text().split()))

    def stale(self, name):
        """Have a page that is stale, and a second renderer who does not get done."""
        self.wait_for_orders()
        assert visit(f"{self.server.address}{name}/") == "1"
        (self._folder / "held").touch()
        time.sleep(0.6)  # it goes stale by the clock of other processes
        assert self.text(name) == "1"
        return wait_until(lambda: self.renderers(name)[1:])[0]

    def let_go(self):
        """Have renderers get done."""
        (self._folder / "held").unlink()


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    """The server and its worker."""
    folder = tmp_path_factory.mktemp("pages")
    with RedisServer(folder) as redis, Fleet(folder, redis) as made:
        yield made


def test_a_worker_makes_it_anew(fleet):
    """None of the server's own processes."""
    worker = fleet.stale("plain")
    assert worker not in fleet.server.workers()
    assert fleet.text("plain") == "1"
    fleet.let_go()
    wait_until(lambda: fleet.text("plain") == "2")
    assert fleet.renderers("plain")[:2][1] == worker


@pytest.mark.parametrize("victim", ["child", "worker"])
def test_a_killed_one_holds_nobody_up(fleet, victim):
    """The old page is served, and once the lease has lapsed it is made by others."""
    child = fleet.stale(victim)
    os.kill(fleet.worker.pid if victim == "worker" else child, signal.SIGKILL)
    if victim == "worker":
        fleet.worker.wait()
        with contextlib.suppress(ProcessLookupError):  # Celery's children end with it
            os.kill(child, signal.SIGKILL)
    fleet.let_go()
    said = set()
    wait_until(lambda: said.add(fleet.text(victim)) or said > {"1"})
    assert "2" not in said
    assert fleet.renderers(victim)[2] != child
    if victim == "worker":
        fleet.start_worker()
