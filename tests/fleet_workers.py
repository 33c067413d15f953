"""The applications in ``*fleet.py``, run as web process and by their workers."""

import contextlib
import importlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from waiting import wait_until

from holdover import Region

HERE = Path(__file__).parent


@contextlib.contextmanager
def worker(folder, pool, *options, name=None, app="fleet"):
    """Run ``celery -A fleet worker``; gives when it is ready."""
    name = name or pool
    command = [sys.executable, "-m", "celery", "-A", app, "worker", "-P", pool]
    command += ["-c", "2", "-l", "INFO", "-n", f"{name}@here", "-Q", "celery"]
    command += ["--without-mingle", "--without-gossip", "--without-heartbeat"]
    with _running([*command, *options], folder / f"worker-{name}.log", " ready.") as it:
        yield it


@contextlib.contextmanager
def rq_worker(folder, kind):
    """Run ``rq worker`` with the application; gives when it is ready."""
    command = [sys.executable, "-m", "rq.cli", "worker", "-c", "rq_fleet"]
    command += ["--serializer", "json", "--worker-class", f"rq.worker.{kind}"]
    command += ["-u", os.environ["FLEET_BROKER"], "refresh"]
    with _running(command, folder / f"worker-{kind}.log", "Listening on") as process:
        yield process


@contextlib.contextmanager
def _running(command, log, ready):
    """Run a worker until the end of the block; it must not end before."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": str(HERE)},
            start_new_session=True,
        )
    try:
        wait_until(lambda: ready in log.read_text() or process.poll(), log, 60.0)
        assert process.poll() is None, log.read_text()
        process.log = log
        yield process
        assert process.poll() is None, log.read_text()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def surround(patch, folder, broker, cache=None, queues="classic"):
    """Set the environment of the application; its cache is in files if not told."""
    patch.setenv("FLEET_QUEUES", queues)
    patch.setenv("FLEET_FOLDER", str(folder))
    patch.setenv("FLEET_BROKER", broker.url)
    patch.setenv("FLEET_CACHE", cache or f"file://{folder}/cache")


@contextlib.contextmanager
def application(folder, broker, cache=None, queues="classic", module="fleet"):
    """Import the application as a web process of it does."""
    with pytest.MonkeyPatch.context() as patch:
        surround(patch, folder, broker, cache, queues)
        patch.syspath_prepend(HERE)
        for name in (module, "fleet_notes"):
            patch.delitem(sys.modules, name, raising=False)
        made = importlib.import_module(module)
        yield made
        for name in (module, "fleet_notes"):
            patch.delitem(sys.modules, name, raising=False)
    for held in vars(made).values():
        # Else it would go on writing where later tests look who writes what.
        if isinstance(held, Region) and held._reporter is not None:
            held._reporter.stop()


def runs(fleet, article):
    """The processes that created, in order."""
    return fleet.notes(f"runs-{article}")


def reports(fleet, function, *args):
    """What the workers said of the orders for a call."""
    key = function.key_for(*args)
    return [rest for _, told, *rest in fleet.notes("reports") if told == key]
