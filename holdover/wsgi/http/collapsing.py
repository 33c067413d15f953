"""Waiting for another request's answer (RFC 9111 section 4: collapsed requests)."""

from __future__ import annotations

import time

from holdover import errors
from holdover.wsgi.http.messages import Request
from holdover.wsgi.http.pages import Found, Pages
from holdover.wsgi.http.reuse import Reuse, reuse

_FIRST, _LONGEST = 0.002, 0.01  # seconds between two looks
_GROWTH = 1.5


def waited_for(pages: Pages, request: Request, found: Found, most: float) -> Found:
    """Wait until there is an answer, or nobody makes one any more.

    Args:
        pages: Where it will be.
        request: The request.
        found: What there was.
        most: Seconds to wait at most.

    Returns:
        What there is now. What is not stored after all releases those who wait.
    """
    deadline, pause = time.monotonic() + most, _FIRST
    while time.monotonic() < deadline:
        time.sleep(pause)
        pause = min(pause * _GROWTH, _LONGEST)
        try:
            found = pages.find(request)
            if _is_over(pages, request, found):
                return found
        except errors.BackendError:
            return found
    return found


def _is_over(pages: Pages, request: Request, found: Found) -> bool:
    if found.passed is not None:
        return True
    if found.stored is not None:
        how = reuse(
            found.stored, request.directives, time.time(), expired=found.expired
        )
        if how is not Reuse.NOT_WITHOUT_ASKING:
            return True
    return not pages.region.key_is_locked(found.place.key)
