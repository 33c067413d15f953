"""From a user's arguments to redis-py's client, with a bound on every wait."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import Enum
from inspect import signature
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qs, urlsplit

from redis.backoff import NoBackoff
from redis.connection import ConnectionPool
from redis.exceptions import RedisError
from redis.retry import Retry

from holdover.regions.errors import ConfigurationError
from holdover.regions.lifetime import lease_span, seconds

DEFAULT_TIMEOUT = 0.25  # seconds
_TIMEOUTS = ("socket_timeout", "socket_connect_timeout")
_SCHEMES = ("redis://", "rediss://", "unix://", "valkey://", "valkeys://")
ARGUMENT_TYPES = MappingProxyType(
    {
        "url": str,
        "host": str,
        "port": int,
        "db": int,
        "username": str,
        "password": str,
        "ssl": bool,
        "socket_timeout": float,
        "socket_connect_timeout": float,
        "socket_keepalive": bool,
        "socket_keepalive_options": Mapping,
        "connection_kwargs": Mapping,
        "connection_pool": ConnectionPool,
        "redis_expiration_time": float,
        "max_bytes": int,
        "distributed_lock": bool,
        "lock_timeout": float,
        "lock_sleep": float,
        "lock_blocking": bool,
        "lock_blocking_timeout": float,
        "lock_prefix": str,
        "thread_local_lock": bool,
    }
)
"""What each argument of the backend is, by which texts are read."""


def with_bounds(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Give dogpile.cache's arguments with our defaults, which bound every wait.

    Raises:
        ConfigurationError: A timeout or the pool is something else, a number is none,
            or the URL has another scheme.
    """
    for name in ("port", "db"):
        if not str(arguments.get(name) or 0).isdecimal():
            raise ConfigurationError(
                f"{name} must be a whole number, got {arguments[name]!r}"
            )
    pool = arguments.get("connection_pool")
    if pool is not None and not isinstance(pool, ConnectionPool):
        raise ConfigurationError(
            f"connection_pool must be a redis.ConnectionPool, got {pool!r:.80}"
        )
    bounded = {name: one for name, one in arguments.items() if name != "max_bytes"}
    if arguments.get("url") is not None:
        bounded["url"] = _readable(str(arguments["url"]))
    given = bounded_kwargs(bounded.get("connection_kwargs"), "connection_kwargs")
    for name in _TIMEOUTS:
        wanted = bounded.get(name)
        if wanted is None:
            wanted = given.pop(name, None)
        bounded[name] = DEFAULT_TIMEOUT if wanted is None else lease_span(wanted, name)
    if _is_verified(bounded, given):
        # Before redis-py 6, any host's certificate was good enough.
        given.setdefault("ssl_check_hostname", True)
    bounded["connection_kwargs"] = given
    # Nobody takes that lock unless he asks for it, so that a warning about it would
    # only confuse.
    bounded.setdefault("thread_local_lock", not bounded.get("distributed_lock"))
    return bounded


def _readable(url: str) -> str:
    """Give a URL as redis-py reads it, which speaks to Valkey and does not know it."""
    if not url.startswith(_SCHEMES):
        # Not shown, since it may hold a password.
        raise ConfigurationError(f"url must begin with {' or '.join(_SCHEMES)}")
    return f"redis{url.removeprefix('valkey')}" if url.startswith("valkey") else url


def _is_verified(arguments: Mapping[str, Any], given: Mapping[str, Any]) -> bool:
    """Say whether connections are encrypted, and the server has to prove who it is."""
    url = arguments.get("url") or ""
    encrypted = url.startswith("rediss://") if url else arguments.get("ssl")
    verified = parse_qs(urlsplit(url).query).get(
        "ssl_cert_reqs", [given.get("ssl_cert_reqs", "required")]
    )
    return bool(encrypted) and verified[0] not in {"none", None, ssl.CERT_NONE}


def bounded_kwargs(given: object, argument: str) -> dict[str, Any]:
    """Give what the user tells redis-py's connections, with our defaults.

    Raises:
        ConfigurationError: It is no mapping.
    """
    if not isinstance(given, Mapping | None):
        kind = type(given).__name__
        raise ConfigurationError(f"{argument} must be a mapping, got {kind}")
    # redis-py's own way is ten more tries: on a frozen server, for many seconds.
    # What version 3 adds is not used, and costs a round trip per connection.
    return {"retry": Retry(NoBackoff(), 0), "protocol": 2, **(given or {})}


def without(types: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Give the arguments that are left where some mean nothing."""
    return {name: kind for name, kind in types.items() if name not in names}


@contextmanager
def connected() -> Iterator[None]:
    """Have what redis-py says of wrong arguments said as a `ConfigurationError`."""
    try:
        yield
    except ConfigurationError:
        raise
    except (TypeError, ValueError, RedisError) as error:
        raise ConfigurationError(f"holdover.redis: {error}") from error


class Keeper(Enum):
    """Who keeps connections between commands."""

    THREAD = "each thread its own"
    LINK = "all threads together, as many as the user has said"
    POOL = "the user's own pool"


def keeper_for(arguments: Mapping[str, Any]) -> Keeper:
    """Say who is to keep connections, by what the user wants."""
    if arguments.get("connection_pool") is not None:
        return Keeper.POOL
    url = arguments.get("url")
    in_url = parse_qs(urlsplit(url).query) if url is not None else {}
    if "max_connections" in {**arguments["connection_kwargs"], **in_url}:
        return Keeper.LINK
    return Keeper.THREAD


def default_ttl(given: object) -> float | None:
    """Read ``redis_expiration_time``: seconds, or 0 for no bound.

    Raises:
        ConfigurationError: It is no span of time.
    """
    if given is None:
        return None
    return seconds(given, "redis_expiration_time", zero=True) or None


def words_of(pool: Any) -> tuple[str, ...]:
    """Give what ``get_connection`` wants: before redis-py 5.3, a word it never uses."""
    word = signature(pool.get_connection).parameters.get("command_name")
    return ("_",) if word is not None and word.default is word.empty else ()
