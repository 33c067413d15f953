"""What may stand in the query of a database's URL: what its driver takes."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches
from inspect import signature
from typing import Any

from sqlalchemy import URL

from holdover.regions.errors import ConfigurationError

_OF_PYSQLITE = (  # of the query, SQLAlchemy hands these on, and drops all others
    "cached_statements",
    "check_same_thread",
    "detect_types",
    "isolation_level",
    "timeout",
    "uri",
)
_OF_SQLALCHEMY = ("ssl_capath", "ssl_check_hostname", "ssl_cipher")  # for MySQL


def refuse_unknown(url: URL) -> None:
    """Refuse a parameter that would be ignored, or with which nobody ever connects.

    Raises:
        ConfigurationError: It names the parameter.
        ModuleNotFoundError: The driver is not installed.
    """
    driver = url.get_driver_name()
    known = _known(driver, url.get_dialect().import_dbapi(), url)
    for name in url.query:
        if known is not None and name not in {*known, "plugin"}:  # SQLAlchemy's
            near = get_close_matches(name, known, n=1)
            hint = f": did you mean {near[0]!r}?" if near else ""
            raise ConfigurationError(
                f"the URL of the database says {name!r}, which is neither an option of "
                f"holdover.sql nor a parameter of {driver}{hint}"
            )


def _known(driver: str, dbapi: Any, url: URL) -> Collection[str] | None:
    """Give the parameters that a driver knows; None if it does not say."""
    match driver:
        case "pysqlite":
            return None if "uri" in url.query else _OF_PYSQLITE
        case "psycopg":
            of_libpq = (one.keyword for one in dbapi.pq.Conninfo.get_defaults())
            return {keyword.decode() for keyword in of_libpq} | {
                *signature(dbapi.Connection.connect).parameters
            }
        case "pymysql":
            return {*signature(dbapi.connect).parameters, *_OF_SQLALCHEMY}
        case _:
            return None
