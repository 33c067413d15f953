"""How `holdover.sql` talks to its database: one kept connection per thread.

Connections are made by SQLAlchemy, which knows every driver, and used through the
driver: SQLAlchemy's own way costs a hit more than the database does.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import Any, Concatenate, NoReturn, ParamSpec, TypeVar

from sqlalchemy import Engine

from holdover.regions.backends import sql_drivers as drivers
from holdover.regions.backends.sql_connecting import Connector
from holdover.regions.backends.sql_forks import LocalPause
from holdover.regions.backends.sql_seats import (
    HeldSeats,
    OwnSeats,
    Place,
    Seats,
    SharedSeats,
    Wire,
)
from holdover.regions.backends.sql_statements import Statement
from holdover.regions.errors import BackendError
from holdover.regions.forks import renew_after_fork

P = ParamSpec("P")
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
        self._connector = Connector(
            engine, prepare, timeout=timeout, connect_timeout=connect_timeout
        )
        self._dialect = engine.dialect
        self._seats: Seats = OwnSeats() if most is None else SharedSeats(most, timeout)
        self._pause = LocalPause(self, timeout) if self.is_local else None
        renew_after_fork(self)

    @property
    def is_local(self) -> bool:
        """Whether the database lives in this process, and no server is asked."""
        return self._dialect.name == "sqlite"

    def after_fork(self) -> None:
        """Leave the parent its connections."""
        self._seats = self._seats.for_child()
        self._connector.after_fork()

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
        place = self._seats.own()  # every hit comes by here
        if place is None:
            return self._with_place(self._fetch_at, sql, parameters)
        try:
            return self._fetch_at(place, sql, parameters)
        finally:
            self._seats.give(place)

    def _fetch_at(self, place: Place, sql: str, parameters: Parameters) -> Any:
        wire = _taken_from(place)
        if wire is None:
            return self._fetch_slowly(place, sql, parameters)
        if monotonic() > wire.due_at:
            place.kept.append(wire)
            return self._fetch_slowly(place, sql, parameters)
        try:
            wire.execute(sql, parameters)
            row = wire.fetchone()
        except BaseException as error:  # noqa: BLE001 - it is raised again
            if not self._should_renew(place, wire, wire, error):
                _fail(error)
        else:
            place.kept.append(wire)
            return row
        return self._fetch_slowly(place, sql, parameters)

    def _fetch_slowly(self, place: Place, sql: str, parameters: Parameters) -> Any:
        def use(wire: Wire) -> Any:
            wire.execute(sql, parameters)
            return wire.fetchone()

        return self._run_at(place, use, repeatable=True)

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
        return self._with_place(self._run_at, use, repeatable=repeatable)

    def _with_place(
        self,
        work: Callable[Concatenate[Place, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Have *work* done at a place, which is free again whatever ends it."""
        place = self._seats.take()
        try:
            done = work(place, *args, **kwargs)
            self._seats.give(place)
        except BaseException:
            try:
                self._seats.give(place)
            finally:  # an exception from outside may end the first before it begins
                self._seats.give(place)
            raise
        return done

    def _run_at(self, place: Place, use: Callable[[Wire], T], *, repeatable: bool) -> T:
        for _ in range(_MOST_TRIES):
            idle = _taken_from(place)
            wire: Wire | None = None
            try:
                wire = self._usable(idle, repeatable=repeatable)
                result = use(wire)
            except BaseException as error:  # noqa: BLE001 - it is raised again
                may_renew = self._should_renew(place, idle, wire, error) and repeatable
                renewed = may_renew and idle is not None
                if not renewed and not drivers.may_be_repeated(error):
                    _fail(error)
            else:
                place.kept.append(wire)
                return result
        raise BackendError(f"the database undid the statement {_MOST_TRIES} times")

    # -- connections -----------------------------------------------------------

    def _usable(self, idle: Wire | None, *, repeatable: bool) -> Wire:
        """Give an open connection: the idle one, unless it is known to have ended."""
        if idle is None:
            return self.opened()
        if not self._connector.has_moved(idle) and (
            repeatable or not drivers.has_ended(self._dialect, idle.raw)
        ):
            return idle
        idle.close()
        return self.opened()

    def _should_renew(
        self,
        place: Place,
        idle: Wire | None,
        wire: Wire | None,
        error: BaseException,
    ) -> bool:
        """Keep the connection if it is well; say whether another may do better."""
        if wire is not None and not drivers.is_broken(self._dialect, wire.raw, error):
            self._keep(place, wire)
            return False
        for one in (wire, idle):
            if one is not None:
                one.close()
        return (
            wire is not None
            and isinstance(error, Exception)
            and not drivers.timed_out(error)
        )

    def _keep(self, place: Place, wire: Wire) -> None:
        if self.is_local and wire.raw.in_transaction:
            wire.raw.rollback()
        place.kept.append(wire)

    def opened(self) -> Wire:
        """Open a connection that is the caller's alone.

        Raises:
            BackendError: It took too long.
            Exception: Whatever the driver raised.
        """
        if self._pause is not None:
            return self._pause.opening(self._connector.open)
        return self._connector.open_in_time()


def _fail(error: BaseException) -> NoReturn:
    try:
        if isinstance(error, BackendError) or not isinstance(error, Exception):
            raise error
        raise BackendError(f"asking the database: {drivers.said(error)}") from error
    finally:
        del error  # or it and this frame, of which it knows, would keep each other


def _taken_from(place: Place) -> Wire | None:
    try:
        return place.kept.pop()
    except IndexError:
        return None


def _rowcount(cursor: Any) -> int:
    return int(cursor.rowcount)


def _only_row(cursor: Any) -> Any:
    return cursor.fetchone()
