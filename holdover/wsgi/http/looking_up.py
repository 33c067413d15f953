"""Whether a request is one for the cache at all (RFC 9111 section 4)."""

from __future__ import annotations

from holdover.wsgi.http.messages import Request, Target, host_of
from holdover.wsgi.http.policy import Policy


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
    return "unkeyed" if _asks_by_unkeyed_fields(request, policy) else None


_OVERRIDES = (
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    "x-original-url",
    "x-rewrite-url",
    "x-forwarded-prefix",
)


def _asks_by_unkeyed_fields(request: Request, policy: Policy) -> bool:
    """Say whether an application may take a request for one of another URL.

    Many do, by fields that proxies set, and anybody else can. What agrees with the
    request changes nothing.
    """
    headers, target = request.headers, request.target
    if any(name in headers for name in _OVERRIDES):
        return True
    if policy.trust_forwarded:  # they are in the key then
        return False
    host = headers.joined("x-forwarded-host")
    if host is not None and host_of(host, target.scheme) != target.host:
        return True
    proto = headers.joined("x-forwarded-proto")
    return proto is not None and proto.lower() != target.scheme


def is_served_host(target: Target, policy: Policy) -> bool:
    """Say whether a host is one, and one that is served from the cache."""
    if not target.host or not set(target.host) <= _HOST:
        return False
    return not policy.hosts or target.host in policy.hosts


_HOST = frozenset("abcdefghijklmnopqrstuvwxyz0123456789.-_:[]%")
