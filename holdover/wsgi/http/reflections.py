"""Request fields that a response repeats, though they are not in its key: for tests."""

from __future__ import annotations

import html
import json
import zlib
from collections.abc import Iterator
from urllib.parse import quote

from holdover.regions.warnings import warn_caller
from holdover.wsgi.http.fields import Headers
from holdover.wsgi.http.messages import Request, Stored, host_of
from holdover.wsgi.http.validation import CONDITIONAL
from holdover.wsgi.http.variants import varied_names

REFLECTED = "reflected"
"""Why such a response is not stored."""

_SHORTEST = 8  # characters; what is shorter is found in any page
_GZIP = 31  # zlib's word for it

# What any request and any page may say alike, whoever asks.
_USUAL_IN_REQUESTS = CONDITIONAL | {
    "accept",
    "accept-encoding",
    "cache-control",
    "connection",
    "content-type",
    "pragma",
    "range",
    "te",
}
_USUAL_IN_RESPONSES = (
    "cache-control",
    "connection",
    "content-encoding",
    "content-type",
    "date",
    "etag",
    "last-modified",
    "vary",
)


class ReflectedFieldWarning(UserWarning):
    """A response repeats a request field that is not in its key: others would get it.

    What a client has written into that field would be on everybody's page (web cache
    poisoning). Have the response name the field in ``Vary``, or not depend on it.
    """


def warn_of(name: str, request: Request) -> None:
    """Warn of a field that is repeated in what answers a request."""
    warn_caller(
        f"{request.target} repeats the request field {name!r}, which is not in its "
        "key, and was not stored: name it in Vary, or leave it alone",
        ReflectedFieldWarning,
    )


def reflected(request: Request, stored: Stored) -> str | None:
    """Give the name of a request field that a response repeats; None without any.

    Values are looked for as they were sent, and as HTML, URLs and JSON write them, in
    the fields of the response and in its body, also if that is packed by gzip.
    """
    texts = _texts(stored)
    for name, value in _unkeyed(request, varied_names(stored.response.headers)):
        if any(one in text for one in _spellings(value) for text in texts):
            return name
    return None


def _unkeyed(request: Request, varied: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Give what of a request is not in the key, in the parts that may be repeated."""
    target = request.target
    for name, whole in request.headers:
        if name in varied or name in _USUAL_IN_REQUESTS:
            continue
        for value in (whole, *_parts(name, whole)):
            in_key = host_of(value, target.scheme) in str(target).lower()
            if len(value) >= _SHORTEST and not in_key:
                yield name, value


def _parts(name: str, whole: str) -> list[str]:
    if name == "cookie":
        return [one.partition("=")[2].strip() for one in whole.split(";")]
    return whole.split()[1:] if name == "authorization" else []


def _spellings(value: str) -> set[bytes]:
    sent = value.encode("latin-1", "replace")
    text = sent.decode(errors="replace")
    spelled = {text, html.escape(text), quote(text), json.dumps(text)[1:-1]}
    spelled |= {html.escape(text, quote=False), quote(text, safe="")}
    return {sent.lower(), *(one.encode().lower() for one in spelled)}


def _texts(stored: Stored) -> list[bytes]:
    headers = stored.response.headers.without(_USUAL_IN_RESPONSES)
    values = [value.encode("latin-1", "replace").lower() for _, value in headers]
    return [*values, _body(stored.response.headers, stored.body).lower()]


def _body(headers: Headers, body: bytes) -> bytes:
    """Give a body as it is read, as far as it can be."""
    if headers.joined("content-encoding") != "gzip":
        return body
    try:
        # So much at once as a page may be; what is beyond was not to be stored.
        return zlib.decompressobj(_GZIP).decompress(body, _MOST_UNPACKED)
    except zlib.error:
        return body


_MOST_UNPACKED = 50_000_000  # bytes
