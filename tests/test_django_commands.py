"""manage.py's commands: the command line's, for a Django project."""

import io
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from notes import notes
from waiting import wait_until

from holdover import Registry
from holdover.cli import main
from holdover.contrib_django.management.bridge import HoldoverCommand
from holdover.contrib_django.management.project import Project

HERE = Path(__file__).parent
MANAGE = Path(sys.executable).with_name("django-admin")
NAMES = ("run", "warm", "stats", "inspect", "invalidate", "purge")


@pytest.fixture
def registry(monkeypatch, settings, tmp_path):
    """The project's registry, with regions in files and in memory."""
    registry = Registry()
    monkeypatch.setattr(
        "holdover.contrib_django.project.configuring.registry", registry
    )
    settings.HOLDOVER = {"history": None}
    registry.configure(
        {
            "shop": {"backend": "holdover.file", "arguments": {"path": str(tmp_path)}},
            "here": {"backend": "holdover.memory"},
        }
    )
    return registry


def called(name, *words, **options):
    """Call a command; give its exit code and what it printed."""
    out, status = io.StringIO(), 0
    try:
        call_command(f"holdover_{name}", *words, stdout=out, **options)
    except SystemExit as ended:
        status = ended.code
    return status, out.getvalue()


class TestInThisProcess:
    @pytest.mark.parametrize("name", NAMES)
    def test_options_are_those_of_the_command_line(self, name):
        """Each is taken, with its own meaning, beside Django's."""
        command = main.commands[name]
        module = __import__(
            f"holdover.contrib_django.management.commands.holdover_{name}",
            fromlist=["Command"],
        )
        parser = module.Command().create_parser("manage.py", f"holdover_{name}")
        known = {text for one in parser._actions for text in one.option_strings}
        wanted = {
            text
            for one in command.params
            for text in (*one.opts, *one.secondary_opts)
            if text.startswith("-")
        }
        assert wanted <= known
        assert {"--settings", "--traceback", "--help"} <= known
        assert " ".join(command.help.split()[:5]) in " ".join(
            parser.format_help().split()
        )

    def test_stats(self, registry):
        """JSON and nothing else is printed where the caller says."""
        status, out = called("stats", "--json", "--once")
        assert 0 == status
        regions = [one["region"] for one in json.loads(out)["regions"]]
        assert {"shop", "here", "django"} <= set(regions)

    def test_regions_of_caches(self, registry):
        """They go by their alias."""
        _, out = called("stats", "default", json=True, watch=False)
        assert ["django"] == [one["region"] for one in json.loads(out)["regions"]]

    def test_inspect(self, registry, capsys):
        """Options may be given as arguments of call_command."""
        registry["shop"].set("key", 5)
        status, out = called("inspect", "key", names=["shop"], with_value=True)
        assert (0, True) == (status, "value" in out)
        err = io.StringIO()
        assert (1, "") == called("inspect", "nothing", stderr=err)
        assert "holdover: nothing is stored for 'nothing'" in err.getvalue()
        assert ("", "") == capsys.readouterr()

    def test_standard_output_stays(self, registry, capfd):
        """A process that calls a command has its own output afterwards."""
        call_command("holdover_stats", "--once", "--json")
        os.write(1, b"still here")
        assert capfd.readouterr().out.endswith("still here")

    def test_invalidate(self, registry):
        """A key that begins with a dash is no option."""
        registry["shop"].set("-x", 5)
        registry["shop"].set("kept", 5)
        status, out = called("invalidate", "shop", "--key=-x", "--json")
        assert (0, 1) == (status, len(json.loads(out)))
        assert not registry["shop"].get("-x")
        assert 5 == registry["shop"].get("kept")

    def test_warm(self, registry):
        """Groups are arguments; several regions may be named."""

        @registry["shop"].cache_on_arguments()
        def price_of(article):
            return article * 2

        registry["shop"].warming(price_of, calls=[[17]], group="front")
        status, out = called(
            "warm", "front", "--region", "shop", "--region=here", "--json"
        )
        assert 0 == status
        first, last = map(json.loads, out.splitlines())
        assert ("front", "created") == (first["group"], first["warmth"])
        assert not last["interrupted"]
        assert 34 == price_of.get(17)

    def test_purge(self, registry):
        """Regions are arguments."""
        status, out = called("purge", "shop", as_json=True)
        assert (0, ["shop"]) == (status, json.loads(out)[0]["regions"])

    def test_run_once(self, registry):
        """A failed run is its exit code."""
        registry["shop"].schedule(lambda: 1 // 0, every=60, name="bad")
        registry["shop"].schedule(lambda: 1, every=60, name="good")
        assert 0 == called("run", "good", once=True)[0]
        status, out = called("run", "--once", "--json", "bad")
        assert 1 == status
        assert "ZeroDivisionError" in json.loads(out)["error"]

    @pytest.mark.parametrize(
        ("words", "code", "said"),
        [
            (("stats", "shpo"), 2, "no region 'shpo'. Did you mean 'shop'?"),
            (("run",), 2, "no region has a schedule"),
            (("run", "--threads", "1000"), 2, "'--threads'"),
            (("invalidate", "here", "--yes"), 2, "memory of each process"),
        ],
    )
    def test_what_cannot_be_begun(self, registry, words, code, said):
        """It is Django's own error, with the command line's exit code."""
        with pytest.raises(CommandError, match=r".") as caught:
            called(*words)
        assert said in str(caught.value)
        assert code == caught.value.returncode

    def test_a_backend_out_of_reach(self, registry, monkeypatch):
        """It has an exit code of its own."""
        from holdover import errors

        def away(*_):
            raise errors.BackendError("away")

        monkeypatch.setattr(Project, "regions", away)
        with pytest.raises(CommandError, match="away") as caught:
            called("stats")
        assert 3 == caught.value.returncode

    def test_an_interruption(self, registry, monkeypatch):
        """Ctrl-C is told in a line."""

        def interrupt(*_):
            raise KeyboardInterrupt

        monkeypatch.setattr(Project, "regions", interrupt)
        with pytest.raises(CommandError, match="interrupted"):
            called("stats")

    def test_signals_are_given_back(self, registry):
        """A process that calls the command has its own handlers again."""
        registry["shop"].schedule(
            lambda: os.kill(os.getpid(), signal.SIGTERM), every=60, name="end"
        )
        before = [signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)]
        assert 0 == called("run")[0]
        after = [signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)]
        assert before == after

    def test_all_are_there(self):
        """Each is one of ours, and has its own test above."""
        from django.core.management import load_command_class

        for name in NAMES:
            command = load_command_class("holdover.contrib_django", f"holdover_{name}")
            assert isinstance(command, HoldoverCommand)


class Manage:
    """Runs manage.py on the project of `django_clockwork`."""

    def __init__(self, folder):
        self._folder = folder
        self._begun = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self._begun:
            process.kill()
            process.wait()
            process.stdout.close()

    def __call__(self, *words, **environ):
        """Run a command to its end."""
        return subprocess.run(
            [MANAGE, *words], env=self._environ(environ), capture_output=True,
            text=True, timeout=60, check=False,
        )  # fmt: skip

    def begin(self, *words, **environ):
        """Start a command."""
        process = subprocess.Popen(
            [MANAGE, *words], env=self._environ(environ), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        self._begun.append(process)
        return process

    def _environ(self, more):
        return {
            **os.environ,
            "PYTHONPATH": str(HERE),
            "DJANGO_SETTINGS_MODULE": "django_clockwork.settings",
            "CLOCKWORK_FOLDER": str(self._folder),
            **more,
        }

    def runs(self, name):
        """Read what the database keeps of a schedule, newest first."""
        with closing(sqlite3.connect(self._folder / "project.db")) as database:
            return database.execute(
                "SELECT due_at, value, error FROM holdover_schedulerun"
                " WHERE name = ? ORDER BY id DESC",
                [name],
            ).fetchall()


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """A database with the project's tables."""
    folder = tmp_path_factory.mktemp("tables")
    with Manage(folder) as manage:
        done = manage("migrate", "-v0")
        assert 0 == done.returncode, done.stderr
    return folder / "project.db"


@pytest.fixture
def manage(tmp_path, tables):
    """The project, with its tables."""
    shutil.copy(tables, tmp_path)
    with Manage(tmp_path) as manage:
        yield manage


ASKED = """
from django_clockwork.cron import Tick
from holdover.contrib_django.dumbwaiter import get_value
assert [0] == [run.value for run in Tick.runs()]
assert get_value("time") > 1e9
"""


class TestProcesses:
    def test_once(self, manage, tmp_path):
        """What is due is run and kept; others can read it, and exit codes are told."""
        done = manage("holdover_run", "--once", "--json", "work", "tick", "time")
        assert (0, "") == (done.returncode, done.stderr)
        assert {"work", "tick", "time"} == {
            json.loads(line)["name"] for line in done.stdout.splitlines()
        }
        asked = manage("shell", "-v0", "-c", ASKED)
        assert (0, "") == (asked.returncode, asked.stderr)
        failed = manage("holdover_run", "--once", "fail")
        assert (1, "") == (failed.returncode, failed.stderr)

    @pytest.mark.slow  # the core's own tests kill schedulers, too
    def test_two_and_one_is_killed(self, manage, tmp_path):
        """Each slot is run once, and the other goes on; SIGTERM ends it cleanly."""
        both = [manage.begin("holdover_run", "tick") for _ in range(2)]

        def ticks():
            return Counter(pid for pid, _ in notes(tmp_path, "ticks"))

        wait_until(lambda: sum(ticks().values()) >= 4, "the first ticks")
        killed, other = both
        killed.kill()
        before = ticks()[other.pid]
        wait_until(lambda: ticks()[other.pid] > before + 3, "more ticks")
        other.send_signal(signal.SIGTERM)
        assert 0 == other.wait(20)
        slots = Counter(slot for slot, _, error in manage.runs("tick") if not error)
        assert {1} == set(slots.values())
        # The killed one may have ticked, and not lived to say so.
        assert len(slots) >= sum(ticks().values()) - 1

    def test_a_run_whose_process_is_killed(self, manage, tmp_path):
        """It is run once more by another, and the loss is in the history."""
        first = manage.begin("holdover_run", "work", CLOCKWORK_COST="60")
        wait_until(lambda: notes(tmp_path, "begun"), "the run")
        first.kill()
        second = manage.begin("holdover_run", "work", CLOCKWORK_COST="0")
        wait_until(lambda: notes(tmp_path, "ended"), "the second run")
        second.send_signal(signal.SIGTERM)
        assert 0 == second.wait(20)
        (_, _, error), (_, _, lost) = manage.runs("work")
        assert ("", True) == (error, "lost" in lost)

    @pytest.mark.slow  # the command itself is tested without Django
    def test_no_grace(self, manage, tmp_path):
        """What takes longer than that makes its exit code."""
        process = manage.begin("holdover_run", "--grace=0", "work", CLOCKWORK_COST="60")
        wait_until(lambda: notes(tmp_path, "begun"), "the run")
        process.send_signal(signal.SIGTERM)
        assert 1 == process.wait(20)
        assert "ended with runs under way" in process.communicate()[0]

    def test_without_tables(self, manage, tmp_path):
        """A broken database stops no run, and the log says what to do."""
        (tmp_path / "project.db").unlink()
        done = manage("holdover_run", "--once", "work")
        assert 0 == done.returncode
        assert 1 == len(notes(tmp_path, "ended"))
        assert "manage.py migrate" in done.stderr

    def test_on_a_server(self, manage, emptied_postgres):
        """PostgreSQL has the same table; texts and values come back from it."""
        server = {"CLOCKWORK_POSTGRES": str(emptied_postgres.port)}
        assert 0 == manage("migrate", "-v0", **server).returncode
        done = manage("holdover_run", "--once", "tick", "time", **server)
        assert (0, "") == (done.returncode, done.stderr)
        asked = manage("shell", "-v0", "-c", ASKED, **server)
        assert (0, "") == (asked.returncode, asked.stderr)

    def test_the_dumbwaiter(self, manage):
        """It runs its own list, until SIGTERM."""
        process = manage.begin("run_dumbwaiter", "--json")
        line = json.loads(process.stdout.readline())
        assert ("dumbwaiter", "time") == (line["region"], line["name"])
        process.send_signal(signal.SIGTERM)
        assert 0 == process.wait(20)
