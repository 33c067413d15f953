"""How `holdover.sql` talks to its database: one kept connection per thread.

Connections are made by SQLAlchemy, which knows every driver, and used through the
driver: SQLAlchemy's own way costs a hit more than the database does.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import Any, NoReturn, TypeVar

from sqlalchemy import Engine

from holdover.regions.backends import sql_drivers as drivers
from holdover.regions.backends.sql_connecting import within
from holdover.regions.backends.sql_forks import ForkPause
from holdover.regions.backends.sql_seats import (
    HeldSeats,
    OwnSeats,
    Seats,
    SharedSeats,
    Wire,
)
from holdover.regions.backends.sql_statements import Statement
from holdover.regions.errors import BackendError
from holdover.regions.forks import renew_after_fork
from holdover.regions.seats import Seat

T = TypeVar("T")

_MOST_TRIES = 10  # while the database undoes what is in the way of others
_LOOK_EVERY = 1.0  # seconds between two looks at SQLite's file by those who only read

Parameters = Sequence[Any]


class Link:
    """The way to one database, for all threads of this process.

    Args:
        engine: Makes connections.
        prepare: Called with the engine before the first of them is used.
        timeout: Seconds that a statement may take.
        connect_timeout: Seconds that a connection may take.
        most: How many connections there may be; None for one per thread.
    """

    def __init__(
        self,
        engine: Engine,
        prepare: Callable[[Engine], None],
        *,
        timeout: float,
        connect_timeout: float,
        most: int | None,
    ) -> None:
        self._engine = engine
        # Makes them as the engine's does, and takes no place in that: these are the
        # application's.
        self._pool = engine.pool.recreate()
        self._dialect = engine.dialect
        self._path = drivers.path_of(engine.url)
        self._prepare = prepare
        self._is_prepared = False
        self._timeout = timeout
        self._connect_timeout = connect_timeout
        self._seats: Seats = OwnSeats() if most is None else SharedSeats(most, timeout)
        self._pause = ForkPause(self, timeout) if self.is_local else None
        renew_after_fork(self)

    @property
    def is_local(self) -> bool:
        """Whether the database lives in this process, and no server is asked."""
        return self._dialect.name == "sqlite"

    def after_fork(self) -> None:
        """Leave the parent its connections."""
        self._seats = self._seats.for_child()
        if self.is_local:
            self._pause = ForkPause(self, self._timeout)
        self._pool = self._pool.recreate()  # another thread may have held its lock

    def prepare(self) -> None:
        """See that the database is there, and fit.

        Raises:
            ConfigurationError: It is not fit.
            BackendError: It is not there.
        """
        self.run(lambda _: None, repeatable=True)
        self.close_idle()  # others may fork before the first use

    def close_idle(self) -> None:
        """Close what is idle; whoever asks next opens a new connection."""
        self._seats.close_idle()

    def hold(self, over: threading.Event, most: float) -> None:
        """Let no further statement begin until *over*, or for *most* seconds."""
        self._seats = HeldSeats(self._seats, over, most)
        self._seats.close_idle()

    def go_on(self) -> None:
        """Be as before `hold`."""
        if isinstance(self._seats, HeldSeats):
            self._seats = self._seats.held

    # -- statements ------------------------------------------------------------

    def fetch(self, sql: str, parameters: Parameters) -> Any:
        """Run a query that gives at most one row; again, if the connection has broken.

        Returns:
            The row, or None.

        Raises:
            BackendError: The database could not answer.
        """
        wire = self._seats.take()
        if not isinstance(wire, Wire) or monotonic() > wire.due_at:
            return self._fetch_slowly(sql, parameters, wire)
        try:
            wire.execute(sql, parameters)
            row = wire.fetchone()
        except BaseException as error:  # noqa: BLE001 - it is raised again
            if not self._should_renew(wire, wire, error):
                self._fail(error)
        else:
            self._seats.give(wire)
            return row
        return self._fetch_slowly(sql, parameters, self._seats.take())

    def _fetch_slowly(
        self, sql: str, parameters: Parameters, taken: Wire | Seat | None
    ) -> Any:
        def use(wire: Wire) -> Any:
            wire.execute(sql, parameters)
            return wire.fetchone()

        return self._run_with(taken, use, repeatable=True)

    def ask(self, statement: Statement, **given: Any) -> Any:
        """Run a query that gives at most one row, by names. See `fetch`."""
        return self.fetch(statement.sql, statement.parameters(given))

    def fetch_all(self, sql: str, parameters: Parameters) -> list[Any]:
        """Run a query; again, if the connection has broken. Give all its rows."""

        def use(wire: Wire) -> list[Any]:
            wire.execute(sql, parameters)
            return list(wire.cursor.fetchall())

        return self.run(use, repeatable=True)

    def change(self, statement: Statement, **given: Any) -> int:
        """Run a statement, once. Say how many rows it has changed.

        Raises:
            BackendError: It failed, or whether it was carried out is not known.
        """
        return self.execute(statement.sql, statement.parameters(given))

    def execute(self, sql: str, parameters: Parameters) -> int:
        """Run a statement, once, as `change` does."""

        def use(wire: Wire) -> int:
            wire.execute(sql, parameters)
            return int(wire.cursor.rowcount)

        return self.run(use, repeatable=False)

    def change_many(
        self, statement: Statement, given: Sequence[Mapping[str, Any]]
    ) -> None:
        """Run a statement with each of several sets of parameters, once."""
        parameters = [statement.parameters(one) for one in given]

        def use(wire: Wire) -> None:
            if self.is_local:  # one transaction, so that the disk is waited for once
                wire.execute("BEGIN IMMEDIATE", ())
            wire.cursor.executemany(statement.sql, parameters)
            if self.is_local:
                wire.execute("COMMIT", ())

        self.run(use, repeatable=False)

    def change_each(
        self, statement: Statement, given: Sequence[Mapping[str, Any]]
    ) -> list[int]:
        """Run a statement with each of several sets of parameters, as `change` does.

        Returns:
            How many rows each has changed.
        """
        if len(given) == 1:
            return [self.change(statement, **given[0])]
        parameters = [statement.parameters(one) for one in given]

        def use(wire: Wire) -> list[int]:
            if self.is_local:  # one transaction, so that the lock is waited for once
                wire.execute("BEGIN IMMEDIATE", ())
            changed = drivers.run_each(
                self._dialect, wire, statement.sql, parameters, _rowcount
            )
            if self.is_local:
                wire.execute("COMMIT", ())
            return changed

        return self.run(use, repeatable=False)

    def ask_each(
        self, statement: Statement, given: Sequence[Mapping[str, Any]]
    ) -> list[Any]:
        """Run a query with each of several sets of parameters, as `ask` does."""
        parameters = [statement.parameters(one) for one in given]

        def use(wire: Wire) -> list[Any]:
            return drivers.run_each(
                self._dialect, wire, statement.sql, parameters, _only_row
            )

        return self.run(use, repeatable=True)

    def run(self, use: Callable[[Wire], T], *, repeatable: bool) -> T:
        """Have *use* use a connection.

        Args:
            use: Runs statements.
            repeatable: Whether it may be run again after the connection has broken.

        Raises:
            BackendError: It failed.
        """
        return self._run_with(self._seats.take(), use, repeatable=repeatable)

    def _run_with(
        self,
        taken: Wire | Seat | None,
        use: Callable[[Wire], T],
        *,
        repeatable: bool,
    ) -> T:
        for _ in range(_MOST_TRIES):
            wire: Wire | None = None
            try:
                wire = self._usable(taken, repeatable=repeatable)
                result = use(wire)
            except BaseException as error:  # noqa: BLE001 - it is raised again
                may_renew = self._should_renew(taken, wire, error) and repeatable
                renewed = may_renew and isinstance(taken, Wire)
                if not renewed and not drivers.may_be_repeated(error):
                    self._fail(error)
            else:
                self._seats.give(wire)
                return result
            taken = self._seats.take()
        raise BackendError(f"the database undid the statement {_MOST_TRIES} times")

    # -- connections -----------------------------------------------------------

    def _usable(self, taken: Wire | Seat | None, *, repeatable: bool) -> Wire:
        """Give an open connection: what was taken, unless it is known to have ended."""
        if not isinstance(taken, Wire):
            return self.opened(taken)
        if self._has_moved(taken):
            self._is_prepared = False  # as for a new database: it may be one
        elif repeatable or not drivers.has_ended(self._dialect, taken.raw):
            return taken
        taken.close()
        return self.opened(taken.seat)

    def _has_moved(self, wire: Wire) -> bool:
        """Say whether the file that is open is no longer where others look for it.

        SQLite goes on with one that was removed, alone with its old values.
        """
        if self._path is None:
            return False
        wire.due_at = monotonic() + _LOOK_EVERY
        return drivers.file_at(self._path) != wire.file

    def _should_renew(
        self, taken: Wire | Seat | None, wire: Wire | None, error: BaseException
    ) -> bool:
        """Keep the connection if it is well; say whether another may do better."""
        if wire is not None and not drivers.is_broken(self._dialect, wire.raw, error):
            self._leave(wire)
            return False
        for one in (wire, taken):
            if one is not None:
                one.leave()
        return (
            wire is not None
            and isinstance(error, Exception)
            and not drivers.timed_out(error)
        )

    def _leave(self, wire: Wire) -> None:
        if self.is_local and wire.raw.in_transaction:
            wire.raw.rollback()
        self._seats.give(wire)

    def _fail(self, error: BaseException) -> NoReturn:
        if isinstance(error, BackendError) or not isinstance(error, Exception):
            raise error
        raise BackendError(f"asking the database: {error}") from error

    def opened(self, seat: Seat | None = None) -> Wire:
        """Open a connection; without a *seat* it is the caller's alone.

        Raises:
            BackendError: It took too long.
            Exception: Whatever the driver raised.
        """
        if self._pause is not None:
            wire = self._pause.opening(self._open)
        else:
            wire = within(self._connect_timeout, self._open)
        wire.seat = seat
        return wire

    def _open(self) -> Wire:
        if not self._is_prepared:
            self._prepare(self._engine)
            self._is_prepared = True
        file = drivers.file_at(self._path) if self._path else None
        held = self._pool.connect()
        raw: Any = held.dbapi_connection
        held.detach()
        try:
            wire = Wire(raw, drivers.settle(self._dialect, raw, self._timeout))
        except BaseException:
            raw.close()
            raise
        if self._path:
            wire.file, wire.due_at = file, monotonic() + _LOOK_EVERY
        return wire


def _rowcount(cursor: Any) -> int:
    return int(cursor.rowcount)


def _only_row(cursor: Any) -> Any:
    return cursor.fetchone()
