"""The table of `holdover.sql`: made, printed for those who make it, and recognized."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Double,
    Float,
    Index,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    inspect,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.exc import DBAPIError, NoSuchTableError
from sqlalchemy.schema import CreateIndex, CreateTable, DDLElement

from holdover.regions.errors import ConfigurationError

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
    """Print the statements that make *table*."""
    made: list[DDLElement] = [CreateTable(table)]
    made += [CreateIndex(index) for index in table.indexes]
    parts = [str(one.compile(dialect=dialect)).strip() for one in made]
    return "".join(f"{part};\n" for part in parts).replace("\t", "    ")


def ensure(connection: Connection, table: Table, *, create: bool) -> None:
    """See that the table is there and ours, making it if wished.

    Raises:
        ConfigurationError: It is missing, or somebody else's; it is never altered.
    """
    if _columns_of(connection, table) is None:
        if not create:
            raise ConfigurationError(_missing(connection, table))
        _create(connection, table)
    _refuse_foreign(connection, table)


def _create(connection: Connection, table: Table) -> None:
    try:
        with connection.begin():
            table.create(connection, checkfirst=False)
    except DBAPIError:
        if _columns_of(connection, table) is None:
            raise
        # Another process was quicker.


def _columns_of(connection: Connection, table: Table) -> dict[str, Any] | None:
    """Give the columns that the database has, with their types; None if no table."""
    with connection.begin():
        try:
            found = inspect(connection).get_columns(table.name, schema=table.schema)
        except NoSuchTableError:
            return None
    return {column["name"]: column["type"] for column in found} or None


def _refuse_foreign(connection: Connection, table: Table) -> None:
    found = _columns_of(connection, table) or {}
    with connection.begin():
        key = inspect(connection).get_pk_constraint(table.name, schema=table.schema)
    wanted = {column.name: _holds(column.type) for column in table.columns}
    has = {name: _holds(kind) for name, kind in found.items()}
    if has != wanted or key.get("constrained_columns") != ["id"]:
        shown = {**has, "primary key": key.get("constrained_columns")}
        raise ConfigurationError(
            f"the table {table.fullname!r} is not one of Holdover's, and is left as it "
            f"is: it has {shown}, and {wanted} with the primary key ['id'] was wanted. "
            "Name another one: table=..."
        )


def _holds(kind: Any) -> str:
    if isinstance(kind, Float):  # MySQL's are read back as decimal numbers
        return "float"
    try:
        return str(kind.python_type.__name__)
    except NotImplementedError:
        return str(kind)


def _missing(connection: Connection, table: Table) -> str:
    call = f"SqlBackend.ddl({str(connection.engine.url)!r}, table={table.fullname!r})"
    return (
        f"there is no table {table.fullname!r} in {connection.engine.url!r}. Give "
        "create_table=True, or have these statements run, which also "
        f"{call} prints:\n{ddl_of(table, connection.dialect)}"
    )
