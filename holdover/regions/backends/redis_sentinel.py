"""`holdover.redis_sentinel`: entries in the master, whichever server that is."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from types import MappingProxyType
from typing import Any

from dogpile.cache.backends.redis import RedisSentinelBackend as DogpileSentinelBackend
from redis.exceptions import ConnectionError as ClosedConnection
from redis.sentinel import (
    MasterNotFoundError,
    Sentinel,
    SentinelManagedConnection,
    SentinelManagedSSLConnection,
)

from holdover.regions.backends.redis import RedisBackend
from holdover.regions.backends.redis_commands import Command
from holdover.regions.backends.redis_conversation import Conversation
from holdover.regions.backends.redis_link import Link
from holdover.regions.backends.redis_options import (
    ARGUMENT_TYPES,
    bounded_kwargs,
    without,
)
from holdover.regions.backends.redis_places import Place, places

_DEFAULT_PORT = 26379
_ASK_EVERY = 1.0  # seconds
_ASK_EVERY_IN_TROUBLE = 10.0  # seconds; sentinels that hang delay whoever asks


class MasterLink(Link):
    """The way to the master, whichever server that is by now.

    A master that died has closed its connections. One that was merely replaced goes on
    for seconds as if it had not been, so that now and then somebody asks the sentinels.
    """

    _address: Place | None = None
    _ask_at = 0.0  # steady clock

    def fetch(self, packed: bytes) -> Any:
        """See `Link.fetch`."""
        self._look_for_master()
        return super().fetch(packed)

    def ask(self, *commands: Command) -> list[Any]:
        """See `Link.ask`."""
        self._look_for_master()
        return super().ask(*commands)

    @contextmanager
    def conversation(self) -> Iterator[Conversation]:
        """See `Link.conversation`."""
        self._look_for_master()
        with super().conversation() as conversation:
            yield conversation

    def _look_for_master(self) -> None:
        """Ask the sentinels, if that was not done lately."""
        if time.monotonic() <= self._ask_at:
            return
        self._ask_at = time.monotonic() + _ASK_EVERY
        try:
            self._learn(self._pool.get_master_address())
        except Exception:  # noqa: BLE001 - what is kept may well be good
            self._ask_at = time.monotonic() + _ASK_EVERY_IN_TROUBLE

    def _connect(self, connection: Any) -> None:
        super()._connect(connection)
        self._learn((connection.host, connection.port))

    def _learn(self, address: Place) -> None:
        if address != self._address:
            # All that threads have kept leads to a server that is no master.
            self._address = address
            self.forget()


class RedisSentinelBackend(RedisBackend, DogpileSentinelBackend):
    """Entries in the master of a group of Redis or Valkey servers.

    Every new connection asks the sentinels for the master, and then the server itself
    whether it is one. Replicas are never read.

    Arguments are those of `holdover.redis` but ``url``, ``host``, ``port`` and
    ``connection_pool``, and:

        sentinels: A list of sentinels, each "host:port" or a pair (required).
        service_name: What they call the master (default "mymaster").
        sentinel_kwargs: What redis-py's connections to them take. What is not said
            there of user, password and timeouts is that of the servers.
    """

    known_arguments = MappingProxyType(
        {
            **without(ARGUMENT_TYPES, "url", "host", "port", "connection_pool"),
            "sentinels": Sequence[str],
            "service_name": str,
            "sentinel_kwargs": Mapping,
        }
    )
    _dogpiles = DogpileSentinelBackend
    _way = MasterLink
    sentinels: list[Place]

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        found = places(arguments.get("sentinels"), "sentinels", _DEFAULT_PORT)
        # As in dogpile.cache; whose lock it is, a region never asks.
        locks = {"distributed_lock": True, **arguments}
        super().__init__({**locks, "sentinels": found})

    def place(self) -> str:
        """See `Backend.place`."""
        shown = ", ".join(f"{host}:{port}" for host, port in self.sentinels)
        told = self.writer_client.connection_pool.connection_kwargs
        return f"{self.service_name} of {shown} db {told.get('db') or 0}"

    def _create_client(self) -> None:
        wanted = {
            **self.connection_kwargs,
            "username": self.username,
            "password": self.password,
            "db": self.db,
            "socket_timeout": self.socket_timeout,
            "socket_connect_timeout": self.socket_connect_timeout,
            "socket_keepalive": self.socket_keepalive,
            "socket_keepalive_options": self.socket_keepalive_options,
            "connection_class": _TLSConnection if self._encrypts() else _Connection,
        }
        wanted.pop("ssl", None)
        make: Any = _Sentinels  # has no types
        sentinel = make(self.sentinels, sentinel_kwargs=self._of_sentinels(), **wanted)
        self.writer_client = self.reader_client = sentinel.master_for(self.service_name)

    def _encrypts(self) -> bool:
        return bool(self.connection_kwargs.get("ssl", self.ssl))

    def _of_sentinels(self) -> dict[str, Any]:
        given = bounded_kwargs(self.sentinel_kwargs, "sentinel_kwargs")
        given.setdefault("username", self.username)
        given.setdefault("password", self.password)
        given.setdefault("socket_timeout", self.socket_timeout)
        given.setdefault("socket_connect_timeout", self.socket_connect_timeout)
        return given


class _Sentinels(Sentinel):
    """The sentinels, of which the one that answered last is asked first."""

    def discover_master(self, service_name: str) -> Place:
        mine: Any = copy(self)  # has no types
        # redis-py swaps them in place, and two threads that do so can lose one.
        mine.sentinels = list(self.sentinels)
        find: Any = Sentinel.discover_master
        try:
            found: Place = find(mine, service_name)
        except MasterNotFoundError as error:
            count = len(mine.sentinels)
            _, dash, why = str(error).rpartition(" - ")  # of the last that failed
            raise ClosedConnection(
                f"none of {count} sentinels knows a master {service_name!r} that is up"
                f"{dash and f' ({why})'}"
            ) from error
        self.sentinels = mine.sentinels
        return found


class _Connection(SentinelManagedConnection):
    """A connection to a server that says itself that it is the master.

    A sentinel that comes back from elsewhere may not have heard yet of a failover.
    """

    def connect_to(self, address: Place) -> None:
        plain: Any = super()  # has no types
        plain.connect_to(address)
        plain.send_command("ROLE")
        role = plain.read_response(disable_decoding=True)
        if not isinstance(role, list) or role[:1] != [b"master"]:
            plain.disconnect()
            host, port = address
            raise ClosedConnection(f"{host}:{port} is not the master, but {role!r:.40}")


class _TLSConnection(_Connection, SentinelManagedSSLConnection):
    """The same, encrypted."""
