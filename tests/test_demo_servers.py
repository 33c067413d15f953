"""`holdover demo` with `--backend` and `--broker`, on a Redis server of the tests."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import redis
from click.testing import CliRunner
from rich.console import Console
from servers import free_port
from test_demo import answer_to, descendants, fetch, needs_proc, wait_until_gone
from waiting import wait_until

from holdover.cli import main
from holdover.demo import broker, caches, journal, redis_pages, stores
from holdover.demo.answers import Run
from holdover.demo.belongings import removed_afterwards
from holdover.demo.errors import DemoError, Unreachable, WrongOption
from holdover.demo.means import Means
from holdover.demo.phases import running_site
from holdover.demo.settings import Settings

COMMAND = [sys.executable, "-c", "from holdover.cli import main; main()", "demo"]
REDIS = "redis://127.0.0.1:6379/0"


def settings_of(folder, *options, expiration_time=5.0):
    """Settings of a run that was given these options."""
    return Settings(
        directory=folder, expiration_time=expiration_time, means=Means.of(*options)
    )


@pytest.fixture
def databases(own_redis):
    """The URLs of two databases: for values, and for messages."""
    return own_redis.url, own_redis.url.removesuffix("0") + "1"


@pytest.fixture
def kept(own_redis):
    """Give what the server holds, in both databases."""

    def names():
        found = set()
        for number in (0, 1):
            with redis.Redis(port=own_redis.port, db=number) as client:
                found |= set(client.keys())
        return found

    return names


# --- options --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--backend", "redis"], "file, memory, or a URL"),
        (["--backend", "filez"], "redis://localhost:6379/0"),
        (["--backend", "nonsense://x"], "no kind of URL 'nonsense'. Known: dbm, file"),
        (["--backend", "redis://h:x/0"], "a port that is no number"),
        (["--backend", "redis://h/0?secret=abc"], "secret is given twice"),
        (["--backend", "redis://h/0?nonsense=1"], "nonsense"),
        (["--backend", "file://"], "names no directory"),
        (["--broker", "memory://"], "redis:// or rediss:// or amqp://"),
        (["--broker", "filesystem://"], "redis:// or rediss:// or amqp://"),
        (["--broker", "localhost:6379"], "redis:// or rediss:// or amqp://"),
        (["--broker", "redis://h:x/0"], "redis:// or rediss:// or amqp://"),
        (["--backend", "memory", "--broker", REDIS], "that its workers share"),
        (["--backend", "memory://", "--broker", REDIS], "that its workers share"),
        (["--workers", "2"], "for a --broker"),
    ],
)
def test_impossible_options_are_told_in_one_line(options, told, tmp_path):
    """What was wrong and what is possible; nothing is measured."""
    outcome = CliRunner().invoke(main, ["demo", "--output", str(tmp_path), *options])
    assert 2 == outcome.exit_code
    assert told in outcome.output
    assert outcome.output.startswith("holdover: ")
    assert 1 == outcome.output.count("\n")


def test_the_errors_are_typed():
    """An option that cannot work, and a server that does not, are told apart."""
    with pytest.raises(WrongOption):
        Means.of("memory", REDIS)
    assert issubclass(WrongOption, DemoError)
    assert issubclass(Unreachable, DemoError)


@pytest.mark.parametrize(
    ("options", "kind", "workers"),
    [
        ([], "file", 0),
        (["memory"], "memory", 0),
        (["memory://?max_entries=9"], "memory", 0),
        (["file:///var/cache/shop"], "file", 0),
        ([REDIS], "redis", 0),
        (["rediss://h/0", "amqp://h//"], "redis", 1),
        (["unix:///run/redis.sock", REDIS, 3], "redis", 3),
    ],
)
def test_possible_options(options, kind, workers):
    """Each makes a run of its own."""
    means = Means.of(*options)
    assert (kind, workers) == (means.kind, means.workers)
    assert means.run != Means.of(*options).run


def test_all_processes_get_the_same_settings(tmp_path, monkeypatch):
    """Through the environment, which unlike a command line nobody else can read."""
    settings = settings_of(tmp_path, "redis://:password@h/0", REDIS, 3)
    for name, value in settings.to_environment().items():
        monkeypatch.setenv(name, value)
    assert settings == Settings.from_environment()


@pytest.mark.parametrize("option", ["--backend", "--broker"])
@pytest.mark.parametrize("state", ["refused", "frozen"])
@pytest.mark.usefixtures("default_timeouts")
def test_a_server_in_trouble_is_told_in_one_line(option, state, own_redis, tmp_path):
    """Soon, without the password; a run does not begin."""
    port = own_redis.port if state == "frozen" else free_port()
    if state == "frozen":
        own_redis.freeze()
    options = [option, f"redis://:password@127.0.0.1:{port}/0"]
    begun = time.monotonic()
    outcome = CliRunner().invoke(main, ["demo", "--output", str(tmp_path), *options])
    assert time.monotonic() - begun < 4
    assert 3 == outcome.exit_code
    assert outcome.output.startswith(f"holdover: the {option.removeprefix('--')} ")
    assert "cannot be used: " in outcome.output
    assert "password@" not in outcome.output
    assert 1 == outcome.output.count("\n")


@pytest.mark.parametrize("answers", [True, False])
def test_a_rabbitmq_in_trouble(answers):
    """Refused, or something else that listens there and never says a word."""
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        if answers:
            mute.listen()
        means = Means.of("file", f"amqp://u:p@127.0.0.1:{mute.getsockname()[1]}//")
        begun = time.monotonic()
        with pytest.raises(Unreachable, match=r"amqp://u:\*\*@127"):
            broker.check(means)
        assert time.monotonic() - begun < 4


# --- what is left behind --------------------------------------------------------------


def test_nothing_stays_if_the_broker_is_refused(databases, kept, tmp_path):
    """By then the backend had been tried."""
    settings = settings_of(tmp_path, databases[0], f"redis://127.0.0.1:{free_port()}/0")
    with (
        pytest.raises(Unreachable, match="the broker"),
        removed_afterwards(settings, Console(quiet=True)),
    ):
        pytest.fail("it was used")
    assert set() == kept()


def test_what_cannot_be_removed_is_told(own_redis, tmp_path, capsys):
    """A server that has died meanwhile does not hide what was found out."""
    settings = settings_of(tmp_path, own_redis.url, own_redis.url)
    with removed_afterwards(settings, Console(soft_wrap=True)):
        own_redis.kill()
    told = capsys.readouterr().out.splitlines()
    assert 2 == len(told)
    assert all(one.startswith(f"Not all of {settings.means.run}") for one in told)


def test_messages_that_nobody_has_taken_are_removed(databases, kept, tmp_path):
    """With their queue, its exchange and what Kombu notes of them; no others."""
    settings = settings_of(tmp_path, databases[0], databases[1])
    app = broker.app_of(settings.means)
    theirs = {b"celery", b"_kombu.binding.celery", b"unacked"}
    with redis.Redis.from_url(databases[1]) as client:
        for name in theirs:
            client.set(name, "somebody else's")
    with removed_afterwards(settings, Console(quiet=True)):
        with app.connection_for_write() as connection:
            producer = app.amqp.Producer(connection)
            app.send_task("any", producer=producer)
        assert len(kept() - theirs) >= 2
        run = settings.means.run.encode()
        assert all(run in name for name in kept() - theirs)
    assert theirs == kept()


def test_a_folder_of_files_is_the_runs_own(tmp_path):
    """It stands in the one that was named, and goes; what else is there stays."""
    (tmp_path / "a b").mkdir()
    (tmp_path / "a b" / "theirs").touch()
    url = f"file://{tmp_path}/a%20b?max_bytes=100000"
    settings = settings_of(tmp_path, url)
    with removed_afterwards(settings, Console(quiet=True)):
        stores.region_of(settings).set("key", "value")
        assert (tmp_path / "a b" / settings.means.run).is_dir()
    assert ["theirs"] == [path.name for path in (tmp_path / "a b").iterdir()]


# --- the caches -----------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:Call to deprecated setex")  # by dogpile.cache
@pytest.mark.parametrize("name", ["plain_expiry", "dogpile_cache"])
def test_other_caches_on_redis(name, databases, kept, tmp_path, monkeypatch):
    """They search as often as they should, and what they keep is removed by name."""
    made = []

    def make_answer(query):
        made.append(query)
        return answer_to(query, time.time())

    monkeypatch.setattr(redis_pages, "make_answer", make_answer)
    settings = settings_of(tmp_path, databases[0])
    lookups = [caches.way_named(name).prepare(settings) for _ in range(2)]
    for query in ("heap push pop", "a new one", "heap push pop"):
        assert [query] * 2 == [lookup(query).query for lookup in lookups]
    assert ["heap push pop", "a new one"] == made
    assert 2 == len(kept())
    redis_pages.remove(settings, made)
    assert set() == kept()


def test_plain_expiry_on_redis_expires(databases, tmp_path, monkeypatch):
    """The server forgets a value when its time is over."""
    monkeypatch.setattr(redis_pages, "make_answer", answer_to)
    settings = settings_of(tmp_path, databases[0], expiration_time=60.0)
    caches.way_named("plain_expiry").prepare(settings)("one")
    with redis.Redis.from_url(databases[0]) as client:
        (name,) = client.keys()
        assert 59_000 < client.pttl(name) <= 60_000


@pytest.mark.parametrize(
    ("options", "notes"),
    [
        ([], ["holdover.file, Celery worker process", "dogpile.cache.memory"]),
        (["memory"], ["holdover.memory, Celery worker thread", "dogpile.cache.memory"]),
        (
            [REDIS, "amqp://h//", 3],
            [
                "holdover.redis, Celery worker processes on amqp: 3",
                "dogpile.cache.redis, distributed lock",
            ],
        ),
    ],
)
def test_notes_say_what_is_compared(options, notes):
    """Of Holdover and of dogpile.cache."""
    *_, dogpile, ours = caches.ways_with(Means.of(*options))
    assert notes == [ours.note, dogpile.note]


def test_memory_is_refreshed_by_a_thread_of_the_site(tmp_path):
    """A Celery task in the web process, since no other one sees its memory."""
    settings = settings_of(tmp_path, "memory", expiration_time=0.01)
    with running_site(caches.HOLDOVER, settings) as site:
        deadline = time.monotonic() + 20
        while not (told := journal.read(settings.refreshes)):
            assert time.monotonic() < deadline
            fetch(f"{site.url}/?q=heap+push")
    first, second = (Run(**record) for record in journal.read(settings.runs)[:2])
    assert first.task_id is None
    assert second.task_id == told[0]["task_id"]
    assert site.pid == first.pid == second.pid


# --- processes ------------------------------------------------------------------------

_HOST = """
import json, sys, threading
from dataclasses import replace
from pathlib import Path
from rich.console import Console
from holdover.demo.belongings import removed_afterwards
from holdover.demo.caches import HOLDOVER
from holdover.demo.means import Means
from holdover.demo.phases import running_site
from holdover.demo.settings import Settings

folder, backend, broker = sys.argv[1:]
means = Means.of(backend, broker, 2)
run = Settings(directory=Path(folder), expiration_time=0.01, means=means)
phase = replace(run, directory=Path(folder) / "phase")
with removed_afterwards(run, Console()), running_site(HOLDOVER, phase) as site:
    print(json.dumps({"url": site.url, "pid": site.pid}), flush=True)
    threading.Event().wait()
"""


@pytest.mark.slow
@needs_proc
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_no_worker_outlives_the_demonstration(end, databases, kept, tmp_path):
    """Interrupted or killed; interrupted, it leaves nothing on the servers either."""
    host = subprocess.Popen(
        [sys.executable, "-c", _HOST, str(tmp_path), *databases],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # of SIGINT, Python's own words
    )
    with host:
        site = json.loads(host.stdout.readline())
        for _ in range(2):  # the second visit finds a stale value, and orders
            fetch(f"{site['url']}/?q=heap+push")
        below = wait_until(lambda: len(found := descendants(host.pid)) == 3 and found)
        host.send_signal(end)
    assert [] == wait_until_gone(below)
    if end == signal.SIGINT:
        assert set() == kept()


def test_a_worker_that_cannot_start_tells_why(databases, tmp_path):
    """In one line: its last words. The others do not stay."""
    means = replace(Means.of(databases[0], databases[1]), broker="nonsense://")
    settings = Settings(directory=tmp_path, expiration_time=5.0, means=means)
    with (
        pytest.raises(DemoError, match=r"the worker process did not start: .*nonsense"),
        running_site(caches.HOLDOVER, settings),
    ):
        pytest.fail("it started")


# --- the whole ------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_whole_on_redis(databases, kept, tmp_path):
    """Both options together: the expectations that no busy machine can spoil hold.

    What somebody else has on that server is still there afterwards, and nothing more.
    """
    with redis.Redis.from_url(databases[0]) as client:
        client.set("theirs", "kept")
    options = ["--quick", "--json", "--output", str(tmp_path / "plots")]
    options += ["--backend", databases[0], "--broker", databases[1], "--workers", "2"]
    done = subprocess.run(
        [*COMMAND, *options],
        capture_output=True,
        text=True,
        timeout=280,
        check=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    figures = json.loads(done.stdout)
    assert all(phase["whole"]["failed"] == 0 for phase in figures["phases"])
    phase = figures["phases"][-1]
    assert "holdover.redis, Celery worker processes on redis: 2" == phase["note"]
    assert 0 == phase["foreground_runs"]
    assert 0 < phase["refreshes"] == len(set(phase["task_ids"]))
    assert 1 <= len(phase["worker_pids"]) <= 2
    assert all(str(pid) in done.stderr for pid in phase["worker_pids"])
    assert all(one["held"] for one in figures["expectations"][2:])
    assert {b"theirs"} == kept()
    assert [] == list(Path(tmp_path).glob("holdover-demo-*"))
