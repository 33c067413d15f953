"""How `holdover.memcached` talks to one server: one kept connection per thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol

from holdover.regions.errors import BackendError
from holdover.regions.forks import renew_after_fork


class Ended(Exception):
    """The server has closed the connection, or there is none; the cause is chained."""


class Declined(Exception):
    """The server has answered, and did not store; the cause is chained."""


class Refused(BackendError):
    """The server has refused to store something, such as for lack of room."""


class Connection(Protocol):
    """One connection of a client library's.

    Every method but the last two raises whatever the library raises.
    """

    def get_multi(self, names: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """Fetch those items that there are; raises `Ended` if it has."""

    def gets(self, name: bytes) -> tuple[bytes | None, int]:
        """Fetch an item with its version; None if there is none."""

    def set_multi(self, items: Mapping[bytes, bytes], exptime: int) -> None:
        """Store items; raises `Declined` if the server does not want to."""

    def put(self, name: bytes, data: bytes, exptime: int, ended: bytes) -> None:
        """Store an item and then remove another, whether or not there is one.

        Raises `Declined` if the server does not want to.
        """

    def add(self, name: bytes, data: bytes, exptime: int) -> bool:
        """Store an item if there is none of that name."""

    def cas(self, name: bytes, data: bytes, version: int, exptime: int) -> bool:
        """Store an item if the one that is there has this version."""

    def delete(self, name: bytes) -> bool:
        """Remove an item; say whether there was one."""

    def has_ended(self) -> bool:
        """Say whether the server closed it, or sent what nobody asked for."""

    def close(self) -> None:
        """Close it, whatever state it is in."""


class _Own(threading.local):
    """The connection of this thread, None while it is in use.

    Whatever ends a command in the middle (Ctrl-C, a time limit, a greenlet's kill)
    thereby also loses the connection, so that its reply is never taken for that of the
    next command; and a signal handler that asks the cache in the middle of a command
    gets a connection of its own.
    """

    connection: Connection | None = None


_inherited: list[_Own] = []
"""What a fork's child got from its parent. Kept, since libmemcached says "quit" when
it lets go of a connection, and the parent still uses this one."""


class Link:
    """The way to one server, for all threads of this process.

    Args:
        connect: Makes a connection, which need not be open yet.
        where: What the server is called, for errors.
    """

    def __init__(self, connect: Callable[[], Connection], where: str) -> None:
        self._connect = connect
        self._where = where
        self._own = _Own()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Leave the parent its connections."""
        _inherited.append(self._own)
        self._own = _Own()

    def fetch(self, names: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """Fetch those items that there are, in one round trip.

        A connection that the server has closed meanwhile is replaced.

        Raises:
            BackendError: There is no answer, or one that makes no sense.
        """
        own = self._own
        connection = own.connection
        if connection is not None:
            own.connection = None
            try:
                found = connection.get_multi(names)
            except Ended:
                connection.close()
            except Exception as error:  # bytes that are no reply raise anything
                connection.close()
                raise self._trouble(error) from error
            except BaseException:
                connection.close()
                raise
            else:
                own.connection = connection
                return found
        with self.conversation() as connection:
            return connection.get_multi(names)

    @contextmanager
    def conversation(self) -> Iterator[Connection]:
        """Hold one connection for several commands; any exception closes it.

        It is one and the same throughout, so that what a version was read of is of the
        server's same life when it is compared: after a restart versions begin anew.

        Raises:
            BackendError: There is no connection, or it broke.
        """
        own = self._own
        connection, own.connection = own.connection, None
        try:
            if connection is not None and connection.has_ended():
                connection.close()
                connection = None
            if connection is None:
                connection = self._connect()
            yield connection
        except BaseException as error:
            if connection is not None:
                connection.close()
            if isinstance(error, BackendError) or not isinstance(error, Exception):
                raise
            raise self._trouble(error) from error
        if self._own.connection is None:
            own.connection = connection
        else:  # somebody in the middle of our block has made one, too
            connection.close()

    def _trouble(self, error: Exception) -> BackendError:
        cause = error.__cause__ if isinstance(error, Ended | Declined) else error
        kind = Refused if isinstance(error, Declined) else BackendError
        return kind(f"asking memcached at {self._where}: {cause!r:.300}")
