"""What an application may say of its response, besides header fields."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from holdover import errors
from holdover.wsgi.http.directives import ResponseDirectives
from holdover.wsgi.http.fields import Headers

ENVIRON_KEY = "holdover.response_cache"
TAG_FIELDS = ("cache-tag", "surrogate-key")
"""Cache-Tag parts its tags by commas, Surrogate-Key by blanks."""

_MOST_TAGS = 64  # of one response; each is a name that a read looks at


@dataclass(slots=True)
class ResponseCache:
    """Steers what becomes of the response to one request.

    ``environ["holdover.response_cache"]``; to be used before the body begins.

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

    def tag(self, *tags: str) -> None:
        """Add tags.

        Raises:
            InvalidArgument: One is no text, or empty.
        """
        for tag in tags:
            if not tag or not isinstance(tag, str):
                raise errors.InvalidArgument(
                    f"a tag must be a str that is not empty, got {tag!r}"
                )
        self.tags.update(tags)

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
    """Give the tags that a response has, in its fields and otherwise."""
    found = {tag for one in headers.all("cache-tag") for tag in one.split(",")}
    found |= {tag for one in headers.all("surrogate-key") for tag in one.split()}
    named = {tag.strip() for tag in found} - {""}
    return tuple(sorted(named | set(more))[:_MOST_TAGS])
