"""Jobs that real workers refresh: Celery's, and django-rq's."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from servers import RedisServer
from waiting import wait_until

pytestmark = pytest.mark.xdist_group("jobs")  # one worker of each kind for all

HERE = Path(__file__).parent
ASK = """
import django, json, os, sys, time
import django_project.jobs_celery  # as the __init__ of projects with Celery does
django.setup()
from django_project.jobshop.jobs import Noted
job = Noted()
job.cache_alias = sys.argv[2]
print(json.dumps(job.get(sys.argv[1])), flush=True)
deadline = time.monotonic() + 40
while job.get(sys.argv[1]) is None and time.monotonic() < deadline:
    time.sleep(0.02)
first = job.get(sys.argv[1])
job.invalidate(sys.argv[1])
while job.get(sys.argv[1]) == first and time.monotonic() < deadline:
    time.sleep(0.02)
print(json.dumps([first, job.get(sys.argv[1])]))
print(os.getpid())
"""


def environment(folder, broker, queue):
    """What the web process and its workers share."""
    return {
        **os.environ,
        "PYTHONPATH": str(HERE),
        "DJANGO_SETTINGS_MODULE": "django_project.jobs_settings",
        "JOBS_REDIS": broker.url,
        "JOBS_FOLDER": str(folder),
        "JOBS_QUEUE": queue,
    }


JSON = "rq.serializers.JSONSerializer"
COMMANDS = {
    "celery": (
        [
            *("-m", "celery", "-A", "django_project.jobs_celery", "worker", "-c", "2"),
            *("--without-mingle", "--without-gossip", "-l", "INFO"),
        ],
        " ready.",
    ),
    "rq": (
        ["-m", "django", "rqworker", "--serializer", JSON, "default", "slow"],
        "Listening on",
    ),
}


@contextlib.contextmanager
def running(folder, given, queue):
    """Run a worker; gives its log when it is ready."""
    command, ready = COMMANDS[queue]
    log = folder / "worker.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *command], stdout=output, stderr=output, env=given
        )
    try:
        wait_until(lambda: ready in log.read_text() or process.poll(), log, 60.0)
        assert process.poll() is None, log.read_text()
        yield log
        assert process.poll() is None, log.read_text()
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture(scope="module", params=["celery", "rq"])
def site(request, tmp_path_factory):
    """A project with a worker; gives what runs a program in it."""
    folder = tmp_path_factory.mktemp("jobs")
    with RedisServer(folder) as broker:
        given = environment(folder, broker, request.param)

        def run(program, *arguments):
            done = subprocess.run(
                [sys.executable, "-c", program, *arguments],
                env=given,
                capture_output=True,
                text=True,
                timeout=100,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            return done.stdout.splitlines()

        run.folder = folder
        with running(folder, given, request.param) as run.log:
            yield run


PLAIN = pytest.param("plain", marks=pytest.mark.slow)  # threads refresh there, too


@pytest.mark.parametrize("alias", ["default", PLAIN])
def test_a_worker_fetches(site, alias):
    """What is missing, and what is stale: once each, and not in the web process."""
    article = f"article-{alias}"
    first, later, own = site(ASK, article, alias)
    assert first == "null"
    pids = (site.folder / article).read_text().split()
    assert own not in pids
    assert len(pids) == 2, site.log.read_text()
    assert json.loads(later) == [pids[:1], pids]
    assert "dropped" not in site.log.read_text()
