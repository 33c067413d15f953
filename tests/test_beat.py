"""Celery beat fires schedules: at the slots that all schedulers know, and once."""

import datetime as dt
import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from celery import Celery
from test_cli_schedules import slots_run
from waiting import wait_until

from holdover import Registry, errors, install_in_beat, make_region
from holdover.regions.due import Every
from holdover.regions.refresh.celery_beat import SlotSchedule

HERE = Path(__file__).parent


def at(seconds):
    """Give an instant as beat has it."""
    return dt.datetime.fromtimestamp(seconds, dt.UTC)


class TestSlotSchedule:
    @pytest.mark.parametrize(
        ("last", "now", "answer"),
        [
            (100.0, 110.0, (False, 10.0)),
            (100.0, 120.0, (True, 60.0)),
            (119.0, 125.0, (True, 55.0)),
            (121.0, 125.0, (False, 55.0)),
            (0.0, 1000.0, (True, 20.0)),
        ],
    )
    def test_beat_agrees_on_the_slots(self, last, now, answer):
        """Whenever beat began, it fires when the others do."""
        schedule = SlotSchedule(
            Every(60), nowfun=lambda: at(now), app=Celery(set_as_current=False)
        )
        assert answer == tuple(schedule.is_due(at(last)))

    def test_beat_keeps_it(self):
        """Beat's own file holds it over restarts, and notes when it has changed."""
        schedule = SlotSchedule(Every(60))
        assert pickle.loads(pickle.dumps(schedule)) == schedule
        assert SlotSchedule(Every(30)) != schedule
        assert "every 60 s" in repr(schedule)


def test_entries():
    """Each schedule of the registry has one, and what was there stays."""
    caches = Registry()
    caches.configure({"jobs": {"backend": "holdover.memory"}})
    caches["jobs"].schedule(int, every=60, name="zero")
    app = Celery(set_as_current=False)
    app.conf.beat_schedule = {"mine": {"task": "x", "schedule": 5.0}}
    install_in_beat(app, regions=caches, queue="schedules")
    install_in_beat(app, regions=caches, queue="schedules")
    entry = app.conf.beat_schedule["holdover: jobs/zero"]
    assert {"mine", "holdover: jobs/zero"} == set(app.conf.beat_schedule)
    assert (["jobs", "zero"], {"queue": "schedules"}) == (
        entry["args"], entry["options"]
    )  # fmt: skip
    assert entry["task"] in app.tasks


def test_a_worker_runs_it():
    """The task runs what is due and nobody else has run; a failed run fails it."""
    caches = Registry()
    caches.configure({"beaten": {"backend": "holdover.memory"}})
    caches["beaten"].schedule(lambda: 5, every=3600, name="five")
    caches["beaten"].schedule(lambda: 1 / 0, every=3600, name="zero")
    app = Celery(set_as_current=False)
    install_in_beat(app, regions=caches)
    task = app.tasks["holdover.run"]
    task("beaten", "five")
    task("beaten", "five")
    assert 1 == len(caches["beaten"].history("five"))
    with pytest.raises(errors.HoldoverError, match="ZeroDivisionError"):
        task("beaten", "zero")
    for function in ("os:system", "six"):
        with pytest.raises(errors.UnregisteredFunction):
            task("beaten", function)


def test_no_app():
    """A broker's URL is no app, and that is told."""
    with pytest.raises(errors.ConfigurationError, match="a Celery app was wanted"):
        install_in_beat("redis://localhost", regions=Registry())


def test_regions_by_themselves():
    """A region that no registry has made is named; one alone, or several."""
    region = make_region("alone").configure("holdover.memory")
    region.schedule(int, every=60, name="zero")
    for given in (region, [region]):
        app = Celery(set_as_current=False)
        install_in_beat(app, regions=given)
        assert {"holdover: alone/zero"} == set(app.conf.beat_schedule)


def test_nothing_to_fire():
    """It is told: beat would start, and never do a thing."""
    app = Celery(set_as_current=False)
    with pytest.raises(errors.ConfigurationError, match="regions=region"):
        install_in_beat(app, regions=Registry())


@pytest.mark.slow
def test_beat_and_workers(tmp_path, redis_server):
    """Two workers with a beat each, and `holdover run` beside them: each slot once."""
    environ = {
        **os.environ,
        "CLOCKWORK_FOLDER": str(tmp_path),
        "CLOCKWORK_BROKER": redis_server.url,
        "PYTHONPATH": str(HERE),
    }
    bins = Path(sys.executable).parent
    celery = [bins / "celery", "-A", "clockwork_celery", "worker", "-P", "threads"]
    lines = [
        [*celery, "-c", "4", "-B", "-s", tmp_path / f"beat-{name}", "-n", name]
        for name in ("one", "two")
    ]
    lines.append([bins / "holdover", "-A", "clockwork_celery", "run"])

    def have_run():
        kinds = (("here", "tick"), ("queued", "queued tick"))
        return ticks(tmp_path) >= 30 and all(
            len(set(slots_run(tmp_path, *kind))) >= 5 for kind in kinds
        )

    log = (tmp_path / "log").open("wb")
    running = [
        subprocess.Popen(
            line,
            env=environ,
            cwd=tmp_path,
            stdout=log,
            stderr=log,
            start_new_session=True,  # a worker's beat is a process of its own
        )
        for line in lines
    ]
    try:
        wait_until(have_run, "30 ticks, some of each", patience=90.0)
    finally:
        for process in running:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        log.close()
    slots = [
        [(region, slot) for slot in slots_run(tmp_path, region, name)]
        for region, name in (("here", "tick"), ("queued", "queued tick"))
    ]
    assert all(len(one) == len(set(one)) >= 5 for one in slots)
    # Those that were killed at work had no time to be noted.
    assert 0 <= ticks(tmp_path) - sum(map(len, slots)) <= len(lines)


def ticks(folder):
    """Count the runs that have noted themselves."""
    path = folder / "ticks"
    return len(path.read_text().splitlines()) if path.exists() else 0
