"""How `holdover.sql` talks to its database: one kept connection per thread.

Connections are made by SQLAlchemy, which knows every driver, and used through the
driver: SQLAlchemy's own way costs a hit more than the database does.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn, TypeVar

from sqlalchemy import Engine

from holdover.regions.backends import sql_drivers as drivers
from holdover.regions.backends.sql_seats import OwnSeats, Seats, SharedSeats, Wire
from holdover.regions.backends.sql_statements import Statement
from holdover.regions.errors import BackendError
from holdover.regions.forks import renew_after_fork

T = TypeVar("T")

_MOST_TRIES = 10  # while the database undoes what is in the way of others

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
        self._prepare = prepare
        self._is_prepared = False
        self._timeout = timeout
        self._connect_timeout = connect_timeout
        self._seats: Seats = OwnSeats() if most is None else SharedSeats(most, timeout)
        renew_after_fork(self)
        if self.is_local:
            _close_before_fork.add(self)

    @property
    def is_local(self) -> bool:
        """Whether the database lives in this process, and no server is asked."""
        return self._dialect.name == "sqlite"

    def after_fork(self) -> None:
        """Leave the parent its connections."""
        self._seats = self._seats.for_child()
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

    # -- statements ------------------------------------------------------------

    def fetch(self, sql: str, parameters: Parameters) -> Any:
        """Run a query that gives at most one row; again, if the connection has broken.

        Returns:
            The row, or None.

        Raises:
            BackendError: The database could not answer.
        """
        wire = self._seats.take()
        if wire is None:
            self._seats.lose()
            return self._fetch_slowly(sql, parameters)
        try:
            wire.execute(sql, parameters)
            row = wire.fetchone()
        except BaseException as error:  # noqa: BLE001 - it is raised again
            if not self._should_renew(wire, error):
                self._fail(error)
        else:
            self._seats.give(wire)
            return row
        return self._fetch_slowly(sql, parameters)

    def _fetch_slowly(self, sql: str, parameters: Parameters) -> Any:
        def use(wire: Wire) -> Any:
            wire.execute(sql, parameters)
            return wire.fetchone()

        return self.run(use, repeatable=True)

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
        for _ in range(_MOST_TRIES):
            wire = self._seats.take()
            was_kept = wire is not None
            try:
                if wire is not None and not repeatable:
                    wire = self._alive(wire)
                if wire is None:
                    wire = self.opened()
                result = use(wire)
            except BaseException as error:  # noqa: BLE001 - it is raised again
                renewed = self._should_renew(wire, error) and repeatable and was_kept
                if not renewed and not drivers.may_be_repeated(error):
                    self._fail(error)
            else:
                self._seats.give(wire)
                return result
        raise BackendError(f"the database undid the statement {_MOST_TRIES} times")

    # -- connections -----------------------------------------------------------

    def _alive(self, wire: Wire) -> Wire | None:
        if not drivers.has_ended(self._dialect, wire.raw):
            return wire
        wire.close()
        return None

    def _should_renew(self, wire: Wire | None, error: BaseException) -> bool:
        """Keep the connection if it is well; say whether another may do better."""
        if wire is None:
            self._seats.lose()
            return False
        if not drivers.is_broken(self._dialect, wire.raw, error):
            self._leave(wire)
            return False
        wire.close()
        self._seats.lose()
        return isinstance(error, Exception) and not drivers.timed_out(error)

    def _leave(self, wire: Wire) -> None:
        if self.is_local and wire.raw.in_transaction:
            wire.raw.rollback()
        self._seats.give(wire)

    def _fail(self, error: BaseException) -> NoReturn:
        if isinstance(error, BackendError) or not isinstance(error, Exception):
            raise error
        raise BackendError(f"asking the database: {error}") from error

    def opened(self) -> Wire:
        """Open a connection that is the caller's alone.

        Raises:
            BackendError: It took too long.
            Exception: Whatever the driver raised.
        """
        if self.is_local:
            return self._open()
        return _within(self._connect_timeout, self._open)

    def _open(self) -> Wire:
        if not self._is_prepared:
            self._prepare(self._engine)
            self._is_prepared = True
        held = self._pool.connect()
        raw: Any = held.dbapi_connection
        held.detach()
        try:
            cursor = drivers.settle(self._dialect, raw, self._timeout)
        except BaseException:
            raw.close()
            raise
        return Wire(raw, cursor)


def _rowcount(cursor: Any) -> int:
    return int(cursor.rowcount)


def _only_row(cursor: Any) -> Any:
    return cursor.fetchone()


class _Errand(threading.Thread):
    """Opens a connection while somebody waits for it, or no longer."""

    def __init__(self, make: Callable[[], Wire]) -> None:
        super().__init__(name="holdover-connecting", daemon=True)
        self._make = make
        self.wire: Wire | None = None
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.wire = self._make()
        except BaseException as error:  # noqa: BLE001 - the one who waits raises it
            self.error = error


def _within(seconds: float, make: Callable[[], Wire]) -> Wire:
    """Make a connection; drivers count their patience in whole seconds, or not at all.

    Raises:
        BackendError: It took too long; once made, it is closed.
    """
    errand = _Errand(make)
    errand.start()
    errand.join(seconds)
    if errand.error is not None:
        raise errand.error
    if errand.wire is None:
        raise BackendError(f"no connection to the database within {seconds:g} s")
    return errand.wire


# SQLite's locks belong to a process and do not survive a fork, neither in the child nor
# where the child closes what it has inherited.
_close_before_fork: weakref.WeakSet[Link] = weakref.WeakSet()


def _close_idle() -> None:
    for link in list(_close_before_fork):
        link.close_idle()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_close_idle)
