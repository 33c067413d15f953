"""Looking at pages and fragments, without asking for them."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlsplit

from django.http import HttpRequest
from django.utils.encoding import iri_to_uri

from holdover import Freshness, Inspection
from holdover.contrib_django.caches.known import region_cache
from holdover.contrib_django.pages.entries import Passed, read_entry
from holdover.contrib_django.pages.fragments import (
    active_language,
    fragment_alias,
    fragment_key,
)
from holdover.contrib_django.pages.places import primary_key, uri_of
from holdover.contrib_django.pages.policy import PagePolicy
from holdover.contrib_django.pages.store import Pages
from holdover.errors import BackendError, InvalidArgument


def inspect_page(
    url: str | HttpRequest, *, cache: str | None = None, key_prefix: str | None = None
) -> Inspection:
    """Tell age, freshness and tags of a page; nothing is rendered or changed.

    Args:
        url: A request for it; or its whole URL, which means the page for a GET with
            none of the fields that pages vary by, in the active language and time zone.
        cache: The name in CACHES that its view or the middleware uses; by default both
            "default", of views, and CACHE_MIDDLEWARE_ALIAS, of the site.
        key_prefix: The one that its view or the middleware uses, likewise.

    Returns:
        An `Inspection`; if the backend cannot be reached, one that says so. A page that
        was not kept is gone, and ``last_error`` says why.

    Raises:
        InvalidArgument: The URL is not a whole one.
        ImproperlyConfigured: The cache is none of ours.
    """
    asked = _asked(url)
    of_view, of_site = (
        _inspected(PagePolicy(of_site=one, alias=cache, key_prefix=key_prefix), asked)
        for one in (False, True)
    )
    return of_site if of_site.is_known and not of_view.is_known else of_view


def inspect_fragment(
    name: str, *vary_on: object, using: str | None = None
) -> Inspection:
    """Tell age, freshness and tags of a fragment in the active language.

    Args:
        name: Its name in ``{% cached %}``.
        *vary_on: What it varies by there, in the same order.
        using: The cache's name in CACHES, as there.

    Returns:
        An `Inspection`; if the backend cannot be reached, one that says so.

    Raises:
        ImproperlyConfigured: The cache is none of ours.
    """
    cache = region_cache(fragment_alias(using))
    key = fragment_key(cache, name, vary_on, active_language())
    told: Inspection = cache.region.inspect(key)
    return told


def _asked(url: str | HttpRequest) -> tuple[HttpRequest, str]:
    if isinstance(url, HttpRequest):
        return url, uri_of(url)
    if not urlsplit(url).netloc:
        raise InvalidArgument(
            f"inspect_page() wants a whole URL, https://host/path, or a request; got "
            f"{url!r:.200}"
        )
    anybody = HttpRequest()
    anybody.method = "GET"
    return anybody, iri_to_uri(url) or ""


def _inspected(policy: PagePolicy, asked: tuple[HttpRequest, str]) -> Inspection:
    pages, (request, uri) = Pages(policy), asked
    primary = primary_key(pages.cache, policy, uri)
    try:
        place = pages.place_at(primary, request)
    except BackendError:
        return pages.region.inspect(primary)
    told = pages.region.inspect(place.key)
    entry = read_entry(told.value)
    if isinstance(entry, Passed):
        return replace(told, freshness=Freshness.GONE, last_error=entry.reason)
    return told
