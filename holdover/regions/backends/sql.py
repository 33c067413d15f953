"""`holdover.sql`: entries in a table of a SQL database.

One row per key holds the value, its fence and its lease; one per region, its clock. A
hit is one ``SELECT`` of the value and the clock. Whatever must be atomic is one
statement, run outside any transaction, and the database's clock judges leases and ttls.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from dogpile.cache.api import DefaultSerialization
from sqlalchemy import Engine, Table

from holdover.regions.backends import sql_drivers as drivers
from holdover.regions.backends.grants import Stored
from holdover.regions.backends.sending import accepted_bytes, batches, weight
from holdover.regions.backends.sql_clock import advance_clock, read_clock
from holdover.regions.backends.sql_health import HealthOfSql
from holdover.regions.backends.sql_identity import Identity, mark
from holdover.regions.backends.sql_link import Link
from holdover.regions.backends.sql_listening import PushedBySql, hears
from holdover.regions.backends.sql_options import (
    ARGUMENT_TYPES,
    DEFAULT_CONNECT_TIMEOUT,
    DEFAULT_TIMEOUT,
    options,
)
from holdover.regions.backends.sql_purging import Purger
from holdover.regions.backends.sql_records import (
    MOST_ROWS,
    clock_id,
    sound_value,
    span,
    value_id,
)
from holdover.regions.backends.sql_statements import Statements
from holdover.regions.backends.sql_table import (
    DEFAULT_TABLE,
    ddl_of,
    ensure,
    most_bytes,
    table_named,
)
from holdover.regions.backends.sql_within import CallersConnection
from holdover.regions.backends.transactional import Transactional
from holdover.regions.envelope import fence_of
from holdover.regions.errors import (
    BackendError,
    ConfigurationError,
    ValueTooLarge,
)
from holdover.regions.ticks import ClockState, Reach, sound_tick

_SOUND = (bytes, type(None))


class SqlBackend(DefaultSerialization, HealthOfSql, PushedBySql, Transactional):
    """Entries in a table of SQLite, PostgreSQL, MariaDB or MySQL.

    Arguments:
        url: Where the database is, as SQLAlchemy writes it, such as
            ``sqlite:////var/cache/shop.db`` or ``postgresql://user@host/shop``.
        engine: A SQLAlchemy engine, in place of *url*, to make connections with. They
            are made beside its pool and never take part in its transactions.
        table: The table's name, or schema.name (default "holdover_cache").
        create_table: Whether to make the table if it is missing (default: only in
            SQLite). What is there already is never altered.
        check_table: Whether a table that is missing or somebody else's is an error at
            once (the default), and not of each operation.
        operation_timeout: Seconds that a statement may take (default 0.25).
        connect_timeout: Seconds that a connection may take (default 1).
        max_connections: How many connections this process keeps at most; None, the
            default, is one per thread.
        max_bytes: The largest value that is sent (default 64 MiB).
        notify: Whether writes tell the near caches of other processes (PostgreSQL
            only; default False).
    """

    capabilities = drivers.declared("postgresql")
    known_arguments = ARGUMENT_TYPES

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        super().__init__(arguments)
        given = options(arguments)
        table = table_named(arguments.get("table", DEFAULT_TABLE))
        self.max_bytes: int = given.max_bytes
        self._dialect = given.engine.dialect
        self._url = given.engine.url
        self._name = self._dialect.identifier_preparer.format_table(table)
        self._notifies = given.notify
        self.capabilities = drivers.declared(
            self._dialect.name, pushes=given.notify and hears(self._dialect)
        )
        self._words = self._words_for(self._dialect)
        self._link = Link(
            given.engine,
            lambda engine: self._prepare(
                engine, table, create=given.create_table, private=given.own_file
            ),
            timeout=given.operation_timeout,
            connect_timeout=given.connect_timeout,
            most=given.max_connections,
        )
        self._identity = Identity(self._link, self._words)
        self._purger = Purger(self._link, self._words)
        self._read_sql = self._words.read.sql
        self._clock_ids: dict[str, bytes] = {}
        if given.check_table:
            self._see_table()

    def _words_for(self, dialect: Any) -> Statements:
        return Statements(
            dialect.name, dialect.paramstyle, self._name, notify=self._notifies
        )

    def _prepare(
        self, engine: Engine, table: Table, *, create: bool, private: str | None
    ) -> None:
        if private is not None:
            drivers.make_private(private)
        with engine.connect() as connection:
            ensure(connection, table, create=create)
            mark(connection, self._callers_words(connection))
            self.max_bytes = min(
                self.max_bytes, most_bytes(connection) or self.max_bytes
            )

    def _see_table(self) -> None:
        """Tell at once of a table that is missing or foreign; not of a server away."""
        try:
            self._link.prepare()
        except BackendError as error:
            if isinstance(error.__cause__, ConfigurationError):
                raise error.__cause__ from None

    @staticmethod
    def ddl(url: str, *, table: str = DEFAULT_TABLE) -> str:
        """Give the statements that make the table, for those who may run them.

        Args:
            url: The database, or its kind alone, such as ``postgresql://``.
            table: The table's name, or schema.name.

        Raises:
            ConfigurationError: The URL or the name is none.
            MissingDependency: The database's driver is not installed.
        """
        engine = drivers.engine_for(
            drivers.parsed(url),
            timeout=DEFAULT_TIMEOUT,
            connect_timeout=DEFAULT_CONNECT_TIMEOUT,
        )
        return ddl_of(table_named(table), engine.dialect)

    # -- reading and writing ---------------------------------------------------

    def read(self, key: str, region: str) -> tuple[Stored | None, int]:
        """See `Backend.read`."""
        return self._read(self._ids(key, region), key, region)

    def reader(self, key: str, region: str) -> Callable[[], tuple[Stored | None, int]]:
        """See `Backend.reader`."""
        return partial(self._read, self._ids(key, region), key, region)

    def _ids(self, key: str, region: str) -> tuple[bytes, bytes]:
        return value_id(key), self._clock_ids.get(region) or self._clock_id(region)

    def _read(
        self, ids: tuple[bytes, bytes], key: str, region: str
    ) -> tuple[Stored | None, int]:
        row = self._link.fetch(self._read_sql, ids)
        if row is not None:
            stored, tick = row
            if type(tick) is int and tick > 0 and type(stored) in _SOUND:
                return stored, tick
        # There is no clock yet, or somebody else has written into our table.
        [stored], tick = self.read_multi([key], region)
        return stored, tick

    def _clock_id(self, region: str) -> bytes:
        found = self._clock_ids[region] = clock_id(region)
        return found

    def _tick(self, region: str) -> int:
        """Read the tick of a region's clock, making the clock if it is not there."""
        row = self._link.ask(self._words.tick, clock=self._clock_id(region))
        tick = row and sound_tick(row[0])
        return tick or self.clock(region).tick

    def read_multi(
        self, keys: Sequence[str], region: str
    ) -> tuple[list[Stored | None], int]:
        """See `Backend.read_multi`."""
        found: dict[bytes, Stored] = {}
        tick = None
        ids = list(map(value_id, keys))
        clock = self._clock_id(region)
        for batch in batches(ids, most=MOST_ROWS):
            for row_id, stored, at in self._link.fetch_all(
                *self._words.read_many(batch, clock)
            ):
                if bytes(row_id) == clock:
                    # That of the first batch: no later than any value.
                    tick = tick or sound_tick(at)
                elif (sound := sound_value(stored)) is not None:
                    found[bytes(row_id)] = sound
        return (
            [found.get(one) for one in ids],
            tick or self.clock(region).tick,
        )

    def write(self, key: str, stored: Stored, *, ttl: float | None) -> None:
        """See `Backend.write`."""
        try:
            row = self._row(key, stored, ttl)
        except ValueTooLarge:
            self.remove(key)
            raise
        self._link.change(self._words.write, **row)
        self._purger.count_writes(1)

    def write_multi(self, stored: Mapping[str, Stored], *, ttl: float | None) -> None:
        """See `Backend.write_multi`."""
        try:
            rows = [self._row(key, one, ttl) for key, one in stored.items()]
        except ValueTooLarge:
            self.remove_multi(list(stored))
            raise
        rows.sort(key=lambda row: row["id"])  # one order for all: no deadlock
        for batch in batches(
            rows, most=MOST_ROWS, size=lambda row: weight(row["envelope"])
        ):
            self._link.change_many(self._words.write, batch)
        self._purger.count_writes(len(rows))

    def remove(self, key: str) -> bool:
        """See `Backend.remove`."""
        return self.remove_multi([key])

    def remove_multi(self, keys: Sequence[str]) -> bool:
        """See `Backend.remove_multi`."""
        existed = False
        for batch in batches(sorted({value_id(key) for key in keys}), most=MOST_ROWS):
            removed = self._link.execute(*self._words.remove_values(batch))
            existed = existed or removed > 0
            if removed < len(batch):  # the others may have a lease
                self._link.execute(*self._words.remove_rows(batch))
        return existed

    def compare_and_set(
        self, key: str, stored: Stored, *, seen: int | None, ttl: float | None
    ) -> bool:
        """See `Backend.compare_and_set`."""
        row = self._row(key, stored, ttl)
        self._purger.count_writes(1)
        if seen is not None:
            return self._link.change(self._words.swap, seen=seen, **row) == 1
        # Twice: a lease may have begun between the two statements.
        return any(self._link.change(one, **row) == 1 for one in self._words.add * 2)

    def _row(self, key: str, stored: Stored, ttl: float | None) -> dict[str, Any]:
        envelope = self._checked(stored)
        return {
            "id": value_id(key),
            "envelope": envelope,
            "fence": fence_of(envelope),
            "ttl": span(ttl),
        }

    def _checked(self, stored: Stored) -> bytes:
        """Give what is to be stored, unless the database would choke on it."""
        return accepted_bytes(self, stored, self.max_bytes)

    # -- the region clock ------------------------------------------------------

    def clock(self, region: str, *, since: int = 0) -> ClockState:
        """See `Backend.clock`."""
        return read_clock(self._link, self._words, self._clock_id(region))

    def advance(
        self, region: str, *, hard: bool, reaches: Sequence[Reach] = ()
    ) -> ClockState:
        """See `Backend.advance`."""
        return advance_clock(
            self._link,
            self._words,
            self._clock_id(region),
            hard=hard,
            reaches=reaches,
            query=self._words.clock,
        )

    # -- in a caller's transaction ----------------------------------------------

    def remove_within(self, connection: Any, keys: Sequence[str]) -> bool:
        """See `Transactional.remove_within`."""
        return self._callers(connection).bury(list(map(value_id, keys)))

    def advance_within(
        self,
        connection: Any,
        region: str,
        *,
        hard: bool,
        reaches: Sequence[Reach] = (),
    ) -> None:
        """See `Transactional.advance_within`."""
        callers = self._callers(connection)
        with suppress(BackendError):
            # Made outside, if it is new: nobody could make it before the transaction
            # ends, and nobody could read without it.
            self._tick(region)
        callers.advance(self._clock_id(region), hard=hard, reaches=reaches)

    def _callers(self, connection: Any) -> CallersConnection:
        callers = self._callers_words(connection)
        callers.refuse_autocommit()
        self._identity.require(callers)
        return callers

    def _callers_words(self, connection: Any) -> CallersConnection:
        return CallersConnection(connection, self._dialect.name, self._words_for)

    # -- housekeeping ----------------------------------------------------------

    def purge(self) -> int:
        """See `Backend.purge`. A few hundred rows at a time, whatever their number."""
        return self._purger.purge()
