"""Cache directives (RFC 9111 section 5.2), of requests and of responses.

Reading errs on the side of not reusing: names in any case, quoted or not, over all
lines; a number that is none, or two that differ, count as zero (section 4.2.1).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import http_sf

from holdover.wsgi.http.fields import MOST_SECONDS, Headers, delta_seconds, is_token
from holdover.wsgi.lists import members, names, unquoted

Directives = Mapping[str, Sequence[str | None]]
"""The arguments of each directive, by its name in lower case; None for one without."""

_NOTHING: Directives = {}


@dataclass(frozen=True, slots=True)
class RequestDirectives:
    """What a client asks of caches (RFC 9111 section 5.2.1). Spans are seconds.

    ``stale-if-error`` is RFC 5861's, section 4.
    """

    max_age: int | None = None
    max_stale: int | None = None
    min_fresh: int | None = None
    stale_if_error: int | None = None
    no_cache: bool = False
    no_store: bool = False
    only_if_cached: bool = False


_NOTHING_ASKED = RequestDirectives()


@dataclass(frozen=True, slots=True)
class ResponseDirectives:
    """What an origin says to shared caches (RFC 9111 section 5.2.2). Spans are seconds.

    Attributes:
        no_cache_fields: What ``no-cache="..."`` names, in lower case.
        private_fields: What ``private="..."`` names, in lower case.
        is_targeted: Whether it was addressed to caches like this one (RFC 9213), so
            that ``Expires`` does not count.
    """

    max_age: int | None = None
    s_maxage: int | None = None
    stale_while_revalidate: int | None = None
    stale_if_error: int | None = None
    no_cache: bool = False
    no_cache_fields: frozenset[str] = frozenset()
    no_store: bool = False
    private: bool = False
    private_fields: frozenset[str] = frozenset()
    public: bool = False
    must_revalidate: bool = False
    proxy_revalidate: bool = False
    must_understand: bool = False
    immutable: bool = False
    is_targeted: bool = False


def request_directives(headers: Headers) -> RequestDirectives:
    """Read ``Cache-Control``, and ``Pragma`` without it (RFC 9111 section 5.4)."""
    lines = headers.all("cache-control")
    if not lines:
        if "pragma" not in headers:
            return _NOTHING_ASKED  # as of nearly all requests; a hit saves 2 us
        return RequestDirectives(no_cache="no-cache" in names(headers.all("pragma")))
    found = _parsed(lines)
    return RequestDirectives(
        max_age=_span(found, "max-age"),
        max_stale=_span(found, "max-stale", bare=MOST_SECONDS),
        min_fresh=_span(found, "min-fresh", wrong=MOST_SECONDS),
        stale_if_error=_span(found, "stale-if-error"),
        no_cache="no-cache" in found,
        no_store="no-store" in found,
        only_if_cached="only-if-cached" in found,
    )


def response_directives(
    headers: Headers, targets: Iterable[str] = ()
) -> ResponseDirectives:
    """Read ``Cache-Control``, or what is addressed to this cache in its place.

    Args:
        headers: The response's.
        targets: Names of targeted fields (RFC 9213 section 2.2), in lower case; the
            first that is valid and not empty counts, and no other.
    """
    for target in targets:
        targeted = _targeted(headers.all(target))
        if targeted is not None:
            return _response(targeted, is_targeted=True)
    lines = headers.all("cache-control")
    return _response(_parsed(lines) if lines else _NOTHING, is_targeted=False)


def _response(found: Directives, *, is_targeted: bool) -> ResponseDirectives:
    no_cache, no_cache_fields = _qualified(found, "no-cache")
    private, private_fields = _qualified(found, "private")
    return ResponseDirectives(
        max_age=_span(found, "max-age"),
        s_maxage=_span(found, "s-maxage"),
        stale_while_revalidate=_span(found, "stale-while-revalidate"),
        stale_if_error=_span(found, "stale-if-error"),
        no_cache=no_cache,
        no_cache_fields=no_cache_fields,
        no_store="no-store" in found,
        private=private,
        private_fields=private_fields,
        public=_is_bare(found, "public"),
        must_revalidate="must-revalidate" in found,
        proxy_revalidate="proxy-revalidate" in found,
        must_understand=_is_bare(found, "must-understand"),
        immutable="immutable" in found,
        is_targeted=is_targeted,
    )


def _parsed(lines: Iterable[str]) -> Directives:
    found: dict[str, list[str | None]] = {}
    for member in members(lines):
        name, given, argument = member.partition("=")
        arguments = found.setdefault(name.strip().lower(), [])
        arguments.append(unquoted(argument.strip()) if given else None)
    return found


def _targeted(lines: Sequence[str]) -> Directives | None:
    """Read a structured field (RFC 9213 section 2.1); None if empty or not valid."""
    try:
        read = http_sf.parse(", ".join(lines).encode("ascii"), tltype="dictionary")
    except ValueError:
        return None
    found: dict[str, list[str | None]] = {}
    for name, member in cast("http_sf.DictionaryType", read).items():
        value = cast("Any", member)[0]  # parameters behind it mean nothing here
        if value is not False:
            found[name] = [_argument(name, value)]
    return found if read else None


def _argument(name: str, value: Any) -> str | None:
    """Give the argument of a directive; one of a wrong type can be no number."""
    if value is True:
        return None
    names_fields = name in _WITH_FIELDS and isinstance(value, str | http_sf.Token)
    return str(value) if names_fields or type(value) is int else ""


_WITH_FIELDS = ("no-cache", "private")


def _is_bare(found: Directives, name: str) -> bool:
    """Say whether a directive that permits something is there, as it must be."""
    return None in found.get(name, ())


def _span(found: Directives, name: str, *, bare: int = 0, wrong: int = 0) -> int | None:
    """Read a number of seconds: *bare* without a number, *wrong* if it is none."""
    arguments = found.get(name)
    if arguments is None:
        return None
    if len(set(arguments)) > 1:
        return wrong
    if arguments[0] is None:
        return bare or wrong
    read = delta_seconds(arguments[0])
    return wrong if read is None else read


def _qualified(found: Directives, name: str) -> tuple[bool, frozenset[str]]:
    """Read a directive that may be about some fields only.

    One that names no field, or something that is no name, is about the whole response.
    """
    arguments = found.get(name)
    if arguments is None:
        return False, frozenset()
    fields = [names([one or ""]) for one in arguments]
    is_whole = not all(one and all(map(is_token, one)) for one in fields)
    return is_whole, frozenset().union(*fields)
