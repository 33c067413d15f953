"""The arguments of `holdover.sql`: what they are, and what is made of them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from sqlalchemy import Engine

from holdover.regions.backends import sql_drivers as drivers
from holdover.regions.errors import ConfigurationError
from holdover.regions.lifetime import seconds

ARGUMENT_TYPES = MappingProxyType(
    {
        "url": str,
        "engine": Engine,
        "table": str,
        "create_table": bool,
        "operation_timeout": float,
        "connect_timeout": float,
        "max_connections": int,
        "max_bytes": int,
        "notify": bool,
    }
)
"""What each argument of the backend is, by which texts are read."""


def engine_of(
    arguments: Mapping[str, Any], timeout: float, connect_timeout: float
) -> Engine:
    """Take the engine that is given, or make one from the URL.

    Raises:
        ConfigurationError: There is neither or both, or it is none.
    """
    url, engine = arguments.get("url"), arguments.get("engine")
    if (url is None) == (engine is None):
        raise ConfigurationError("holdover.sql needs either url or engine")
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


def span_of(arguments: Mapping[str, Any], name: str, default: float) -> float:
    """Take a span of time from a backend's arguments, in seconds."""
    return seconds(arguments.get(name, default), name)


def flag_of(arguments: Mapping[str, Any], name: str, *, default: bool) -> bool:
    """Take a truth from a backend's arguments.

    Raises:
        ConfigurationError: It is something else.
    """
    value = arguments.get(name, default)
    if not isinstance(value, bool):
        raise ConfigurationError(f"{name} must be True or False, got {value!r:.80}")
    return value


def notify_of(arguments: Mapping[str, Any], engine: Engine) -> bool:
    """Say whether writes are to notify those who listen.

    Raises:
        ConfigurationError: It is no truth, or the database cannot do that.
    """
    notify = flag_of(arguments, "notify", default=False)
    if notify and engine.dialect.name != "postgresql":
        raise ConfigurationError(
            "notify=True needs PostgreSQL, whose NOTIFY it uses, and this is "
            f"{engine.dialect.name}"
        )
    return notify
