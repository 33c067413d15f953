"""The manner of all commands: what they say, where, and how they end."""

import json
import os
import signal
import subprocess
import sys

import pytest
from click.testing import CliRunner
from commands import Commands
from waiting import wait_until

from holdover.cli import main, telling

NOISE = "noise of the application"
SHOP = (
    "import atexit, os",
    "from holdover import Registry",
    f"print('{NOISE}')",
    "if os.environ.get('NOISY'):",
    f"    atexit.register(print, '{NOISE}')",
    "registry = Registry()",
    "registry.configure({'shop': {'backend': 'holdover.file', 'expiration_time': 60,",
    "    'arguments': {'path': os.path.abspath('cache')}}})",
    "shop = registry['shop']",
    "@shop.cache_on_arguments()",
    "def price(article, unit='kg'):",
    "    return [article, unit]",
    "def job():",
    f"    os.write(1, b'{NOISE}\\n')",
    "    return 1",
    "shop.schedule(job, every=3600, name='job')",
    "def make():",
    "    return [shop]",
    "def fail():",
    "    raise ValueError('no shop\\ntoday')",
)


@pytest.fixture
def holdover(tmp_path):
    """Run commands on a shop that prints whatever it does."""
    commands = Commands(tmp_path)
    commands.write("shop", *SHOP)
    return commands


def in_shell(holdover, script, *words, app="shop"):
    """Run a command in a line for the shell; give what came of it."""
    return subprocess.run(
        ["sh", "-c", script, "sh", *holdover.line(*words, app=app)],
        cwd=holdover.folder,
        env={**os.environ, "PYTHONPATH": str(holdover.folder)},
        capture_output=True,
        check=False,
        timeout=60,
    )


class TestOutput:
    @pytest.mark.parametrize(
        "words",
        [
            ("run", "--once", "--json"),
            ("schedule", "--json"),
            ("doctor", "--json"),
        ],
    )
    def test_json_is_alone(self, holdover, words):
        """What the application prints, in whatever way, goes to standard error."""
        done = holdover.run(*words, NOISY="1")
        assert json.loads(done.stdout)
        assert done.returncode in (0, 1)
        assert NOISE in done.stderr
        assert NOISE not in done.stdout

    def test_tables_are_whole(self, holdover):
        """In a file no key is cut off or broken, however long; a row is a line."""
        holdover.write("long", "from shop import shop", "shop.set('k' * 90 + '[b]', 1)")
        done = holdover("inspect", "k" * 90 + "[b]", app="long:shop", COLUMNS="40")
        assert f"shop:{'k' * 90}[b]" in done.stdout

    def test_terminals_are_left_alone(self, holdover):
        """What a key or a value would do to a terminal is shown instead."""
        holdover.write(
            "strange",
            "from shop import shop",
            "shop.set('k', '\\x1b[2J', tags=['\\x1b'])",
        )
        done = holdover("inspect", "k", "--value", app="strange:shop")
        assert "\x1b" not in done.stdout
        assert r"\x1b" in done.stdout

    def test_a_broken_pipe(self, holdover):
        """Who has seen enough may go; nothing is said of it."""
        process = holdover.begin("doctor")
        process.stdout.close()
        said = process.stderr.read()
        process.stderr.close()
        assert 1 == process.wait(20)
        assert {NOISE} == set(said.splitlines())

    def test_a_closed_input(self, holdover):
        """It is no yes."""
        done = in_shell(holdover, '"$@" <&-', "invalidate", "shop")
        assert (done.returncode, b"say --yes" in done.stderr) == (2, True)

    def test_a_folder_that_was_removed(self, holdover):
        """Modules are found elsewhere."""
        holdover.write(
            "elsewhere",
            "from holdover import make_region",
            f"there = make_region('there').configure('file://{holdover.folder}/there')",
        )
        script = 'mkdir gone && cd gone && rmdir ../gone && "$@"'
        done = in_shell(holdover, script, "purge", app="elsewhere:there")
        assert (done.returncode, done.stderr) == (0, b"")

    @pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
    def test_closed_descriptors(self, holdover, closed):
        """Who wants to hear nothing hears nothing, and the work is done."""
        done = in_shell(holdover, f'"$@" {closed}', "purge")
        assert done.returncode == 0
        assert b"Traceback" not in done.stderr
        assert (b"entries removed" in done.stdout) == (closed == "2>&-")

    def test_no_number(self):
        """JSON has no infinity; such a number is null."""
        assert {"at": None, "on": [1, "x"]} == telling._plain(
            {"at": float("inf"), "on": (1, "x")}
        )

    @pytest.mark.parametrize("at", [float("inf"), float("nan"), 1e12, 1e300, 10**400])
    def test_no_instant(self, at):
        """Nothing comes then, and what a store says may be anything."""
        assert "never" == telling.moment(at)


class TestApplication:
    def test_a_module_without_a_registry(self, holdover):
        """Its regions will do, each once."""
        holdover.write("shops", "from shop import shop", "same, other = shop, 17")
        done = holdover("purge", "--json", app="shops")
        assert [["shop"]] == [one["regions"] for one in json.loads(done.stdout)]

    def test_a_file_alone(self, holdover):
        """What it names is looked for in the current directory, and declared once."""
        holdover.write(
            "goods",
            "from holdover import registry",
            "stock = registry.region('stock').cache_on_arguments()(len)",
        )
        (holdover.folder / "goods.ini").write_text(
            "[holdover]\nstock.url = memory://\n"
            "[schedule:job]\nregion = stock\nfunction = time.time\n"
            '[warm:front]\nregion = stock\nfunction = goods.stock\ncalls = [["tea"]]\n'
        )
        done = holdover.run("--config", "goods.ini", "warm", "--list", "--json", app="")
        [told] = json.loads(done.stdout)
        assert ("front", 1) == (told["group"], told["calls"])
        done = holdover.run("--config", "goods.ini", "schedule", "--json", app="")
        assert ["job"] == [one["name"] for one in json.loads(done.stdout)]


class TestMistakes:
    @pytest.mark.parametrize(
        ("words", "said"),
        [
            ((), "say where the regions are"),
            (("-A", "nowhere"), "there is no module 'nowhere'"),
            (("-A", "shop:nothing"), "shop has no 'nothing'"),
            (("-A", "json"), "json has no 'registry', and no region: name it, 'json:"),
            (("-A", "broken"), "importing broken: ZeroDivisionError: division by zero"),
            (("-A", "ending"), "importing ending: SystemExit: 5"),
            (("-A", "lacking"), "importing lacking: ModuleNotFoundError"),
            (("-A", "shop:fail"), "shop:fail(): ValueError: no shop today"),
            (("-A", "shop:job"), "is no registry, region or list of regions"),
            (("-A", "shop", "--config", "bad.ini"), "no backend 'nonsense'"),
            (("-A", "shop:shop", "--config", "bad.ini"), "--config needs a registry"),
            (("--config", "odd.ini"), "odd.ini"),
            (("--config", "missing.ini"), "missing.ini"),
        ],
    )
    def test_where_the_regions_are(self, holdover, words, said):
        """Each is told in one line, and the exit code says that nothing was done."""
        holdover.write("broken", "1 / 0")
        holdover.write("ending", "raise SystemExit(5)")
        holdover.write("lacking", "import no_such_library")
        (holdover.folder / "bad.ini").write_text("[holdover]\nx.backend = nonsense\n")
        (holdover.folder / "odd.ini").write_text("neither key nor section\n")
        done = holdover(*words, "purge", app=None)
        assert 2 == done.returncode
        assert "" == done.stdout
        [line] = [one for one in done.stderr.splitlines() if one != NOISE]
        assert line.startswith("holdover: ")
        assert said in line

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (("doctor", "shpo"), "no region 'shpo'. Did you mean 'shop'?"),
            (("purge", "--jsno"), "See 'holdover purge --help'"),
            (("--json", "purge"), "'--json' stands behind the command"),
            (("prune",), "No such command 'prune'"),
            (("run", "--once", "jbo"), "Did you mean 'job'?"),
            (("inspect", "price(1, 2, 3)"), "price: TypeError: price() takes"),
            (("invalidate", "shop", "--call", "prices(1)"), "no function 'prices'"),
            (("invalidate", "shop", "--call", "price(x)"), "no call with literals"),
            (("invalidate", "shop", "--tag", ""), "tag"),
            (("invalidate", "shop"), "say --yes"),
        ],
    )
    def test_what_is_asked_for(self, holdover, words, said):
        """So is what there is not, with what there is.

        In a process of its own: threads that other tests have left say things, too.
        """
        done = holdover.run(*words)
        assert 2 == done.returncode, done.stderr
        assert "" == done.stdout
        [line] = [one for one in done.stderr.splitlines() if one != NOISE]
        assert line.startswith("holdover: ")
        assert said in line

    def test_tracebacks_if_they_are_wanted(self, holdover):
        """By a flag or a variable, for whoever looks for the cause."""
        for words, environ in (
            (["--traceback", "purge"], {}),
            (["purge"], {"HOLDOVER_DEBUG": "1"}),
        ):
            done = holdover(*words, app="shop:fail", **environ)
            assert 2 == done.returncode
            assert "in fail" in done.stderr
            assert "ValueError: no shop" in done.stderr

    def test_a_fault_of_ours(self, holdover, monkeypatch):
        """What nobody expects is one line, too."""

        def fail(*_, **__):
            raise RuntimeError("of ours")

        monkeypatch.setattr("holdover.Region.purge", fail)
        done = holdover("purge")
        assert 1 == done.returncode
        assert "holdover: RuntimeError: of ours. --traceback" in done.stderr
        assert "Traceback" not in done.stderr

    def test_ctrl_c(self, holdover):
        """It ends a command wherever it is, without a traceback."""
        holdover.write(
            "slow",
            "import pathlib, time",
            "pathlib.Path('begun').touch()",
            "time.sleep(60)",
        )
        process = holdover.begin("doctor", app="slow")
        wait_until((holdover.folder / "begun").exists)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
        assert 1 == process.returncode
        assert "holdover: interrupted" in said
        assert "Traceback" not in said


class TestApplications:
    def test_a_function_that_makes_them(self, holdover):
        """It is called without arguments."""
        done = holdover("purge", "--json", app="shop:make")
        assert ["shop"] == json.loads(done.stdout)[0]["regions"]

    def test_python_m(self, holdover):
        """``python -m holdover`` is the same."""
        done = subprocess.run(
            [sys.executable, "-m", "holdover", "-A", "shop", "purge", "--json"],
            cwd=holdover.folder,
            capture_output=True,
            check=True,
            timeout=60,
        )
        assert json.loads(done.stdout)

    def test_the_help(self):
        """It tells what the exit codes mean, and comes without any command."""
        done = CliRunner().invoke(main, ["--help"])
        assert 0 == done.exit_code
        assert "3  the backend could not be reached" in done.stdout
        bare = CliRunner().invoke(main, [])
        assert 2 == bare.exit_code
        assert "Commands:" in bare.output

    def test_completion(self):
        """The shell can complete commands and options."""
        words = {"_HOLDOVER_COMPLETE": "bash_complete", "COMP_CWORD": "1"}
        done = subprocess.run(
            [Commands.line(app=None)[0]],
            env={**os.environ, **words, "COMP_WORDS": "holdover inv"},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert "plain,invalidate" == done.stdout.strip()
