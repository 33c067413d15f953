"""PURGE requests, from addresses that may send them."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import TYPE_CHECKING

from holdover import Delivery, errors
from holdover.wsgi.http.clients import read_address
from holdover.wsgi.http.messages import Request

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

METHOD = "PURGE"
_SOFT = ("soft-purge", "fastly-soft-purge")
_ALLOWED = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
_OF_PROXIES = ("forwarded", "x-forwarded-for", "x-real-ip", "via")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def read_networks(given: Iterable[str]) -> tuple[Network, ...]:
    """Read addresses and networks, "10.0.0.7" or "10.0.0.0/8".

    Raises:
        ConfigurationError: One is neither.
    """
    if isinstance(given, str):
        given = [given]
    try:
        return tuple(ipaddress.ip_network(one) for one in given)
    except (TypeError, ValueError) as error:
        raise errors.ConfigurationError(
            'purge_from must be addresses or networks, ["127.0.0.1", "10.0.0.0/8"], '
            f"got {given!r}: {error}"
        ) from error


def refusal(
    request: Request, environ: WSGIEnvironment, networks: Iterable[Network]
) -> tuple[str, list[tuple[str, str]]] | None:
    """Say why a PURGE is refused, as status and fields; None if it is not.

    Only the address of who is connected counts. What has come through a proxy has the
    proxy's, whoever sent it, and is refused.
    """
    networks = tuple(networks)
    if not networks:
        return "405 Method Not Allowed", [("Allow", _ALLOWED)]
    address = read_address(environ.get("REMOTE_ADDR", ""))
    is_listed = address is not None and any(address in one for one in networks)
    if not is_listed or any(name in request.headers for name in _OF_PROXIES):
        return "403 Forbidden", []
    return None


def is_soft(request: Request) -> bool:
    """Say whether pages are only to expire; whatever is not ``1`` is no softness."""
    return any(request.headers.joined(name) == "1" for name in _SOFT)


def outcome(delivery: Delivery) -> str:
    """Give the status that tells what became of a purge."""
    return "202 Accepted" if delivery.pending else "200 OK"
