"""Where the page for a request is, or would be."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Self

from django.conf import settings
from django.core.cache.backends.base import BaseCache
from django.http import HttpRequest
from django.utils.encoding import iri_to_uri
from django.utils.timezone import get_current_timezone_name
from django.utils.translation import get_language

from holdover.contrib_django.pages.entries import Index
from holdover.contrib_django.pages.policy import PagePolicy

_OF_CGI = ("CONTENT_LENGTH", "CONTENT_TYPE")  # PEP 3333 has them without HTTP_


@dataclass(frozen=True, slots=True)
class Asker:
    """What a page depends on besides its URL.

    Attributes:
        method: GET or HEAD.
        language: The active language; empty where the site has one only.
        zone: The active time zone; empty where the site does not convert times.
        fields: Request fields that pages of the URL vary by; None: it has none.
    """

    method: str
    language: str
    zone: str
    fields: dict[str, str | None]

    @classmethod
    def of(cls, request: HttpRequest, varied: tuple[str, ...]) -> Self:
        """Read a request."""
        language = getattr(request, "LANGUAGE_CODE", None) or get_language() or ""
        return cls(
            request.method or "",
            language if settings.USE_I18N else "",
            get_current_timezone_name() if settings.USE_TZ else "",
            {name: request.META.get(variable(name)) for name in varied},
        )

    def key(self, primary: str, generation: str) -> str:
        """Give the key of its page."""
        said = [self.method, self.language, self.zone, sorted(self.fields.items())]
        digest = blake2b(json.dumps(said).encode(), digest_size=20)
        return f"{primary}.{generation}.{digest.hexdigest()}"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page is.

    Attributes:
        primary: The key of its URL, where the index is.
        index: The index; None if there is none yet.
        asker: For whom the page is.
    """

    primary: str
    index: Index | None
    asker: Asker

    @property
    def key(self) -> str:
        """The page's key; the URL's own as long as nobody knows how pages differ."""
        if self.index is None:
            return self.primary
        return self.asker.key(self.primary, self.index.generation)

    def under(self, index: Index, request: HttpRequest) -> Place:
        """Give the place that a page for *request* has under another index."""
        return Place(self.primary, index, Asker.of(request, index.varied))

    def for_get(self) -> Place:
        """Give the place of the page for the same request as a GET."""
        return Place(self.primary, self.index, replace(self.asker, method="GET"))


def primary_key(cache: BaseCache, policy: PagePolicy, uri: str) -> str:
    """Give the key of a URL in a cache.

    Args:
        cache: The cache.
        policy: Its prefix, and whether it is the site's, are in the key.
        uri: With scheme, host and query.
    """
    who = "site" if policy.of_site else "view"
    return str(cache.make_key(f"holdover.page.{json.dumps([who, policy.prefix, uri])}"))


def uri_of(request: HttpRequest) -> str:
    """Give a request's URL as the view will see it.

    ``build_absolute_uri()`` resolves dots in the path, and no view does: what
    ``/search/../news`` shows would be kept as the page of ``/news``.
    """
    uri = f"{request.scheme}://{request.get_host()}{request.get_full_path()}"
    return str(iri_to_uri(uri))


def variable(name: str) -> str:
    """Give the name in META of a request field."""
    known = name.upper().replace("-", "_")
    return known if known in _OF_CGI else f"HTTP_{known}"
