"""Parts of a stored response (RFC 9110 section 14)."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass

from holdover.wsgi.http.fields import Headers, date_in, http_date
from holdover.wsgi.http.messages import Stored
from holdover.wsgi.http.validation import OF_A_REPRESENTATION, etag_of
from holdover.wsgi.lists import members

_SPEC = re.compile(r"(\d+)?-(\d+)?", re.ASCII)
_LONG = 18  # digits; of bytes, there are never so many
_MOST = 16  # parts; more are somebody's attack (RFC 9110 section 17.15)

OK, PARTIAL, UNSATISFIABLE = 200, 206, 416


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes from *first* up to, and not with, *end*."""

    first: int
    end: int

    def __str__(self) -> str:
        return f"{self.first}-{self.end - 1}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent in place of the whole."""

    status: int
    reason: str
    headers: Headers
    body: bytes


def answer(stored: Stored, asked: Headers) -> Answer | None:
    """Answer a request for parts; None if the whole is to be sent.

    Only a complete 200 has parts here; a ``Range`` that cannot be read, or asks for too
    much, is ignored, as any may be (RFC 9110 section 14.2).
    """
    lines = asked.all("range")
    if stored.response.status != OK or len(lines) != 1 or not stored.body:
        return None
    if not _is_unchanged(stored, asked):
        return None
    parts = wanted_parts(lines[0], len(stored.body))
    if parts is None:
        return None
    if not parts:
        return _unsatisfiable(stored)
    if len(parts) == 1:
        return _one(stored, asked, parts[0])
    return _several(stored, asked, parts)


def wanted_parts(value: str, length: int) -> list[Part] | None:
    """Read ``Range``: what there is of each part, in the order asked for.

    Args:
        value: What it says.
        length: How many bytes there are; one at least.

    Returns:
        None if it is not about bytes, cannot be read, or asks for very many parts, or
        for more than there is by overlapping.
    """
    unit, given, spelled = value.partition("=")
    if not given or unit.strip().lower() != "bytes":
        return None
    specs = members([spelled])
    if not specs or len(specs) > _MOST:
        return None
    parts = []
    for spec in map(_SPEC.fullmatch, specs):
        if spec is None or spec[0] == "-":
            return None
        first, last = map(_number, spec.groups())
        if first is not None and last is not None and first > last:
            return None
        part = _within(first, last, length)
        if part is not None:
            parts.append(part)
    if len(parts) > 1 and sum(one.end - one.first for one in parts) > length:
        return None
    return parts


def _number(digits: str | None) -> int | None:
    """Read any number of digits (RFC 9110 section 14.1.2), which Python does not."""
    if digits is None:
        return None
    digits = digits.lstrip("0")
    return int(digits or "0") if len(digits) <= _LONG else 10**_LONG


def _within(first: int | None, last: int | None, length: int) -> Part | None:
    """Cut a part to what there is; None if there is nothing of it."""
    if first is None:
        return Part(max(0, length - last), length) if last else None
    if first >= length:
        return None
    return Part(first, length if last is None else min(last + 1, length))


def _is_unchanged(stored: Stored, asked: Headers) -> bool:
    """RFC 9110 section 13.1.5: compared strongly; a date must be the very same."""
    wanted = asked.joined("if-range")
    if wanted is None:
        return True
    headers, came_at = stored.response.headers, stored.response.received_at
    if '"' in wanted[:3]:
        return not wanted.startswith("W/") and wanted == etag_of(headers)
    date = http_date(wanted, came_at)
    return date is not None and date == _strongly_modified_at(headers, came_at)


def _strongly_modified_at(headers: Headers, came_at: float) -> float | None:
    """Give when a response changed, if it cannot have changed twice in that second.

    RFC 9110 section 8.8.2.2: it was still so a second later, by the same clock.
    """
    modified = date_in(headers, "last-modified", came_at)
    made_at = date_in(headers, "date", came_at)
    if modified is None or made_at is None or made_at - modified < 1:
        return None
    return modified


def _fields(stored: Stored, asked: Headers, *more: tuple[str, str]) -> Headers:
    """Give the fields of a 206 (RFC 9110 section 15.3.7).

    Who names a validator with ``If-Range`` has those of the representation already.
    """
    unfit = {"content-length", "content-range"} | {name.lower() for name, _ in more}
    if "if-range" in asked:
        unfit |= OF_A_REPRESENTATION | {"last-modified"}
    return Headers([*stored.response.headers.without(unfit), *more])


def _one(stored: Stored, asked: Headers, part: Part) -> Answer:
    body = stored.body[part.first : part.end]
    headers = _fields(
        stored,
        asked,
        ("Content-Range", f"bytes {part}/{len(stored.body)}"),
        ("Content-Length", str(len(body))),
    )
    return Answer(PARTIAL, "Partial Content", headers, body)


def _several(stored: Stored, asked: Headers, parts: list[Part]) -> Answer:
    """RFC 9110 section 14.6."""
    boundary = secrets.token_hex(16)
    kind = stored.response.headers.joined("content-type")
    pieces = []
    for part in parts:
        head = f"--{boundary}\r\n"
        if kind is not None:
            head += f"Content-Type: {kind}\r\n"
        head += f"Content-Range: bytes {part}/{len(stored.body)}\r\n\r\n"
        pieces += [head.encode("latin-1"), stored.body[part.first : part.end], b"\r\n"]
    pieces.append(f"--{boundary}--\r\n".encode("latin-1"))
    body = b"".join(pieces)
    headers = _fields(
        stored,
        asked,
        ("Content-Type", f"multipart/byteranges; boundary={boundary}"),
        ("Content-Length", str(len(body))),
    )
    return Answer(PARTIAL, "Partial Content", headers, body)


_OF_WHAT_IS_STORED = OF_A_REPRESENTATION | {
    "etag",
    "expires",
    "last-modified",
    "surrogate-control",
}


def _unsatisfiable(stored: Stored) -> Answer:
    """RFC 9110 section 15.5.17.

    What is stored may be kept for long; the 416 for its URL may not, or one request
    would hide the page from all who use a cache between here and the client.
    """
    kept = stored.response.headers.without(_OF_WHAT_IS_STORED)
    headers = Headers(
        [
            *(one for one in kept if not one[0].lower().endswith("cache-control")),
            ("Cache-Control", "no-store"),
            ("Content-Range", f"bytes */{len(stored.body)}"),
            ("Content-Length", "0"),
        ]
    )
    return Answer(UNSATISFIABLE, "Range Not Satisfiable", headers, b"")
