"""One request asks the application, the others wait (RFC 9111 section 4).

First a *fill*: one request per process and page. Then the page's lease: one process in
the fleet. Whoever waits in the same process is woken; for other processes, one thread
looks again and again on behalf of all. No wait is longer than the policy's; then a
request asks for itself, and for a while nobody waits for that page.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from holdover import KeyLease
from holdover.wsgi.http.fills import Fill, Fills, Turn
from holdover.wsgi.http.messages import Request
from holdover.wsgi.http.pages import Found, Pages, reuse_of
from holdover.wsgi.http.policy import Policy
from holdover.wsgi.http.reuse import Reuse, may_stand_in

_FIRST, _LONGEST = 0.002, 0.01  # seconds between two looks
_GROWTH = 1.5


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of a request that was not answered at once.

    Attributes:
        found: What there is now.
        turn: The right to ask for it; None: whoever asks, asks for himself.
        reuse: How it may be used.
        has_waited: Whether it has waited for another request.
    """

    found: Found
    turn: Turn | None = None
    reuse: Reuse = Reuse.NOT_WITHOUT_ASKING
    has_waited: bool = False


class Collapsing:
    """Has one request of many ask the application.

    Args:
        pages: Where they are kept.
        policy: The site's.
    """

    def __init__(self, pages: Pages, policy: Policy) -> None:
        self._pages = pages
        self._policy = policy
        self._fills = Fills(policy.wait, policy.pass_for)

    def settle(self, request: Request, found: Found) -> Settled:
        """Wait for an answer, or for one's turn to ask for it.

        Raises:
            BackendError: The backend cannot be reached, or takes nothing.
        """
        begun_at, deadline = time.time(), time.monotonic() + self._policy.wait
        has_waited = False
        while self._may_wait(request, found):
            fill, is_mine = self._fills.join(found.place.key)
            if is_mine:
                settled = self._lead(request, found, fill, deadline)
                if settled is not None:
                    return settled
            elif not fill.wait(deadline - time.monotonic()):
                return self._in_vain(request, found)
            has_waited |= not is_mine
            found = self._pages.find(request)
            how = reuse_of(found, request)
            if how is not Reuse.NOT_WITHOUT_ASKING:
                return Settled(found, reuse=how, has_waited=True)
            if fill.has_failed and _stands_in(request, found):
                return Settled(found, reuse=Reuse.STALE, has_waited=True)
            if _came_after(found, begun_at):  # nobody else's answer would do either
                break
        return self._unwaited(request, found, has_waited=has_waited)

    def _may_wait(self, request: Request, found: Found) -> bool:
        """Say whether an answer would do that another request has asked for."""
        asked, stored = request.directives, found.stored
        if found.passed is not None or found.place.key in self._fills.in_vain:
            return False
        if stored is not None and stored.needs_validation:
            return False
        return not asked.no_cache and asked.max_age != 0

    def _unwaited(self, request: Request, found: Found, *, has_waited: bool) -> Settled:
        """Take one's turn if nobody has it; ask for oneself otherwise."""
        key = found.place.key
        lease = self._pages.region.lease(key, strict=True)
        if lease is None:
            if key in self._fills.overdue and _stands_in(request, found):
                return Settled(found, reuse=Reuse.STALE, has_waited=True)
            return Settled(found, has_waited=has_waited)
        turn = Turn(found.place, lease, self._fills, Fill())
        return Settled(found, turn, has_waited=has_waited)

    def _in_vain(self, request: Request, found: Found) -> Settled:
        """Wait no longer; an answer that is late counts as an error (RFC 5861)."""
        self._fills.give_up(found.place.key, overdue=True)
        if _stands_in(request, found):
            return Settled(found, reuse=Reuse.STALE, has_waited=True)
        return Settled(found, has_waited=True)

    # -- on behalf of a process ------------------------------------------------

    def _lead(
        self, request: Request, found: Found, fill: Fill, deadline: float
    ) -> Settled | None:
        """Win the lease, or wait for the process that has it; None: look again."""
        key, is_kept = found.place.key, False
        try:
            while True:
                lease = self._pages.region.lease(key, strict=True)
                if lease is not None:
                    settled = self._looked_again(request, key, lease, fill)
                    is_kept = settled is not None and settled.turn is not None
                    return settled
                if time.monotonic() >= deadline:
                    return self._in_vain(request, found)
                found = self._polled(request, found, deadline)
                how = reuse_of(found, request)
                if how is not Reuse.NOT_WITHOUT_ASKING:
                    return Settled(found, reuse=how, has_waited=True)
                if found.passed is not None or found.place.key != key:
                    return None
        finally:
            if not is_kept:
                self._fills.end(key, fill)

    def _looked_again(
        self, request: Request, key: str, lease: KeyLease, fill: Fill
    ) -> Settled | None:
        """Look for what came between the first look and the lease."""
        try:
            found = self._pages.find(request)
        except BaseException:
            lease.release()
            raise
        how = reuse_of(found, request)
        if how is Reuse.NOT_WITHOUT_ASKING and found.place.key == key:
            if not self._may_wait(request, found):  # nor may those who looked too early
                self._fills.end(key, fill)
            return Settled(found, Turn(found.place, lease, self._fills, fill))
        lease.release()
        return None if found.place.key != key else Settled(found, reuse=how)

    def _polled(self, request: Request, found: Found, deadline: float) -> Found:
        """Look until there is an answer, or nobody asks for one any more."""
        pause = _FIRST
        while (left := deadline - time.monotonic()) > 0:
            time.sleep(min(pause, left))
            pause = min(pause * _GROWTH, _LONGEST)
            found = self._pages.find(request)
            if found.passed is not None:
                return found
            if reuse_of(found, request) is not Reuse.NOT_WITHOUT_ASKING:
                return found
            if not self._pages.region.key_is_locked(found.place.key):
                return found
        return found


def _stands_in(request: Request, found: Found) -> bool:
    """Say whether what is stored may be served though nobody answers in time."""
    asked, stored = request.directives, found.stored
    if stored is None or asked.no_cache or asked.max_age == 0:
        return False
    return may_stand_in(stored, asked, None, time.time(), expired=found.expired)


def _came_after(found: Found, instant: float) -> bool:
    """Say whether what is stored was received after an instant."""
    stored = found.stored
    return stored is not None and stored.response.received_at >= instant
