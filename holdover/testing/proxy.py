"""A proxy between a client and its server, which harms what passes as a test likes."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Self
from urllib.parse import urlsplit, urlunsplit

from holdover.regions.errors import ConfigurationError, HoldoverError
from holdover.regions.forks import renew_after_fork
from holdover.testing.links import Link, Toxic
from holdover.testing.toxics import clean

_HERE = "127.0.0.1"
_PATIENCE = 5.0  # seconds, for a server to take a connection, and for threads to end
_PAUSE = 0.05  # seconds


class ProxyFailed(HoldoverError, OSError):
    """A proxy could not open its port (again): somebody else has it."""


class ToxicProxy:
    """A free port of this host that leads to a server, for as long as a test likes it.

    Any protocol on TCP passes: Redis, memcached, PostgreSQL, MariaDB, AMQP. It opens
    with its block, or with `up`; all that it may be told, it may be told at any time
    and from any thread. What is assigned to ``requests`` and ``replies`` holds for
    the next piece of bytes, on connections that are open, too::

        with ToxicProxy(6379) as proxy:
            region.configure(proxy.through("redis://localhost/0"), 60)
            proxy.replies = toxics.latency(0.2)
            ...
            proxy.heal()

    Args:
        upstream: Where the server is: a port of this host, ``"host:port"``, or the path
            of a Unix socket.

    Attributes:
        requests: The toxic that all requests meet; see `holdover.testing.toxics`.
        replies: That of all replies.
        port: The port, which stays the same.

    Raises:
        ConfigurationError: *upstream* is none of these.
    """

    def __init__(self, upstream: int | str | os.PathLike[str]) -> None:
        self._dial = _dialler(upstream)
        self.requests: Toxic = clean
        self.replies: Toxic = clean
        self._lock = threading.Lock()  # guards what follows
        self._listener: socket.socket | None = None  # while it is up
        self._kept: socket.socket | None = _bound(0)  # while it is down
        self._links: dict[Link, threading.Thread] = {}
        self._acceptor: threading.Thread | None = None
        self.port: int = self._kept.getsockname()[1]
        renew_after_fork(self)

    @property
    def address(self) -> str:
        """``127.0.0.1:port``, in place of the server's."""
        return f"{_HERE}:{self.port}"

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._links)

    def through(self, url: str) -> str:
        """Give *url* with the proxy in place of its server.

        Raises:
            ConfigurationError: There is no server in it, or more than one.
        """
        parts = urlsplit(url)
        login, at, host = parts.netloc.rpartition("@")
        if not host or "," in host:
            raise ConfigurationError(f"a URL with one server was expected, got {url!r}")
        return urlunsplit(parts._replace(netloc=f"{login}{at}{self.address}"))

    # -- switching -------------------------------------------------------------

    def heal(self) -> None:
        """Do no more harm to what is sent."""
        self.requests = self.replies = clean

    def cut(self) -> None:
        """Close all connections; new ones are welcome."""
        for link in list(self._links):
            link.close()

    def down(self) -> None:
        """Close all connections, and refuse new ones, until `up`."""
        with self._lock:
            listener, self._listener = self._listener, None
            if listener is not None:
                _close(listener)
                # Nobody else is to be given the port meanwhile: not even a client that
                # connects to it, whose own end could get the same number.
                with suppress(OSError):  # somebody has; `up` will say so
                    self._kept = _bound(self.port)
        self.cut()

    def up(self) -> None:
        """Take connections (again), at the same port.

        Raises:
            ProxyFailed: Somebody else has it.
        """
        with self._lock:
            if self._listener is not None:
                return
            kept, self._kept = self._kept, None
            try:
                self._listener = _listening(kept or _bound(self.port))
            except OSError as error:
                raise ProxyFailed(f"port {self.port}: {error}") from error
            self._acceptor = _thread(self._accept, self._listener)
            self._acceptor.start()

    def close(self) -> None:
        """Be down, give the port back, and wait until all threads have ended."""
        self.down()
        with self._lock:
            if self._kept is not None:
                self._kept.close()
                self._kept = None
            threads = [self._acceptor, *self._links.values()]
        deadline = time.monotonic() + _PATIENCE
        for thread in threads:
            # Whoever waits in a toxic of the test's own is left to it.
            if thread is not None and thread is not threading.current_thread():
                thread.join(max(0.0, deadline - time.monotonic()))

    def __enter__(self) -> Self:
        self.up()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def after_fork(self) -> None:
        """Let go of everything in the child of a fork: it is the parent's proxy."""
        self._lock = threading.Lock()
        for own in (self._listener, self._kept):
            if own is not None:
                own.close()
        for link in self._links:
            link.disown()
        self._listener = self._kept = self._acceptor = None
        self._links = {}

    # -- what the threads do ---------------------------------------------------

    def _accept(self, listener: socket.socket) -> None:
        while self._listener is listener:
            try:
                client, _ = listener.accept()
            except OSError:
                if self._listener is listener:  # for a moment, too many open files
                    time.sleep(_PAUSE)
                continue
            self._begin(listener, _ready(client))

    def _begin(self, listener: socket.socket, client: socket.socket) -> None:
        link = Link(client, self._dial, lambda: self.requests, lambda: self.replies)
        with self._lock:
            if self._listener is not listener:  # since it was accepted
                client.close()
                return
            self._links[link] = thread = _thread(self._run, link)
            thread.start()

    def _run(self, link: Link) -> None:
        try:
            link.run()
        finally:
            with self._lock:
                self._links.pop(link, None)


def _dialler(upstream: object) -> Callable[[], socket.socket]:
    """Give what connects to a server."""
    if isinstance(upstream, int) and not isinstance(upstream, bool):
        return lambda: _ready(socket.create_connection((_HERE, upstream), _PATIENCE))
    if isinstance(upstream, str | os.PathLike):
        path = os.fspath(upstream)
        host, _, port = path.rpartition(":")
        if "/" in path:
            return lambda: _connected_to(path)
        if host and port.isdecimal():
            address = (host.strip("[]"), int(port))
            return lambda: _ready(socket.create_connection(address, _PATIENCE))
    raise ConfigurationError(
        "upstream must be a port of this host, 'host:port', or the path of a Unix "
        f"socket, got {upstream!r}"
    )


def _connected_to(path: str) -> socket.socket:
    end = socket.socket(socket.AF_UNIX)
    end.settimeout(_PATIENCE)
    try:
        end.connect(path)
    except OSError:
        end.close()
        raise
    return _ready(end)


def _ready(end: socket.socket) -> socket.socket:
    """Have a socket wait for as long as it takes, and send what it is given at once."""
    end.settimeout(None)
    if end.family != socket.AF_UNIX:
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return end


def _bound(port: int) -> socket.socket:
    """Take a port (0: any that is free), at which connections are refused so far."""
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((_HERE, port))
    except OSError:
        bound.close()
        raise
    return bound


def _listening(bound: socket.socket) -> socket.socket:
    try:
        bound.listen()
    except OSError:
        bound.close()
        raise
    return _ready(bound)


def _close(listener: socket.socket) -> None:
    with suppress(OSError):
        # Without it accept() goes on: it would take one more client.
        listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def _thread(work: Callable[..., object], *args: object) -> threading.Thread:
    return threading.Thread(target=work, args=args, name="toxic-proxy", daemon=True)
