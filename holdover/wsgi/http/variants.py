"""The key of a response, and the variants of one URL (RFC 9111 sections 2 and 4.1).

Two levels: under a URL's own key lies the response itself, if it varies by nothing;
else the names of the fields that it varies by, and which variants there are.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import blake2b
from typing import Self
from urllib.parse import quote

from holdover.wsgi.http.fields import Headers
from holdover.wsgi.http.messages import Target
from holdover.wsgi.http.policy import Normalise
from holdover.wsgi.lists import names, trimmed

_DIGEST_SIZE = 16  # bytes
_READABLE = 300  # characters of a key; a region shortens those of more than 512
_SAFE = "%/;=,:@!$&'()*+~"


@lru_cache(512)  # those that are asked for most; a hit saves 2 us
def primary_key(target: Target) -> str:
    """Give the key of a URL; no two URLs share one, and none is too long.

    It begins as the URL does, as far as that tells nothing private, so that all that is
    below a path can be invalidated at once.
    """
    parts = (target.scheme, target.host, target.path, target.query)
    spelled = "".join(f"{len(part)}:{part}" for part in parts)
    return f"{readable_key(target)} {_digest(spelled)}"


def readable_key(target: Target) -> str:
    """Give how the keys of all URLs begin that begin like *target*."""
    path = quote(target.path, safe=_SAFE)
    return f"page:{target.scheme}://{target.host}{path}"[:_READABLE]


def varied_names(headers: Headers) -> tuple[str, ...]:
    """Give the names of the request fields that a response varies by, sorted."""
    return tuple(sorted(names(headers.all("vary"))))


def selected(
    varied: tuple[str, ...], asked: Headers, normalise: Mapping[str, Normalise]
) -> str:
    """Give what tells variants apart: the values of the fields, as they count.

    A field that is absent differs from an empty one. White space in a value counts,
    unless it is known to mean nothing in that field (RFC 9111 section 4.1).
    """
    parts = []
    for name in varied:
        value = asked.joined(name)
        if value is None:
            parts.append(f"{len(name)}:{name}-")
            continue
        value = normalise.get(name, trimmed)(value)
        parts.append(f"{len(name)}:{name}{len(value)}:{value}")
    return _digest("".join(parts))


def _digest(text: str) -> str:
    given = text.encode("utf-8", "surrogateescape")
    return blake2b(given, digest_size=_DIGEST_SIZE).hexdigest()


@dataclass(frozen=True, slots=True)
class Passed:
    """What lies under the key of a URL whose responses are not stored.

    Nobody waits for another's answer there: it would be no use to him (hit-for-miss).

    Attributes:
        reason: Why the last response was not stored.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class Variants:
    """What lies under the key of a URL whose responses vary.

    Attributes:
        varied: Names of request fields, sorted.
        generation: Changes whenever the variants of before are not to be found again.
        known: What tells the variants apart, newest last.
    """

    varied: tuple[str, ...]
    generation: str
    known: tuple[str, ...] = ()

    @classmethod
    def begun(cls, varied: tuple[str, ...]) -> Self:
        """Begin without any, so that none of before is found."""
        return cls(varied, secrets.token_hex(8))

    def key(self, primary: str, chosen: str) -> str:
        """Give the key of a variant."""
        return f"{primary}:{self.generation}:{chosen}"

    def with_one(self, chosen: str, most: int) -> Self:
        """Note another; of more than *most* the oldest are not found any more."""
        others = [one for one in self.known if one != chosen]
        return replace(self, known=(*others, chosen)[-most:])
