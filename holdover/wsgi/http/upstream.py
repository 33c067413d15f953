"""Calling the application, and holding its head back until it has been looked at."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any

from holdover.wsgi.http.fields import Headers
from holdover.wsgi.http.messages import Response

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

ExcInfo = (
    tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]
)


class Upstream:
    """One call of an application.

    The head is held back, and with it what the application writes, until `passed_on`
    or `whole`; so that something else can still be sent.

    Args:
        app: The application.
        environ: The request.

    Attributes:
        response: The head.

    Raises:
        Exception: Whatever the application raised before its head was complete; its
            iterable was closed.
    """

    def __init__(self, app: WSGIApplication, environ: WSGIEnvironment) -> None:
        self._requested_at = time.time()
        self._head: tuple[str, list[tuple[str, str]]] | None = None
        self._begun: list[bytes] = []  # written, or made before the head was known
        self._start: StartResponse | None = None
        self._exc_info: Any = None
        self.is_broken = False
        self._body = app(environ, self._start_response)
        self._rest: Iterator[bytes] | None = None
        try:
            self._await_head()
        except BaseException:
            self.close()
            raise
        self.response = self._read_head()

    @property
    def is_finished(self) -> bool:
        """Whether the whole body is there, and nothing has to be waited for."""
        return isinstance(self._body, list | tuple)

    def passed_on(
        self, start_response: StartResponse, more: Iterable[tuple[str, str]]
    ) -> Iterable[bytes]:
        """Send the head on, with fields besides its own; give the body untouched."""
        self._send_head(start_response, more)
        if self._begun or self._rest is not None:
            return _Passed(self)
        return self._body

    def followed(
        self, start_response: StartResponse, more: Iterable[tuple[str, str]]
    ) -> Iterator[bytes]:
        """Send the head on; give the body, to be closed by `close`."""
        self._send_head(start_response, more)
        return self.chunks()

    def chunks(self) -> Iterator[bytes]:
        """Give the body; `close` is to be called in any case."""
        yield from self._taken()
        for chunk in self._body if self._rest is None else self._rest:
            yield from self._taken()  # written meanwhile
            yield chunk
        yield from self._taken()

    def _taken(self) -> list[bytes]:
        begun, self._begun[:] = self._begun[:], []
        return begun

    def close(self) -> None:
        """Close the application's iterable."""
        close = getattr(self._body, "close", None)
        if close is not None:
            close()

    def _await_head(self) -> None:
        """Have the body begin, if only then the application starts its response."""
        if self._has_head():
            return
        self._rest = iter(self._body)
        for chunk in self._rest:
            self._begun.append(chunk)
            if self._has_head():
                return
        if not self._has_head():
            raise AssertionError("the application did not call start_response()")

    def _has_head(self) -> bool:
        return self._head is not None

    def _start_response(
        self,
        status: str,
        headers: list[tuple[str, str]],
        exc_info: ExcInfo | None = None,
        /,
    ) -> Callable[[bytes], object]:
        if self._start is not None:  # it has been sent on: only an error may follow
            self.is_broken = True
            return self._start(status, headers, exc_info)
        if self._head is not None and exc_info is None:
            raise AssertionError("start_response() was called twice, without exc_info")
        self._head = status, list(headers)
        return self._begun.append

    def _read_head(self) -> Response:
        assert self._head is not None  # noqa: S101 - awaited
        status, headers = self._head
        code, _, reason = status.partition(" ")
        return Response(
            status=int(code),
            reason=reason,
            headers=Headers(headers),
            requested_at=self._requested_at,
            received_at=time.time(),
        )

    def _send_head(
        self, start_response: StartResponse, more: Iterable[tuple[str, str]]
    ) -> None:
        assert self._head is not None  # noqa: S101 - awaited
        status, headers = self._head
        self._start = start_response
        start_response(status, [*headers, *more])


class _Passed:
    """A body of which some had to be asked for already."""

    def __init__(self, upstream: Upstream) -> None:
        self._chunks = upstream.chunks()
        self.close = upstream.close

    def __iter__(self) -> Iterator[bytes]:
        return self._chunks
