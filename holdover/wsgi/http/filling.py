"""A body that is kept while it is sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

from holdover.wsgi.http.fields import has_its_length
from holdover.wsgi.http.messages import Response
from holdover.wsgi.http.upstream import Upstream

TOO_LARGE = "too-large"
BROKEN_OFF = "broken-off"
WRONG_LENGTH = "length"

Done = Callable[[bytes | None, str], None]
"""Called once: with the whole body, or with None and why there is none to keep."""


class Filling:
    """Gives a body on, chunk by chunk, and then to whom it may concern.

    It is whole only if it was given to its end, is as long as its head says, not longer
    than *most*, and nothing was raised, not even by closing it.

    Args:
        upstream: Whose body it is.
        done: Told of it, when it is closed; as soon as it is too large, of that.
        most: How long it may be, in bytes.
    """

    def __init__(self, upstream: Upstream, done: Done, most: int) -> None:
        self._upstream = upstream
        self._chunks = upstream.chunks()
        self._done: Done | None = done
        self._most = most
        self._parts: list[bytes] = []
        self._length = 0
        self._is_at_end = False
        self._is_closed = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        try:
            chunk = next(self._chunks)
        except StopIteration:
            self._is_at_end = True
            raise
        self.note(chunk)
        return chunk

    def note(self, chunk: bytes) -> None:
        """Take in a part of it, which was sent already."""
        if self._done is None:
            return
        self._length += len(chunk)
        self._parts.append(chunk)
        if self._length > self._most:
            self._end(None, TOO_LARGE)

    def close(self) -> None:
        """Close the application's iterable; tell of the body."""
        if self._is_closed:
            return
        self._is_closed, whole, reason = True, None, BROKEN_OFF
        try:
            self._upstream.close()
            if self._is_at_end and not self._upstream.is_broken:
                whole, reason = self._whole(), WRONG_LENGTH
        finally:
            self._end(whole, reason)

    def _end(self, whole: bytes | None, reason: str) -> None:
        done, self._done = self._done, None
        self._parts = []
        if done is not None:
            done(whole, reason)

    def _whole(self) -> bytes | None:
        if not has_its_length(self._upstream.response.headers, self._length):
            return None
        return b"".join(self._parts)


def says_too_long(response: Response, most: int) -> bool:
    """Say whether a head announces a longer body than *most* bytes."""
    return any(
        said.isascii() and said.isdigit() and int(said[:18]) > most
        for said in response.headers.all("content-length")
    )
