"""`holdover.memcached`: entries in one or several memcached servers.

A hit is one ``get`` of the value and the tick of the region's clock. What must be
atomic is ``add`` or ``cas``. The server's clock, which ticks in seconds, judges leases
and ttls.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from importlib import import_module
from typing import Any

from dogpile.cache.api import DefaultSerialization

from holdover.regions.backends.capabilities import Capabilities
from holdover.regions.backends.grants import Stored
from holdover.regions.backends.memcached_clock import MemcachedClocks
from holdover.regions.backends.memcached_leases import LeasesInMemcached
from holdover.regions.backends.memcached_link import Connection, Link, Refused
from holdover.regions.backends.memcached_names import lease_name, tick_name, value_name
from holdover.regions.backends.memcached_options import (
    DEFAULT_MAX_BYTES,
    KNOWN_ARGUMENTS,
    Options,
)
from holdover.regions.backends.memcached_records import (
    PAST,
    exptime,
    is_placeholder,
    tick_of,
    value_in,
)
from holdover.regions.backends.memcached_servers import Connector, Servers
from holdover.regions.backends.sending import accepted_bytes, weight
from holdover.regions.envelope import fence_of
from holdover.regions.errors import BackendError, MissingDependency, ValueTooLarge
from holdover.regions.findings import Finding, Health
from holdover.regions.ticks import ClockState, Reach
from holdover.regions.timesource import SYSTEM_TIME

_MOST_TRIES = 50  # while others keep changing the same key


class MemcachedBackend(DefaultSerialization, LeasesInMemcached):
    """Entries in memcached.

    Arguments:
        url: A server ("host:port", or the path of its socket), or a list of them.
        client: The library that talks to it: "pymemcache" (default) or "pylibmc".
        socket_timeout: Seconds for the server's answer (default 0.25).
        socket_connect_timeout: Seconds for a connection (default 0.25).
        max_bytes: The largest value that is sent (default 1 MiB less 1024 bytes,
            which a server takes that was started without ``-I``).
        memcached_expire_time: Seconds for which values are kept that have no ttl of
            their own (default 0: without end).
        tls_context: An ``ssl.SSLContext`` for encrypted connections (pymemcache only).
        distributed_lock, lock_timeout: dogpile.cache's, without effect: leases take
            its lock's place.
        time_source: The clocks to go by, other than for ttls; for tests.
    """

    capabilities = Capabilities(
        shared_by="fleet",
        durable=False,
        keeps_objects=False,
        bounded_by=("memory_limit",),
        clock="server",
        expires_by_itself=True,
        may_lose=("eviction", "restart"),
        largest_value=DEFAULT_MAX_BYTES,
    )
    known_arguments = KNOWN_ARGUMENTS

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        super().__init__(arguments)
        self._options = Options.read(arguments)
        self._servers = Servers(self._options, _connector(self._options.client))
        self._time = arguments.get("time_source", SYSTEM_TIME)
        self._clocks = MemcachedClocks(
            self._servers, self._options.max_bytes, self._time
        )
        self._tick_names: dict[str, bytes] = {}

    def place(self) -> str:
        """See `Backend.place`."""
        return ", ".join(self._options.servers)

    def diagnose(self, *, lasting: bool) -> Iterable[Finding]:
        """See `Backend.diagnose`."""
        if not lasting:
            return ()
        found = "memcached may evict the record of which slots were begun"
        advice = "let another region have the schedules, in SQL, Redis or files"
        return [Finding("eviction", Health.WARN, found, advice)]

    # -- reading ---------------------------------------------------------------

    def read(self, key: str, region: str) -> tuple[Stored | None, int]:
        """See `Backend.read`."""
        return self._read(self._reading_names(key, region), region)

    def reader(self, key: str, region: str) -> Callable[[], tuple[Stored | None, int]]:
        """See `Backend.reader`."""
        return partial(self._read, self._reading_names(key, region), region)

    def _reading_names(self, key: str, region: str) -> tuple[bytes, bytes]:
        tick = self._tick_names.get(region) or self._remember_tick_name(region)
        # In this order: an entry made of the value gets a tick from before it was read.
        return tick, value_name(key)

    def _read(
        self, names: tuple[bytes, bytes], region: str
    ) -> tuple[Stored | None, int]:
        tick, name = names
        link = self._servers.link_for(name)
        found = link.fetch(names)
        return value_in(found.get(name)), self._tick(region, link, found.get(tick))

    def _remember_tick_name(self, region: str) -> bytes:
        name = self._tick_names[region] = tick_name(region)
        return name

    def _tick(self, region: str, link: Link, found: bytes | None) -> int:
        """Read the tick of a region's clock, putting it there if it is not."""
        return tick_of(found) or self._clocks.restored(region, link)

    def read_multi(
        self, keys: Sequence[str], region: str
    ) -> tuple[list[Stored | None], int]:
        """See `Backend.read_multi`."""
        names, name = list(map(value_name, keys)), tick_name(region)
        values: dict[bytes, bytes] = {}
        tick = None
        for link, batch in self._servers.shared_out(names, lambda one: one):
            found = link.fetch([name, *batch])
            if tick is None:  # with the first batch, so it is no later than any value
                tick = self._tick(region, link, found.get(name))
            values.update(found)
        stored: list[Stored | None] = [value_in(values.get(one)) for one in names]
        return stored, self.clock(region).tick if tick is None else tick

    # -- writing ---------------------------------------------------------------

    def write(self, key: str, stored: Stored, *, ttl: float | None) -> None:
        """See `Backend.write`."""
        self.write_multi({key: stored}, ttl=ttl)

    def write_at(
        self, key: str, stored: Stored, region: str, *, tick: int, ttl: float | None
    ) -> int:
        """See `Backend.write_at`. In two round trips (60 us in place of 110)."""
        name, shown = value_name(key), tick_name(region)
        link = self._servers.link_for(name)
        # Its own server's, which no acknowledged invalidation has left behind.
        now = self._tick(region, link, link.fetch((shown,)).get(shown))
        if now != tick:
            return now
        try:
            data = self._checked(stored)
            with link.conversation() as server:
                server.put(name, data, self._exptime(ttl), lease_name(name))
        except (Refused, ValueTooLarge):
            self.remove(key)  # as in write_multi()
            raise
        return now

    def write_multi(self, stored: Mapping[str, Stored], *, ttl: float | None) -> None:
        """See `Backend.write_multi`."""
        for link, batch in self._servers.shared_out(
            stored.items(),
            lambda item: value_name(item[0]),
            lambda item: weight(item[1]),
        ):
            keys = [key for key, _ in batch]
            try:
                items = {value_name(key): self._checked(one) for key, one in batch}
                with link.conversation() as server:
                    server.set_multi(items, self._exptime(ttl))
                    _forget(server, list(map(lease_name, items)))
            except (Refused, ValueTooLarge):
                # A full server still removes, and what is there is outdated.
                for key in keys:
                    self.remove(key)
                raise

    def remove(self, key: str) -> bool:
        """See `Backend.remove`."""
        return self.remove_multi([key])

    def remove_multi(self, keys: Sequence[str]) -> bool:
        """See `Backend.remove_multi`."""
        existed = False
        names = map(value_name, keys)
        for link, batch in self._servers.shared_out(names, lambda one: one):
            with link.conversation() as server:
                found = server.get_multi(batch).values()
                existed |= any(not is_placeholder(data) for data in found)
                # The value first: without it nobody can commit, lease or not.
                _forget(server, batch)
                _forget(server, list(map(lease_name, batch)))
        return existed

    def compare_and_set(
        self, key: str, stored: Stored, *, seen: int | None, ttl: float | None
    ) -> bool:
        """See `Backend.compare_and_set`."""
        name, data = value_name(key), self._checked(stored)
        with self._servers.link_for(name).conversation() as server:
            for _ in range(_MOST_TRIES):
                found, version = server.gets(name)
                value = value_in(found)
                if (None if value is None else fence_of(value)) != seen:
                    return False
                until = self._exptime(ttl)
                if found is None:
                    done = server.add(name, data, until)
                else:
                    done = server.cas(name, data, version, until)
                if done:
                    _forget(server, [lease_name(name)])
                    return True
        raise BackendError(f"{key!r:.80} was changed by others all the time")

    def _checked(self, stored: Stored) -> bytes:
        """Give what is to be stored; a server that refuses it forgets the old value."""
        return accepted_bytes(self, stored, self._options.max_bytes)

    def _exptime(self, ttl: float | None) -> int:
        return exptime(self._options.default_ttl if ttl is None else ttl, time.time())

    # -- the region clock ------------------------------------------------------

    def clock(self, region: str, *, since: int = 0) -> ClockState:
        """See `Backend.clock`."""
        return self._clocks.state(region, since=since)

    def tick(self, region: str, *, since: int = 0) -> int:
        """See `Backend.tick`. Whoever asks has missed none, whatever he knew."""
        return self.clock(region).tick

    def advance(
        self, region: str, *, hard: bool, reaches: Sequence[Reach] = ()
    ) -> ClockState:
        """See `Backend.advance`."""
        return self._clocks.advance(region, hard=hard, reaches=reaches)

    # -- housekeeping ----------------------------------------------------------

    def purge(self) -> int:
        """See `Backend.purge`. memcached does so by itself: nothing is left to do."""
        return 0


def _connector(client: str) -> Connector:
    """Load the library that talks to the servers; the other need not be there."""
    name = f"holdover.regions.backends.memcached_{client}"
    try:
        found: Connector = import_module(name).connector
    except ModuleNotFoundError as error:
        wanted = "holdover[memcached]" if client == "pymemcache" else client
        raise MissingDependency(
            f"holdover.memcached needs {error.name!r}: pip install {wanted}"
        ) from error
    return found


def _forget(server: Connection, names: Sequence[bytes]) -> None:
    """Remove items; several in one round trip, by storing what is past its ttl."""
    if len(names) == 1:
        server.delete(names[0])
    else:
        server.set_multi(dict.fromkeys(names, b""), PAST)
