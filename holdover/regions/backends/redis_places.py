"""Where several servers of the Redis family are, as a user may write it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from holdover.regions.errors import ConfigurationError

Place = tuple[str, int]
"""Host and port."""

_LAST_PORT = 65_535


def places(given: object, argument: str, default_port: int) -> list[Place]:
    """Read a list of servers.

    Args:
        given: What the user wrote: a list, in which each server is "host", "host:port",
            a pair of both, or something that has them (redis-py's ``ClusterNode``).
        argument: What he calls it, for errors.
        default_port: Where a server listens that is named without a port.

    Raises:
        ConfigurationError: It is no such list, or it is empty.
    """
    if isinstance(given, str) or not isinstance(given, Sequence) or not given:
        raise ConfigurationError(
            f"{argument} must be a list of servers, such as 'host:port', got "
            f"{given!r:.80}"
        )
    return [_place(one, argument, default_port) for one in given]


def _place(given: Any, argument: str, default_port: int) -> Place:
    host: Any
    port: Any
    match given:
        case str():
            host, port = _parted(given.strip(), default_port)
        case [host, port]:
            pass
        case _:
            host = getattr(given, "host", None)
            port = getattr(given, "port", None)
    if not isinstance(host, str) or not host or not _is_port(port):
        raise ConfigurationError(
            f"{argument}: a server must be 'host', 'host:port' or '[IPv6]:port', or a "
            f"pair of host and port, got {given!r:.80}"
        )
    return host, int(port)


def _parted(text: str, default_port: int) -> tuple[str, Any]:
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, port = text, str(default_port)
    return host.removeprefix("[").removesuffix("]"), port


def _is_port(port: Any) -> bool:
    text = str(port)
    return text.isascii() and text.isdigit() and 0 < int(text[:9]) <= _LAST_PORT
