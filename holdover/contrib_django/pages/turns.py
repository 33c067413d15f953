"""One request of many renders, the others wait: by process first, then in the fleet.

In a process the first who finds nothing asks for the page's lease, again and again if
another process has it; the others wait for him, and look again when he is done. No wait
is longer than the site says; then a request renders for itself, and for a while nobody
of its process waits for that page.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdover import Freshness, KeyLease, errors
from holdover.contrib_django.pages.policy import site_seconds
from holdover.contrib_django.pages.steps import Pause, Wait
from holdover.regions.forks import renew_after_fork
from holdover.regions.pauses import Pauses

if TYPE_CHECKING:
    from django.http import HttpRequest

    from holdover.contrib_django.pages.places import Place
    from holdover.contrib_django.pages.store import Found, Pages

_FIRST, _LONGEST = 0.002, 0.01  # seconds between two looks
_GROWTH = 1.5

Key = tuple[int, str]  # a region, by its identity, and a page's key in it


class Fills:
    """Who of this process is after which page.

    Changed by single steps of a dict only, so that there is no lock to be caught by a
    fork.
    """

    def __init__(self) -> None:
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Begin anew: the threads that fill stayed behind in the parent."""
        self._fills: dict[Key, Future[None]] = {}

    def join(self, key: Key) -> tuple[Future[None], bool]:
        """Give what is done when somebody is through; say whether he is the caller."""
        mine: Future[None] = Future()
        found = self._fills.setdefault(key, mine)
        return found, found is mine

    def end(self, key: Key, fill: Future[None]) -> None:
        """Let those who wait look again; ending it twice does no harm."""
        if self._fills.get(key) is fill:
            self._fills.pop(key, None)
        if not fill.done():
            fill.set_result(None)


FILLS = Fills()
IN_VAIN = Pauses()  # were waited for too long
FAILED = Pauses()  # their views fail
UNFIT = Pauses()  # cannot be made anew by nobody's request; their keys alone


@dataclass(eq=False, slots=True, weakref_slot=True)
class Turn:
    """The right to render a page and to keep it; others wait until it ends.

    Attributes:
        place: Where the page is kept.
        lease: The right to keep it.
    """

    place: Place
    lease: KeyLease
    _key: Key
    _fill: Future[None]

    def end(self) -> None:
        """Let others have it; does nothing the second time."""
        try:
            self.lease.release()
        finally:
            FILLS.end(self._key, self._fill)


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of a request that was not answered at once.

    Attributes:
        found: What there is now.
        turn: The right to render; None: whoever renders, does so for himself.
        has_waited: Whether it has waited for another request.
    """

    found: Found
    turn: Turn | None = None
    has_waited: bool = False


Settling = Generator[Pause | Wait, None, Settled]


class Waiting:
    """One request's waiting for a page.

    Args:
        pages: Where pages are kept.
        request: The request.
    """

    def __init__(self, pages: Pages, request: HttpRequest) -> None:
        self._pages = pages
        self._request = request
        self._deadline = time.monotonic() + site_seconds("WAIT")

    def settled(self, found: Found) -> Settling:
        """Wait for a page, or for one's turn to render it.

        Raises:
            BackendError: The backend cannot be reached, or takes nothing.
        """
        has_waited = False
        while not found.is_settled:
            key = self.key(found)
            if key in IN_VAIN:
                break
            if found.freshness is Freshness.FALLBACK and key in FAILED:
                break
            fill, is_mine = FILLS.join(key)
            if is_mine:
                settled = yield from self._led(found, fill)
                if settled is not None:
                    return settled
            else:
                has_waited = True
                yield Wait(fill, self._left)
                if not fill.done():
                    self._give_up(key)
                    break
            found = self._pages.find(self._request)
        return Settled(found, has_waited=has_waited)

    def turn_at_once(self, found: Found) -> Turn | None:
        """Give a turn if nobody else has it.

        Raises:
            BackendError: The backend cannot be reached.
        """
        key = self.key(found)
        fill, is_mine = FILLS.join(key)
        if not is_mine:
            return None
        turn = None
        try:
            turn = self._turn(found.place, fill)
        finally:
            if turn is None:
                FILLS.end(key, fill)
        return turn

    def key(self, found: Found) -> Key:
        """Give the page's key in this process."""
        return id(self._pages.region), found.place.key

    @property
    def _left(self) -> float:
        return self._deadline - time.monotonic()

    def _give_up(self, key: Key) -> None:
        IN_VAIN.begin(key, site_seconds("PASS_FOR"))

    # -- on behalf of a process ------------------------------------------------

    def _led(
        self, found: Found, fill: Future[None]
    ) -> Generator[Pause | Wait, None, Settled | None]:
        """Win the lease, or wait for the process that has it; None: look again."""
        key, is_kept, pause = self.key(found), False, _FIRST
        begun_at = time.monotonic()
        try:
            while True:
                turn = self._turn(found.place, fill)
                if turn is not None:
                    settled = self._looked_again(turn)
                    is_kept = settled is not None and settled.turn is turn
                    return settled
                if self._left <= 0:
                    self._give_up(key)
                    return Settled(found, has_waited=True)
                # Short at first, since many pages take that long; then in proportion.
                yield Pause(min(pause, self._left))
                waited = time.monotonic() - begun_at
                pause = min(pause * _GROWTH, max(_LONGEST, waited / 20))
                found = self._pages.find(self._request)
                if found.is_settled:
                    return Settled(found, has_waited=True)
                if self.key(found) != key:
                    return None
        finally:
            if not is_kept:
                FILLS.end(key, fill)

    def _turn(self, place: Place, fill: Future[None]) -> Turn | None:
        lease = self._pages.region.lease(place.key, strict=True)
        if lease is None:
            return None
        return Turn(place, lease, (id(self._pages.region), place.key), fill)

    def _looked_again(self, turn: Turn) -> Settled | None:
        """Look for what came between the first look and the lease."""
        try:
            found = self._pages.find(self._request)
        except errors.BackendError:
            turn.lease.release()
            raise
        if not found.is_settled and found.place.key == turn.place.key:
            return Settled(found, turn)
        turn.lease.release()
        return Settled(found) if found.is_settled else None
