"""Connections of pymemcache's for `holdover.memcached`."""

from __future__ import annotations

import re
import select
import weakref
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from pymemcache.client.base import Client
from pymemcache.exceptions import (
    MemcacheClientError,
    MemcacheError,
    MemcacheServerError,
    MemcacheUnexpectedCloseError,
)

from holdover.regions.backends.memcached_link import Declined, Ended
from holdover.regions.backends.memcached_options import Options
from holdover.regions.backends.receiving import received

_ITEM = re.compile(rb"VALUE (\S+) \d+ (\d+)\r\n")
_LONGEST_LINE = 2048  # bytes; a name has 250 at most
_REMOVED = frozenset({b"DELETED", b"NOT_FOUND"})
_ENDS = (MemcacheUnexpectedCloseError, ConnectionError)


class PymemcacheConnection:
    """See `memcached_link.Connection`."""

    def __init__(self, client: Any) -> None:
        self._client = client
        # When its thread has ended. Not __del__, which might come after that of the
        # socket, which complains.
        weakref.finalize(self, client.close).atexit = False

    def get_multi(self, names: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """See `Connection.get_multi`.

        Every hit comes by here, and the client's own reading takes a third of its time.
        """
        sock = self._client.sock
        try:
            if sock is None:
                found: Mapping[bytes, bytes] = self._client.get_many(names)
                return found
            sock.sendall(b"get %b\r\n" % b" ".join(names))
            return _values_from(sock, names)
        except _ENDS as error:
            raise Ended from error

    def gets(self, name: bytes) -> tuple[bytes | None, int]:
        """See `Connection.gets`."""
        data, version = self._client.gets(name, default=None, cas_default=0)
        return data, int(version)

    def set_multi(self, items: Mapping[bytes, bytes], exptime: int) -> None:
        """See `Connection.set_multi`."""
        try:
            refused = self._client.set_many(items, expire=exptime, noreply=False)
        except MemcacheUnexpectedCloseError:
            raise  # which is a MemcacheServerError, and no answer
        except (MemcacheClientError, MemcacheServerError) as error:
            raise Declined from error
        if refused:
            raise MemcacheError(f"the server did not store {refused[0]!r:.80}")

    def put(self, name: bytes, data: bytes, exptime: int, ended: bytes) -> None:
        """See `Connection.put`. In one round trip."""
        sock = self._client.sock
        if sock is None:
            self.set_multi({name: data}, exptime)
            self.delete(ended)
            return
        head = b"set %b 0 %d %d" % (name, exptime, len(data))
        sock.sendall(b"%b\r\n%b\r\ndelete %b\r\n" % (head, data, ended))
        _check_answers(sock, {b"STORED"}, _REMOVED)

    def add(self, name: bytes, data: bytes, exptime: int) -> bool:
        """See `Connection.add`."""
        return bool(self._client.add(name, data, expire=exptime, noreply=False))

    def cas(self, name: bytes, data: bytes, version: int, exptime: int) -> bool:
        """See `Connection.cas`."""
        done = self._client.cas(name, data, version, expire=exptime, noreply=False)
        return bool(done)

    def delete(self, name: bytes) -> bool:
        """See `Connection.delete`."""
        # Client.delete() takes any answer that it does not know for NOT_FOUND.
        answer: bytes = self._client.raw_command(b"delete " + name, b"\r\n")
        if answer not in _REMOVED:
            raise MemcacheError(f"the server answered {answer!r:.80} to a delete")
        return answer == b"DELETED"

    def has_ended(self) -> bool:
        """See `Connection.has_ended`."""
        if self._client.sock is None:
            return True
        poll = select.poll()
        poll.register(self._client.sock, select.POLLIN)
        return bool(poll.poll(0))

    def close(self) -> None:
        """See `Connection.close`."""
        self._client.close()


class EncryptedConnection(PymemcacheConnection):
    """One over TLS, on which each command waits for the answer to the one before.

    memcached (1.6.18) reads what came with a command into a buffer of its TLS library,
    looks at the socket for the next, where nothing is, and answers no more.
    """

    def set_multi(self, items: Mapping[bytes, bytes], exptime: int) -> None:
        """See `Connection.set_multi`."""
        for item in items.items():
            super().set_multi(dict([item]), exptime)

    def put(self, name: bytes, data: bytes, exptime: int, ended: bytes) -> None:
        """See `Connection.put`. In two round trips."""
        self.set_multi({name: data}, exptime)
        self.delete(ended)


def _values_from(sock: Any, names: Sequence[bytes]) -> dict[bytes, bytes]:
    """Read the answer to a ``get`` of *names*: protocol.txt, "Retrieval command".

    Raises:
        Closed: The server has closed the connection.
        MemcacheError: This is no such answer.
    """
    found: dict[bytes, bytes] = {}
    data, at = received(sock, b"", 1), 0
    while True:
        item = _ITEM.match(data, at)
        if item is None:
            # What has been read is left behind, or it would be copied time and again.
            data, at = data[at:], 0
            if data == b"END\r\n":
                return found
            if b"\r\n" in data or len(data) > _LONGEST_LINE:
                raise MemcacheError(f"the server answered {data!r:.80} to a get")
            data = received(sock, data, len(data) + 1)
            continue
        name, length = item.groups()
        start, stop = item.end(), item.end() + int(length)
        if len(data) < stop + 2:
            data = received(sock, data[start:], int(length) + 2)
            start, stop = 0, int(length)
        if data[stop : stop + 2] != b"\r\n" or name not in names:
            raise MemcacheError(f"the server sent {name!r:.80}, which is damaged")
        found[name] = data[start:stop]
        at = stop + 2


def _check_answers(sock: Any, *expected: Collection[bytes]) -> None:
    """Read a line for each of *expected*, which must be one of those.

    Raises:
        Declined: The server did not store.
        Closed: It has closed the connection.
        MemcacheError: This is no such answer.
    """
    data = b""
    for lines in expected:
        while b"\r\n" not in data:
            if len(data) > _LONGEST_LINE:
                raise MemcacheError(f"the server answered {data!r:.80} to a set")
            data = received(sock, data, len(data) + 1)
        line, _, data = data.partition(b"\r\n")
        if line.startswith(b"SERVER_ERROR"):
            raise Declined from MemcacheServerError(line)
        if line not in lines:
            raise MemcacheError(f"the server answered {line!r:.80} to a set")
    if data:
        raise MemcacheError(f"the server also answered {data!r:.80} to a set")


def connector(server: str, options: Options) -> Callable[[], PymemcacheConnection]:
    """Give what makes connections to *server*."""
    kind = PymemcacheConnection if options.tls_context is None else EncryptedConnection

    def connect() -> PymemcacheConnection:
        return kind(
            Client(
                options.place_of(server),
                connect_timeout=options.connect_timeout,
                timeout=options.timeout,
                no_delay=True,
                default_noreply=False,
                tls_context=options.tls_context,
            )
        )

    return connect
