"""Work in a thread of its own, from which its caller may walk away."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar, cast

from holdover.regions.clearing import clear_up
from holdover.regions.latch import Latch

T = TypeVar("T")


class _Present(threading.local):
    """The errand that this thread is on."""

    errand: Errand[Any] | None = None


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
        self._caller = threading.get_ident()
        self._part_of = _present.errand
        self._done = Latch()
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
            self._left = not self._done.is_open
            return not self._left

    @property
    def is_done(self) -> bool:
        """Whether it is over."""
        return self._done.is_open

    def outcome(self) -> T:
        """Give what came of it, once it is done.

        Raises:
            BaseException: Whatever the work raised.
        """
        if self._error is not None:
            raise self._error
        return cast("T", self._result)

    def _run(self) -> None:
        _present.errand = self
        try:
            self._result = self._work()
        except BaseException as error:  # noqa: BLE001 - it is the caller's, if he waits
            self._error = error
        clear_up()
        with self._lock:
            self._done.open()
        if self._left and self._error is not None:
            self._left_with_error(self._error)

    def awaiting(self) -> set[int]:
        """Give the threads that stand still until this is done."""
        threads = set()
        errand: Errand[Any] | None = self
        while errand is not None and not errand._left:  # noqa: SLF001 - one of us
            threads.add(errand._caller)  # noqa: SLF001
            errand = errand._part_of  # noqa: SLF001
        return threads


_present = _Present()


def dependent_threads() -> set[int]:
    """Give the calling thread, and those that stand still until its errand is done."""
    errand = _present.errand
    awaiting = set() if errand is None else errand.awaiting()
    return awaiting | {threading.get_ident()}
