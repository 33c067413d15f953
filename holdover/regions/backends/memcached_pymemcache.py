"""Connections of pymemcache's for `holdover.memcached`."""

from __future__ import annotations

import select
from collections.abc import Callable, Mapping, Sequence
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

_ENDS = (MemcacheUnexpectedCloseError, ConnectionError)


class PymemcacheConnection:
    """See `memcached_link.Connection`."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def get_multi(self, names: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """See `Connection.get_multi`."""
        try:
            found: Mapping[bytes, bytes] = self._client.get_many(names)
        except _ENDS as error:
            raise Ended from error
        return found

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
        if answer not in (b"DELETED", b"NOT_FOUND"):
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

    __del__ = close  # its thread has ended


def connector(server: str, options: Options) -> Callable[[], PymemcacheConnection]:
    """Give what makes connections to *server*."""

    def connect() -> PymemcacheConnection:
        return PymemcacheConnection(
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
