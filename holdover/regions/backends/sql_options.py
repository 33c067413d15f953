"""What `holdover.sql` is given: checked, with its defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from sqlalchemy import Engine

from holdover.regions.backends import sql_drivers as drivers
from holdover.regions.backends.base import positive
from holdover.regions.errors import ConfigurationError
from holdover.regions.lifetime import lease_span

DEFAULT_TIMEOUT = 0.25  # seconds
DEFAULT_CONNECT_TIMEOUT = 1.0  # seconds
_MOST_CONNECTIONS = 10_000  # more than any server takes
ARGUMENT_TYPES = MappingProxyType(
    {
        "url": str,
        "engine": Engine,
        "table": str,
        "create_table": bool,
        "check_table": bool,
        "operation_timeout": float,
        "connect_timeout": float,
        "max_connections": int,
        "max_bytes": int,
        "notify": bool,
    }
)
"""What each argument of the backend is, by which texts are read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The arguments of the backend, but for its table.

    Attributes:
        engine: Makes connections.
        own_file: SQLite's file, if it is not that of an engine of the application's.
        create_table: Whether to make the table if it is missing.
        check_table: Whether to look for the table at once.
        operation_timeout: Seconds that a statement may take.
        connect_timeout: Seconds that a connection may take.
        max_connections: How many there may be; None for one per thread.
        max_bytes: The largest value that is sent.
        notify: Whether writes notify those who listen.
    """

    engine: Engine
    own_file: str | None
    create_table: bool
    check_table: bool
    operation_timeout: float
    connect_timeout: float
    max_connections: int | None
    max_bytes: int
    notify: bool


def options(arguments: Mapping[str, Any]) -> Options:
    """Check the arguments.

    Raises:
        ConfigurationError: One of them is wrong.
        MissingDependency: The database's driver is not installed.
    """
    timeout = _span(arguments, "operation_timeout", DEFAULT_TIMEOUT)
    connect_timeout = _span(arguments, "connect_timeout", DEFAULT_CONNECT_TIMEOUT)
    max_bytes = positive(arguments, "max_bytes", drivers.DEFAULT_MAX_BYTES)
    engine = _engine(arguments, timeout, connect_timeout)
    path = drivers.path_of(engine.url)
    if path is not None:
        _require_folder(path)
    return Options(
        engine=engine,
        own_file=None if "engine" in arguments else path,
        create_table=_flag(
            arguments, "create_table", default=engine.dialect.name == "sqlite"
        ),
        check_table=_flag(arguments, "check_table", default=True),
        operation_timeout=timeout,
        connect_timeout=connect_timeout,
        max_connections=_most_connections(arguments),
        max_bytes=max_bytes,
        notify=_notify(arguments, engine),
    )


def _engine(
    arguments: Mapping[str, Any], timeout: float, connect_timeout: float
) -> Engine:
    url, engine = arguments.get("url"), arguments.get("engine")
    if (url is None) == (engine is None):
        raise ConfigurationError(
            "holdover.sql needs a url, such as 'sqlite:////var/cache/shop.db', or an "
            f"engine; got {'neither' if url is None else 'both'}"
        )
    if engine is None:
        read = drivers.parsed(url)
        drivers.refuse_memory(read)
        return drivers.engine_for(
            read, timeout=timeout, connect_timeout=connect_timeout
        )
    if not isinstance(engine, Engine):
        raise ConfigurationError(
            f"engine must be a SQLAlchemy Engine, got {type(engine).__name__}"
        )
    drivers.refuse_memory(engine.url)
    return engine


def _require_folder(path: str) -> None:
    folder = Path(path).parent
    if not folder.is_dir():
        raise ConfigurationError(
            f"there is no folder {str(folder)!r} to keep the database {path!r} in"
        )


def _span(arguments: Mapping[str, Any], name: str, default: float) -> float:
    return lease_span(arguments.get(name, default), name)


def _most_connections(arguments: Mapping[str, Any]) -> int | None:
    if arguments.get("max_connections") is None:
        return None
    return positive(arguments, "max_connections", 1, most=_MOST_CONNECTIONS)


def _flag(arguments: Mapping[str, Any], name: str, *, default: bool) -> bool:
    value = arguments.get(name, default)
    if not isinstance(value, bool):
        raise ConfigurationError(f"{name} must be True or False, got {value!r:.80}")
    return value


def _notify(arguments: Mapping[str, Any], engine: Engine) -> bool:
    notify = _flag(arguments, "notify", default=False)
    if notify and engine.dialect.name != "postgresql":
        raise ConfigurationError(
            "notify=True needs PostgreSQL, whose NOTIFY it uses, and this is "
            f"{engine.dialect.name}"
        )
    return notify
