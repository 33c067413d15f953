"""Where on the machine the site and its visitors run; the same in all phases."""

from __future__ import annotations

import os


def share_one_processor() -> None:
    """Keep this thread, and those that it starts from now on, on the first processor.

    A site can use no more than one, since its threads share an interpreter lock, and
    the visitors need a twentieth of one. Left alone, the kernel now and then wakes a
    thread of theirs on the processor where a worker computes, to wait there for the end
    of the worker's time slice (up to 4 ms were seen) though another one is idle.
    """
    if not hasattr(os, "sched_setaffinity"):
        return
    allowed = os.sched_getaffinity(0)
    if len(allowed) > 1:
        os.sched_setaffinity(0, {min(allowed)})
