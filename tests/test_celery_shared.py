"""Celery's shared task: for workers whose app has no runner, and apps that have one."""

import os
import subprocess
import sys

import pytest
from celery import Celery
from fleet_workers import application, runs, surround, worker
from waiting import wait_until

from holdover import CeleryRunner
from holdover.regions.refresh.base import TASK_NAME


@pytest.fixture
def web(tmp_path, redis_server, monkeypatch):
    """The web process: the worker's module, and a runner for its region."""
    surround(monkeypatch, tmp_path, redis_server)
    with application(tmp_path, redis_server, module="shared_shop") as module:
        app = Celery("web", broker=redis_server.url, set_as_current=False)
        runner = CeleryRunner(app)
        module.region.configure(
            os.environ["FLEET_CACHE"],
            60,
            runner=runner,
            replace_existing_backend=True,
        )
        yield module
        runner.close()


def test_a_worker_without_a_runner(web, tmp_path):
    """An app that includes ``holdover.tasks`` carries orders out."""
    web.price.set("old", 1)
    web.region.invalidate(hard=False)
    with worker(tmp_path, "threads", app="server_fleet"):
        assert web.price(1) == "old"
        made_by = wait_until(lambda: (got := web.price(1)) != "old" and got[1])
    assert made_by != os.getpid()
    assert runs(web, 1) == [made_by]


def in_a_new_process(code):
    """Run code, since what is shared is so with every app of a process."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_autodiscovery():
    """``autodiscover_tasks(["holdover"])`` finds it, for each app."""
    said = in_a_new_process(
        "from celery import Celery\n"
        "app = Celery('a', broker='memory://')\n"
        "app.autodiscover_tasks(['holdover'], force=True)\n"
        "other = Celery('b', broker='memory://')\n"
        f"print({TASK_NAME!r} in app.tasks, {TASK_NAME!r} in other.tasks)\n"
        f"task = app.tasks[{TASK_NAME!r}]\n"
        "print(task.apply(({},)).state, task.serializer, task.ignore_result)\n"
    )
    assert said == ["True", "True", "SUCCESS", "json", "True"]


def test_a_runner_of_an_app_that_has_it():
    """A runner hears of its own app's orders, and of no other's."""
    said = in_a_new_process(
        "import holdover.tasks\n"
        "from celery import Celery\n"
        "from holdover import CeleryRunner\n"
        "one = Celery('one', broker='memory://', set_as_current=False)\n"
        "other = Celery('other', broker='memory://', set_as_current=False)\n"
        "heard = []\n"
        "runner = CeleryRunner(one, on_outcome=lambda _: heard.append('one'))\n"
        "second = CeleryRunner(other, on_outcome=lambda _: heard.append('other'))\n"
        f"for app in (one, other, one): app.tasks[{TASK_NAME!r}].apply(({{}},))\n"
        "print(*heard)\n"
    )
    assert said == ["one", "other", "one"]
