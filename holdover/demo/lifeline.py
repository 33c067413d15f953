"""A child's side of the promise that no process outlives the demonstration."""

from __future__ import annotations

import os
import signal
import threading
import time

_STDIN = 0
_PATIENCE = 5.0  # seconds


def end_with_parent() -> None:
    """End this process, by SIGTERM and then the hard way, when its input closes.

    The parent holds the other end of the pipe, and lets go of it however it ends.
    """
    threading.Thread(target=_watch, name="lifeline", daemon=True).start()


def _watch() -> None:
    # Not sys.stdin: its lock, held by a daemon thread, would break the interpreter's
    # own end.
    while os.read(_STDIN, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_PATIENCE)
    os._exit(1)
