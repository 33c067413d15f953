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
        expired: Whether it is past its time, or was made to expire before, softly.
    """
    if stored.needs_validation or asked.no_cache:  # 5.2.2.4, 5.2.1.4
        return Reuse.NOT_WITHOUT_ASKING
    if is_fresh(stored, now, expired=expired):
        is_wanted = _is_young_enough(stored, asked, now)
        return Reuse.FRESH if is_wanted else Reuse.NOT_WITHOUT_ASKING
    if stored.no_stale or not _takes_stale(stored, asked, now):  # 4.2.4
        return Reuse.NOT_WITHOUT_ASKING
    stale_for = stored.age(now) - stored.lifetime  # below 0 before its time
    if max(0.0, stale_for) < stored.stale_while_revalidate:
        return Reuse.STALE_MEANWHILE
    if stale_for >= 0 and _within(stale_for, asked.max_stale):  # 5.2.1.2
        return Reuse.STALE
    return Reuse.NOT_WITHOUT_ASKING


def is_fresh(stored: Stored, now: float, *, expired: bool = False) -> bool:
    """Say whether a stored response is fresh (RFC 9111 section 4.2)."""
    return not expired and stored.age(now) < stored.lifetime


def _is_young_enough(stored: Stored, asked: RequestDirectives, now: float) -> bool:
    """RFC 9111 sections 5.2.1.1 and 5.2.1.3.

    What is immutable does not change while it is fresh, so that its age is of no
    interest: browsers ask for a newer one whenever they reload (RFC 8246 section 2).
    """
    age = stored.age(now)
    if asked.max_age is not None and age > asked.max_age and not stored.immutable:
        return False
    return asked.min_fresh is None or stored.lifetime - age >= asked.min_fresh


def _takes_stale(stored: Stored, asked: RequestDirectives, now: float) -> bool:
    """Say whether a client objects to what is stale.

    Who says how old or how fresh a response may be wants none that is stale, unless
    he says that, too (RFC 9111 section 5.2.1.1).
    """
    if asked.min_fresh is not None:
        return False
    if asked.max_age is None:
        return True
    return asked.max_stale is not None and stored.age(now) <= asked.max_age


def _within(span: float, most: int | None) -> bool:
    return most is not None and (most == MOST_SECONDS or span <= most)


def may_stand_in(
    stored: Stored,
    asked: RequestDirectives,
    status: int | None,
    now: float,
    *,
    expired: bool = False,
) -> bool:
    """Say whether a stored response may be served in place of an error.

    RFC 5861 section 4: of a 500, 502, 503 or 504, or of none (*status* is None: the
    application raised). The response or the client says for how long.
    """
    if status is not None and status not in _ERRORS:
        return False
    if stored.needs_validation or stored.no_stale:
        return False
    if is_fresh(stored, now, expired=expired):
        return True
    most = max(stored.stale_if_error, asked.stale_if_error or 0)
    return stored.age(now) - stored.lifetime < most


_ERRORS = (500, 502, 503, 504)
