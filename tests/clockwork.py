"""An application with schedules, which the processes of the tests import.

The environment says where its cache and its notes are.
"""

import os
import time
from pathlib import Path

from notes import note

from holdover import LeaseTerms, Registry

FOLDER = Path(os.environ["CLOCKWORK_FOLDER"])

registry = Registry()
GIVEN = {
    "backend": "holdover.file",
    "arguments": {"path": str(FOLDER / "cache"), "lock_timeout": 10.0},
    "lease": LeaseTerms(ttl=2.0),
}
registry.configure({"here": GIVEN})
here = registry.region("here")


def note_time(name):
    """Note when something was done, and by whom."""
    note(FOLDER, name, [os.getpid(), time.time()])


def tick():
    """Note, and say when."""
    note_time("ticks")
    return time.time()


def work():
    """Note when it begins and ends, which takes a while."""
    note_time("begun")
    time.sleep(float(os.environ.get("CLOCKWORK_COST", "0")))
    note_time("ended")


def fail():
    """Fail."""
    raise ValueError("no such thing")


here.schedule(tick, every=0.5, name="tick", history=1000)
here.schedule(work, every=3600, name="work")
here.schedule(fail, every=3600, name="fail")
here.schedule(tick, cron="0 3 * * *", name="at night")
