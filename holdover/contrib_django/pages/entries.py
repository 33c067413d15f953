"""What stands in a region for a page, as plain data that any codec for bytes can take.

Under a URL's own key stands its *index*: by which request fields its pages differ.
The pages stand under keys that are made with the index's generation, so that removing
the index removes them all, in one step.
"""

from __future__ import annotations

import secrets
from dataclasses import asdict, dataclass
from typing import Any, Self

from django.http import HttpResponse

_NOT_KEPT = {"age", "cache-status", "connection", "keep-alive", "set-cookie"}


@dataclass(frozen=True, slots=True)
class Page:
    """A response as it is kept.

    Attributes:
        reason: Its reason phrase.
        headers: Its fields, by name.
        body: Its content.
        made_at: When it was made (wall clock).
        fresh_for: Seconds for which it is fresh.
    """

    reason: str
    headers: dict[str, str]
    body: bytes
    made_at: float
    fresh_for: float

    @classmethod
    def of(cls, response: HttpResponse, made_at: float, fresh_for: float) -> Self:
        """Keep a response."""
        headers = {
            name: value
            for name, value in response.items()
            if name.lower() not in _NOT_KEPT
        }
        return cls(
            response.reason_phrase, headers, response.content, made_at, fresh_for
        )

    def response(self, now: float) -> HttpResponse:
        """Give a response to serve at *now*, which tells its age (RFC 9111 5.1)."""
        headers = {**self.headers, "Age": str(max(0, int(now - self.made_at)))}
        return HttpResponse(self.body, reason=self.reason, headers=headers)


@dataclass(frozen=True, slots=True)
class Passed:
    """Stands where responses are not kept, so that nobody waits for one there.

    Attributes:
        reason: Why they are not.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class Index:
    """By what the pages of a URL differ.

    Attributes:
        varied: Names of request fields, in lower case and in order.
        generation: Part of the pages' keys.
    """

    varied: tuple[str, ...]
    generation: str

    @classmethod
    def begun(cls, varied: tuple[str, ...]) -> Self:
        """Begin a new one, under which nothing is found yet."""
        return cls(varied, secrets.token_hex(8))


_KINDS: dict[str, type[Page | Passed | Index]] = {
    "page": Page,
    "passed": Passed,
    "index": Index,
}


def as_data(entry: Page | Passed | Index) -> dict[str, Any]:
    """Give an entry as plain data."""
    return {"kind": type(entry).__name__.lower(), **asdict(entry)}


def read_entry(data: Any) -> Page | Passed | Index | None:
    """Read plain data; None if it is something else, maybe of another release."""
    try:
        rest = dict(data)
        entry = _KINDS[rest.pop("kind")](**rest)
    except (KeyError, TypeError, ValueError):
        return None
    if isinstance(entry, Index):  # some codecs have only lists
        return Index(tuple(entry.varied), entry.generation)
    return entry
