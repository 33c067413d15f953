"""Work in a thread of its own, from which its caller may walk away."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from typing import Generic, TypeVar, cast

T = TypeVar("T")


class Errand(Generic[T]):
    """One piece of work, with the caller's context variables.

    Args:
        work: What to do.
        left_with_error: Called, in the work's thread, with an error that comes after
            the caller has left.

    Raises:
        RuntimeError: No thread can be started.
    """

    def __init__(
        self, work: Callable[[], T], left_with_error: Callable[[BaseException], object]
    ) -> None:
        self._work = work
        self._left_with_error = left_with_error
        self._done = threading.Event()
        self._left = False
        self._lock = threading.Lock()  # guards the hand-over of an error
        self._error: BaseException | None = None
        self._result: T | None = None
        run = contextvars.copy_context().run
        threading.Thread(
            target=run, args=(self._run,), name="holdover-creator", daemon=True
        ).start()

    def is_done_within(self, timeout: float) -> bool:
        """Wait at most *timeout* seconds for its end; then leave it to itself."""
        self._done.wait(timeout)
        with self._lock:
            self._left = not self._done.is_set()
            return not self._left

    def outcome(self) -> T:
        """Give what came of it, once it is done.

        Raises:
            BaseException: Whatever the work raised.
        """
        if self._error is not None:
            raise self._error
        return cast("T", self._result)

    def _run(self) -> None:
        try:
            self._result = self._work()
        except BaseException as error:  # noqa: BLE001 - it is the caller's, if he waits
            self._error = error
        with self._lock:
            self._done.set()
        if self._left and self._error is not None:
            self._left_with_error(self._error)
