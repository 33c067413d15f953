"""What may be kept, for how long, and for whom: Django's rules and some stricter ones.

A response also counts as its user's where that shows only after the view has returned,
when Django's middleware adds cookies and ``Vary`` to it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import (
    get_max_age,
    patch_response_headers,
    patch_vary_headers,
)

from holdover.contrib_django.pages.policy import PagePolicy, site_seconds, site_setting

_OK, _NOT_MODIFIED = 200, 304
_NOT_KEPT = ("private", "no-cache", "no-store")
_NEVER_STALE = ("must-revalidate", "proxy-revalidate")
_SEPARATOR = re.compile(r"\s*,\s*")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a response. All spans are seconds.

    Attributes:
        against: Why it is not kept; None if it is.
        varied: The request fields that it varies by.
        fresh_for: For how long it is fresh.
        stale_while_revalidate: See `Lifetime`.
        stale_if_error: See `Lifetime`.
        tags: Names under which it is invalidated.
    """

    against: str | None
    varied: tuple[str, ...] = ()
    fresh_for: float = 0.0
    stale_while_revalidate: float = 0.0
    stale_if_error: float | None = None
    tags: tuple[str, ...] = ()


def judge(
    request: HttpRequest, response: HttpResponseBase, policy: PagePolicy
) -> Verdict:
    """Decide whether a response is kept; if it may be, say so in its header fields."""
    if _has_read_session(request):
        patch_vary_headers(response, ("Cookie",))
    against = _against(request, response)
    if against is not None or not isinstance(response, HttpResponse):
        return Verdict(against or "is streamed", varied_names(response))
    timeout = _timeout(response, policy)
    if timeout is None:
        return Verdict("has max-age=0", varied_names(response))
    said = response.get("Cache-Control", "").lower()
    # Vary on who is asking, unless the view says that it is all the same (RFC 9111
    # section 3.5).
    if request.META.get("HTTP_AUTHORIZATION") and "public" not in said:
        patch_vary_headers(response, ("Authorization",))
    patch_response_headers(response, int(timeout))
    varied = varied_names(response)
    if response.status_code != _OK:
        return Verdict(f"has status {response.status_code}", varied)
    if timeout <= 0:
        return Verdict("is never fresh", varied)
    never_stale = any(one in said for one in _NEVER_STALE)
    return Verdict(
        None,
        varied,
        timeout,
        0.0 if never_stale else _stale_while_revalidate(said, policy),
        0.0 if never_stale else _stale_if_error(said, policy),
        policy.tags_of(request, response),
    )


def varied_names(response: HttpResponseBase) -> tuple[str, ...]:
    """Give the request fields that a response varies by, in lower case and in order.

    The language is in every key where there are several, so Accept-Language would only
    store the same page under many.
    """
    left_out = {"", "*", "accept-language"} if settings.USE_I18N else {"", "*"}
    return tuple(sorted(_named_by_vary(response) - left_out))


def _named_by_vary(response: HttpResponseBase) -> set[str]:
    return set(_SEPARATOR.split(response.get("Vary", "").strip().lower()))


def _against(request: HttpRequest, response: HttpResponseBase) -> str | None:
    """Say why a response is nobody else's business; None if it may be."""
    said = response.get("Cache-Control", "").lower()
    directive = next((one for one in _NOT_KEPT if one in said), None)
    session = getattr(request, "session", None)
    messages = getattr(request, "_messages", None)
    reasons = {
        "is streamed": response.streaming,
        f"has status {response.status_code}": response.status_code
        not in (_OK, _NOT_MODIFIED),
        "sets a cookie": bool(response.cookies) or "Set-Cookie" in response,
        "has a CSRF token": bool(request.META.get("CSRF_COOKIE_NEEDS_UPDATE")),
        "changes the session": getattr(session, "modified", False),
        "shows messages": messages is not None
        and (messages.used or messages.added_new),
        f"is {directive}": directive is not None,
        # Not has_vary_header(), which until Django 5.2.15 and 6.0.6 takes white space
        # for a part of a name (CVE-2026-48587).
        "varies by everything": "*" in _named_by_vary(response),
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def _has_read_session(request: HttpRequest) -> bool:
    return bool(getattr(getattr(request, "session", None), "accessed", False))


def _timeout(response: HttpResponse, policy: PagePolicy) -> float | None:
    """For how long it is fresh, in Django's order of precedence; None: not at all."""
    if policy.timeout is not None:
        return policy.timeout
    own = get_max_age(response)
    if own is None:
        return float(settings.CACHE_MIDDLEWARE_SECONDS)
    return own or None


def _stale_while_revalidate(said: str, policy: PagePolicy) -> float:
    if policy.stale_while_revalidate is not None:
        return policy.stale_while_revalidate
    own = _span(said, "stale-while-revalidate")
    return policy.default_window() if own is None else own


def _stale_if_error(said: str, policy: PagePolicy) -> float | None:
    if policy.stale_if_error is not None:
        return policy.stale_if_error
    own = _span(said, "stale-if-error")
    if own is not None or site_setting("STALE_IF_ERROR") is None:
        return own
    return site_seconds("STALE_IF_ERROR")


def _span(said: str, directive: str) -> float | None:
    """Read a directive of RFC 5861; None if it is not there, or no number."""
    found = re.search(rf'(?:^|[\s,]){directive}="?(\d{{1,9}})"?(?:$|[\s,])', said)
    return None if found is None else float(found.group(1))
