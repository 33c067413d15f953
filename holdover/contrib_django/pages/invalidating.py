"""Removing pages by their URL."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest
from django.utils.encoding import iri_to_uri

from holdover.contrib_django.caches.known import region_cache
from holdover.contrib_django.pages.places import primary_key, uri_of
from holdover.contrib_django.pages.policy import PagePolicy

if TYPE_CHECKING:
    from holdover import Delivery


def invalidate_page(
    url: str | HttpRequest,
    *,
    host: str | None = None,
    cache: str | None = None,
    key_prefix: str | None = None,
    strict: bool = False,
) -> Delivery:
    """Remove a page in all its variants, languages and time zones.

    Once this has returned without ``pending``, nobody gets a page whose rendering began
    earlier. To have old pages served while the next are made, give them tags, and call
    ``region.invalidate(hard=False, tags=...)``.

    Args:
        url: A request for it, or its URL, with the query; or the path alone, which
            means the page of every host.
        host: With a path, whose page it is, with the port if URLs have it; by default
            that of every name in ALLOWED_HOSTS.
        cache: The name in CACHES that its view or the middleware uses; by default both
            CACHE_MIDDLEWARE_ALIAS, of the site, and "default", of views.
        key_prefix: The one that its view or the middleware uses, likewise.
        strict: Whether to raise if the backend cannot be reached.

    Raises:
        ImproperlyConfigured: There is no host, and a name in ALLOWED_HOSTS is a
            pattern; or the cache is none of ours.
        BackendError: Only if *strict*.
    """
    deliveries = []
    for of_site in (True, False):
        policy = PagePolicy(of_site=of_site, alias=cache, key_prefix=key_prefix)
        kept = region_cache(policy.cache_alias)
        keys = [primary_key(kept, policy, uri) for uri in _uris(url, host)]
        deliveries.append(kept.region.delete_multi(keys, strict=strict))
    first, second = deliveries
    return first if first.pending else second


def _uris(url: str | HttpRequest, host: str | None) -> Iterator[str]:
    if isinstance(url, HttpRequest):
        yield uri_of(url)
        return
    if urlsplit(url).scheme:
        yield iri_to_uri(url) or ""
        return
    hosts = [host] if host else _allowed_hosts()
    for scheme, one in product(("https", "http"), hosts):
        yield f"{scheme}://{one}{iri_to_uri(url)}"


def _allowed_hosts() -> list[str]:
    hosts: list[str] = settings.ALLOWED_HOSTS
    if not hosts or any("*" in one or one.startswith(".") for one in hosts):
        raise ImproperlyConfigured(
            "a path is a page of every host, and ALLOWED_HOSTS does not name them: "
            "give invalidate_page() the whole URL, or host=..."
        )
    return hosts
