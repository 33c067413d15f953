"""Processes that end or fork in the middle of things: no hang, no noise, no loss."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

HERE = Path(__file__).parent
LONGEST_END = 4.0  # seconds; 0.1 where nothing else keeps the machine busy
NOISE = ("Traceback", "Exception ignored", "Fatal Python error", "leaked")


@pytest.fixture
def run(tmp_path):
    """Run the program; give the seconds that its end took, and its complaints."""

    def start(runner, how, broker=""):
        program = subprocess.Popen(
            [sys.executable, HERE / "ending.py", runner, how],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                "SHOP_CACHE": str(tmp_path / "cache"),
                "SHOP_RUNS": str(tmp_path / "runs"),
                "SHOP_BROKER": broker,
            },
        )
        exit_code = program.wait(60)
        ended_at = time.time()
        began_at, complaints = program.communicate()  # its worker process ends, too
        assert exit_code == 3, complaints
        return ended_at - float(began_at), complaints

    return start


@pytest.mark.parametrize(
    ("runner", "how"),
    [
        ("thread", "creating"),
        ("thread", "ordering"),
        ("celery", "once"),
        ("celery", "creating"),
        ("celery", "ordering"),
        ("celery", "exiting"),
        ("process", "once"),
        ("process", "creating"),
        ("process", "exiting"),
    ],
)
def test_ending(run, runner, how):
    """A process ends at once, and says nothing, whatever its runner is doing."""
    took, complaints = run(runner, how)
    assert took < LONGEST_END
    assert not any(word in complaints for word in NOISE), complaints


@pytest.mark.parametrize(
    ("state", "how"),
    [
        ("healthy", "ordering"),
        ("refused", "ordering"),
        ("frozen", "once"),
        ("frozen", "ordering"),
    ],
)
def test_ending_with_a_broker(run, own_redis, state, how):
    """So it does while orders are being published, be the broker well or not."""
    if state == "refused":
        own_redis.kill()
    if state == "frozen":
        own_redis.freeze()
    took, complaints = run("broker", how, own_redis.url)
    assert took < LONGEST_END
    assert not any(word in complaints for word in NOISE), complaints


@pytest.mark.parametrize(
    ("runner", "method"),
    [
        ("thread", "fork"),
        ("celery", "fork"),
        ("celery", "spawn"),
        ("process", "fork"),
        ("process", "spawn"),
    ],
)
def test_children(run, runner, method):
    """Children of a busy parent refresh what they find stale, by their own means."""
    _, complaints = run(runner, method)
    assert not any(word in complaints for word in NOISE), complaints


@pytest.mark.parametrize("runner", ["celery", "broker"])
def test_a_fork_at_the_worst_moment(run, own_redis, runner):
    """A lock of Celery's that another thread held is free in the child of a fork."""
    own_redis.kill()  # so that the child's local runner has to take over
    _, complaints = run(runner, "locked", own_redis.url)
    assert not any(word in complaints for word in NOISE), complaints
