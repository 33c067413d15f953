"""``holdover run`` and ``holdover schedule``, as an operator uses them."""

import json
import re
import signal
import subprocess
import time
from functools import partial

import pytest
from commands import Commands
from notes import notes
from waiting import wait_until

from holdover import make_region


@pytest.fixture
def commands(tmp_path):
    """Run ``holdover`` with the application's environment."""
    with Commands(tmp_path, CLOCKWORK_FOLDER=str(tmp_path)) as commands:
        yield commands


@pytest.fixture
def holdover(commands):
    """Run a command to its end; give what came of it."""
    return partial(commands.run, app="clockwork")


@pytest.fixture
def start(commands):
    """Start a command, of which all is heard in one place."""
    return partial(commands.begin, app="clockwork", stderr=subprocess.STDOUT)


def slots_run(folder, region_name, name):
    """Read the slots that were run, from the history that the processes left."""
    region = make_region(region_name)
    region.configure("holdover.file", 60, {"path": str(folder / "cache")})
    region.schedule(int, every=60, name=name)
    return [run.slot_at for run in region.history(name) if not run.has_failed]


class TestOnce:
    def test_what_is_due_is_run(self, holdover, tmp_path):
        """It ends when all that was due has ended; a failed run is its exit code."""
        done = holdover("run", "--once", "work", "at night")
        assert (0, "") == (done.returncode, done.stderr)
        assert done.stdout.startswith("here/work  ")
        assert 1 == len(notes(tmp_path, "ended"))
        again = holdover("run", "--once", "work")
        assert (0, "") == (again.returncode, again.stdout)
        failed = holdover("run", "--once", "--json", "fail")
        assert (1, "") == (failed.returncode, failed.stderr)  # it is told once
        assert "ValueError: no such thing" == json.loads(failed.stdout)["error"]

    @pytest.mark.parametrize(
        ("app", "name", "said"),
        [
            ("lonely:idle", "work", "no region has a schedule"),
            ("lonely:bare", "zero", "No backend is configured"),
        ],
    )
    def test_what_cannot_be_run(self, commands, app, name, said):
        """It is told in one line, which says what to do."""
        commands.write(
            "lonely",
            "from holdover import make_region",
            "idle = make_region('idle').configure('holdover.memory')",
            "bare = make_region('bare')",
            "bare.schedule(int, every=5, name='zero')",
        )
        done = commands("run", "--once", name, app=app)
        assert 2 == done.returncode
        [line] = done.stderr.splitlines()
        assert said in line

    def test_an_ini_file(self, commands, tmp_path):
        """Regions and schedules may stand in a file."""
        (tmp_path / "shop.ini").write_text(
            f"[holdover]\njobs.url = file://{tmp_path}/other\n"
            "[schedule:hello]\nregion = jobs\ncommand = echo hello\nevery = 3600\n"
        )
        done = commands.run("--config", "shop.ini", "run", "--once", app=None)
        assert "jobs/hello" in done.stdout
        words = ("--config", "shop.ini", "schedule")
        shown = commands.run(*words, app=None, COLUMNS="200")
        assert "every 3600 s" in shown.stdout


class TestSchedule:
    def test_the_table(self, holdover):
        """It says when each is due next and how its last run went."""
        holdover("run", "--once", "fail")
        rows = json.loads(holdover("schedule", "--json").stdout)
        by_name = {row["name"]: row for row in rows}
        assert 4 == len(rows)
        assert "ValueError: no such thing" == by_name["fail"]["last"]["error"]
        assert by_name["work"]["last"] is None
        assert time.time() < by_name["work"]["next_at"] <= time.time() + 3600
        shown = holdover("schedule", COLUMNS="200").stdout
        assert "0 3 * * * (UTC)" in shown
        assert "never ran" in shown

    def test_nothing_is_scheduled(self, commands):
        """That is said, in place of an empty table."""
        commands.write(
            "lonely",
            "from holdover import make_region",
            "idle = make_region('idle').configure('holdover.memory')",
        )
        done = commands("schedule", "--json", app="lonely:idle")
        assert (0, []) == (done.returncode, json.loads(done.stdout))
        assert "holdover: no region has a schedule\n" == done.stderr
        assert "" == commands("schedule", "--crontab", app="lonely").stdout

    def test_a_history_that_cannot_be_read(self, commands, tmp_path):
        """It is told with its reason, and by the exit code."""
        (tmp_path / "history.db").write_bytes(b"no database" * 1000)
        (tmp_path / "shop.ini").write_text(
            f"[holdover]\njobs.url = file://{tmp_path}/other\n"
            f"jobs.history_backend = sqlite:///{tmp_path}/history.db\n"
            "[schedule:one]\nregion = jobs\nfunction = time.time\n"
            "[schedule:two]\nregion = jobs\nfunction = time.time\n"
        )
        done = commands("--config", "shop.ini", "schedule", app=None)
        assert (3, 2) == (done.returncode, done.stdout.count("history unreadable"))
        [line] = done.stderr.splitlines()
        assert line.startswith("holdover: region 'jobs': ")
        assert "not a database" in line

    def test_crontab_s_lines_run(self, holdover, commands, tmp_path):
        """What stands behind the five fields is a command that runs what is due."""
        lines = holdover("schedule", "--crontab").stdout.splitlines()
        [line] = [one for one in lines if one.endswith("-- work")]
        assert line.startswith("0 * * * * cd ")
        command = line.removeprefix("0 * * * * ").replace(r"\%", "%")
        environ = commands.environ({"CLOCKWORK_FOLDER": str(tmp_path)})
        subprocess.run(["sh", "-c", command], env=environ, check=True, timeout=60)
        assert 1 == len(notes(tmp_path, "ended"))


class TestRun:
    def test_two_of_them_share_the_work(self, start, tmp_path):
        """Each slot is run once, whoever runs it; both end when they are told to."""
        both = [start("run", "tick", "--threads", count) for count in ("0", "4")]
        wait_until(lambda: len(notes(tmp_path, "ticks")) >= 6, "six ticks")
        for process in both:
            process.send_signal(signal.SIGTERM)
        for process in both:
            said, _ = process.communicate(timeout=60)
            assert 0 == process.returncode, said
            assert "Traceback" not in said
        slots = slots_run(tmp_path, "here", "tick")
        assert len(notes(tmp_path, "ticks")) == len(slots) == len(set(slots))

    def test_it_waits_for_what_is_under_way(self, start, tmp_path):
        """The first signal begins nothing more; what runs may end."""
        process = start("run", "work", CLOCKWORK_COST="1")
        wait_until(lambda: notes(tmp_path, "begun"), "its begin")
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=60)
        assert 0 == process.returncode, said
        assert 1 == len(notes(tmp_path, "ended"))
        first, *lines = said.splitlines()
        assert "running 1 schedule, until SIGTERM or Ctrl-C" == first
        assert any(re.fullmatch(r"here/work  1\.\d\d s  ok", line) for line in lines)

    def test_it_does_not_wait_for_ever(self, start, tmp_path):
        """What does not end in time is left, and the exit code says so."""
        process = start("run", "work", "--grace", "0.1", CLOCKWORK_COST="60")
        wait_until(lambda: notes(tmp_path, "begun"), "its begin")
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=60)
        assert 1 == process.returncode
        assert "ended with runs under way" in said

    def test_it_is_killed_at_work(self, start, tmp_path):
        """Another one runs the slot again, once, when the lease has lapsed."""
        first = start("run", "work", CLOCKWORK_COST="60")
        wait_until(lambda: notes(tmp_path, "begun"), "its begin")
        second = start("run", "work")
        first.kill()
        killed_at = time.monotonic()
        wait_until(lambda: notes(tmp_path, "ended"), "the end of the second run")
        assert time.monotonic() - killed_at < 20.0
        assert 2 == len(notes(tmp_path, "begun"))
        second.send_signal(signal.SIGTERM)
        second.communicate(timeout=60)
        assert 1 == len(notes(tmp_path, "ended"))
