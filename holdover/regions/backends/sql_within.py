"""What `holdover.sql` does in a transaction of the application's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection

from holdover.regions.backends.sql_clock import advance_clock
from holdover.regions.backends.sql_statements import FLAVORS, Statement, Statements
from holdover.regions.errors import InvalidArgument
from holdover.regions.ticks import Reach


class CallersConnection:
    """Runs statements in a caller's transaction.

    Args:
        given: A SQLAlchemy connection, or an ORM session.
        dialect: The name of the backend's dialect.
        words_for: Gives the backend's statements, as a driver wants them.

    Attributes:
        words: What to say to it.

    Raises:
        InvalidArgument: It is something else, or another kind of database.
    """

    def __init__(
        self, given: Any, dialect: str, words_for: Callable[[Any], Statements]
    ) -> None:
        self._connection = _connection(given)
        spoken = self._connection.dialect
        if FLAVORS.get(spoken.name) is not FLAVORS[dialect]:
            raise InvalidArgument(
                f"connection must be one to the backend's own {dialect} database, got "
                f"one to {spoken.name}"
            )
        self.words = words_for(spoken)

    def refuse_autocommit(self) -> None:
        """See that there is a transaction.

        Raises:
            InvalidArgument: Each statement commits by itself.
        """
        level = self._connection.get_execution_options().get("isolation_level")
        # Given to create_engine(); SQLAlchemy has no public way to ask for it.
        at_first = getattr(self._connection.dialect, "_on_connect_isolation_level", "")
        if (level or at_first) == "AUTOCOMMIT":
            raise InvalidArgument(
                "connection must be in a transaction, got one that commits each "
                "statement by itself: invalidate after the change, without connection="
            )

    def ask(self, statement: Statement, **given: Any) -> Any:
        """Give the first row, or None."""
        return self._run(statement, given).first()

    def change(self, statement: Statement, **given: Any) -> int:
        """Give the number of rows that were changed."""
        return int(self._run(statement, given).rowcount)

    def _run(self, statement: Statement, given: dict[str, Any]) -> Any:
        parameters = statement.parameters(given)
        return self._connection.exec_driver_sql(statement.sql, parameters)

    def bury(self, ids: Sequence[bytes]) -> bool:
        """Empty rows, making those that are missing.

        An empty row is as good as none; but while its transaction is open, nobody can
        win its lease. Without it, a creator could begin now, read what the transaction
        is about to change, and store it.
        """
        existed = False
        for one in sorted(ids):
            row = self.ask(self.words.tick, clock=one)
            existed = existed or (row is not None and row[0] is not None)
            self.change(self.words.bury, id=one)
        return existed

    def advance(self, clock: bytes, *, hard: bool, reaches: Sequence[Reach]) -> None:
        """Invalidate. The clock's row stays locked until the transaction ends."""
        words = self.words
        query = words.locked_clock
        advance_clock(self, words, clock, hard=hard, reaches=reaches, query=query)


def _connection(given: Any) -> Connection:
    if isinstance(given, Connection):
        return given
    if hasattr(given, "get_bind") and callable(getattr(given, "connection", None)):
        given = given.connection()
    if isinstance(given, Connection):
        return given
    raise InvalidArgument(
        "connection must be a SQLAlchemy Connection or Session, got "
        f"{type(given).__name__}"
    )
