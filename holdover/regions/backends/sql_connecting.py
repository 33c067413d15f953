"""How the connections of `holdover.sql` are opened, and in what time."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Any

from sqlalchemy import Engine

from holdover.regions.backends import sql_drivers as drivers
from holdover.regions.backends.sql_opening import NoConnectionInTime, opened_within
from holdover.regions.backends.sql_seats import Wire

_LOOK_EVERY = 1.0  # seconds between two looks at SQLite's file by those who only read
_IMPATIENT_FOR = 4  # times as long as a connection may take


class Connector:
    """Opens connections to one database.

    Args:
        engine: Knows how they are made.
        prepare: Called with the engine before the first of them is used.
        timeout: Seconds that a statement may take.
        connect_timeout: Seconds that a connection may take.
    """

    def __init__(
        self,
        engine: Engine,
        prepare: Callable[[Engine], None],
        *,
        timeout: float,
        connect_timeout: float,
    ) -> None:
        self._engine = engine
        # Makes them as the engine's does, and takes no place in that: these are the
        # application's.
        self._pool = engine.pool.recreate()
        self._path = drivers.path_of(engine.url)
        self._prepare = prepare
        self._is_prepared = False
        self._timeout = timeout
        self._connect_timeout = connect_timeout
        self._impatient_until = 0.0

    def after_fork(self) -> None:
        """Be of use in the child: another thread may have held the pool's lock."""
        self._pool = self._pool.recreate()

    def open_in_time(self) -> Wire:
        """Open a connection.

        After one that took too long, the next get no longer than a statement for a
        while: a page makes many calls, and each verb would find out by itself.

        Raises:
            BackendError: It took too long.
            Exception: Whatever the driver raised.
        """
        most = self._connect_timeout
        if monotonic() < self._impatient_until:
            most = min(most, self._timeout)
        try:
            return opened_within(most, self.open)
        except NoConnectionInTime:
            if most == self._connect_timeout:
                self._impatient_until = monotonic() + _IMPATIENT_FOR * most
            raise

    def open(self) -> Wire:
        """Open a connection, however long it takes."""
        if not self._is_prepared:
            self._prepare(self._engine)
            self._is_prepared = True
        file = drivers.file_at(self._path) if self._path else None
        held = self._pool.connect()
        raw: Any = held.dbapi_connection
        held.detach()
        try:
            wire = Wire(raw, drivers.settle(self._engine.dialect, raw, self._timeout))
        except BaseException:
            raw.close()
            raise
        if self._path:
            wire.file, wire.due_at = file, monotonic() + _LOOK_EVERY
        return wire

    def has_moved(self, wire: Wire) -> bool:
        """Say whether the file that is open is no longer where others look for it.

        SQLite goes on with one that was removed, alone with its old values.
        """
        if self._path is None:
            return False
        wire.due_at = monotonic() + _LOOK_EVERY
        if drivers.file_at(self._path) == wire.file:
            return False
        self._is_prepared = False  # the next may be a new database
        return True
