"""`holdover.redis_cluster`: entries in a Redis Cluster, each with its lease in a slot.

A hit is one ``MGET``, to one node, of the value and a copy of the tick of the region's
clock. What must be atomic concerns one slot, and is done as in `holdover.redis`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from itertools import chain
from types import MappingProxyType
from typing import Any

from dogpile.cache.backends.redis import RedisBackend as DogpileRedisBackend
from dogpile.cache.backends.redis import RedisClusterBackend as DogpileClusterBackend
from redis.cluster import ClusterNode, RedisCluster
from redis.connection import ConnectionPool

from holdover.regions.backends import redis_health
from holdover.regions.backends import redis_steps as steps
from holdover.regions.backends.grants import Stored
from holdover.regions.backends.redis_commands import Command
from holdover.regions.backends.redis_copies import ClocksInCluster
from holdover.regions.backends.redis_link import Link
from holdover.regions.backends.redis_nodes import Nodes
from holdover.regions.backends.redis_options import (
    ARGUMENT_TYPES,
    connected,
    keeper_for,
    with_bounds,
    without,
)
from holdover.regions.backends.redis_places import Place, places
from holdover.regions.backends.redis_replies import a_list, accepted
from holdover.regions.backends.redis_routes import Routes, is_moving
from holdover.regions.backends.redis_slots import (
    BUCKETS,
    bucket_of,
    copy_name,
    lease_name,
    value_name,
)
from holdover.regions.backends.redis_values import ValuesInRedis, value_in
from holdover.regions.backends.sending import T, batches
from holdover.regions.errors import BackendError, ConfigurationError
from holdover.regions.findings import Finding
from holdover.regions.ticks import ClockState, Reach

_DEFAULT_PORT = 6379
_MOST_KEYS = 500  # in one write, which holds up a node's other clients


class RedisClusterBackend(ValuesInRedis, DogpileClusterBackend):
    """Entries in a cluster of Redis or Valkey servers.

    Arguments are those of `holdover.redis` but ``db`` and ``connection_pool``; ``url``
    or ``host`` and ``port`` name a node of the cluster, and:

        startup_nodes: A list of nodes, each "host:port", a pair, or redis-py's
            ``ClusterNode``. One that answers is enough.
    """

    known_arguments = MappingProxyType(
        {
            **without(ARGUMENT_TYPES, "db", "connection_pool"),
            "startup_nodes": Sequence[str],
        }
    )

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        ValuesInRedis.__init__(self, arguments)
        bounded = with_bounds(arguments)
        with connected():
            self._pattern = _pattern(bounded)
            DogpileClusterBackend.__init__(self, bounded)  # type: ignore[no-untyped-call]
        self._keeper = keeper_for(bounded)
        self._nodes = Nodes(self._startup(), self._linked)
        self._routes = self._link = Routes(self._nodes)
        self._atomic = steps.Steps(self._routes)
        self._clocks = ClocksInCluster(self._routes, self._atomic)
        self._copy_words: dict[str, list[bytes]] = {}

    # -- connections -----------------------------------------------------------

    def _create_client(self) -> None:
        """Make none before somebody asks for it: it would connect at once."""

    def _startup(self) -> list[Place]:
        if self.startup_nodes is not None:
            return places(self.startup_nodes, "startup_nodes", _DEFAULT_PORT)
        kwargs = self._pattern.connection_kwargs
        return [
            (kwargs.get("host", "localhost"), int(kwargs.get("port", _DEFAULT_PORT)))
        ]

    def place(self) -> str:
        """See `Backend.place`."""
        return ", ".join(f"{host}:{port}" for host, port in self._startup())

    def server_time(self) -> float | None:
        """See `Backend.server_time`. That of one primary."""
        return redis_health.time_of(self._nodes.primaries()[0])

    def diagnose(self, *, lasting: bool) -> Iterable[Finding]:
        """See `Backend.diagnose`. What several primaries tell is told once."""
        told = [
            redis_health.diagnose(link, lasting=lasting)
            for link in self._nodes.primaries()
        ]
        return dict.fromkeys(chain.from_iterable(told))

    def _linked(self, place: Place) -> Link:
        host, port = place
        kwargs = {**self._pattern.connection_kwargs, "host": host, "port": port}
        most = self._pattern.max_connections
        kind = self._pattern.connection_class
        pool = ConnectionPool(connection_class=kind, max_connections=most, **kwargs)
        return Link(pool, self._keeper, wait=self.socket_timeout)

    @cached_property
    def writer_client(self) -> Any:  # type: ignore[override]
        """redis-py's own client of the cluster, for ``get_mutex`` and for users."""
        kwargs = dict(self._pattern.connection_kwargs)
        for name in ("host", "port", "db"):
            kwargs.pop(name, None)
        node: Any = ClusterNode  # has no types
        nodes = [node(*place) for place in self._startup()]
        return RedisCluster(startup_nodes=nodes, **kwargs)

    @property
    def reader_client(self) -> Any:  # type: ignore[override]
        """The same: replicas are never read."""
        return self.writer_client

    # -- names in the store ----------------------------------------------------

    def _value_name(self, key: str) -> bytes:
        return value_name(key)

    def _lease_name(self, key: str) -> bytes:
        return lease_name(key)

    def _names(self, key: str, region: str) -> tuple[bytes, bytes, bytes, bytes]:
        copy = copy_name(region, bucket_of(key))
        return value_name(key), lease_name(key), copy, copy

    def _epoch(self) -> bytes:
        """Give none: a copy that is lost is mended, never made anew."""
        return b""

    def _shares(
        self, items: Sequence[T], key: Callable[[T], str]
    ) -> Iterable[Sequence[T]]:
        shares: dict[int, list[T]] = defaultdict(list)
        for item in items:
            shares[bucket_of(key(item))].append(item)
        return shares.values()

    # -- reading ---------------------------------------------------------------

    def read(self, key: str, region: str) -> tuple[Stored | None, int]:
        """See `Backend.read`."""
        bucket, name = bucket_of(key), value_name(key)
        words = self._copy_words.get(region) or self._remember_copies(region)
        packed = b"*3\r\n$4\r\nMGET\r\n%b$%d\r\n%b\r\n" % (
            words[bucket],
            len(name),
            name,
        )
        try:
            copy, stored = a_list(self._routes.fetch(bucket, packed), 2)
        except BackendError:  # it may be elsewhere by now
            [(copy, stored)] = self._read_anew(region, [[key]])
        return value_in(stored), self._clocks.tick_beside(region, bucket, copy)

    def _remember_copies(self, region: str) -> list[bytes]:
        """Have the first name of every reading command packed already."""
        names = [copy_name(region, bucket) for bucket in range(BUCKETS)]
        words = [b"$%d\r\n%b\r\n" % (len(name), name) for name in names]
        self._copy_words[region] = words
        return words

    def read_multi(
        self, keys: Sequence[str], region: str
    ) -> tuple[list[Stored | None], int]:
        """See `Backend.read_multi`."""
        found: dict[str, Stored | None] = {}
        ticks = []
        for batch in batches(keys, most=_MOST_KEYS):
            shares = list(self._shares(batch, str))
            replies = self._read_anew(region, shares)
            for share, (copy, *values) in zip(shares, replies, strict=True):
                ticks.append(self._tick_beside(share[0], region, copy))
                found.update(zip(share, map(value_in, values), strict=True))
        tick = max(ticks) if ticks else self.clock(region).tick
        return [found[key] for key in keys], tick

    def _read_anew(self, region: str, shares: Sequence[Sequence[str]]) -> list[Any]:
        """Read the copy and the values of each share, which is of one bucket."""
        asked: list[list[bytes]] = [
            [copy_name(region, bucket_of(share[0])), *map(value_name, share)]
            for share in shares
        ]
        commands: list[Command] = [("MGET", *names) for names in asked]
        replies = self._routes.ask(*commands)
        return [
            self._read_moving(names)
            if is_moving(reply)
            else a_list(accepted([reply])[0], len(names))
            for names, reply in zip(asked, replies, strict=True)
        ]

    def _read_moving(self, names: Sequence[bytes]) -> list[Any]:
        """Read one by one what is half here and half there, the copy first."""
        return accepted([self._routes.ask(("GET", name))[0] for name in names])

    def _tick_beside(self, key: str, region: str, clock: Any) -> int:
        return self._clocks.tick_beside(region, bucket_of(key), clock)

    # -- the region clock ------------------------------------------------------

    def clock(self, region: str, *, since: int = 0) -> ClockState:
        """See `Backend.clock`."""
        return self._clocks.state(region, since=since)

    def tick(self, region: str, *, since: int = 0) -> int:
        """See `Backend.tick`."""
        return self._clocks.tick(region)

    def advance(
        self, region: str, *, hard: bool, reaches: Sequence[Reach] = ()
    ) -> ClockState:
        """See `Backend.advance`."""
        return self._clocks.advance(region, hard=hard, reaches=reaches)


def _pattern(bounded: Mapping[str, Any]) -> Any:
    """Give a pool that knows how connections are made, to whichever node.

    Raises:
        ConfigurationError: No cluster could be reached like that.
    """
    make: Any = DogpileRedisBackend  # has no types
    pool = make(without(bounded, "startup_nodes")).writer_client.connection_pool
    pool.connection_class(**pool.connection_kwargs)  # refuses unknown arguments
    if pool.connection_kwargs.get("db") or "path" in pool.connection_kwargs:
        raise ConfigurationError("a cluster has database 0 only, and no socket")
    return pool
