"""Where Beaker keeps sessions in memcached."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

from pymemcache.client.base import Client, normalize_server_spec
from pymemcache.exceptions import MemcacheError

from holdover import errors
from holdover.wsgi.sessions.beaker_data import NAME
from holdover.wsgi.sessions.bounds import bounded, inflated
from holdover.wsgi.sessions.errors import SessionUnavailable

_PATIENCE = 1.0  # seconds for an answer


class BeakerMemcached:
    """Beaker's type "ext:memcached".

    Each of the clients that Beaker can use chooses the server for a key in its own way.
    So all servers are asked, which is done once for a session.

    Args:
        url: Beaker's ``url``: servers with semicolons between them.

    Raises:
        ConfigurationError: It names none.
    """

    def __init__(self, url: str) -> None:
        named = [one.strip().removeprefix("inet:") for one in url.split(";")]
        try:
            self._servers = [normalize_server_spec(one) for one in named if one]
        except ValueError as error:
            raise errors.ConfigurationError(f"Beaker's url: {error}") from error
        if not self._servers:
            raise errors.ConfigurationError("Beaker's url names no server of memcached")

    def read(self, session_id: str) -> Any:
        """See `BeakerStore.read`."""
        failure = None
        for client in self._clients():
            try:
                data = client.get(_key(session_id))
            except (MemcacheError, OSError) as error:
                failure = error
                continue
            if data is not None:
                return _text(data)
        if failure is not None:  # there it may be
            raise SessionUnavailable(f"Beaker's memcached: {failure}") from failure
        return None

    def remove(self, session_id: str) -> None:
        """See `BeakerStore.remove`."""
        failure = None
        for client in self._clients():
            try:
                client.delete(_key(session_id), noreply=False)
            except (MemcacheError, OSError) as error:
                failure = error
        if failure is not None:
            raise SessionUnavailable(f"Beaker's memcached: {failure}") from failure

    def _clients(self) -> Iterator[Any]:
        """Give a client of each server, for one question; threads share none."""
        for server in self._servers:
            client = Client(server, connect_timeout=_PATIENCE, timeout=_PATIENCE)
            with closing(client):
                yield client


def _text(data: bytes) -> bytes:
    """Undo what bmemcached does to longer texts; the flags that say so are its own."""
    bounded(data)
    return data if data.isascii() else inflated(data)


def _key(session_id: str) -> str:
    return f"{session_id}_{NAME}"
