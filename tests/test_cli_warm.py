"""``holdover warm``, as an operator uses it before a deploy."""

import json
import os
import pty
import signal
import subprocess
import sys
from functools import partial

import pytest
from commands import Commands
from notes import notes
from waiting import wait_until


@pytest.fixture
def commands(tmp_path):
    """Run ``holdover`` with the application's environment."""
    with Commands(tmp_path, WARMHOUSE_FOLDER=str(tmp_path)) as commands:
        yield commands


@pytest.fixture
def start(commands):
    """Start ``holdover warm``."""
    return partial(commands.begin, "warm", app="warmhouse")


@pytest.fixture
def warm(commands):
    """Run it to its end; give exit code and what it said."""

    def run(*words, app="warmhouse", **more):
        done = commands.run("warm", *words, app=app, **more)
        return done.returncode, done.stdout, done.stderr

    return run


def test_a_group(warm, tmp_path):
    """What is not there is made, once; then all is warm, and made anew by force."""
    code, said, mistakes = warm("front")
    assert (code, mistakes) == (0, "")
    assert said.startswith("20 created, 0 fresh, 0 skipped, 0 failed in ")
    assert warm("front")[1].startswith("0 created, 20 fresh")
    assert sorted(notes(tmp_path, "made")) == list(range(20))
    assert warm("front", "--force", "--threads", "2")[1].startswith("20 created")
    assert len(notes(tmp_path, "made")) == 40


def test_failures(warm):
    """Each is told in one line, the rest goes on, and the exit code says so."""
    code, said, mistakes = warm()
    assert code == 1
    assert said.startswith("21 created, 0 fresh, 0 skipped, 2 failed")
    first, second = sorted(mistakes.splitlines())
    assert (
        first
        == "holdover: shop/picky warmhouse:picky(1) failed: ValueError: no article 1"
    )
    assert "picky(2)" in second


def test_json(warm):
    """An object per call, and one that sums up."""
    code, said, mistakes = warm("picky", "--json")
    *calls, last = [json.loads(line) for line in said.splitlines()]
    assert (code, mistakes) == (1, "")
    assert {(one["call"], one["warmth"]) for one in calls} == {
        ("(0)", "created"),
        ("(1)", "failed"),
        ("(2)", "failed"),
    }
    assert {"created": 1, "failed": 2, "interrupted": False}.items() <= last.items()
    assert last["seconds"] > 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["frnot"], "there is no group 'frnot'. Did you mean 'front'?"),
        (["--region", "shpo"], "there is no region 'shpo'"),
        (["--region", "idle"], "no region declares what is to be warmed"),
        (["--region", "idle", "--hot"], "no region records what is hot"),
        (["--threads", "0"], "0 is not in the range"),
    ],
)
def test_nothing_to_do(warm, words, said):
    """The exit code is 2, and one line says what there is."""
    code, _, mistakes = warm(*words)
    assert code == 2
    assert said in mistakes
    assert "Traceback" not in mistakes


def test_nothing_is_recorded_yet(warm):
    """Before a deploy it matters that nothing was warmed, though nothing failed."""
    code, said, mistakes = warm("--hot")
    assert (code, said[:9]) == (0, "0 created")
    assert mistakes.startswith("holdover: no call is recorded or given")


def test_the_list(warm):
    """It shows what there is, and computes nothing."""
    code, said, _ = warm("--list")
    assert code == 0
    lines = [line.split(maxsplit=1) for line in said.splitlines()]
    assert lines[1] == ["shop/front", "warmhouse:price     20"]
    assert lines[3] == ["shop/hot", "(what is recorded)  computed"]
    rows = json.loads(warm("--list", "--json")[1])
    assert {"region": "shop", "group": "picky", "function": "warmhouse:picky",
            "calls": 3} in rows  # fmt: skip


def test_an_ini_file(commands, tmp_path):
    """Regions and what is to be warmed may stand in a file."""
    (tmp_path / "shop.ini").write_text(
        "[holdover]\nother.url = memory://\n"
        "[warm:filed]\nregion = shop\nfunction = warmhouse.price\n"
        'calls = [[901], {"article": 902}]\n'
    )
    words = ("--config", "shop.ini", "warm", "filed")
    done = commands.run(*words, app="warmhouse")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("2 created, 0 fresh, 0 skipped, 0 failed")
    assert sorted(notes(tmp_path, "made")) == [901, 902]


def test_values_that_nobody_else_would_see(warm, tmp_path):
    """Who warms the memory of a process that ends is told so."""
    (tmp_path / "lonely.py").write_text(
        "from holdover import make_region\n"
        "here = make_region('here').configure('holdover.memory')\n"
        "here.warming(here.cached(ascii), calls=[(1,)])\n"
    )
    code, _, mistakes = warm(app="lonely:here")
    assert code == 0
    assert mistakes.startswith("holdover: region 'here': what MemoryBackend keeps ends")


def test_two_at_once(start, tmp_path):
    """Each value is made by one of them."""
    both = [start("front", WARMHOUSE_COST="0.02") for _ in range(2)]
    for process in both:
        _, mistakes = process.communicate(timeout=60)
        assert (process.returncode, mistakes) == (0, "")
    assert sorted(notes(tmp_path, "made")) == list(range(20))


def test_ctrl_c(start, tmp_path):
    """It ends at once, with what was done; no more calls were taken than needed."""
    process = start("endless", "--threads", "2", WARMHOUSE_ENDLESS="1")
    wait_until(lambda: len(notes(tmp_path, "made")) > 5, "some values")
    process.send_signal(signal.SIGINT)
    said, mistakes = process.communicate(timeout=60)
    assert process.returncode == 1
    assert said.startswith("interrupted: ")
    assert "Traceback" not in mistakes
    made, taken = (len(notes(tmp_path, name)) for name in ("made", "taken"))
    assert taken <= made + 6  # two for each thread wait, and one is in the hand


def test_timeout(warm, tmp_path):
    """It bounds all: what is late and what was not begun has failed."""
    code, _, mistakes = warm(
        "front", "--threads", "1", "--timeout", "3", WARMHOUSE_COST="1.2"
    )
    assert code == 1
    assert "not done after 3 s" in mistakes
    assert "not begun in 3 s" in mistakes
    assert 1 <= len(notes(tmp_path, "made")) <= 4


def test_a_bar_on_a_terminal(start):
    """Whoever looks on sees how far it is."""
    master, terminal = pty.openpty()
    process = start("front", stderr=terminal, TERM="xterm", COLUMNS="120")
    os.close(terminal)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert said.startswith("20 created")
    shown = b""
    while True:
        try:
            part = os.read(master, 65536)
        except OSError:  # what a terminal gives whose other end is closed
            break
        if not part:
            break
        shown += part
    os.close(master)
    assert b"20/20" in shown


def test_hot_calls_are_replayed_by_a_new_release(commands, warm, tmp_path):
    """What others asked for is there before the first visitor of the new schema."""
    asking = (
        "import warmhouse\n"
        "for n in range(6000): warmhouse.price(5 if n % 3 else 6)\n"
        "warmhouse.shop.hot()\n"
    )
    for _ in range(2):
        subprocess.run(
            [sys.executable, "-c", asking],
            env=commands.environ({"WARMHOUSE_FOLDER": str(tmp_path)}),
            check=True,
            timeout=60,
        )
    code, said, mistakes = warm("--hot", WARMHOUSE_SCHEMA="2")
    assert (code, mistakes) == (0, "")
    assert said.startswith("2 created, 0 fresh, 0 skipped, 0 failed")
    assert warm("hot", WARMHOUSE_SCHEMA="2")[1].startswith("0 created, 2 fresh")
    assert sorted(notes(tmp_path, "made")) == [5, 5, 6, 6]
