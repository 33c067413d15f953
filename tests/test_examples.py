"""The examples run as their first lines say, and show what they promise."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from serving import ENVIRONMENT, EXAMPLES, served, visit
from waiting import wait_until


def test_quickstart_serves_while_it_refreshes():
    """Whoever finds a value, fresh or stale, gets it at once."""
    run = subprocess.run(
        [sys.executable, EXAMPLES / "quickstart.py"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    waits = [float(wait) for wait in re.findall(r"([\d.]+) ms", run.stdout)]
    news = re.findall(r"news of second ([\d.]+)", run.stdout)
    misses = [index for index, wait in enumerate(waits) if wait > 250]
    assert misses == [0, 2]
    assert news[0] == news[1] != news[-1]
    assert run.stderr == ""


def test_wsgi_app_keeps_its_reports():
    """A second visitor gets what was observed for the first one."""
    with served(EXAMPLES / "wsgi_app.py", "0") as address:
        first = visit(address)
        took = []
        for _ in range(3):  # since a busy machine may stall in one of them
            started = time.monotonic()
            assert visit(address) == first
            took.append(time.monotonic() - started)
        assert min(took) < 0.9
    assert re.fullmatch(r"Utrecht at [\d:]{8}: light rain\n", first)


@contextlib.contextmanager
def started(folder, redis_url):
    """Run what a Procfile names, each in a group of its own; give the address."""
    environment = {
        **ENVIRONMENT,
        "PORT": "0",
        "REDIS_URL": redis_url,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
    }
    lines = (folder / "Procfile").read_text().splitlines()
    commands = dict(line.split(": ", 1) for line in lines)
    assert set(commands) == {"web", "worker"}
    processes = {}
    try:
        for name, command in commands.items():
            with (folder / f"{name}.log").open("wb") as log:
                processes[name] = subprocess.Popen(
                    command, shell=True, cwd=folder, env=environment, stdout=log,
                    stderr=subprocess.STDOUT, start_new_session=True,
                )  # fmt: skip
        said = folder / "web.log"
        yield wait_until(lambda: re.search(r"http://\S+", said.read_text())).group()
    finally:
        for process in processes.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.mark.parametrize("name", ["celery_app", "rq_app"])
def test_a_procfile_s_worker_makes_the_reports(name, tmp_path, redis_server):
    """The first report is the web process's, the next ones are its worker's."""
    folder = shutil.copytree(EXAMPLES / name, tmp_path / name)
    with started(folder, redis_server.url) as address:
        first = visit(address)
        made_by = re.search(r"process (\d+)", first).group()
        wait_until(lambda: made_by not in visit(address))
    assert re.match(r"Utrecht at [\d:]{8}: light rain", first)
