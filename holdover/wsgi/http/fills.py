"""Who of a process asks for a page, and who waits for him."""

from __future__ import annotations

import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from holdover import KeyLease
from holdover.regions.forks import renew_after_fork
from holdover.regions.latch import Latch
from holdover.regions.pauses import Pauses
from holdover.wsgi.http.pages import Place


class Fill:
    """One request's asking for a page, for which others of its process may wait."""

    __slots__ = ("_over", "begun_at", "has_failed")

    def __init__(self) -> None:
        self.has_failed = False  # an older page was served in place of an error
        self.begun_at = time.monotonic()
        self._over = Latch()

    def wait(self, most: float) -> bool:
        """Wait at most *most* seconds; say whether it is over."""
        return self._over.wait(most)

    def end(self) -> None:
        """Wake those who wait; ending it twice does no harm."""
        self._over.open()


class Fills:
    """The fills of one process, by page.

    Args:
        most: Seconds for which anybody waits for one.
        pause: Seconds for which a page is not waited for after that was in vain.

    Attributes:
        in_vain: The pages that were waited for in vain, just now.
        overdue: Those of them whose answer did not come in time.
    """

    def __init__(self, most: float, pause: float) -> None:
        self._most = most
        self._pause = pause
        self.in_vain = Pauses()
        self.overdue = Pauses()
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Begin anew: those who fill stayed behind in the parent."""
        # Changed by single steps of a dict only, so that there is no lock to be caught
        # by a fork.
        self._fills: dict[str, Fill] = {}

    def join(self, key: str) -> tuple[Fill, bool]:
        """Give the fill of a page to wait for, or begin one; say whether it is new."""
        mine = Fill()
        found = self._fills.setdefault(key, mine)
        if time.monotonic() - found.begun_at > self._most:  # no server has closed it
            found = self._fills[key] = mine
        return found, found is mine

    def give_up(self, key: str, *, overdue: bool) -> None:
        """Have nobody wait for a page for a while.

        Args:
            key: The page's.
            overdue: Whether its answer did not come in time, which counts as an error.
        """
        self.in_vain.begin(key, self._pause)
        if overdue:
            self.overdue.begin(key, self._pause)

    def end(self, key: str, fill: Fill) -> None:
        """End a fill, by whoever began it."""
        if self._fills.get(key) is fill:
            self._fills.pop(key, None)
        fill.end()


@dataclass(frozen=True, slots=True)
class Turn:
    """The right to ask for a page and to store it; others wait until it ends.

    As a context manager it ends with the block.

    Attributes:
        place: Where the page is kept.
        lease: The right to store it.
    """

    place: Place
    lease: KeyLease
    _fills: Fills
    _fill: Fill

    def end(self) -> None:
        """Let others have it; does nothing the second time."""
        try:
            self.lease.release()
        finally:
            self._fills.end(self.place.key, self._fill)

    def end_failed(self) -> None:
        """End it, and have those who wait be served what stands in, too."""
        self._fill.has_failed = True
        self.end()

    def was_in_vain(self) -> None:
        """Have nobody of this process wait for the page for a while."""
        self._fills.give_up(self.place.key, overdue=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.end()
