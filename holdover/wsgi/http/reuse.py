"""Whether a stored response answers a request (RFC 9111 sections 4.2 and 5.2.1)."""

from __future__ import annotations

from enum import Enum

from holdover.wsgi.http.directives import RequestDirectives
from holdover.wsgi.http.fields import MOST_SECONDS
from holdover.wsgi.http.messages import Stored


class Reuse(Enum):
    """What to do with a stored response.

    Attributes:
        FRESH: Serve it.
        STALE: Serve it, since the client takes it so.
        STALE_MEANWHILE: Serve it, and have it made anew (RFC 5861 section 3).
        NOT_WITHOUT_ASKING: Ask the origin whether it still holds.
    """

    FRESH = "fresh"
    STALE = "stale"
    STALE_MEANWHILE = "stale-while-revalidate"
    NOT_WITHOUT_ASKING = "validate"


def reuse(
    stored: Stored, asked: RequestDirectives, now: float, *, expired: bool = False
) -> Reuse:
    """Say how a stored response may answer.

    Args:
        stored: The response.
        asked: What the client asks of caches.
        now: Unix time.
        expired: Whether it was made to expire before its time, softly.
    """
    age = stored.age(now)
    stale_for = max(0.0, age - stored.lifetime)
    is_stale = expired or age >= stored.lifetime
    if stored.needs_validation or asked.no_cache:  # 5.2.2.4, 5.2.1.4
        return Reuse.NOT_WITHOUT_ASKING
    if not _is_young_enough(asked, age, stored.lifetime):
        return Reuse.NOT_WITHOUT_ASKING
    if not is_stale:
        return Reuse.FRESH
    if not stored.no_stale:  # 4.2.4
        if stale_for < stored.stale_while_revalidate:
            return Reuse.STALE_MEANWHILE
        if not expired and min(stale_for, MOST_SECONDS) <= (asked.max_stale or -1):
            return Reuse.STALE  # 5.2.1.2
    return Reuse.NOT_WITHOUT_ASKING


def _is_young_enough(asked: RequestDirectives, age: float, lifetime: float) -> bool:
    """RFC 9111 sections 5.2.1.1 and 5.2.1.3; ``max-stale`` widens the first."""
    if asked.max_age is not None and age > asked.max_age:
        return asked.max_stale is not None and age - asked.max_age <= asked.max_stale
    return asked.min_fresh is None or lifetime - age >= asked.min_fresh


def may_stand_in(
    stored: Stored, status: int | None, now: float, *, expired: bool = False
) -> bool:
    """Say whether a stored response may be served in place of an error.

    RFC 5861 section 4: of a 500, 502, 503 or 504, or of none (*status* is None: the
    application raised).
    """
    if status is not None and status not in _ERRORS:
        return False
    if stored.needs_validation or stored.no_stale:
        return False
    age = stored.age(now)
    if not expired and age < stored.lifetime:
        return True
    return age - stored.lifetime < stored.stale_if_error


_ERRORS = (500, 502, 503, 504)
