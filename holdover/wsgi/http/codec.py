"""How stored responses become bytes: a head in JSON, and the body as it is.

What is read may have been written by somebody else. Whatever is not exactly what is
written here is refused, above all header fields that would part into two.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from holdover import errors
from holdover.regions.numbers import is_instant, is_span
from holdover.wsgi.http.fields import (
    Headers,
    has_its_length,
    is_field,
    is_token,
    is_value,
)
from holdover.wsgi.http.messages import Response, Stored
from holdover.wsgi.http.variants import Passed, Variants

_LENGTH = 4  # bytes in front, that tell how long the head is
_CODES = range(200, 1000)

_encode = json.JSONEncoder(separators=(",", ":")).encode
_decode = json.JSONDecoder().decode  # json.loads() would look for the encoding: 1.5 us


class PageCodec:
    """Stored responses, and nothing else; for the region of an HTTP response cache."""

    tag = b"http"

    def dumps(self, value: Any) -> bytes:
        """Encode what the cache keeps."""
        head, body = _written(value)
        told = _encode(head).encode("ascii")
        return b"".join((len(told).to_bytes(_LENGTH, "big"), told, body))

    def loads(self, payload: memoryview) -> Any:
        """Decode; raises ValueError if somebody else has written it."""
        begin = _LENGTH + int.from_bytes(payload[:_LENGTH], "big")
        head = _decode(str(payload[_LENGTH:begin], "ascii"))
        return _read(head, bytes(payload[begin:]))


def _written(value: Any) -> tuple[dict[str, Any], bytes]:
    if isinstance(value, Stored):
        response = value.response
        return {
            "status": response.status,
            "reason": response.reason,
            "headers": list(response.headers),
            "at": [response.requested_at, response.received_at],
            "spans": [
                value.lifetime,
                value.initial_age,
                value.stale_while_revalidate,
                value.stale_if_error,
            ],
            "needs_validation": value.needs_validation,
            "no_stale": value.no_stale,
            "immutable": value.immutable,
            "tags": list(value.tags),
        }, value.body
    if isinstance(value, Variants):
        return {
            "varied": list(value.varied),
            "generation": value.generation,
            "known": list(value.known),
        }, b""
    if isinstance(value, Passed):
        return {"passed": value.reason}, b""
    raise errors.UncacheableValue(
        f"PageCodec keeps responses for HTTPCacheMiddleware, got {type(value).__name__}"
    )


def _read(head: Any, body: bytes) -> Stored | Variants | Passed:
    if not isinstance(head, dict):
        raise ValueError("no head")  # noqa: TRY004 - of bytes, not of a caller
    if "passed" in head:
        return Passed(_word(head["passed"]))
    if "varied" in head:
        return Variants(
            _texts(head["varied"]), _text(head["generation"]), _texts(head["known"])
        )
    return _stored(head, body)


def _stored(head: Mapping[str, Any], body: bytes) -> Stored:
    requested_at, received_at = _numbers(head["at"], 2, is_instant)
    spans = _numbers(head["spans"], 4, _is_lifetime)
    lifetime, age, while_revalidate, if_error = spans
    status = head["status"]
    if type(status) is not int or status not in _CODES:
        raise ValueError("no status")
    headers = Headers([_field(one) for one in head["headers"]])
    if "transfer-encoding" in headers or not has_its_length(headers, len(body)):
        raise ValueError("no length")  # a client would find its next response here
    return Stored(
        response=Response(
            status,
            _line(head["reason"]),
            headers,
            requested_at,
            received_at,
        ),
        body=body,
        lifetime=lifetime,
        initial_age=age,
        stale_while_revalidate=while_revalidate,
        stale_if_error=if_error,
        needs_validation=head["needs_validation"] is True,
        no_stale=head["no_stale"] is True,
        immutable=head["immutable"] is True,
        tags=_texts(head["tags"]),
    )


def _field(given: Any) -> tuple[str, str]:
    name, value = given
    if not is_field(_text(name), _text(value)):
        raise ValueError("no header field")
    return name, value


def _word(given: Any) -> str:
    if not is_token(_text(given)):
        raise ValueError("no word")
    return str(given)


def _line(given: Any) -> str:
    if not is_value(_text(given)):
        raise ValueError("no line")
    return str(given)


def _text(given: Any) -> str:
    if not isinstance(given, str):
        raise ValueError("no text")  # noqa: TRY004 - of bytes, not of a caller
    return given


def _texts(given: Any) -> tuple[str, ...]:
    if not isinstance(given, list):
        raise ValueError("no texts")  # noqa: TRY004 - of bytes, not of a caller
    return tuple(map(_text, given))


def _numbers(
    given: Any, count: int, is_fit: Callable[[object], bool]
) -> tuple[float, ...]:
    if not isinstance(given, list) or len(given) != count:
        raise ValueError("no numbers")
    if not all(map(is_fit, given)):
        raise ValueError("no numbers")
    return tuple(map(float, given))


def _is_lifetime(value: object) -> bool:
    return is_span(value) and value < _LONGEST


_LONGEST = 1e12  # seconds; no field can say as much
