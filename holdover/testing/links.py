"""One client's connection to its server, in the hands of a proxy."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any

PIECE = 65_536  # bytes that are read at once
_MOST = 1 << 24  # bytes of what has come meanwhile
_AT_ONCE = struct.pack("ii", 1, 0)  # to close by a reset, and drop what is unsent


class Stream:
    """One way of one connection, as toxics see it.

    Attributes:
        notes: What toxics remember of it, each under itself.
    """

    def __init__(
        self, link: Link, source: socket.socket, target: socket.socket
    ) -> None:
        self.notes: dict[object, Any] = {}
        self._link = link
        self._source = source
        self._target = target

    @property
    def is_over(self) -> bool:
        """Whether the connection has been closed by the proxy."""
        return self._link.over.is_set()

    def wait(self, seconds: float) -> None:
        """Let *seconds* pass.

        Raises:
            ConnectionAbortedError: The connection was closed meanwhile. Let it out: it
                ends the stream.
        """
        if self._link.over.wait(seconds):
            raise ConnectionAbortedError("the proxy has closed the connection")

    def rest(self) -> bytes:
        """Give what else has come by now, without waiting for more."""
        found = bytearray()
        # Its end, if that is what has come, is met again by whoever reads next.
        with suppress(BlockingIOError):
            while len(found) < _MOST and (more := self._read(socket.MSG_DONTWAIT)):
                found += more
        return bytes(found)

    def close(self) -> None:
        """Close the connection, both ways."""
        self._link.close()

    def reset(self) -> None:
        """Close the connection so that both sides get a reset."""
        self._link.reset()

    def pieces(self) -> Iterator[bytes]:
        """Give what comes, as it comes, until its sender has no more to say."""
        while data := self._read():
            yield data

    def send(self, pieces: Iterable[bytes]) -> None:
        """Pass *pieces* on to whom they were sent to."""
        for piece in pieces:
            if self.is_over:
                return
            self._target.sendall(piece)

    def end(self) -> None:
        """Say that there is no more to come; the other way goes on."""
        if not self.is_over:
            self._target.shutdown(socket.SHUT_WR)

    def _read(self, flags: int = 0) -> bytes:
        return self._source.recv(PIECE, flags)


Toxic = Callable[[Stream, bytes], Iterable[bytes]]
"""Gives what is passed on in place of what has come; it may wait before each piece."""


class Link:
    """One client's connection, both ways, each in a thread.

    Args:
        client: The client's end.
        dial: Connects to the server; raises `OSError` if it cannot be reached.
        request_toxic: Gives what requests meet right now.
        reply_toxic: Gives what replies meet right now.

    Attributes:
        over: Set when the proxy has closed it.
        client: The client's end.
        server: The server's end; None until there is one.
    """

    def __init__(
        self,
        client: socket.socket,
        dial: Callable[[], socket.socket],
        request_toxic: Callable[[], Toxic],
        reply_toxic: Callable[[], Toxic],
    ) -> None:
        self.over = threading.Event()
        self.client = client
        self.server: socket.socket | None = None
        self._dial = dial
        self._request_toxic = request_toxic
        self._reply_toxic = reply_toxic

    def run(self) -> None:
        """Connect to the server, and pass on until both ways are over."""
        try:
            self._connect_and_pass_on()
        finally:
            # Only here, where no thread uses them any more: a number that is closed
            # belongs to the next that is opened.
            for end in self._ends():
                end.close()

    def _connect_and_pass_on(self) -> None:
        try:
            self.server = server = self._dial()
        except OSError:
            self.reset()  # which is how a client learns it from a server that is away
            return
        if self.over.is_set():  # closed by somebody who did not see the server's end
            return
        requests = Stream(self, self.client, server)
        replies = Stream(self, server, self.client)
        answering = threading.Thread(
            target=self._pass_on,
            args=(replies, self._reply_toxic),
            name="toxic-replies",
            daemon=True,
        )
        answering.start()
        self._pass_on(requests, self._request_toxic)
        answering.join()

    def _pass_on(self, stream: Stream, toxic: Callable[[], Toxic]) -> None:
        try:
            for data in stream.pieces():
                stream.send(toxic()(stream, data))
            stream.end()
        except OSError:
            if not stream.is_over:
                self.close()
        except BaseException:  # a toxic of the test's own has failed
            self.close()
            raise

    def close(self) -> None:
        """Close both ends; who reads or writes there is woken."""
        self.over.set()
        for end in self._ends():
            with suppress(OSError):  # its peer may be gone already
                end.shutdown(socket.SHUT_RDWR)

    def reset(self) -> None:
        """Close both ends so that both sides get a reset."""
        self.over.set()
        for end in self._ends():
            with suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
                # Wakes who reads, and says nothing to the peer: the reset is sent when
                # nobody uses the socket any more, and not before.
                end.shutdown(socket.SHUT_RD)

    def _ends(self) -> list[socket.socket]:
        server = self.server
        return [self.client] if server is None else [self.client, server]

    def disown(self) -> None:
        """Let go of both ends in the child of a fork: the parent goes on with them."""
        for end in self._ends():
            end.close()
