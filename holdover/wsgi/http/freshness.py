"""How long a response is fresh, and how old it is (RFC 9111 section 4.2)."""

from __future__ import annotations

from holdover.wsgi.http.directives import ResponseDirectives
from holdover.wsgi.http.fields import date_in, delta_seconds, http_date
from holdover.wsgi.http.messages import Response
from holdover.wsgi.http.policy import Policy

HEURISTIC_STATUSES = frozenset(
    {200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501}
)
"""May be reused without saying so (RFC 9110 section 15.1)."""


def initial_age(response: Response) -> float:
    """Tell how old a response was when it came (RFC 9111 section 4.2.3).

    Without a date it was made when it came (RFC 9110 section 6.6.1).
    """
    apparent = max(0.0, response.received_at - _date(response))
    delay = max(0.0, response.received_at - response.requested_at)
    return max(apparent, _age_value(response) + delay)


def explicit_lifetime(
    response: Response, directives: ResponseDirectives
) -> float | None:
    """Tell for how long a response says that it is fresh; None if it does not say.

    RFC 9111 section 4.2.1, for a shared cache: ``s-maxage``, else ``max-age``, else
    ``Expires``. What cannot be read, or is said twice and differently, counts as over.
    """
    if directives.s_maxage is not None:
        return float(directives.s_maxage)
    if directives.max_age is not None:
        return float(directives.max_age)
    expires = response.headers.all("expires")
    if not expires or directives.is_targeted:
        return None
    if len(set(expires)) > 1:
        return 0.0
    until = http_date(expires[0], response.received_at)
    return 0.0 if until is None else max(0.0, until - _date(response))


def heuristic_lifetime(
    response: Response, directives: ResponseDirectives, policy: Policy
) -> float:
    """Guess for how long a response is fresh (RFC 9111 section 4.2.2)."""
    may_guess = response.status in HEURISTIC_STATUSES or directives.public
    modified_at = date_in(response.headers, "last-modified", response.received_at)
    if not may_guess or modified_at is None:
        return 0.0
    since = max(0.0, _date(response) - modified_at)
    return min(since * policy.heuristic_fraction, policy.heuristic_most)


def _date(response: Response) -> float:
    read = date_in(response.headers, "date", response.received_at)
    return response.received_at if read is None else read


def _age_value(response: Response) -> float:
    """Read ``Age``: its first value; nonsense is ignored (RFC 9111 section 5.1)."""
    lines = response.headers.all("age")
    first = lines[0].split(",")[0].strip() if lines else ""
    return float(delta_seconds(first) or 0)
