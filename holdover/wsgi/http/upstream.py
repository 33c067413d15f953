"""Calling the application, and holding its head back until it has been looked at."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from io import BufferedReader
from types import TracebackType
from typing import TYPE_CHECKING, Any

from holdover.wsgi.http.fields import Headers
from holdover.wsgi.http.messages import Response
from holdover.wsgi.http.steering import steered_by

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

ExcInfo = (
    tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]
)
Fields = Iterable[tuple[str, str]]
Finish = Callable[[], Iterable[bytes]]
"""Gives what the server gets, once the application has returned."""
Decide = Callable[["Upstream"], Finish]
"""Sends a head on, or keeps it; called once, as soon as the head is known."""

_WHOLE = (list, tuple)
_BLOCK = 65_536  # bytes of a file that are read at once
_BY_LINES = BufferedReader  # which are short, or long


class Upstream:
    """One call of an application.

    The head is held back until `send`, so that something else can still be sent.

    Args:
        app: The application.
        environ: The request.
        decide: Called before the first thing that the application writes by
            ``write()``, if it does, which then goes out at once. What it writes
            without *decide* is kept until its body is asked for.

    Attributes:
        response: The head. A status that is none counts as 0.
        is_broken: Whether the application took its head back after it was sent.

    Raises:
        Exception: Whatever the application raised before its head was complete; its
            iterable was closed.
    """

    response: Response

    def __init__(
        self,
        app: WSGIApplication,
        environ: WSGIEnvironment,
        decide: Decide | None = None,
    ) -> None:
        self._requested_at = time.time()
        self._decide = decide
        self._finish: Finish | None = None
        self._head: tuple[str, list[tuple[str, str]]] | None = None
        self._begun: list[bytes] = []  # written, or made before the head was known
        self._start: StartResponse | None = None
        self._write: Callable[[bytes], object] | None = None
        self._more: list[tuple[str, str]] = []
        self._note: Callable[[bytes], None] | None = None
        self._has_written = False
        self.is_broken = False
        self._rest: Iterator[bytes] | None = None
        with steered_by(environ):
            self._body = app(environ, self._start_response)
            self._begin_body()

    def _begin_body(self) -> None:
        try:
            self._await_head()
        except BaseException:
            self.close()
            raise

    @property
    def is_whole(self) -> bool:
        """Whether all of the body is there, and nothing has to be waited for."""
        return type(self._body) in _WHOLE and not self._has_written

    def answer(self, decide: Decide | None = None) -> Iterable[bytes]:
        """Have it decided, unless it is already; give what the server gets.

        Args:
            decide: Decides, where nobody was to do so before.

        Raises:
            Exception: Whatever was raised by that; the iterable was closed.
        """
        try:
            if self._finish is None:
                self._decide = decide or self._decide
                self._decided()
            assert self._finish is not None  # noqa: S101 - for type checkers
            return self._finish()
        except BaseException:
            self.close()
            raise

    def send(
        self,
        start_response: StartResponse,
        more: Fields,
        *,
        if_broken: Fields | None = None,
        note: Callable[[bytes], None] | None = None,
    ) -> None:
        """Send the head on.

        Args:
            start_response: The server's.
            more: Fields besides its own.
            if_broken: The same for the head that may take its place; None: as *more*.
            note: Called with what the application writes by ``write()`` from now on.
        """
        assert self._head is not None  # noqa: S101 - awaited
        (status, headers), more = self._head, list(more)
        self._more = more if if_broken is None else list(if_broken)
        self._start, self._note = start_response, note
        self._write = start_response(status, [*headers, *more])

    def untouched(self) -> Iterable[bytes]:
        """Give the body as the application gave it."""
        if self._begun or self._rest is not None:
            return _Passed(self)
        return self._body

    def chunks(self) -> Iterator[bytes]:
        """Give the body; `close` is to be called in any case."""
        yield from self._taken()
        rest = _iterated(self._body) if self._rest is None else self._rest
        for chunk in rest:
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

    # -- what the application does ---------------------------------------------

    def _await_head(self) -> None:
        """Have the body begin, if only then the application starts its response."""
        if self._head is not None:
            return
        self._rest = _iterated(self._body)
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
        if self._head is not None and exc_info is None:
            raise AssertionError("start_response() was called twice, without exc_info")
        if self._start is not None:  # it has been sent on: only an error may follow
            self.is_broken = True
            return self._start(status, [*headers, *self._more], exc_info)
        if self._begun and self._rest is None and exc_info is not None and exc_info[1]:
            raise exc_info[1].with_traceback(exc_info[2])  # as if it had been sent
        self._head = status, list(headers)
        self.response = self._read_head(status)
        return self._written

    def _written(self, data: bytes) -> object:
        self._has_written = True
        if self._start is None and self._decide is not None:
            self._decided()
        if self._write is None:
            self._begun.append(data)
            return None
        if self._note is not None:
            self._note(data)
        return self._write(data)

    def _decided(self) -> None:
        assert self._decide is not None  # noqa: S101 - whoever gives none asks nothing
        decide, self._decide = self._decide, None
        self._finish = decide(self)

    def _read_head(self, status: str) -> Response:
        assert self._head is not None  # noqa: S101 - just given
        code, _, reason = status.partition(" ")
        return Response(
            status=int(code) if code.isascii() and code.isdigit() else 0,
            reason=reason,
            headers=Headers(self._head[1]),
            requested_at=self._requested_at,
            received_at=time.time(),
        )


class _Passed:
    """A body of which some had to be asked for already."""

    def __init__(self, upstream: Upstream) -> None:
        self._chunks = upstream.chunks()
        self.close = upstream.close

    def __iter__(self) -> Iterator[bytes]:
        return self._chunks


def passing(start_response: StartResponse, more: Fields) -> Decide:
    """Decide to pass a response on as it is, with fields besides its own."""

    def decide(upstream: Upstream) -> Finish:
        upstream.send(start_response, more)
        return upstream.untouched

    return decide


def called(
    app: WSGIApplication, environ: WSGIEnvironment, decide: Decide
) -> Iterable[bytes]:
    """Call an application; give what the server gets.

    Raises:
        Exception: Whatever the application raised; its iterable was closed.
    """
    return Upstream(app, environ, decide).answer()


def _iterated(body: Iterable[bytes]) -> Iterator[bytes]:
    """Read a body; one that uWSGI would send by itself may be readable, and no more."""
    read: Callable[[int], bytes] | None = getattr(body, "read", None)
    if read is None or (hasattr(body, "__iter__") and not isinstance(body, _BY_LINES)):
        return iter(body)
    return iter(partial(read, _BLOCK), b"")


class Afterwards:
    """A body, and what is done once it was sent and closed."""

    def __init__(self, body: Iterable[bytes], act: Callable[[], Any]) -> None:
        self._body = body
        self._act: Callable[[], Any] | None = act

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._body)

    def close(self) -> None:
        """Close the body, then act, whatever became of it."""
        act, self._act = self._act, None
        if act is None:
            return
        try:
            if hasattr(self._body, "close"):
                self._body.close()
        finally:
            act()
