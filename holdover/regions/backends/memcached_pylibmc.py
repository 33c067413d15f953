"""Connections of pylibmc's for `holdover.memcached`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pylibmc

from holdover.regions.backends.memcached_link import Declined, Ended
from holdover.regions.backends.memcached_options import Options

_ENDS = (pylibmc.ServerDown, pylibmc.ConnectionError)
_REFUSALS = (pylibmc.TooBig, pylibmc.ServerError, pylibmc.AllocationError)


class PylibmcConnection:
    """See `memcached_link.Connection`."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def get_multi(self, names: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """See `Connection.get_multi`."""
        try:
            found: Mapping[bytes, bytes] = self._client.get_multi(names)
            if names[-1] not in found:
                self.gets(names[-1])  # which finds out whether the rest did not come
        except _ENDS as error:
            raise Ended from error
        if not found.keys() <= set(names):
            raise pylibmc.Error(f"the server answered {sorted(found)!r:.80}")
        return found

    def gets(self, name: bytes) -> tuple[bytes | None, int]:
        """See `Connection.gets`."""
        data, version = self._client.gets(name)
        if data is None:
            # Either there is none, or pylibmc hides that no answer came: that it says
            # when it is asked again.
            data, version = self._client.gets(name)
        return data, version or 0

    def set_multi(self, items: Mapping[bytes, bytes], exptime: int) -> None:
        """See `Connection.set_multi`."""
        try:
            refused = self._client.set_multi(items, exptime)
        except _REFUSALS as error:
            raise Declined from error
        if refused:
            raise pylibmc.Error(f"the server did not store {refused[0]!r:.80}")

    def put(self, name: bytes, data: bytes, exptime: int, ended: bytes) -> None:
        """See `Connection.put`."""
        self.set_multi({name: data}, exptime)
        self.delete(ended)

    def add(self, name: bytes, data: bytes, exptime: int) -> bool:
        """See `Connection.add`."""
        return bool(self._client.add(name, data, exptime))

    def cas(self, name: bytes, data: bytes, version: int, exptime: int) -> bool:
        """See `Connection.cas`."""
        try:
            return bool(self._client.cas(name, data, version, exptime))
        except pylibmc.NotFound:
            return False

    def delete(self, name: bytes) -> bool:
        """See `Connection.delete`."""
        return bool(self._client.delete(name))

    def has_ended(self) -> bool:
        """See `Connection.has_ended`. libmemcached lets nobody look."""
        return False

    def close(self) -> None:
        """See `Connection.close`."""
        self._client.disconnect_all()


def connector(server: str, options: Options) -> Callable[[], PylibmcConnection]:
    """Give what makes connections to *server*."""
    milliseconds = max(1, round(options.timeout * 1000))
    behaviors = {
        "cas": True,
        "tcp_nodelay": True,
        "connect_timeout": max(1, round(options.connect_timeout * 1000)),
        "send_timeout": milliseconds * 1000,
        "receive_timeout": milliseconds * 1000,
        "_poll_timeout": milliseconds,
    }

    def connect() -> PylibmcConnection:
        return PylibmcConnection(
            pylibmc.Client([server], binary=False, behaviors=behaviors)
        )

    return connect
