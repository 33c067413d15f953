"""``holdover stats``, as an operator uses it."""

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from waiting import wait_until

from holdover import make_region

PROGRAM = Path(sys.executable).with_name("holdover")
APPLICATION = """
from holdover import Registry
registry = Registry()
registry.configure({
    "shop": {"backend": "file://{folder}/cache", "expiration_time": 60,
             "figures_every": 0.2},
    "[odd]": {"backend": "memory://"},
    "theirs": {"backend": "dogpile.cache.memory"},
})
away = Registry()
away.configure({"gone": {
    "backend": "redis://127.0.0.1:1/0", "codec": "json", "figures_every": 1
}})
bare = Registry()
bare.region("bare")
"""


@pytest.fixture
def folder(tmp_path):
    """A folder with an application."""
    text = APPLICATION.replace("{folder}", str(tmp_path))
    (tmp_path / "shop_app.py").write_text(text)
    return tmp_path


@pytest.fixture
def shop(folder):
    """A process of the shop: this one, which has asked three times."""
    region = make_region("shop")
    region.configure(f"file://{folder}/cache", 60, figures_every=0.2)
    for _ in range(3):
        region.get_or_create("k", int)
    wait_until(lambda: region.fleet_figures().total.lookups == 3)
    return region


@pytest.fixture
def stats(folder):
    """Run the command to its end; give what came of it."""

    def run(*words, app="shop_app"):
        return subprocess.run(
            [PROGRAM, "-A", app, "stats", *words],
            cwd=folder,
            env={**os.environ, "COLUMNS": "200"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def test_a_table(stats, shop):
    """One look if nobody watches; what shares nothing says how it could."""
    done = stats()
    assert 0 == done.returncode, done.stderr
    [row] = [line for line in done.stdout.splitlines() if line.startswith("shop ")]
    assert "/s" in row
    assert " ms " in row
    assert "[odd]: figures_every=10 in configure() has" in done.stdout
    assert "theirs: region 'theirs' cannot share figures" in done.stdout
    assert "shop: " not in done.stdout
    assert "[odd]" not in stats("shop", "--once").stdout


def test_as_json(stats, shop):
    """One document, with all figures of the fleet."""
    told = json.loads(stats("--json").stdout)
    by_name = {row["region"]: row for row in told["regions"]}
    fleet = by_name["shop"]["fleet"]
    assert (2, 1) == (fleet["total"]["hits"], fleet["total"]["misses"])
    assert os.getpid() in {one["pid"] for one in fleet["living"] + fleet["silent"]}
    assert fleet["per_second"].keys() >= {"lookups", "stale", "created"}
    assert by_name["shop"]["round_trip"] > 0
    assert "figures_every" in by_name["[odd]"]["hint"]
    assert by_name["theirs"]["fleet"] is by_name["theirs"]["round_trip"] is None


def test_a_backend_that_is_away(stats):
    """It is shown, and is the exit code."""
    done = stats(app="shop_app:away")
    assert 3 == done.returncode
    assert "unreachable" in done.stdout
    assert "refused" in done.stdout
    assert "Traceback" not in done.stderr
    told = json.loads(stats("--json", app="shop_app:away").stdout)
    assert "refused" in told["regions"][0]["error"]


def test_a_region_without_a_backend(stats):
    """It is named, with what is missing."""
    done = stats(app="shop_app:bare")
    assert "bare: No backend is configured" in done.stdout


def test_an_unknown_region(stats):
    """The error names those that there are."""
    done = stats("shpo")
    assert 2 == done.returncode
    assert "no region 'shpo'. Did you mean 'shop'? Known: [odd], shop," in done.stderr


def test_watching_as_json(folder, shop):
    """Each look is a line; Ctrl-C ends it quietly."""
    command = [PROGRAM, "-A", "shop_app", "stats", "shop"]
    process = subprocess.Popen(
        [*command, "--json", "--watch", "--every", "0.1"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        seen = [json.loads(process.stdout.readline()) for _ in range(3)]
        assert ["shop"] * 3 == [one["regions"][0]["region"] for one in seen]
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
        assert 0 == process.returncode
        assert "Traceback" not in said
        assert "Aborted" not in said
    finally:
        process.kill()
        process.communicate()


def test_on_a_terminal(folder, shop):
    """It is live until Ctrl-C."""
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        [PROGRAM, "-A", "shop_app", "stats", "shop", "--every", "0.1"],
        cwd=folder,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env={**os.environ, "COLUMNS": "200", "TERM": "xterm"},
    )
    os.close(terminal)
    seen = b""

    def shown():
        nonlocal seen
        seen += os.read(controller, 65_536)
        return seen.count(b"shop") >= 3  # it was drawn again

    try:
        wait_until(shown)
        process.send_signal(signal.SIGINT)
        wait_until(lambda: is_over(process, controller))
        assert 0 == process.returncode
    finally:
        process.kill()
        process.wait()
        os.close(controller)


def is_over(process, controller):
    """Take what it still says, until it has ended."""
    try:
        said = os.read(controller, 65_536)
    except OSError:  # the terminal is gone with it
        said = b""
    assert b"Traceback" not in said
    return process.poll() is not None
