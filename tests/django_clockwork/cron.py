"""Its periodic work; the environment says where it leaves notes."""

import os
import time
from pathlib import Path

from django.contrib.auth.models import User
from notes import note

from holdover.contrib_django.periodic import PeriodicJob, Schedule

FOLDER = Path(os.environ.get("CLOCKWORK_FOLDER", "."))


class Tick(PeriodicJob):
    """Says when it is."""

    code = "tick"
    schedule = Schedule(every=0.5)
    history = 1000

    def do(self):
        """Note it, and say it."""
        note(FOLDER, "ticks", [os.getpid(), time.time()])
        return User.objects.count()


class Work(PeriodicJob):
    """Takes a while."""

    code = "work"
    schedule = Schedule(run_every_mins=60)

    def do(self):
        """Note when it begins and ends."""
        note(FOLDER, "begun", os.getpid())
        time.sleep(float(os.environ.get("CLOCKWORK_COST", "0")))
        note(FOLDER, "ended", os.getpid())


class Fail(PeriodicJob):
    """Fails."""

    code = "fail"
    schedule = Schedule(run_every_mins=60)

    def do(self):
        """Fail."""
        raise ValueError("no such thing")
