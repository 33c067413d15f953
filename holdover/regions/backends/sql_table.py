"""The table of `holdover.sql`: made, printed for those who make it, and recognized."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Double,
    Index,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    inspect,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.exc import DBAPIError, NoSuchTableError, ProgrammingError
from sqlalchemy.schema import CreateIndex, CreateTable, DDLElement

from holdover.regions.errors import ConfigurationError, MissingTable

DEFAULT_TABLE = "holdover_cache"
_NAME = re.compile(r"\w{1,48}(\.\w{1,48})?", re.ASCII)


def table_named(name: object) -> Table:
    """Describe the table: one row per key, with its value and its lease.

    Raises:
        ConfigurationError: *name* is none; it may have a schema, as in "app.cache".
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"table must be a name, or schema.name, got {name!r:.80}"
        )
    schema, _, own = name.rpartition(".")
    table = Table(
        own,
        MetaData(),
        Column("id", _binary(255), primary_key=True),
        Column("envelope", LargeBinary().with_variant(mysql.LONGBLOB(), *_MYSQL)),
        Column("fence", BigInteger),
        Column("expires_at", Double),
        Column("lease_token", _binary(32)),
        Column("lease_kind", SmallInteger),
        Column("lease_fence", BigInteger),
        Column("lapses_at", Double),
        Column("reason", _binary(500)),
        schema=schema or None,
        sqlite_with_rowid=False,
        mysql_engine="InnoDB",
        mariadb_engine="InnoDB",
    )
    Index(f"{own}_expires_at", table.c.expires_at)
    return table


_MYSQL = ("mysql", "mariadb")


def _binary(length: int) -> Any:
    return LargeBinary().with_variant(mysql.VARBINARY(length), *_MYSQL)


def ddl_of(table: Table, dialect: Any) -> str:
    """Give the statements that make *table*."""
    made: list[DDLElement] = [CreateTable(table)]
    made += [CreateIndex(index) for index in table.indexes]
    parts = [str(one.compile(dialect=dialect)).strip() for one in made]
    return "".join(f"{part};\n" for part in parts).replace("\t", "    ")


def ensure(connection: Connection, table: Table, *, create: bool) -> None:
    """See that the table is there and ours, making it if wished.

    Raises:
        MissingTable: It is missing, and not to be made.
        ConfigurationError: We may not make it, or it is somebody else's; it is never
            altered.
    """
    if _columns_of(connection, table) is None:
        if not create:
            raise _missing(connection, table)
        _create(connection, table)
    _refuse_foreign(connection, table)


def most_bytes(connection: Connection) -> int | None:
    """Give how large a value the server takes; None if it does not say.

    MariaDB and MySQL break the connection on what is larger.
    """
    if connection.dialect.name not in _MYSQL:
        return None
    with connection.begin():
        packet = connection.exec_driver_sql("SELECT @@max_allowed_packet").scalar_one()
    return max(_LEAST, int(packet) // 2 - _REST)  # the driver may write a byte as two


_REST = 2048  # bytes of a statement, besides the value
_LEAST = 1024


def _create(connection: Connection, table: Table) -> None:
    try:
        with connection.begin():
            table.create(connection, checkfirst=False)
    except DBAPIError as error:
        if _columns_of(connection, table) is not None:
            return  # another process was quicker
        if not _is_refusal(error):
            raise
        raise ConfigurationError(
            f"the table {table.fullname!r} could not be made: {error.orig}. Have these "
            f"statements run by somebody who may:\n{ddl_of(table, connection.dialect)}"
        ) from error


def _is_refusal(error: DBAPIError) -> bool:
    """Say whether it will be the same next time, as no right or no such schema is."""
    arguments = getattr(error.orig, "args", None) or [None]
    return isinstance(error, ProgrammingError) or arguments[0] in _MYSQL_DENIALS


_MYSQL_DENIALS = (1044, 1049, 1142)


def _columns_of(connection: Connection, table: Table) -> dict[str, str] | None:
    """Give the columns that the database has, as a DDL has them; None if no table."""
    with connection.begin():
        try:
            found = inspect(connection).get_columns(table.name, schema=table.schema)
        except NoSuchTableError:
            return None
    spoken = connection.dialect
    return {
        one["name"]: _spelled(one["type"], spoken, nullable=one["nullable"])
        for one in found
    } or None


def _refuse_foreign(connection: Connection, table: Table) -> None:
    has = _columns_of(connection, table) or {}
    with connection.begin():
        seen = inspect(connection)
        key = seen.get_pk_constraint(table.name, schema=table.schema)
        told = seen.get_table_options(table.name, schema=table.schema)
    wanted = {
        column.name: _spelled(column.type, connection.dialect, nullable=column.nullable)
        for column in table.columns
    }
    engine = next((told[name] for name in _ENGINES if name in told), _ENGINE)
    if has != wanted or key.get("constrained_columns") != ["id"] or engine != _ENGINE:
        in_engine = "" if engine == _ENGINE else f", and the engine {engine}"
        raise ConfigurationError(
            f"the table {table.fullname!r} is not one of Holdover's, and is left as it "
            f"is: it has {has}, the primary key {key.get('constrained_columns')}"
            f"{in_engine}; wanted were {wanted} and the primary key ['id']. Name "
            "another one: table=..."
        )


_ENGINE = "InnoDB"  # of MariaDB and MySQL: the one that has transactions
_ENGINES = ("mysql_engine", "mariadb_engine")


def _spelled(kind: Any, dialect: Any, *, nullable: bool | None) -> str:
    """Spell a type as a DDL does, without the width at which MySQL displays numbers."""
    spelled = re.sub(r"INT\(\d+\)", "INT", str(kind.compile(dialect)))
    return spelled if nullable else f"{spelled} NOT NULL"


def _missing(connection: Connection, table: Table) -> MissingTable:
    url = connection.engine.url.render_as_string(hide_password=True)
    kind = f"{connection.dialect.name}://"
    ddl = ddl_of(table, connection.dialect)
    return MissingTable(
        f"there is no table {table.fullname!r} in {url}. Give create_table=True, or "
        "have these statements run, which holdover.regions.backends.sql also gives as "
        f"SqlBackend.ddl({kind!r}, table={table.fullname!r}):\n{ddl}",
        ddl,
    )
