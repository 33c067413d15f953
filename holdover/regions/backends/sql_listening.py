"""How `holdover.sql` hears of changes: PostgreSQL's LISTEN, if writers notify.

What a statement notifies of is sent when its transaction is committed, and never after
a rollback. The message is the row's name, since it may have no more than 8000 bytes.
"""

from __future__ import annotations

import select
from contextlib import AbstractContextManager
from typing import Any

from holdover.regions.backends.base import translated
from holdover.regions.backends.pushing import Change, Pushing
from holdover.regions.backends.sql_link import Link
from holdover.regions.backends.sql_records import clock_id, is_value, key_of, value_id
from holdover.regions.backends.sql_seats import Wire
from holdover.regions.backends.sql_statements import CHANNEL, Statements

_DRIVER = "psycopg"  # the only one that is known to tell of messages as they come


def hears(dialect: Any) -> bool:
    """Say whether messages can be heard by that driver."""
    return bool(dialect.driver == _DRIVER)


class PushedBySql(Pushing):
    """The part of the backend that tells of changes."""

    _link: Link
    _words: Statements

    def subscribe(self, region: str, prefix: str) -> Listening:
        """See `Pushing.subscribe`. One channel tells of all regions in the table."""
        with _translated():
            listening = Listening(self._link.opened(), clock_id(region), prefix)
            listening.begin(self._words.table_number.sql)
        return listening


class Listening:
    """See `Subscription`. The connection's own time limit bounds each answer.

    Args:
        wire: A connection of its own.
        clock: The row of the region's clock.
        prefix: What the region's keys begin with.
    """

    def __init__(self, wire: Wire, clock: bytes, prefix: str) -> None:
        self._wire = wire
        self._clock = clock
        self._prefix = prefix
        self._arrived: list[Any] = []

    def begin(self, table_number: str) -> None:
        """Listen; *table_number* is the query for the channel's number."""
        self._wire.execute(table_number, ())
        [number] = self._wire.fetchone()
        self._wire.execute(f"LISTEN {CHANNEL}{int(number)}", ())
        # Some come while another answer is waited for.
        self._wire.raw.add_notify_handler(self._arrived.append)

    def changes(self, wait: float) -> list[Change]:
        """See `Subscription.changes`."""
        raw = self._wire.raw
        with _translated():
            if not self._arrived and select.select([raw.fileno()], [], [], wait)[0]:
                raw.pgconn.consume_input()
                while (message := raw.pgconn.notifies()) is not None:
                    raw.pgconn.notify_handler(message)
            return self._heard()

    def probe(self) -> list[Change]:
        """See `Subscription.probe`."""
        with _translated():
            self._wire.execute("SELECT 1", ())
            return self._heard()

    def close(self) -> None:
        """See `Subscription.close`."""
        self._wire.close()

    def _heard(self) -> list[Change]:
        arrived, self._arrived[:] = list(self._arrived), []
        rows = [bytes.fromhex(message.payload) for message in arrived]
        return [self._change(row) for row in rows if self._concerns(row)]

    def _concerns(self, row: bytes) -> bool:
        if not is_value(row):
            return row == self._clock
        key = key_of(row)
        return key is None or key.startswith(self._prefix)

    def _change(self, row: bytes) -> Change:
        if row == self._clock:
            return None
        key = key_of(row)
        return (lambda one: value_id(one) == row) if key is None else key


def _translated() -> AbstractContextManager[None]:
    return translated("hearing of changes from PostgreSQL", Exception)
