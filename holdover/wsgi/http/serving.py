"""A stored response, as a WSGI server gets it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from holdover.wsgi.http import ranges
from holdover.wsgi.http.fields import Headers
from holdover.wsgi.http.messages import Request, Stored
from holdover.wsgi.http.validation import is_not_modified, not_modified

if TYPE_CHECKING:
    from wsgiref.types import StartResponse

_OK = 200
_NO_BODY = (204, 304)


def serve(
    stored: Stored,
    request: Request,
    start_response: StartResponse,
    age: float,
    status: str,
) -> Iterable[bytes]:
    """Answer a request from a stored response.

    Args:
        stored: The response.
        request: The request, whose conditions and ranges are looked at.
        start_response: The server's.
        age: How old it is, in seconds.
        status: What ``Cache-Status`` says.
    """
    line, headers, body = _answer(stored, request)
    own = [("Age", str(int(age))), ("Cache-Status", status)]
    start_response(line, [*headers.without(("age",)), *own])
    return [] if request.method == "HEAD" or not body else [body]


def _answer(stored: Stored, request: Request) -> tuple[str, Headers, bytes]:
    """Give status line, fields and body, as RFC 9110 section 13.2.2 orders them."""
    response = stored.response
    # Of conditions, a cache evaluates those of a GET or HEAD that would give a 200.
    if response.status == _OK and is_not_modified(stored, request.headers):
        return "304 Not Modified", not_modified(response.headers), b""
    if request.method == "GET":
        part = ranges.answer(stored, request.headers)
        if part is not None:
            return f"{part.status} {part.reason}", part.headers, part.body
    line = f"{response.status} {response.reason}"
    return line, _with_length(stored), stored.body


def _with_length(stored: Stored) -> Headers:
    headers = stored.response.headers
    if "content-length" in headers or stored.response.status in _NO_BODY:
        return headers
    return Headers([*headers, ("Content-Length", str(len(stored.body)))])


def gateway_timeout(request: Request, start_response: StartResponse) -> Iterable[bytes]:
    """Answer ``only-if-cached`` when nothing is stored (RFC 9111 section 5.2.1.7).

    Without ``Cache-Status``, since no response was handled (RFC 9211 section 2).
    """
    return short(request, start_response, "504 Gateway Timeout")


def short(
    request: Request,
    start_response: StartResponse,
    line: str,
    more: Iterable[tuple[str, str]] = (),
) -> Iterable[bytes]:
    """Answer with nothing but a status, which nobody is to store."""
    body = line.encode("ascii") + b"\n"
    fields = [
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
    ]
    start_response(line, [*fields, *more])
    return [] if request.method == "HEAD" else [body]
