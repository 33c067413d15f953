"""Schedules from configuration: lists of mappings, and sections of ini files."""

import sys
import time

import pytest

from holdover import Registry, Scheduler, errors
from holdover.regions.due import Every
from holdover.regions.due_cron import Cron


@pytest.fixture
def caches():
    """A registry with a region in memory."""
    registry = Registry()
    registry.configure({"jobs": {"backend": "holdover.memory"}})
    return registry


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Write a module that can be imported."""

    def write(name, text):
        (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, name, raising=False)

    return write


def test_a_list_of_mappings(caches, module):
    """Functions are given as they are, or by their paths."""
    module("listed_jobs", "class Shop:\n    @staticmethod\n    def total(): return 5\n")
    caches.schedule_from_config(
        [
            {"function": "time.time", "name": "time", "every": 15},
            {"function": max, "name": "max", "cron": "*/3 * * * *", "args": [1, 2]},
            {"function": "listed_jobs:Shop.total", "name": "total"},
            {"function": "listed_jobs.Shop.total", "name": "again", "value": False},
            {"command": ["date"], "name": "date", "every": 60, "region": "others"},
        ],
        region="jobs",
    )
    held = caches["jobs"].schedules
    assert ["time", "max", "total", "again"] == list(held)
    assert held["time"].function is time.time
    assert Cron("*/3 * * * *") == held["max"].due
    assert 5 == held["again"].function()
    assert ["date"] == list(caches["others"].schedules)


def test_dumbwaiter_s_list(caches):
    """Its names are understood, and its defaults hold."""
    caches.schedule_from_config(
        [
            {
                "function": "builtins.pow",
                "name": "power",
                "frequency": 60,
                "args": [2, 3],
                "kwargs": {"mod": 5},
                "max_saved": 3,
            },
            {"function": "time.time", "name": "time"},
        ],
        "jobs",
    )
    power, now = caches["jobs"].schedules.values()
    assert (Every(60), 3) == (power.due, power.history)
    assert (Every(300), 10) == (now.due, now.history)
    Scheduler(caches, threads=0).run_once()
    assert 3 == caches["jobs"].value_of("power")


@pytest.mark.parametrize("kind", ["schedules", "Schedule", "scheduled"])
def test_a_section_that_was_meant(caches, tmp_path, kind):
    """A slip is told; sections of other programs are left alone."""
    path = tmp_path / "shop.ini"
    path.write_text(f"[server:x]\na = b\n[{kind}:x]\nfunction = time.time\n")
    with pytest.raises(errors.ConfigurationError, match=r"\[schedule:x\]\?"):
        caches.schedule_from_ini(path)
    caches.warming_from_ini(path)


def test_an_ini_file(caches, tmp_path):
    """Each schedule is a section."""
    path = tmp_path / "shop.ini"
    path.write_text(
        "[holdover]\nprices.url = memory://\n"
        "[schedule:power]\nregion = jobs\nfunction = builtins.pow\nargs = [2, 3]\n"
        'kwargs = {"mod": 5}\nevery = 1.5\nhistory = 3\nvalue = yes\n'
        "[schedule: at night]\nregion = jobs\ncommand = echo 100% | cat\n"
        "cron = 0 3 * * mon-fri\ntimezone = Europe/Zurich\n"
        '[schedule:list]\nregion = jobs\ncommand = ["echo", "a b"]\n'
    )
    caches.schedule_from_ini(path)
    held = caches["jobs"].schedules
    assert ["power", "at night", "list"] == list(held)
    assert (Every(1.5), (2, 3), 3) == (
        held["power"].due, held["power"].args, held["power"].history
    )  # fmt: skip
    assert "echo 100% | cat" == held["at night"].command.line
    assert ("echo", "a b") == held["list"].command.line


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("time.time", "a list of mappings"),
        ({"function": "time.time"}, "a list of mappings"),
        (["time.time"], "schedule 2 must be a mapping"),
        ([{"function": "time.time", "evry": 5}], "Did you mean 'every'"),
        ([{"function": "time.time", "every": 5, "frequency": 5}], "given twice"),
        ([{"function": "time.tmie", "name": "x"}], "'time.tmie' is no function"),
        ([{"function": "tmie.time", "name": "x"}], "there is no module 'tmie'"),
        ([{"function": "tmie:time", "name": "x"}], "there is no module 'tmie'"),
        ([{"function": "os.pth.join", "name": "x"}], "write it as"),
        ([{"function": "time", "name": "x"}], "'time' is no function"),
        ([{"function": "time.timezone", "name": "x"}], "is no function"),
        ([{"function": "broken_jobs.a", "name": "x"}], "RuntimeError"),
        ([{"function": "needy_jobs.a", "name": "x"}], "No module named 'nowhere'"),
        ([{"name": "x"}], "either a function or a command"),
        ([{"function": "time.time", "region": ""}], "names no region"),
    ],
)
def test_mistakes(caches, module, given, said):
    """Each is told with the schedule's name, and none of the list is declared."""
    module("broken_jobs", "raise RuntimeError('no')")
    module("needy_jobs", "import nowhere")
    good = [{"function": time.time, "name": "time"}]
    both = given if not isinstance(given, list) else good + given
    with pytest.raises(errors.ConfigurationError, match=said) as caught:
        caches.schedule_from_config(both, "jobs")
    if both is not given and isinstance(both[-1], dict):
        assert f"schedule {both[-1].get('name', 2)!r}" in str(caught.value)
    assert not caches["jobs"].schedules


def test_a_name_twice_declares_none(caches):
    """Over all regions of the list, all are declared or none."""
    listed = [
        {"function": time.time, "name": "time", "region": "others"},
        {"function": time.time, "name": "time"},
        {"function": time.time, "name": "time"},
    ]
    with pytest.raises(errors.ConfigurationError, match="two schedules of the name"):
        caches.schedule_from_config(listed, "jobs")
    assert not caches["jobs"].schedules
    assert not caches["others"].schedules


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("every = soon", "every must be a number"),
        ("history = many", "history must be a whole number"),
        ("args = (1, 2)", "args must be JSON"),
        ('command = ["date"', "command must be JSON"),
    ],
)
def test_wrong_lines(caches, tmp_path, line, said):
    """The error names the file and the section."""
    path = tmp_path / "shop.ini"
    path.write_text(f"[schedule:x]\nregion = jobs\n{line}\n")
    with pytest.raises(errors.ConfigurationError, match=said) as caught:
        caches.schedule_from_ini(path)
    assert "shop.ini, [schedule:x]" in str(caught.value)
