"""What a user may say of memcached servers, checked."""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from holdover.regions.backends.base import positive
from holdover.regions.errors import ConfigurationError, unknown
from holdover.regions.lifetime import lease_span, seconds
from holdover.regions.timesource import TimeSource

DEFAULT_TIMEOUT = 0.25  # seconds
# The server's limit of 1 MiB counts the name and what it knows of an item, too.
DEFAULT_MAX_BYTES = (1 << 20) - 1024
_DEFAULT_PORT = 11211
_LAST_PORT = 65_535
_CLIENTS = ("pymemcache", "pylibmc")

KNOWN_ARGUMENTS = MappingProxyType(
    {
        "url": Sequence[str] | str,
        "client": Literal["pymemcache", "pylibmc"],
        "socket_timeout": float,
        "socket_connect_timeout": float,
        "max_bytes": int,
        "memcached_expire_time": float,
        "tls_context": ssl.SSLContext,
        "distributed_lock": bool,
        "lock_timeout": float,
        "time_source": TimeSource,
    }
)


@dataclass(frozen=True, slots=True)
class Options:
    """What was said, or what holds if nothing was.

    Attributes:
        servers: The servers, each as "host:port" or the path of a socket.
        client: The library that talks to them.
        timeout: Seconds for an answer.
        connect_timeout: Seconds for a connection.
        max_bytes: The largest value that is sent.
        default_ttl: Seconds for which values are kept that have no ttl of their own.
        tls_context: For encrypted connections.
    """

    servers: tuple[str, ...]
    client: str
    timeout: float
    connect_timeout: float
    max_bytes: int
    default_ttl: float | None
    tls_context: ssl.SSLContext | None

    @classmethod
    def read(cls, arguments: Mapping[str, Any]) -> Options:
        """Check the backend's arguments.

        Raises:
            ConfigurationError: One of them is something else than was wanted.
        """
        client = arguments.get("client", "pymemcache")
        if client not in _CLIENTS:
            raise ConfigurationError(unknown("client for memcached", client, _CLIENTS))
        tls = arguments.get("tls_context")
        if tls is not None and (client, type(tls)) != ("pymemcache", ssl.SSLContext):
            raise ConfigurationError(
                "tls_context must be an ssl.SSLContext, and only pymemcache takes one; "
                f"got {tls!r:.80} for {client}"
            )
        ttl = arguments.get("memcached_expire_time") or None
        return cls(
            servers=_servers(arguments.get("url")),
            client=client,
            timeout=_span(arguments, "socket_timeout"),
            connect_timeout=_span(arguments, "socket_connect_timeout"),
            max_bytes=positive(arguments, "max_bytes", DEFAULT_MAX_BYTES),
            default_ttl=None if ttl is None else seconds(ttl, "memcached_expire_time"),
            tls_context=tls,
        )

    def place_of(self, server: str) -> str | tuple[str, int]:
        """Give where a server listens, as pymemcache takes it."""
        if server.startswith("/"):
            return server
        host, _, port = server.rpartition(":")
        return host.strip("[]"), int(port)


def _span(arguments: Mapping[str, Any], name: str) -> float:
    given = arguments.get(name)
    return DEFAULT_TIMEOUT if given is None else lease_span(given, name)


def _servers(url: object) -> tuple[str, ...]:
    given = [url] if isinstance(url, str) else url
    if not isinstance(given, Sequence) or not given:
        raise ConfigurationError(
            "url must be a server of memcached, 'host:port', or a list of them, "
            f"got {url!r:.80}"
        )
    servers = tuple(map(_server, given))
    if len(set(servers)) < len(servers):
        raise ConfigurationError(f"url names a server twice: {', '.join(servers)}")
    return servers


def _server(given: object) -> str:
    """Write a server as "host:port", so that all who share it agree on its name."""
    text = given.strip() if isinstance(given, str) else ""
    if text.startswith("/"):
        return text
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, port = text, str(_DEFAULT_PORT)
    bare = host.startswith("[") or ":" not in host
    if not host or set("/, ") & set(host) or not bare or not _is_port(port):
        raise ConfigurationError(
            "a server of memcached must be 'host', 'host:port', '[IPv6]:port' or the "
            f"path of its socket, and several a list of them, got {given!r:.80}"
        )
    return f"{host}:{int(port)}"


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and 0 < int(text[:9]) <= _LAST_PORT
