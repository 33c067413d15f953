"""Commands on a schedule: bounded in time and in what they say, and ended whole."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from waiting import wait_until

from holdover import errors
from holdover.regions import commands
from holdover.regions.commands import MOST_OUTPUT, Command

SOON = 20.0


def run(line, max_runtime=SOON):
    """Run a command."""
    return Command.of(line).run(max_runtime)


def is_alive(pid):
    """Say whether a process is there, and no zombie."""
    try:
        return (
            Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        )
    except FileNotFoundError:
        return False


def test_a_line_for_the_shell():
    """It is the shell's, with all that it can do, and both outputs are kept."""
    assert "a b\nc\n" == run("echo 'a  b' | tr -s ' '; echo c >&2")


def test_a_list_of_arguments(tmp_path):
    """No shell reads them; a path is one of them."""
    script = tmp_path / "say it.py"
    script.write_text("import sys; print(sys.argv[1:])")
    assert "['$HOME', '; ls']\n" == run([sys.executable, script, "$HOME", "; ls"])


def test_the_user_s_environment(monkeypatch):
    """It has ours and our directory, and no input."""
    monkeypatch.setenv("SHOP", "5")
    assert f"5 {Path.cwd()}\n" == run('echo "$SHOP $PWD"; cat')


def test_it_fails():
    """The exit code says so, and the output why."""
    with pytest.raises(errors.CommandFailed, match="ended with code 3") as caught:
        run("echo because; exit 3")
    assert "because\n" == caught.value.output


def test_it_is_killed():
    """A signal is a failure, too."""
    with pytest.raises(errors.CommandFailed, match="ended with code -9"):
        run(["sh", "-c", "kill -9 $$"])


@pytest.mark.parametrize("line", [["/no/such/program"], ["/"], ["a\0b"]])
def test_it_cannot_be_started(line):
    """That is told like other failures."""
    with pytest.raises(errors.CommandFailed, match="could not be started"):
        run(line)


def test_much_output_is_bounded():
    """However much it says, the end is kept and nothing waits."""
    said = run([sys.executable, "-c", "print('x' * 5_000_000); print('end')"])
    assert MOST_OUTPUT == len(said)
    assert said.endswith("x\nend\n")


def test_strange_bytes():
    """What is no UTF-8 is shown as such."""
    assert "a\ufffdb" == run(["printf", r"a\377b"])


def test_it_takes_too_long(tmp_path, monkeypatch):
    """Then its whole process group is ended, and what it said until then is kept."""
    monkeypatch.setattr(commands, "_GRACE", 0.2)
    pids = tmp_path / "pids"
    line = f"echo begun; sleep 100 & echo $$ $! > {pids}; trap '' TERM; wait; sleep 100"
    began = time.monotonic()
    with pytest.raises(errors.CommandFailed, match=r"longer than 1.5 s") as caught:
        run(line, max_runtime=1.5)
    assert time.monotonic() - began < SOON
    assert "begun\n" == caught.value.output
    for pid in map(int, pids.read_text().split()):
        wait_until(lambda pid=pid: not is_alive(pid), "the end of the group")


def test_it_leaves_something_running(tmp_path, monkeypatch):
    """What it put into the background keeps nobody waiting."""
    monkeypatch.setattr(commands, "_GRACE", 0.2)
    pid = tmp_path / "pid"
    assert "done\n" == run(f"sleep 100 & echo $! > {pid}; echo done")
    os.kill(int(pid.read_text()), 9)


def test_a_long_script():
    """An error names it in one short line."""
    script = "false\n" * 1000 + "x" * 1000 + "\nexit 3"
    with pytest.raises(errors.CommandFailed, match=r"ended with code 3$") as caught:
        run(script)
    assert len(str(caught.value)) < 250
    assert "\n" not in str(caught.value)


RUNS_ONE = """
import os, sys, threading
from pathlib import Path
from holdover.regions.commands import Command
pid = Path(sys.argv[1])
command = Command.of(f"echo $$ > {pid}.new; mv {pid}.new {pid}; sleep 100")
threading.Thread(target=command.run, args=[100], daemon=True).start()
while not pid.exists():
    os.sched_yield()
if os.fork() == 0:
    sys.exit()  # which ends a child's own programs, and it has none
os.wait()
os.kill(int(pid.read_text()), 0)
print("alive")
"""


def test_it_ends_with_its_process(tmp_path):
    """Where a run is broken off, since others run it again, its program is, too."""
    pid = tmp_path / "pid"
    done = subprocess.run(
        [sys.executable, "-c", RUNS_ONE, str(pid)],
        capture_output=True,
        text=True,
        timeout=SOON,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "alive\n", "")
    wait_until(lambda: not is_alive(int(pid.read_text())), "its end")


def test_an_exception_from_outside(monkeypatch):
    """Whoever is interrupted while it runs leaves nothing running."""
    started = []

    def interrupt(process, *_):
        started.append(process.pid)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(commands, "_Tail", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run(["sleep", "100"])
    wait_until(lambda: not is_alive(started[0]), "its end")


@pytest.mark.parametrize("given", ["", "  ", [], None, 5, b"date", ["a", 5], {"a": 1}])
def test_no_command(given):
    """What is none is told when it is declared."""
    with pytest.raises(errors.ConfigurationError, match="command must be a line"):
        Command.of(given)
