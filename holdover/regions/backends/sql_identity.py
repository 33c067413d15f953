"""Which table is which: a random number in each, to tell apart those of one name.

A caller's connection may lead to another database, where a table of the same name
would take his invalidation and nobody would ever see it.
"""

from __future__ import annotations

from contextlib import suppress

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from holdover.regions.backends.sql_clock import Speaker
from holdover.regions.backends.sql_link import Link
from holdover.regions.backends.sql_statements import Statements
from holdover.regions.backends.sql_within import CallersConnection
from holdover.regions.envelope import new_fence
from holdover.regions.errors import BackendError, InvalidArgument

_ROW = b"!identity"  # no key and no clock begins like that


def mark(connection: Connection, callers: CallersConnection) -> None:
    """Give a table its number, unless it has one, or we may not write."""
    with suppress(DBAPIError), connection.begin():
        if _number(callers, callers.words) is None:
            callers.change(
                callers.words.begin_clock, clock=_ROW, record=b"", tick=new_fence()
            )


class Identity:
    """The number of the backend's own table.

    Args:
        link: The way to it.
        words: What to say to it.
    """

    def __init__(self, link: Link, words: Statements) -> None:
        self._link = link
        self._words = words
        self._known: int | None = None

    def require(self, callers: CallersConnection) -> None:
        """Refuse a connection to another table of the same name.

        Raises:
            InvalidArgument: It leads to one.
        """
        found = _number(callers, self._words)
        if found is not None and found == self._known:
            return
        with suppress(BackendError):  # what was known is all that there is
            self._known = _number(self._link, self._words)  # anew, if it was emptied
        if self._known not in (None, found):
            raise InvalidArgument(
                "connection must be one to the backend's own database, got one to "
                f"another, which also has a table {self._words.table}"
            )


def _number(speaker: Speaker, words: Statements) -> int | None:
    row = speaker.ask(words.tick, clock=_ROW)
    return row[0] if row else None
