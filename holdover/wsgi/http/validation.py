"""Asking whether a response still holds (RFC 9111 section 4.3, RFC 9110 section 13)."""

from __future__ import annotations

import re
from dataclasses import replace

from holdover.wsgi.http.fields import Headers, date_in, has_its_length
from holdover.wsgi.http.messages import Response, Stored

_ETAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')

NOT_UPDATED = frozenset({"content-encoding", "content-length", "content-range"})
"""How the stored body is written; a 304 does not change it (RFC 9111 section 3.2)."""

OF_A_REPRESENTATION = frozenset(
    {
        "accept-ranges",
        "content-digest",
        "content-disposition",
        "content-encoding",
        "content-language",
        "content-length",
        "content-md5",
        "content-range",
        "content-type",
        "repr-digest",
    }
)
"""What a client has already that has the representation, besides its validators."""

CONDITIONAL = frozenset(
    {
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "if-unmodified-since",
    }
)


def etag_of(headers: Headers) -> str | None:
    """Give the entity tag of a response; None without one, or with nonsense."""
    lines = headers.all("etag")
    if len(lines) != 1 or not _ETAG.fullmatch(lines[0]):
        return None
    return lines[0]


def questions(stored: Stored) -> list[tuple[str, str]]:
    """Give the fields that ask whether a stored response still holds (section 4.3.1).

    None, if it has no validator: then it must be made anew.
    """
    etag, modified = validators(stored.response)
    asked = [("If-None-Match", etag)] if etag else []
    return [*asked, ("If-Modified-Since", modified)] if modified else asked


def validators(response: Response) -> tuple[str | None, str | None]:
    """Give the entity tag of a response, and when it last changed, as it says so."""
    headers = response.headers
    modified = headers.all("last-modified")
    is_date = date_in(headers, "last-modified", response.received_at) is not None
    return etag_of(headers), modified[0] if is_date else None


def is_not_modified(stored: Stored, asked: Headers) -> bool:
    """Say whether a client has what is stored, so that a 304 does (section 4.3.2).

    ``If-None-Match`` is compared weakly, and outranks ``If-Modified-Since`` (RFC 9110
    section 13.2.2). ``If-Match`` and ``If-Unmodified-Since`` are for origins.
    """
    headers, came_at = stored.response.headers, stored.response.received_at
    wanted = asked.joined("if-none-match")
    if wanted is not None:
        return _matches_weakly(etag_of(headers), wanted)
    since = date_in(asked, "if-modified-since", came_at)
    if since is None:
        return False
    changed = date_in(headers, "last-modified", came_at)
    if changed is None:  # section 4.3.2: the date of the response stands in
        changed = date_in(headers, "date", since)
    return (came_at if changed is None else changed) <= since


def _matches_weakly(etag: str | None, wanted: str) -> bool:
    if wanted.strip() == "*":
        return True
    if etag is None:
        return False
    return any(_opaque(one) == _opaque(etag) for one in _ETAG.findall(wanted))


def concerns(stored: Stored, fresher: Response) -> bool:
    """Say whether a 304 is about the stored response (section 4.3.4).

    A strong validator must be the very same, a weak one match; without any, nothing
    says so, unless there is none on either side.
    """
    ours, theirs = etag_of(stored.response.headers), etag_of(fresher.headers)
    if theirs is not None:
        if theirs.startswith("W/"):
            return ours is not None and _opaque(ours) == _opaque(theirs)
        return ours == theirs
    changed = list(fresher.headers.all("last-modified"))
    if changed:
        return changed == list(stored.response.headers.all("last-modified"))
    return not questions(stored)


def is_confirmed(stored: Stored, head: Response) -> bool:
    """Say whether the response to a HEAD is about what is stored (section 4.3.5).

    Whatever it says of validators and of the length must be as it was.
    """
    ours, theirs = stored.response.headers, head.headers
    same = (name for name in ("etag", "last-modified") if name in theirs)
    if any(list(ours.all(name)) != list(theirs.all(name)) for name in same):
        return False
    return has_its_length(theirs, len(stored.body))


def says_which(head: Response) -> bool:
    """Say whether the response to a HEAD tells of which representation it is.

    One that does not may be about a newer one, and anybody can send a HEAD: by it he
    would keep an old page for ever, in spite of a soft purge.
    """
    return any(validators(head))


def _opaque(etag: str) -> str:
    return etag.removeprefix("W/")


def freshened(stored: Stored, fresher: Response) -> Response:
    """Give the head of a stored response, brought up to date by a 304 (section 3.2).

    Each field of the new one replaces the old ones of its name, save those that say how
    the body is written.
    """
    newer = fresher.headers.without(NOT_UPDATED)
    replaced = frozenset(name.lower() for name, _ in newer)
    # Its age begins anew: what it said of itself before was about another moment.
    kept = stored.response.headers.without(replaced | {"age", "date"})
    return replace(
        stored.response,
        headers=Headers([*kept, *newer]),
        requested_at=fresher.requested_at,
        received_at=fresher.received_at,
    )


def not_modified(headers: Headers) -> Headers:
    """Give the fields of a 304 (RFC 9110 section 15.4.5), from those of a 200."""
    more = {"last-modified"} if "etag" in headers else set[str]()
    return headers.without(OF_A_REPRESENTATION | more)
