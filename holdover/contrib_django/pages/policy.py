"""What a site and a view say about keeping pages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.cache import DEFAULT_CACHE_ALIAS
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse

from holdover import Cached, errors
from holdover.contrib_django.stale.keys import PAGES, window_for
from holdover.regions.lifetime import lease_span, seconds
from holdover.regions.numbers import is_count

Tags = Iterable[str] | Callable[[HttpRequest, HttpResponse], Iterable[str]]

_DEFAULTS: dict[str, Any] = {
    "STALE_WHILE_REVALIDATE": 0,
    "STALE_IF_ERROR": None,
    "WAIT": 30,
    "PASS_FOR": 10,
    "MOST_VARIANTS": 1000,
    "CACHE_STATUS": False,
}


def site_setting(name: str) -> Any:
    """Give one of HOLDOVER_PAGES.

    Raises:
        ImproperlyConfigured: There is another name in it.
    """
    given: Any = getattr(settings, "HOLDOVER_PAGES", {})
    if not isinstance(given, Mapping):
        raise ImproperlyConfigured(f"HOLDOVER_PAGES must be a dict, got {given!r:.80}")
    unknown = given.keys() - _DEFAULTS.keys()
    if unknown:
        raise ImproperlyConfigured(
            f"HOLDOVER_PAGES has the unknown {', '.join(sorted(map(str, unknown)))}; "
            f"known are {', '.join(_DEFAULTS)}"
        )
    return given.get(name, _DEFAULTS[name])


def site_seconds(name: str) -> float:
    """Give one of HOLDOVER_PAGES that is a span of time.

    Raises:
        ImproperlyConfigured: It is none.
    """
    read = lease_span if name == "WAIT" else seconds
    try:
        return read(site_setting(name), f"HOLDOVER_PAGES[{name!r}]", zero=True)
    except errors.InvalidLifetime as error:
        raise ImproperlyConfigured(str(error)) from error


def site_count(name: str) -> int:
    """Give one of HOLDOVER_PAGES that is a number of things.

    Raises:
        ImproperlyConfigured: It is none.
    """
    given = site_setting(name)
    if not is_count(given) or not given:
        raise ImproperlyConfigured(
            f"HOLDOVER_PAGES[{name!r}] must be a whole number above 0, got "
            f"{given!r:.80}"
        )
    return given


@dataclass(frozen=True, slots=True, kw_only=True)
class PagePolicy:
    """How the pages of some views are kept. All spans are seconds.

    Attributes:
        of_site: Whether it is that of the middleware, whose pages are told from those
            that views keep.
        alias: The cache's name in CACHES; None: as CACHE_MIDDLEWARE_ALIAS says, of the
            site, or the default cache, of a view.
        key_prefix: Parts pages from those of other uses; None: as
            CACHE_MIDDLEWARE_KEY_PREFIX says, of the site, or none.
        timeout: For how long a page is fresh; None: as its own ``max-age`` says, or
            CACHE_MIDDLEWARE_SECONDS.
        stale_while_revalidate: See `Lifetime`; None: as the page's Cache-Control says,
            or the cache's OPTIONS, or HOLDOVER_PAGES.
        stale_if_error: See `Lifetime`; None likewise.
        tags: Names under which pages are invalidated, or what gives them.

    Raises:
        InvalidLifetime: A span is negative or no number.
        InvalidArgument: *tags* is no collection of texts.
    """

    of_site: bool = False
    alias: str | None = None
    key_prefix: str | None = None
    timeout: float | None = None
    stale_while_revalidate: float | None = None
    stale_if_error: float | None = None
    tags: Tags = ()

    def __post_init__(self) -> None:
        if not callable(self.tags):
            object.__setattr__(self, "tags", _checked_tags(self.tags))
        timeout: Any = self.timeout
        if isinstance(timeout, timedelta):
            object.__setattr__(self, "timeout", timeout.total_seconds())
        for name in ("stale_while_revalidate", "stale_if_error"):
            given = getattr(self, name)
            if given is not None:
                object.__setattr__(self, name, seconds(given, name, zero=True))

    @property
    def cache_alias(self) -> str:
        """The cache's name in CACHES."""
        if self.alias is not None or not self.of_site:
            return self.alias or DEFAULT_CACHE_ALIAS
        return str(settings.CACHE_MIDDLEWARE_ALIAS)

    def default_window(self) -> float:
        """Give the staleness of pages that say nothing: the cache's, or the site's.

        Raises:
            ImproperlyConfigured: A setting is wrong.
        """
        of_cache = window_for(settings.CACHES[self.cache_alias], PAGES)
        return site_seconds("STALE_WHILE_REVALIDATE") if of_cache is None else of_cache

    @property
    def prefix(self) -> str:
        """What parts its pages from others."""
        if self.key_prefix is not None or not self.of_site:
            return self.key_prefix or ""
        return str(settings.CACHE_MIDDLEWARE_KEY_PREFIX)

    def tags_of(self, request: HttpRequest, response: HttpResponse) -> tuple[str, ...]:
        """Give the tags of a response."""
        given = self.tags(request, response) if callable(self.tags) else self.tags
        return _checked_tags(given)


def _checked_tags(tags: Iterable[str]) -> tuple[str, ...]:
    return Cached(None, tags=tags).tags  # type: ignore[arg-type] # it checks them
