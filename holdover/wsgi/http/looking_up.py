"""Whether a request is one for the cache at all (RFC 9111 section 4)."""

from __future__ import annotations

import re

from holdover.wsgi.http.messages import PORTS, Request, Target, host_of
from holdover.wsgi.http.policy import Policy
from holdover.wsgi.lists import members


def why_not_looked_up(request: Request, policy: Policy) -> str | None:
    """Say why a request passes the cache by; None if it does not.

    Bodies of GET mean nothing (RFC 9110 section 9.3.1) and are not in the key, though
    an application may go by them; so such requests are the application's alone.
    """
    headers = request.headers
    if request.method not in ("GET", "HEAD"):
        return "method"
    if request.has_body:
        return "request-body"
    if "upgrade" in headers:
        return "upgrade"
    if "if-match" in headers or "if-unmodified-since" in headers:
        return "precondition"  # for origins only (RFC 9111 section 4.3.2)
    if not is_served_host(request.target, policy):
        return "host"
    return "unkeyed" if request.is_odd or _asks_by_unkeyed_fields(request) else None


_OVERRIDES = (
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    "x-original-url",
    "x-rewrite-url",
    "x-forwarded-prefix",
    "x-script-name",
    "script-name",  # gunicorn takes it, from a proxy that lets it through
)
_HOSTS = ("x-forwarded-host", "x-host", "x-original-host", "x-http-host-override")
_SCHEMES = ("x-forwarded-proto", "x-forwarded-scheme", "x-scheme")
_OTHERS = ("forwarded", "x-forwarded-port", "x-forwarded-ssl")
_UNKEYED = (*_OVERRIDES, *_HOSTS, *_SCHEMES, *_OTHERS)
_PARAMETER = re.compile(r'\b(host|proto)[ \t]*=[ \t]*"?([^;,"]*)', re.IGNORECASE)


def _asks_by_unkeyed_fields(request: Request) -> bool:
    """Say whether an application may take a request for one of another URL.

    Many do, by fields that proxies set, and anybody else can. What agrees with the
    request changes nothing; of several members all have to, since applications differ
    in which of them they take.
    """
    headers, target = request.headers, request.target
    if not headers.has_any(_UNKEYED):
        return False
    if headers.has_any(_OVERRIDES):
        return True
    hosts = [one for name in _HOSTS for one in headers.all(name)]
    schemes = [one for name in _SCHEMES for one in headers.all(name)]
    for name, value in _PARAMETER.findall(headers.joined("forwarded") or ""):
        (hosts if name.lower() == "host" else schemes).append(value)
    own_hosts = {host_of(one, target.scheme) for one in members(hosts)}
    own_schemes = {one.lower() for one in members(schemes)}
    return (
        not own_hosts <= {target.host}
        or not own_schemes <= {target.scheme}
        or not set(members(headers.all("x-forwarded-port"))) <= {_port(target)}
        or not _agrees(headers.joined("x-forwarded-ssl"), target.scheme)
    )


def _port(target: Target) -> str:
    own = target.host.rpartition("]")[2].partition(":")[2]
    return own or PORTS.get(target.scheme, ":").removeprefix(":")


def _agrees(ssl: str | None, scheme: str) -> bool:
    return ssl is None or (ssl.lower() == "on") is (scheme == "https")


def is_served_host(target: Target, policy: Policy) -> bool:
    """Say whether a host is one, and one that is served from the cache."""
    if not target.host or not set(target.host) <= _HOST:
        return False
    return not policy.hosts or target.host in policy.hosts


_HOST = frozenset("abcdefghijklmnopqrstuvwxyz0123456789.-_:[]%")
