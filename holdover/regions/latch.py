"""Waiting for something that happens once."""

from __future__ import annotations

import queue


class Latch:
    """Shut until it is opened; then everyone passes.

    Not a ``threading.Event``: that is Python, and an exception from outside (a signal,
    a time limit) between two steps of one who waits could leave its lock taken, so that
    whoever opens it hangs.
    """

    __slots__ = ("_waiting", "is_open")

    def __init__(self) -> None:
        self.is_open = False
        self._waiting: list[queue.SimpleQueue[None]] = []

    def open(self) -> None:
        """Let everyone pass; opening twice does no harm."""
        self.is_open = True
        for one in list(self._waiting):
            one.put(None)

    def wait(self, timeout: float) -> bool:
        """Wait at most *timeout* seconds; say whether it is open."""
        mine: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._waiting.append(mine)
        if self.is_open:  # looked at only now, or we could miss its opening
            return True
        try:
            mine.get(timeout=max(0.0, timeout))
        except queue.Empty:
            return self.is_open
        return True
