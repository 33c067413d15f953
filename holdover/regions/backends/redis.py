"""`holdover.redis`: entries in a Redis or Valkey server, shared by a fleet.

A hit is one ``MGET`` of the value and the region's clock. Whatever must be atomic is
one script, which the server runs in one step, or WATCH/MULTI/EXEC where scripts are not
allowed. The server's clock judges leases and ttls.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dogpile.cache.backends.redis import RedisBackend as DogpileRedisBackend

from holdover.regions.backends import redis_steps as steps
from holdover.regions.backends.base import Backend, positive
from holdover.regions.backends.capabilities import Capabilities
from holdover.regions.backends.grants import Stored
from holdover.regions.backends.redis_clock import RedisClocks
from holdover.regions.backends.redis_leases import LeasesInRedis
from holdover.regions.backends.redis_link import (
    Command,
    Link,
    Refused,
    a_list,
    a_number,
    accepted,
)
from holdover.regions.backends.redis_options import (
    ARGUMENT_TYPES,
    connected,
    default_ttl,
    has_limit,
    with_bounds,
)
from holdover.regions.backends.redis_records import (
    batches,
    expiry,
    packed_fence,
    tick_of,
    to_bytes,
    weight,
)
from holdover.regions.errors import BackendError, ValueTooLarge
from holdover.regions.ticks import ClockState, Reach

DEFAULT_MAX_BYTES = 64 << 20
_OURS = b"holdover:"
_MOST_KEYS = 500  # in one MGET, which holds up the server's other clients
_NO_CLOCK = (b"", 0)


class RedisBackend(LeasesInRedis, DogpileRedisBackend):
    """Entries in a Redis or Valkey server.

    Arguments are those of ``dogpile.cache.redis``, with other defaults:

        url: Where the server is, such as ``redis://localhost:6379/0`` (``rediss://``
            for TLS, ``unix://`` for a socket). What its query says wins.
        host, port, db, username, password, ssl: The same, one by one.
        socket_timeout: Seconds for the server's answer (default 0.25).
        socket_connect_timeout: Seconds for a connection (default 0.25).
        socket_keepalive, socket_keepalive_options: Of the TCP connection.
        connection_kwargs: Whatever else redis-py's connections take.
        connection_pool: A pool of redis-py's to borrow connections from, so that its
            limits hold; without one every thread keeps a connection of its own.
        redis_expiration_time: Seconds for which values are kept that have no ttl of
            their own (default 0: without end).
        max_bytes: The largest value that is sent (default 64 MiB).
        distributed_lock, lock_timeout, lock_sleep, lock_blocking, lock_prefix,
            lock_blocking_timeout, thread_local_lock: Accepted, since they mean
            something to ``get_mutex``; a region uses leases instead.
    """

    capabilities = Capabilities(
        shared_by="fleet",
        durable=False,
        keeps_objects=False,
        bounded_by=("maxmemory",),
    )
    known_arguments = ARGUMENT_TYPES

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        Backend.__init__(self, arguments)
        self.max_bytes: int = positive(arguments, "max_bytes", DEFAULT_MAX_BYTES)
        self._default_ttl = default_ttl(arguments.get("redis_expiration_time"))
        bounded = with_bounds(arguments)
        with connected():
            DogpileRedisBackend.__init__(self, bounded)  # type: ignore[no-untyped-call]
            self._link = self._linked(has_limit(bounded))
        self._atomic = steps.Steps(self._link)
        self._clocks = RedisClocks(self._link, self._atomic)
        self._clock_words: dict[str, bytes] = {}
        self._known_clocks: dict[str, tuple[bytes, int]] = {}

    def _linked(self, borrows: bool) -> Link:  # noqa: FBT001 - see Link
        """Make the way to the server, and see whether connections can be made."""
        pool = self.reader_client.connection_pool
        pool.connection_class(**pool.connection_kwargs)  # refuses unknown arguments
        return Link(pool, borrows=borrows, wait=self.socket_timeout)

    # -- names in the store ----------------------------------------------------

    def _value_name(self, key: str) -> bytes:
        """Name a value: by its key, where dogpile.cache has it, too."""
        name = to_bytes(key)
        return _OURS + b"value:" + name if name.startswith(_OURS) else name

    def _lease_name(self, key: str) -> bytes:
        return _OURS + b"lease:" + to_bytes(key)

    def _clock_names(self, region: str) -> tuple[bytes, bytes]:
        """Name a region's clock, and the marks beside it."""
        name = to_bytes(region)
        return _OURS + b"clock:" + name, _OURS + b"marks:" + name

    def _names(self, key: str, region: str) -> tuple[bytes, bytes, bytes, bytes]:
        """Name all that a step about *key* may touch."""
        return (
            self._value_name(key),
            self._lease_name(key),
            *self._clock_names(region),
        )

    # -- reading and writing ---------------------------------------------------

    def read(self, key: str, region: str) -> tuple[Stored | None, int]:
        """See `Backend.read`."""
        name = self._value_name(key)
        clock = self._clock_words.get(region) or self._remember_clock(region)
        stored, found = a_list(
            self._link.fetch(
                b"*3\r\n$4\r\nMGET\r\n$%d\r\n%b\r\n%b" % (len(name), name, clock)
            ),
            2,
        )
        return _value(stored), self._tick(region, found)

    def _remember_clock(self, region: str) -> bytes:
        """Have the last word of every reading command about *region* packed already."""
        name, _ = self._clock_names(region)
        words = self._clock_words[region] = b"$%d\r\n%b\r\n" % (len(name), name)
        return words

    def _tick(self, region: str, clock: Any) -> int:
        """Read the tick of a region's clock, making the clock if it is not there."""
        known, tick = self._known_clocks.get(region, _NO_CLOCK)
        if clock == known:  # as it is until the next invalidation
            return tick
        found = tick_of(clock)
        if found is None:
            return self.clock(region).tick
        self._known_clocks[region] = clock, found
        return found

    def read_multi(
        self, keys: Sequence[str], region: str
    ) -> tuple[list[Stored | None], int]:
        """See `Backend.read_multi`."""
        clock, _ = self._clock_names(region)
        found: list[Stored | None] = []
        tick = None
        for batch in batches(list(map(self._value_name, keys)), most=_MOST_KEYS):
            reply = accepted(self._link.ask(("MGET", clock, *batch)))[0]
            first, *stored = a_list(reply, 1 + len(batch))
            if tick is None:  # with the first batch, so it is no later than any value
                tick = self._tick(region, first)
            found += map(_value, stored)
        return found, self.clock(region).tick if tick is None else tick

    def write(self, key: str, stored: Stored, *, ttl: float | None) -> None:
        """See `Backend.write`."""
        self.write_multi({key: stored}, ttl=ttl)

    def write_multi(self, stored: Mapping[str, Stored], *, ttl: float | None) -> None:
        """See `Backend.write_multi`."""
        for batch in batches(list(stored.items()), size=lambda item: weight(item[1])):
            try:
                commands = [self._setting(key, one, ttl) for key, one in batch]
                leases = [self._lease_name(key) for key, _ in batch]
                self._link.transact(*commands, ("DEL", *leases))
            except (Refused, ValueTooLarge):
                # A server that is full still removes, and what is there is outdated.
                self.remove_multi([key for key, _ in batch])
                raise

    def remove(self, key: str) -> bool:
        """See `Backend.remove`."""
        return self.remove_multi([key])

    def remove_multi(self, keys: Sequence[str]) -> bool:
        """See `Backend.remove_multi`."""
        removed = 0
        for batch in batches(keys):
            values = list(map(self._value_name, batch))
            # One DEL for both, so that nobody commits in between; and not by MULTI, in
            # which a full server refuses even that.
            there, gone = accepted(
                self._link.ask(
                    ("EXISTS", *values),
                    ("DEL", *values, *map(self._lease_name, batch)),
                )
            )
            removed += min(a_number(there), a_number(gone))
        return removed > 0

    def compare_and_set(
        self, key: str, stored: Stored, *, seen: int | None, ttl: float | None
    ) -> bool:
        """See `Backend.compare_and_set`."""
        names = (self._value_name(key), self._lease_name(key))
        args = (packed_fence(seen), self._checked(stored), self._px(ttl))
        return self._done(steps.SWAP, names, *args)

    def _setting(self, key: str, stored: Stored, ttl: float | None) -> Command:
        command = ("SET", self._value_name(key), self._checked(stored))
        px = self._px(ttl)
        return (*command, "PX", px) if px else command

    def _checked(self, stored: Stored) -> bytes:
        """Give what is to be stored, which the server would choke on if too large."""
        if not isinstance(stored, bytes):
            raise TypeError(f"{type(self).__name__} stores bytes, not {type(stored)}")
        if len(stored) > self.max_bytes:
            raise ValueTooLarge(
                f"{len(stored)} bytes are more than max_bytes={self.max_bytes}"
            )
        return stored

    def _px(self, ttl: float | None) -> bytes:
        return expiry(self._default_ttl if ttl is None else ttl)

    # -- the region clock ------------------------------------------------------

    def clock(self, region: str, *, since: int = 0) -> ClockState:
        """See `Backend.clock`."""
        return self._clocks.state(*self._clock_names(region), since=since)

    def tick(self, region: str, *, since: int = 0) -> int:
        """See `Backend.tick`."""
        clock = self._clock_words.get(region) or self._remember_clock(region)
        return self._tick(region, self._link.fetch(b"*2\r\n$3\r\nGET\r\n" + clock))

    def advance(
        self, region: str, *, hard: bool, reaches: Sequence[Reach] = ()
    ) -> ClockState:
        """See `Backend.advance`."""
        names = self._clock_names(region)
        return self._clocks.advance(*names, hard=hard, reaches=reaches)

    # -- housekeeping ----------------------------------------------------------

    def lasting(self) -> Backend | None:
        """See `Backend.lasting`. What has no ttl stays, under most policies."""
        return None if self._default_ttl else self

    def purge(self) -> int:
        """See `Backend.purge`. Redis does so by itself: nothing is left to do."""
        return 0


def _value(reply: Any) -> bytes | None:
    if reply is None or type(reply) is bytes:
        return reply
    raise BackendError(f"Redis answered {reply!r:.80} where bytes were wanted")
