"""``django-db://alias/table``: a table in one of Django's DATABASES.

Connections are Django's to make, with the alias's driver, OPTIONS and, in tests, its
test database. They stand beside those that the application uses, one per thread, in
autocommit: a lease in a request's transaction would be seen by nobody else.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from sqlalchemy import URL, create_engine
from sqlalchemy.pool import NullPool

from holdover import errors
from holdover.regions.errors import unknown
from holdover.regions.lifetime import seconds

_OPERATION_TIMEOUT = 0.25  # seconds
_CONNECT_TIMEOUT = 1.0  # seconds
# By the module that Django has loaded for them.
_DRIVERS = MappingProxyType(
    {
        "MySQLdb": "mysql+mysqldb",
        "psycopg": "postgresql+psycopg",
        "psycopg2": "postgresql+psycopg2",
        "pymysql": "mysql+pymysql",
        "sqlite3.dbapi2": "sqlite+pysqlite",
    }
)
_PREPARE_AFTER = 5  # times that a statement was used; psycopg's own default


def is_in_memory(alias: str) -> bool:
    """Say whether it is one of SQLite's databases that have no file.

    Raises:
        ImproperlyConfigured: There is no such alias in DATABASES.
    """
    wrapper = _wrapper(alias)
    return wrapper.vendor == "sqlite" and bool(wrapper.is_in_memory_db())


def place_of(alias: str) -> Mapping[str, Any]:
    """Give what tells one database from another that the alias may stand for."""
    told = _wrapper(alias).settings_dict
    return {name: told.get(name) for name in ("ENGINE", "NAME", "HOST", "PORT", "USER")}


def arguments_for(alias: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Give the arguments of `holdover.sql` that make Django connect.

    Args:
        alias: The name in DATABASES.
        arguments: What else the backend is told, of which the timeouts count here.

    Raises:
        ImproperlyConfigured: There is no such alias.
        ConfigurationError: It is a database that `holdover.sql` does not know.
    """
    wrapper = _wrapper(alias)
    timeouts = {
        "operation_timeout": arguments.get("operation_timeout", _OPERATION_TIMEOUT),
        "connect_timeout": arguments.get("connect_timeout", _CONNECT_TIMEOUT),
    }
    spans = {name: seconds(held, name) for name, held in timeouts.items()}
    file = str(wrapper.settings_dict["NAME"]) if wrapper.vendor == "sqlite" else None
    engine = create_engine(
        URL.create(_driver(wrapper), database=file),
        creator=_Opener(alias, **spans),
        poolclass=NullPool,
    )
    # Whoever may migrate may make a table; a test's database has nobody else to do so.
    create = arguments.get("create_table", True)
    return {"engine": engine, "create_table": create, **timeouts}


class _Opener:
    """Opens connections as Django does for an alias, when one is needed.

    Args:
        alias: The name in DATABASES.
        operation_timeout: Seconds that an answer may take.
        connect_timeout: Seconds that a connection may take.
    """

    def __init__(
        self, alias: str, *, operation_timeout: float, connect_timeout: float
    ) -> None:
        self._alias = alias
        self._timeout = operation_timeout
        self._connect_timeout = connect_timeout

    def __call__(self) -> Any:
        # A new one each time: tests change the settings that it reads.
        wrapper = _wrapper(self._alias)
        driver = wrapper.Database.__name__
        given = wrapper.get_connection_params() | self._patience(driver)
        if driver == "psycopg":
            given |= _of_psycopg(wrapper)
            given.pop("context", None)  # how Django reads and writes values
        connection = wrapper.get_new_connection(given)
        role = wrapper.settings_dict["OPTIONS"].get("assume_role")
        if role and wrapper.vendor == "postgresql":
            _assume(connection, wrapper.ops.quote_name(role))
        return connection

    def _patience(self, driver: str) -> dict[str, Any]:
        if driver == "pymysql":
            return {
                "connect_timeout": self._connect_timeout,
                "read_timeout": self._timeout,
                "write_timeout": self._timeout,
            }
        whole = max(1, math.ceil(self._timeout))
        if driver == "MySQLdb":  # which counts in whole seconds
            wait = max(1, math.ceil(self._connect_timeout))
            return {
                "connect_timeout": wait,
                "read_timeout": whole,
                "write_timeout": whole,
            }
        if driver.startswith("psycopg"):  # whoever waits gives up sooner by himself
            return {"connect_timeout": max(2, math.ceil(self._connect_timeout))}
        return {"timeout": self._timeout}


# -- small steps ---------------------------------------------------------------


def _wrapper(alias: str) -> Any:
    """Make what Django makes for each thread, to be asked how it connects."""
    if alias not in connections.settings:
        raise ImproperlyConfigured(
            f"django-db://{alias}: "
            f"{unknown('database in DATABASES', alias, connections)}"
        )
    wrapper = connections.create_connection(alias)
    # A pool is the application's; a connection of ours would never go back to it.
    options = {k: v for k, v in wrapper.settings_dict["OPTIONS"].items() if k != "pool"}
    wrapper.settings_dict = {**wrapper.settings_dict, "OPTIONS": options}
    return wrapper


def _driver(wrapper: Any) -> str:
    module = getattr(getattr(wrapper, "Database", None), "__name__", "")
    if module not in _DRIVERS:
        raise errors.ConfigurationError(
            f"django-db:// knows PostgreSQL, MariaDB, MySQL and SQLite, and not "
            f"{wrapper.display_name!r} by {module!r}"
        )
    return _DRIVERS[module]


def _of_psycopg(wrapper: Any) -> dict[str, Any]:
    from psycopg import Cursor  # noqa: PLC0415 - only who uses it has it

    options = wrapper.settings_dict["OPTIONS"]
    # Django's cursor puts values into the text of statements, which cannot be prepared.
    return {
        "cursor_factory": Cursor,
        "prepare_threshold": options.get("prepare_threshold", _PREPARE_AFTER),
    }


def _assume(connection: Any, role: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SET ROLE {role}")
    connection.commit()
