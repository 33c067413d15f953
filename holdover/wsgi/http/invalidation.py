"""What a request changes for others (RFC 9111 section 4.4)."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

from holdover.wsgi.http.messages import Request, Response, Target, host_of

SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_NO_ERROR = range(200, 400)


def invalidated(request: Request, response: Response) -> list[Target]:
    """Give the URLs whose stored responses no longer count.

    After an unsafe method that did not fail these are its own, and those that
    ``Location`` and ``Content-Location`` name on the same origin.
    """
    if request.method in SAFE or response.status not in _NO_ERROR:
        return []
    targets = [request.target]
    for name in ("location", "content-location"):
        for value in response.headers.all(name):
            named = _on_same_origin(request.target, value)
            if named is not None and named not in targets:
                targets.append(named)
    return targets


def _on_same_origin(base: Target, value: str) -> Target | None:
    try:
        parts = urlsplit(urljoin(str(base), value.strip()))
    except ValueError:
        return None
    host = host_of(parts.netloc, parts.scheme)
    if (parts.scheme.lower(), host) != (base.scheme, base.host):
        return None
    return Target(base.scheme, base.host, parts.path or "/", parts.query)
