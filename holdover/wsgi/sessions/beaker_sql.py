"""Where Beaker keeps sessions in a database."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    LargeBinary,
    MetaData,
    String,
    Table,
    create_engine,
    delete,
    make_url,
    select,
)
from sqlalchemy.exc import ArgumentError, NoSuchModuleError
from sqlalchemy.pool import NullPool

from holdover import errors
from holdover.wsgi.sessions.beaker_data import of_container
from holdover.wsgi.sessions.bounds import bounded
from holdover.wsgi.sessions.errors import SessionUnavailable
from holdover.wsgi.sessions.pickles import read_plain

_PATIENCE = 2  # seconds for an answer
_SLACK = 1.0  # seconds more, so that a driver that can tell has told
_SERVER = {"connect_timeout": _PATIENCE}
_BOUNDS: dict[str, dict[str, Any]] = {  # by driver
    "pysqlite": {"timeout": _PATIENCE},
    "pymysql": _SERVER | {"read_timeout": _PATIENCE, "write_timeout": _PATIENCE},
    "mysqldb": _SERVER | {"read_timeout": _PATIENCE, "write_timeout": _PATIENCE},
    "psycopg": _SERVER,
    "psycopg2": _SERVER,
}


class BeakerDatabase:
    """Beaker's types "ext:database" and "ext:sqla".

    Args:
        url: Beaker's ``url``.
        table: Its ``table_name``.
        schema: Its ``schema_name``.

    Raises:
        ConfigurationError: The URL is none.
        MissingDependency: Its driver is not installed.
    """

    def __init__(self, url: str, table: str, schema: str | None) -> None:
        try:
            read = make_url(url)
            bounds = _BOUNDS.get(read.get_driver_name(), {})
            self._engine = create_engine(
                read,
                poolclass=NullPool,
                connect_args=bounds,
                hide_parameters=True,  # errors are logged, and one of them is the id
            )
        except ModuleNotFoundError as error:
            raise errors.MissingDependency(
                f"Beaker's database needs {error.name!r}"
            ) from error
        except (ArgumentError, NoSuchModuleError, ValueError):  # may hold a password
            raise errors.ConfigurationError(
                "Beaker's url must be a database's, as SQLAlchemy writes it"
            ) from None
        self._table = Table(
            table,
            MetaData(),
            Column("namespace", String),
            Column("data", LargeBinary),  # which nobody unpickles in passing
            schema=schema or None,
        )

    def read(self, session_id: str) -> Any:
        """See `BeakerStore.read`."""
        found = select(self._table.c.data).where(self._table.c.namespace == session_id)
        data = self._asked(lambda connection: connection.scalar(found))
        if data is None:
            return None
        return of_container(read_plain(bytes(bounded(data))))

    def remove(self, session_id: str) -> None:
        """See `BeakerStore.remove`."""
        gone = delete(self._table).where(self._table.c.namespace == session_id)
        self._asked(lambda connection: connection.execute(gone).close())

    def _asked(self, ask: Callable[[Connection], Any]) -> Any:
        """Ask the database, in a thread: some drivers wait for a frozen server forever.

        Such a thread is left behind; `BeakerSessions` asks again seconds later only.
        """
        told: list[Any] = []

        def run() -> None:
            try:
                with self._engine.begin() as connection:
                    told.append(ask(connection))
            except Exception as error:  # noqa: BLE001 - told to whoever waits
                told.append(error)

        thread = threading.Thread(target=run, name="holdover-beaker", daemon=True)
        thread.start()
        thread.join(_PATIENCE + _SLACK)
        answer = told[0] if told else TimeoutError("no answer")
        if isinstance(answer, Exception):
            raise SessionUnavailable(f"Beaker's database: {answer}") from answer
        return answer
