"""A body that is kept while it is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Self

from holdover.wsgi.http.messages import Response
from holdover.wsgi.http.upstream import Upstream

Kept = Callable[[bytes | None], None]
"""Called once: with the whole body, or with None if there is none to keep."""


class Filling:
    """Gives a body on, chunk by chunk, and then to whom it may concern.

    It is whole only if it was given to its end, is as long as its head says, not longer
    than *most*, and nothing was raised, not even by closing it.

    Args:
        upstream: Whose body it is.
        chunks: The body.
        kept: Told of it, when it is closed.
        most: How long it may be, in bytes.
    """

    def __init__(
        self, upstream: Upstream, chunks: Iterator[bytes], kept: Kept, most: int
    ) -> None:
        self._upstream = upstream
        self._chunks = chunks
        self._kept = kept
        self._most = most
        self._parts: list[bytes] | None = []
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
        if self._parts is not None:
            self._length += len(chunk)
            self._parts.append(chunk)
            if self._length > self._most:
                self._parts = None
        return chunk

    def close(self) -> None:
        """Close the application's iterable; tell of the body."""
        if self._is_closed:
            return
        self._is_closed, whole = True, None
        try:
            self._upstream.close()
            whole = self._whole()
        finally:
            self._kept(whole)

    def _whole(self) -> bytes | None:
        if not self._is_at_end or self._parts is None or self._upstream.is_broken:
            return None
        if not has_its_length(self._upstream.response, self._length):
            return None
        return b"".join(self._parts)


def has_its_length(response: Response, length: int) -> bool:
    """Say whether a body is as long as its head says, if it does."""
    said = response.headers.all("content-length")
    return not said or set(said) == {str(length)}
