"""Parts of a stored response (RFC 9110 section 14)."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass

from holdover.wsgi.http.fields import Headers, http_date, members
from holdover.wsgi.http.messages import Stored
from holdover.wsgi.http.validation import etag_of, modified_at

_SPEC = re.compile(r"(\d{1,18})?-(\d{1,18})?", re.ASCII)
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
    if stored.response.status != OK or len(lines) != 1:
        return None
    if not _is_unchanged(stored, asked):
        return None
    parts = wanted_parts(lines[0], len(stored.body))
    if parts is None:
        return None
    if not parts:
        return _unsatisfiable(stored)
    return _one(stored, parts[0]) if len(parts) == 1 else _several(stored, parts)


def wanted_parts(value: str, length: int) -> list[Part] | None:
    """Read ``Range``: what there is of each part, in the order asked for.

    Returns:
        None if it is not about bytes, cannot be read, or asks for very many parts, or
        for more than there is by overlapping.
    """
    unit, given, spelled = value.partition("=")
    if not given or unit.strip().lower() != "bytes":
        return None
    specs = [_SPEC.fullmatch(one) for one in members([spelled])]
    if not specs or len(specs) > _MOST:
        return None
    parts = []
    for spec in specs:
        if spec is None or spec[0] == "-":
            return None
        first, last = spec.groups()
        if first is not None and last is not None and int(first) > int(last):
            return None
        part = _within(first, last, length)
        if part is not None:
            parts.append(part)
    if len(parts) > 1 and sum(one.end - one.first for one in parts) > length:
        return None
    return parts


def _within(first: str | None, last: str | None, length: int) -> Part | None:
    """Cut a part to what there is; None if there is nothing of it."""
    if first is None:
        wanted = int(last or "0")
        return Part(max(0, length - wanted), length) if wanted and length else None
    if int(first) >= length:
        return None
    end = length if last is None else min(int(last) + 1, length)
    return Part(int(first), end)


def _is_unchanged(stored: Stored, asked: Headers) -> bool:
    """RFC 9110 section 13.1.5: compared strongly; a date must be the very same."""
    wanted = asked.joined("if-range")
    if wanted is None:
        return True
    headers, came_at = stored.response.headers, stored.response.received_at
    if wanted.startswith(('"', "W/")):
        return not wanted.startswith("W/") and wanted == etag_of(headers)
    date = http_date(wanted, came_at)
    return date is not None and date == modified_at(headers, came_at)


def _one(stored: Stored, part: Part) -> Answer:
    body = stored.body[part.first : part.end]
    headers = Headers(
        [
            *stored.response.headers.without(("content-length", "content-range")),
            ("Content-Range", f"bytes {part}/{len(stored.body)}"),
            ("Content-Length", str(len(body))),
        ]
    )
    return Answer(PARTIAL, "Partial Content", headers, body)


def _several(stored: Stored, parts: list[Part]) -> Answer:
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
    unfit = ("content-length", "content-range", "content-type")
    headers = Headers(
        [
            *stored.response.headers.without(unfit),
            ("Content-Type", f"multipart/byteranges; boundary={boundary}"),
            ("Content-Length", str(len(body))),
        ]
    )
    return Answer(PARTIAL, "Partial Content", headers, body)


def _unsatisfiable(stored: Stored) -> Answer:
    unfit = ("content-encoding", "content-length", "content-type", "etag")
    headers = Headers(
        [
            *stored.response.headers.without(unfit),
            ("Content-Range", f"bytes */{len(stored.body)}"),
            ("Content-Length", "0"),
        ]
    )
    return Answer(UNSATISFIABLE, "Range Not Satisfiable", headers, b"")
