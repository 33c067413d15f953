"""Whether a response may be stored, and what of it (RFC 9111 section 3)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from email.utils import formatdate

from holdover.wsgi.http.directives import ResponseDirectives, response_directives
from holdover.wsgi.http.fields import Headers, is_field, is_token, is_value
from holdover.wsgi.http.freshness import (
    HEURISTIC_STATUSES,
    explicit_lifetime,
    heuristic_lifetime,
    initial_age,
)
from holdover.wsgi.http.messages import Request, Response, Stored, Target
from holdover.wsgi.http.policy import Policy
from holdover.wsgi.http.steering import MOST_TAGS, ResponseCache, tags_of
from holdover.wsgi.http.validation import questions
from holdover.wsgi.lists import names

UNDERSTOOD = HEURISTIC_STATUSES | {302, 303, 307, 400, 401, 402, 403, 406, 409, 411}
UNDERSTOOD |= {412, 413, 415, 417, 421, 422, 423, 424, 426, 428, 429, 431, 451}
UNDERSTOOD |= {201, 202, 205, 500, 502, 503, 504, 505, 506, 507, 508, 511}
"""Whose rules for caches are kept here (RFC 9111 section 5.2.2.3)."""

_INTERIM, _FINAL = range(100, 200), range(200, 1000)  # RFC 9110 section 15
_NEVER = {206: "partial", 304: "not-modified"}

_HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authentication-info",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


def read_storable(
    request: Request,
    response: Response,
    body: bytes,
    policy: Policy,
    steering: ResponseCache,
) -> Stored | str:
    """Give what is stored of a whole response, or why it is not (RFC 9111 section 3).

    The reasons are for the ``detail`` of ``Cache-Status``.
    """
    directives = steering.applied(directives_of(request, response, policy))
    why = _why_not_allowed(request, response, directives, policy)
    if why is not None:
        return why
    tags = tags_of(response.headers, steering.tags)
    kept = stored(response, body, directives, policy, tags)
    return _why_not_useful(kept) or kept


def _why_not_allowed(
    request: Request,
    response: Response,
    directives: ResponseDirectives,
    policy: Policy,
) -> str | None:
    why = _why_not_at_all(request, response, directives)
    why = why or _why_not_shared(request, response, directives, policy)
    if why is None and not _says_anything(response, directives, policy):
        return "no-lifetime"
    return why


def _why_not_at_all(
    request: Request, response: Response, directives: ResponseDirectives
) -> str | None:
    if request.method != "GET":
        return "method"  # HEAD has no body to serve a GET from
    if "range" in request.headers:
        return "range"
    if request.directives.no_store:
        return "request-no-store"  # section 5.2.1.5
    if (why := _why_not_a_page(response)) is not None:
        return why
    if directives.must_understand:  # section 5.2.2.3: in place of no-store
        return None if response.status in UNDERSTOOD else "must-understand"
    return "no-store" if directives.no_store else None


def _why_not_a_page(response: Response) -> str | None:
    if response.status in _NEVER:
        return _NEVER[response.status]
    if response.status not in _FINAL:
        return "interim" if response.status in _INTERIM else "nonsense"
    fields = response.headers
    if not (is_value(response.reason) and all(is_field(*one) for one in fields)):
        return "nonsense"  # whoever read it back would part it into two
    return None


def _why_not_shared(
    request: Request,
    response: Response,
    directives: ResponseDirectives,
    policy: Policy,
) -> str | None:
    if directives.private:
        return "private"
    is_of_somebody = request.is_of_somebody or "authorization" in request.headers
    if is_of_somebody and not _allows_authorized(directives, policy):
        return "authorization"
    if _sets_cookie(response, directives) and not policy.strip_set_cookie:
        return "set-cookie"
    if not _varies_by_fields(response.headers, directives):
        return "vary"
    if _is_page_in_disguise(request.target, response, policy):
        return "static-suffix"
    return None


def _allows_authorized(directives: ResponseDirectives, policy: Policy) -> bool:
    """RFC 9111 section 3.5: what may be shared though it was asked for by somebody.

    ``s-maxage`` allows it only where it is kept to the letter.
    """
    return (
        directives.public
        or directives.must_revalidate
        or (directives.s_maxage is not None and not policy.stale_with_s_maxage)
    )


def _varies_by_fields(headers: Headers, directives: ResponseDirectives) -> bool:
    """Say whether it is known by which fields a response varies, if it does.

    ``*`` never matches (RFC 9111 section 4.1), and what is no name says nothing. Nor
    may the stored response go without ``Vary``.
    """
    varied = names(headers.all("vary"))
    if not varied:
        return True
    is_kept = "vary" not in _dropped(headers, directives)
    return is_kept and "*" not in varied and all(map(is_token, varied))


def _sets_cookie(response: Response, directives: ResponseDirectives) -> bool:
    dropped = directives.private_fields | directives.no_cache_fields
    return "set-cookie" in response.headers and "set-cookie" not in dropped


def _is_page_in_disguise(target: Target, response: Response, policy: Policy) -> bool:
    """Say whether somebody may have lured a user to a made-up path of a static file."""
    last = target.path.rpartition("/")[2].lower()
    suffix = last.rpartition(".")[2] if "." in last else ""
    kind = (response.headers.joined("content-type") or "").partition(";")[0].strip()
    return suffix in policy.static_suffixes and kind.lower() in _PAGES


_PAGES = ("text/html", "application/xhtml+xml")


def _why_not_useful(kept: Stored) -> str | None:
    """Refuse what would never be used, or could not be purged."""
    if len(kept.tags) > MOST_TAGS:
        return "tags"  # it could not be purged by those that were left out
    if questions(kept):
        return None  # to ask saves the application the body, at least
    if kept.needs_validation:
        return "no-validator"
    stale_for = max(kept.stale_while_revalidate, kept.stale_if_error)
    return None if kept.lifetime + stale_for > kept.initial_age else "stale"


def _says_anything(
    response: Response, directives: ResponseDirectives, policy: Policy
) -> bool:
    """Say whether anything in a response is about its being stored.

    RFC 9111 section 3, the last condition; but a status alone says too little here.
    """
    if explicit_lifetime(response, directives) is not None or directives.public:
        return True
    if response.status not in HEURISTIC_STATUSES:
        return False
    return directives.no_cache or heuristic_lifetime(response, directives, policy) > 0


def _lifetime(
    response: Response, directives: ResponseDirectives, policy: Policy
) -> float:
    explicit = explicit_lifetime(response, directives)
    if explicit is not None:
        return explicit
    return heuristic_lifetime(response, directives, policy)


def _stale_spans(directives: ResponseDirectives, policy: Policy) -> tuple[float, float]:
    """Give both spans of RFC 5861; the response's own word counts first.

    Nothing is stale beyond what ``must-revalidate`` and its like allow (RFC 9111
    section 4.2.4).
    """
    if _forbids_stale(directives, policy):
        return 0.0, 0.0
    said = directives.stale_while_revalidate, directives.stale_if_error
    default = policy.stale_while_revalidate, policy.stale_if_error
    spans = [
        float(given if own is None else own)
        for own, given in zip(said, default, strict=True)
    ]
    return spans[0], spans[1]


def _forbids_stale(directives: ResponseDirectives, policy: Policy) -> bool:
    """RFC 9111 sections 5.2.2.2, 5.2.2.8 and 5.2.2.10; ``no-cache`` all the more."""
    return (
        directives.must_revalidate
        or directives.proxy_revalidate
        or directives.no_cache
        or (directives.s_maxage is not None and not policy.stale_with_s_maxage)
    )


def directives_of(
    request: Request, response: Response, policy: Policy
) -> ResponseDirectives:
    """Read what a response says to this cache, as the policy has it."""
    directives = response_directives(response.headers, policy.targets)
    if policy.override is not None:
        return policy.override(request, response, directives)
    return directives


def stored(
    response: Response,
    body: bytes,
    directives: ResponseDirectives,
    policy: Policy,
    tags: Iterable[str] = (),
) -> Stored:
    """Make what is stored of a response that may be (RFC 9111 section 3.1)."""
    kept = dated(
        storable_headers(response.headers, directives, policy), response.received_at
    )
    while_revalidate, if_error = _stale_spans(directives, policy)
    return Stored(
        response=replace(response, headers=kept),
        body=body,
        lifetime=_lifetime(response, directives, policy),
        initial_age=initial_age(response),
        stale_while_revalidate=while_revalidate,
        stale_if_error=if_error,
        needs_validation=directives.no_cache,
        no_stale=_forbids_stale(directives, policy),
        immutable=directives.immutable,
        tags=tuple(tags),
    )


def dated(headers: Headers, received_at: float) -> Headers:
    """Add the date that a response lacks (RFC 9110 section 6.6.1)."""
    if "date" in headers:
        return headers
    return Headers([*headers, ("Date", formatdate(received_at, usegmt=True))])


def storable_headers(
    headers: Headers, directives: ResponseDirectives, policy: Policy
) -> Headers:
    """Drop the fields that are not stored (RFC 9111 section 3.1).

    These are what concerns one connection only (RFC 9110 section 7.6.1), and what
    ``private`` and ``no-cache`` name.
    """
    unwanted = _dropped(headers, directives)
    if policy.strip_set_cookie:
        unwanted |= {"set-cookie"}
    return headers.without(unwanted)


def _dropped(headers: Headers, directives: ResponseDirectives) -> frozenset[str]:
    qualified = directives.private_fields | directives.no_cache_fields
    return _of_the_connection(headers) | qualified


def end_to_end(headers: Headers) -> Headers:
    """Drop what concerns one connection only (RFC 9110 section 7.6.1)."""
    return headers.without(_of_the_connection(headers))


def _of_the_connection(headers: Headers) -> frozenset[str]:
    return _HOP_BY_HOP | names(headers.all("connection"))
