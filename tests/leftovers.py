"""What a test has left at work in this process, which the next one would meet.

All tests of a process share servers: a value that is committed a moment after its test
is counted, or found, by another.
"""

import contextlib
import threading
import time
import weakref

from holdover.errors import BackendError
from holdover.regions.background import Pool
from holdover.regions.redelivery import Redelivery

PATIENCE = 5.0
LASTING = {
    f"holdover-{name}"
    for name in ("celery", "renewal", "reporter", "reports", "scheduler", "watch")
}
_stuck = weakref.WeakSet()  # threads that were waited for in vain, once


def end_leftovers():
    """Wait, but not for ever, until all is done that was begun behind callers."""
    for redelivery in _redeliveries():
        _end(redelivery)
    deadline = time.monotonic() + PATIENCE
    while busy := set(_busy()):
        if time.monotonic() > deadline:
            _stuck.update(busy)
            return
        time.sleep(0.002)


def _ours():
    """Give each thread of Holdover's, and what it runs."""
    for thread in threading.enumerate():
        if thread.name.startswith("holdover-") and thread not in _stuck:
            yield thread, getattr(getattr(thread, "_target", None), "__self__", None)


def _redeliveries():
    return [of for _, of in _ours() if isinstance(of, Redelivery)]


def _end(redelivery):
    """Deliver at once, or never: another server may come to listen where one was."""
    with contextlib.suppress(BackendError):
        redelivery._deliver()
    redelivery._is_needed = lambda: False


def _busy():
    for thread, of in _ours():
        if isinstance(of, Pool):
            if of._unfinished:
                yield thread
        elif not isinstance(of, Redelivery) and thread.name not in LASTING:
            yield thread
