"""What an application may say of its response, besides header fields."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any, ParamSpec, TypeVar

from holdover import Cached
from holdover.regions.lifetime import seconds_or_none
from holdover.wsgi.http.directives import ResponseDirectives
from holdover.wsgi.http.fields import Headers

P = ParamSpec("P")
T = TypeVar("T")

ENVIRON_KEY = "holdover.response_cache"
_SPANS = ("expiration_time", "stale_while_revalidate", "stale_if_error")
MOST_TAGS = 64  # of one response; each is a name that a read looks at


@dataclass(slots=True)
class ResponseCache:
    """Steers what becomes of the response to one request.

    ``environ["holdover.response_cache"]``; to be used before the head of the response
    goes out. The decorator `response_cache` says the same.

    Attributes:
        store: False: this response is not stored.
        expiration_time: Seconds for which it is fresh, in place of what it says.
        stale_while_revalidate: Seconds, likewise.
        stale_if_error: Seconds, likewise.
        tags: Names under which it can be invalidated, besides those in its fields.
    """

    store: bool = True
    expiration_time: float | None = None
    stale_while_revalidate: float | None = None
    stale_if_error: float | None = None
    tags: set[str] = field(default_factory=set)

    def __setattr__(self, name: str, value: Any) -> None:
        """Take spans as seconds or ``timedelta``; raises InvalidLifetime for others."""
        if value is not None and name in _SPANS:  # each request has one: 1 us
            value = seconds_or_none(value, name, zero=True)
        object.__setattr__(self, name, value)

    def tag(self, *tags: str) -> None:
        """Add tags.

        Raises:
            InvalidArgument: One is no text, or empty.
        """
        self.tags.update(_checked(tags))

    def take(self, other: ResponseCache) -> None:
        """Take over what another says, where this one says nothing yet."""
        self.store = self.store and other.store
        for name in _SPANS:
            if getattr(self, name) is None:
                setattr(self, name, getattr(other, name))
        self.tags |= other.tags

    def applied(self, directives: ResponseDirectives) -> ResponseDirectives:
        """Give the directives with what was said here in their place."""
        if not self.store:
            return replace(directives, no_store=True, must_understand=False)
        spans: dict[str, Any] = {
            "max_age": self.expiration_time,
            "stale_while_revalidate": self.stale_while_revalidate,
            "stale_if_error": self.stale_if_error,
        }
        own = {name: span for name, span in spans.items() if span is not None}
        if "max_age" in own:
            own["s_maxage"] = None
        return replace(directives, **own)


def tags_of(headers: Headers, more: Iterable[str] = ()) -> tuple[str, ...]:
    """Give the tags that a response has, in its fields and otherwise.

    ``Cache-Tag`` parts them by commas, ``Surrogate-Key`` by blanks.
    """
    found = {tag for one in headers.all("cache-tag") for tag in one.split(",")}
    found |= {tag for one in headers.all("surrogate-key") for tag in one.split()}
    named = {tag.strip() for tag in found} - {""}
    return tuple(sorted(named | set(more)))


def response_cache(
    *,
    store: bool = True,
    expiration_time: object = None,
    stale_while_revalidate: object = None,
    stale_if_error: object = None,
    tags: Iterable[str] = (),
) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Steer what becomes of a view's responses in the HTTP response cache.

    ::

        @response_cache(expiration_time=60, tags=["prices"])
        def prices(environ, start_response):
            ...

    For whatever runs while the application is called, or gets its environ, or a request
    that has one as its ``environ``: applications, views of Flask, Bottle, WebOb,
    Pyramid or Werkzeug, methods. What the view itself says by
    ``environ["holdover.response_cache"]`` goes before. Without an
    `HTTPCacheMiddleware` around it, nothing changes.

    Args:
        store: False: its responses are not stored.
        expiration_time: Seconds for which they are fresh, in place of what they say.
        stale_while_revalidate: Seconds, likewise.
        stale_if_error: Seconds, likewise.
        tags: Names under which they can be invalidated.

    Raises:
        InvalidLifetime: A span is none.
        InvalidArgument: A tag is no text, or empty.
    """
    given = ResponseCache(store=store, tags=set(_checked(tags)))
    spans = expiration_time, stale_while_revalidate, stale_if_error
    for name, span in zip(_SPANS, spans, strict=True):
        setattr(given, name, span)

    def decorate(view: Callable[P, T]) -> Callable[P, T]:
        @functools.wraps(view)
        def steered(*args: P.args, **kwargs: P.kwargs) -> T:
            steering = _steering_for(args)
            if steering is not None:
                steering.take(given)
            return view(*args, **kwargs)

        return steered

    return decorate


def _checked(tags: Any) -> tuple[str, ...]:
    """Check tags as the region will; raises InvalidArgument."""
    return Cached(None, tags=tags).tags


def _steering_for(args: tuple[Any, ...]) -> ResponseCache | None:
    """Give what steers the response of a view that is called with *args*."""
    for one in args:
        environ = one if isinstance(one, dict) else getattr(one, "environ", None)
        if isinstance(environ, dict) and "REQUEST_METHOD" in environ:
            found = environ.get(ENVIRON_KEY)
            return found if isinstance(found, ResponseCache) else None
    return _present.get()


_present: ContextVar[ResponseCache | None] = ContextVar("response_cache", default=None)


@contextmanager
def steered_by(environ: Mapping[str, Any]) -> Iterator[None]:
    """Let views that get no environ find what steers their response."""
    token = _present.set(environ.get(ENVIRON_KEY))
    try:
        yield
    finally:
        _present.reset(token)
