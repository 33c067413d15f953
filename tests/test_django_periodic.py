"""What a Django project declares: HOLDOVER, its apps' modules, and jobs."""

import re
import sys
import threading
import types
from pathlib import Path
from textwrap import dedent

import pytest
from celery import Celery
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import modify_settings

from holdover import (
    NO_VALUE,
    Registry,
    Scheduler,
    errors,
    install_in_beat,
    make_region,
)
from holdover.contrib_django import autodiscover
from holdover.contrib_django.models import ScheduleRun
from holdover.contrib_django.periodic import PeriodicJob, Schedule
from holdover.contrib_django.project.configuring import Wanted, configure
from holdover.contrib_django.project.runs import DatabaseRuns
from holdover.regions import clearing
from holdover.regions.recording import _Elsewhere


@pytest.fixture
def project(settings, monkeypatch):
    """Give what sets HOLDOVER, for a registry of the test's own, which it returns."""
    module = types.ModuleType("project_registry")
    module.registry, module.number = Registry(), 5
    monkeypatch.setitem(sys.modules, "project_registry", module)
    monkeypatch.setattr(_Elsewhere, "store", None)
    monkeypatch.setattr(clearing, "_wanted", [])

    def holdover(**wanted):
        given = {
            "registry": "project_registry.registry",
            "history": None,
            "autodiscover": False,
        }
        settings.HOLDOVER = {**given, **wanted}
        return module.registry

    return holdover


JOBS = {"jobs": {"backend": "holdover.memory"}}


class TestTheSetting:
    def test_everything(self, project):
        """Regions, schedules and warmings are those of the project's registry."""
        found = project(
            regions={"defaults": {"backend": "holdover.memory"}, "jobs": {}},
            schedules=[{"function": "time.time", "name": "time", "every": 15}],
            warmings=[{"function": "django_caches:in_threads", "calls": []}],
            history="",
        )
        with pytest.raises(ImproperlyConfigured, match="does not cache in_threads"):
            configure()
        assert ["time"] == list(found["jobs"].schedules)

    def test_it_is_done_once(self, project):
        """A test that changes INSTALLED_APPS has all apps made ready once more."""
        found = project(
            regions=JOBS, schedules=[{"function": "time.time", "name": "time"}]
        )
        with modify_settings(INSTALLED_APPS={"append": ["django.contrib.sites"]}):
            configure()
        assert ["time"] == list(found["jobs"].schedules)
        assert found["jobs"].is_configured

    def test_the_database_keeps_runs(self, project):
        """By default; the alias may be named, or left to the regions."""
        for history, kind in (("", DatabaseRuns), ("default", DatabaseRuns)):
            project(history=history)
            configure()
            assert kind is type(_Elsewhere.store)
        project(history=None)
        configure()
        assert _Elsewhere.store is None

    def test_regions_are_signed(self, project, tmp_path, settings):
        """By SECRET_KEY, unless they say otherwise."""
        place = {"backend": "holdover.file", "arguments": {"path": str(tmp_path)}}
        found = project(
            regions={
                "jobs": place,
                "own": {**place, "secret": "a secret of its own"},
                "dogpile": {"backend": "dogpile.cache.memory"},
            }
        )
        configure()
        for name in ("jobs", "own", "dogpile"):
            found[name].set("key", name)
            assert name == found[name].get("key")
        settings.SECRET_KEY = "another"
        again = Registry()
        sys.modules["project_registry"].registry = again
        configure()
        assert again["jobs"].get("key") is NO_VALUE
        assert "own" == again["own"].get("key")

    @pytest.mark.parametrize(
        ("wanted", "said"),
        [
            ({"region": 5}, "'region' must be a text"),
            ({"regoins": {}}, "'regoins'.*Did you mean 'regions'"),
            ({"regions": {"jobs": 5}}, "'regions' must be a dict of dicts"),
            ({"regions": {"jobs": {"backed": 5}}}, "region 'jobs': no backend"),
            ({"schedules": "time.time"}, "'schedules' must be a list"),
            ({"schedules": [{"function": "time.time"}]}, "whose the jobs .*none yet"),
            ({"schedules": [{"region": "x", "function": "no.thing"}]}, "no.thing"),
            ({"modules": "cron"}, "'modules' must be a list"),
            ({"modules": [5]}, r"'modules' must be texts, got \[5\]"),
            ({"jobs": [None]}, r"'jobs' must be texts, got \[None\]"),
            ({"autodiscover": "yes"}, "'autodiscover' must be True or False"),
            ({"history": "archive"}, r"one of DATABASES \(default\), got 'archive'"),
            ({"registry": "project_registry.nothing"}, "'registry': .*nothing"),
            ({"registry": "project_registry.number"}, "names a int, no Registry"),
        ],
    )
    def test_what_is_wrong(self, project, wanted, said):
        """It is told in Django's own error, with what was wanted and what was found."""
        project(**wanted)
        with pytest.raises(ImproperlyConfigured, match=f"HOLDOVER .*{said}"):
            configure()

    def test_no_dict(self, settings):
        """So is a setting that is none."""
        settings.HOLDOVER = [5]
        with pytest.raises(ImproperlyConfigured, match="must be a dict, got"):
            Wanted.of_project()

    def test_no_setting(self, settings):
        """Without it there is nothing to configure, and the database keeps runs."""
        del settings.HOLDOVER
        assert Wanted() == Wanted.of_project()
        assert Wanted().autodiscover


class Apps:
    """Apps of a test's own, in a folder where Python finds them."""

    def __init__(self, folder):
        self._folder = folder

    def write(self, app, **modules):
        """Write an app with these modules."""
        (self._folder / app).mkdir()
        for name, text in {"__init__": "", **modules}.items():
            (self._folder / app / f"{name}.py").write_text(text)
        return modify_settings(INSTALLED_APPS={"append": [app]})


@pytest.fixture
def apps(tmp_path, monkeypatch):
    """Give what writes apps; their modules are forgotten afterwards."""
    monkeypatch.syspath_prepend(str(tmp_path))
    known = set(sys.modules)
    yield Apps(tmp_path)
    for name in set(sys.modules) - known:
        del sys.modules[name]


JOB = """
from holdover.contrib_django.periodic import PeriodicJob, Schedule

class Base(PeriodicJob):
    schedule = Schedule(every=60)

class Count(Base):
    name = "count"
    def do(self):
        return 5
"""


class TestAutodiscover:
    def test_jobs(self, project, apps):
        """Those that a module defines are declared, once however often it is asked."""
        found = project(regions=JOBS)
        configure()
        with apps.write("countshop", cron=JOB, other="raise ValueError"):
            assert ["countshop.cron"] == autodiscover()
            assert ["countshop.cron"] == autodiscover()
        assert ["count"] == list(found["jobs"].schedules)
        Scheduler(found).run_once()
        assert 5 == found["jobs"].value_of("count")

    def test_regions_come_first(self, project, apps):
        """Of all apps, so that any job may use any region."""
        project()
        seen = "import project_registry; project_registry.registry.region"
        first = apps.write("firstshop", cron=f"{seen}('cron')")
        with first, apps.write("lastshop", regions=f"{seen}('regions')"):
            assert ["lastshop.regions", "firstshop.cron"] == autodiscover()

    def test_other_modules(self, project, apps):
        """The setting names them, or the caller."""
        project(modules=["agenda"])
        with apps.write("othershop", agenda="", cron="", tasks=""):
            assert ["othershop.agenda"] == autodiscover()
            assert ["othershop.tasks"] == autodiscover(["tasks"])[-1:]

    @pytest.mark.parametrize(
        ("text", "error"),
        [
            ("import no_such_module", ModuleNotFoundError),
            ("import brokenshop.cron_of_old", ModuleNotFoundError),
            ("from os import no_such_name", ImportError),
            ("1 / 0", ZeroDivisionError),
            (JOB.replace("every=60", "every=-1"), ImproperlyConfigured),
        ],
    )
    def test_an_error_in_a_module(self, project, apps, text, error):
        """It surfaces, also if it says that something is absent."""
        project(regions=JOBS)
        with apps.write("brokenshop", cron=text), pytest.raises(error):
            autodiscover()

    def test_an_app_that_is_one_module(self, project, apps, tmp_path):
        """It has no modules to look for."""
        project()
        config = "from django.apps import AppConfig\nclass Flat(AppConfig):\n"
        (tmp_path / "flatshop.py").write_text(
            f"{config}    name = 'flatshop'\n    path = '{tmp_path}'\n"
        )
        with modify_settings(INSTALLED_APPS={"append": ["flatshop.Flat"]}):
            assert [] == autodiscover()

    def test_jobs_elsewhere(self, project, apps):
        """They stand in the setting."""
        found = project(regions=JOBS, jobs=["farshop.jobs.Count"])
        with apps.write("farshop", jobs=JOB):
            assert [] == autodiscover()
        assert ["count"] == list(found["jobs"].schedules)

    @pytest.mark.parametrize(
        ("path", "said"),
        [("time.time", "is no PeriodicJob"), ("no.thing", "No module named 'no'")],
    )
    def test_no_job(self, project, path, said):
        """What is none is refused."""
        project(regions=JOBS, jobs=[path])
        with pytest.raises(ImproperlyConfigured, match=said):
            autodiscover()


WEEKDAYS = [0, 1, 2, 3, 4]


class TestSchedule:
    @pytest.mark.parametrize(
        ("given", "options"),
        [
            ({"every": 15}, {"every": 15}),
            ({"run_every_mins": 5}, {"every": 300.0}),
            ({"run_every_mins": 0.5}, {"every": 30.0}),
            (
                {"every": 15, "retry_after": 5},
                {"every": 15, "retry_after": 5},
            ),
            (
                {"run_every_mins": 5, "retry_after_failure_mins": 1},
                {"every": 300.0, "retry_after": 60.0},
            ),
            (
                {"cron": "0 3 * * *", "timezone": "UTC"},
                {"cron": "0 3 * * *", "timezone": "UTC"},
            ),
            (
                {"run_at_times": ["6:30", "18:00"]},
                {"cron": ["30 6 * * *", "0 18 * * *"], "timezone": "America/Chicago"},
            ),
            (
                {"run_at_times": ["06:30"], "run_weekly_on_days": WEEKDAYS},
                {"cron": ["30 6 * * 1,2,3,4,5"], "timezone": "America/Chicago"},
            ),
            (
                {"run_at_times": ["0:00"], "run_weekly_on_days": [6]},
                {"cron": ["0 0 * * 0"], "timezone": "America/Chicago"},
            ),
            (
                {"run_at_times": ["6:30"], "run_monthly_on_days": [1, 15]},
                {"cron": ["30 6 1,15 * *"], "timezone": "America/Chicago"},
            ),
            (
                {"run_every_mins": 15, "run_monthly_on_days": [1]},
                {"cron": ["*/15 * 1 * *"], "timezone": "America/Chicago"},
            ),
            (
                {"run_every_mins": 120, "run_weekly_on_days": [0]},
                {"cron": ["0 */2 * * 1"], "timezone": "America/Chicago"},
            ),
            (
                {"run_every_mins": 1440, "run_weekly_on_days": [0]},
                {"cron": ["0 0 * * 1"], "timezone": "America/Chicago"},
            ),
        ],
    )
    def test_what_it_says(self, given, options):
        """Each of django-cron's words has its meaning, and the region takes it."""
        made = Schedule(**given).options()
        assert options == made
        region = make_region("jobs").configure("holdover.memory")
        region.schedule(int, name="x", **made)

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({}, "takes one of every, cron, .* got nothing"),
            ({"every": 5, "cron": "@daily"}, "got every and cron"),
            ({"run_every_mins": 5, "run_at_times": ["6:30"]}, "is two jobs"),
            ({"every": 5, "run_weekly_on_days": [1]}, "days go with run_every_mins"),
            ({"run_every_mins": "5"}, "a number of minutes, got '5'"),
            ({"run_every_mins": 0}, "above 0"),
            ({"run_every_mins": 7, "run_weekly_on_days": [1]}, "must divide an hour"),
            ({"run_every_mins": 300, "run_weekly_on_days": [1]}, "divide a day"),
            ({"run_every_mins": 0.5, "run_weekly_on_days": [1]}, "must divide an hour"),
            ({"run_at_times": "6:30"}, "is a list such as"),
            ({"run_at_times": []}, "is a list such as"),
            ({"run_at_times": ["24:00"]}, "from '0:00' to '23:59', got '24:00'"),
            ({"run_at_times": ["6:30"], "run_weekly_on_days": [7]}, "from 0 to 6"),
            ({"run_at_times": ["6:30"], "run_weekly_on_days": []}, "from 0 to 6"),
            ({"run_at_times": ["6:30"], "run_monthly_on_days": 5}, "from 1 to 31"),
            (
                {"every": 5, "retry_after": 5, "retry_after_failure_mins": 5},
                "say the same",
            ),
            ({"every": 5, "retry_after_failure_mins": -1}, "above 0"),
        ],
    )
    def test_what_it_cannot_say(self, given, said):
        """It is refused where it is written."""
        with pytest.raises(errors.ConfigurationError, match=said):
            Schedule(**given)


class TestJob:
    def test_its_options(self, project):
        """Each attribute has its effect."""
        heard = []

        class Report(PeriodicJob):
            code = "report"
            region = make_region("reports").configure("holdover.memory", backoff=0)
            schedule = Schedule(every=60, retry_after=5)
            history = 3
            max_runtime = 7
            jitter = 10
            on_error = heard.append
            value = False

            def do(self):
                raise ValueError("no such thing")

        made = Report.declare()
        told = (made.name, made.history, made.max_runtime, made.retry_after)
        assert ("report", 3, 7.0, 5.0) == told
        assert not made.has_value
        assert "later" in str(made.due)
        Scheduler(Report.region, threads=0).run_once()
        [run] = Report.runs()
        assert ["ValueError: no such thing"] == [run.error] == [heard[0].error]
        assert 7 == Report.newest_value(default=7)

    def test_a_new_object_for_each_run(self, project, clock):
        """What one run leaves on itself is not there in the next."""

        class Count(PeriodicJob):
            region = make_region("jobs", time_source=clock).configure(
                "holdover.memory", 60, {"time_source": clock}
            )
            schedule = Schedule(every=60)
            seen = 0

            def do(self):
                self.seen += 1
                return self.seen

        Count.declare()
        running = Scheduler(Count.region, threads=0, time_source=clock)
        for _ in range(2):
            running.begin_due()
            clock.advance(60)
        assert [1, 1] == [run.value for run in Count.runs()]
        assert 1 == Count.newest_value()
        [name] = Count.region.schedules
        assert name.endswith("Count")

    @pytest.mark.parametrize(
        ("attributes", "said"),
        [
            ({"schedule": 5}, "schedule must be a Schedule, got 5"),
            ({"do": PeriodicJob.do}, r"it has no do\(\)"),
            ({"name": "a", "code": "b"}, "name and code say the same"),
            ({"ALLOW_PARALLEL_RUNS": True}, "no job runs twice at once"),
            ({"history": -1}, "history"),
            ({"name": "taken"}, "two schedules of the name 'taken'"),
        ],
    )
    def test_what_is_wrong(self, attributes, said):
        """It is told with the class's name."""
        region = make_region("jobs").configure("holdover.memory")
        region.schedule(int, every=5, name="taken")
        given = {
            "region": region,
            "schedule": Schedule(every=5),
            "do": lambda self: 5,
            **attributes,
        }
        with pytest.raises(ImproperlyConfigured, match=f"Odd: .*{said}"):
            type("Odd", (PeriodicJob,), given).declare()

    @pytest.mark.parametrize(
        "wanted",
        [
            {"regions": {**JOBS, "other": {}}, "region": "jobs"},
            {"regions": {**JOBS, "defaults": {}}},
        ],
    )
    def test_its_region(self, project, wanted):
        """It is the one that HOLDOVER names, or the only one."""
        found = project(**wanted)

        class Count(PeriodicJob):
            schedule = Schedule(every=5)
            do = PeriodicJob.full_name

        assert found["jobs"] is Count.found_region()


def documented(beginning):
    """Give the block of the documentation's page that begins so."""
    text = (Path(__file__).parent.parent / "docs" / "django_periodic.rst").read_text()
    blocks = re.findall(r"\.\. code-block:: python\n\n((?:    .*\n|\n)+)", text)
    [block] = [one for one in map(dedent, blocks) if one.startswith(beginning)]
    return block


def test_the_documented_jobs(project, apps, capsys):
    """They are found and run as they are written."""
    names = {}
    exec(documented("INSTALLED_APPS"), names)
    assert {"regions"} == set(names["HOLDOVER"])
    found = project(regions=JOBS)
    regions = documented("# shop/regions.py\nfrom holdover import registry")
    regions = regions.replace("from holdover", "from project_registry")
    with apps.write("shown", cron=documented("# shop/cron.py"), regions=regions):
        configure()
        autodiscover()
    assert ["plain rates", "rates", "report"] == list(found["jobs"].schedules)
    Scheduler(found).run_once()
    assert {"EUR": 1.0, "CHF": 0.95} == found["jobs"].value_of("rates")
    assert found["jobs"].value_of("rates") == found["jobs"].value_of("plain rates")


@pytest.mark.django_db
def test_celery_beat(project, apps):
    """Its workers run what apps declare, and the database keeps it."""
    found = project(regions=JOBS, history="")
    with apps.write("beatshop", cron=JOB):
        configure()
        autodiscover()
    app = Celery(set_as_current=False)
    install_in_beat(app, regions=found)
    [entry] = app.conf.beat_schedule.values()
    app.tasks[entry["task"]](*entry["args"])
    assert ["5"] == [one.value for one in ScheduleRun.objects.filter(name="count")]
    assert 5 == found["jobs"].value_of("count")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("fails", [True, False])
def test_connections_are_closed(project, monkeypatch, fails):
    """After each run, in the thread that ran it, also if it has failed."""
    project()
    configure()
    opened, closed = [], []

    def work():
        opened.append(threading.get_ident())
        with connections["default"].cursor() as cursor:
            cursor.execute("SELECT 1")
        if fails:
            raise ValueError

    def close(self):
        closed.append(threading.get_ident())
        if threading.get_ident() in opened:  # one of its own, though in memory
            BaseDatabaseWrapper.close(self)

    monkeypatch.setattr(type(connections["default"]), "close", close)
    region = make_region("jobs").configure("holdover.memory")
    region.schedule(work, every=60, name="work")
    Scheduler(region, threads=1).run_once()
    assert set(opened) <= set(closed)
    assert threading.get_ident() not in opened
