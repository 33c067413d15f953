"""From a WSGI environ to a request, and to one that asks for nobody in particular."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote_to_bytes, urlsplit

from holdover.wsgi.http.directives import RequestDirectives, request_directives
from holdover.wsgi.http.fields import Headers
from holdover.wsgi.http.messages import PORTS, Request, Target, host_of
from holdover.wsgi.http.policy import Policy
from holdover.wsgi.http.validation import CONDITIONAL
from holdover.wsgi.http.wanted import Wanted
from holdover.wsgi.lists import trimmed

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

_RAW = ("RAW_URI", "REQUEST_URI")  # gunicorn's; uWSGI's and mod_wsgi's
_NOBODY = "0.0.0.0"  # noqa: S104 - an address that no application trusts
_SAFE = "/;=,:@!$&'()*+~"


class RequestHeaders(Headers):
    """The header fields of a request, each read when it is asked for.

    Most never are: a hit saves 8 us.

    Args:
        environ: The request, not to be changed any more.
    """

    __slots__ = ("_environ",)

    def __init__(self, environ: WSGIEnvironment) -> None:
        self._environ = environ

    def all(self, name: str) -> Sequence[str]:
        """Give the value of a field, whose lines the server has joined."""
        value = self._environ.get(variable(name))
        return () if value is None else (value,)

    def joined(self, name: str) -> str | None:
        """Give a field's value; None without any."""
        return self._environ.get(variable(name))

    def __contains__(self, name: str) -> bool:
        return variable(name) in self._environ

    def has_any(self, names: tuple[str, ...]) -> bool:
        """Say whether any of some fields is there; their names are in lower case."""
        return not self._environ.keys().isdisjoint(_variables(names))

    def __iter__(self) -> Iterator[tuple[str, str]]:
        for key, value in self._environ.items():
            if key.startswith("HTTP_"):
                yield key[5:].replace("_", "-").lower(), value


def read_request(environ: WSGIEnvironment, policy: Policy) -> Request:
    """Read what the rules need of a request."""
    # The application may change its environ; what it was asked stays what it was.
    headers = RequestHeaders(environ.copy())
    return Request(
        method=environ["REQUEST_METHOD"],
        target=_target(environ, headers, policy),
        headers=headers,
        directives=_directives(headers, policy),
        has_body=environ.get("CONTENT_LENGTH", "") not in ("", "0")
        or "transfer-encoding" in headers,
        is_odd=_is_odd(environ),
    )


def _directives(headers: Headers, policy: Policy) -> RequestDirectives:
    asked = request_directives(headers)
    if policy.obey_clients:
        return asked
    return replace(asked, max_age=None, min_fresh=None, no_cache=False)


def _target(environ: WSGIEnvironment, headers: Headers, policy: Policy) -> Target:
    scheme, host = environ["wsgi.url_scheme"], headers.joined("host")
    if host is None:
        host = f"{environ['SERVER_NAME']}:{environ['SERVER_PORT']}"
    if policy.trust_forwarded:
        scheme = _first(headers.joined("x-forwarded-proto")) or scheme
        host = _first(headers.joined("x-forwarded-host")) or host
    scheme = scheme.lower()
    return Target(
        scheme=scheme,
        host=host_of(host, scheme),
        path=_path(environ),
        query=environ.get("QUERY_STRING", ""),
    )


def _is_odd(environ: WSGIEnvironment) -> bool:
    for name in _RAW:
        raw: str = environ.get(name) or "/"
        if raw[0] != "/" or "#" in raw:
            return True
    return False


def _first(value: str | None) -> str:
    return trimmed((value or "").partition(",")[0])


def _path(environ: WSGIEnvironment) -> str:
    """Give the path as it was sent, where the server tells; nothing is decoded.

    Where it does not, or somebody has rewritten it since, what the application gets is
    spelled in the usual way.
    """
    path = (environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")) or "/"
    for name in _RAW:
        raw: str = environ.get(name) or ""
        raw = raw.partition("?")[0]
        if raw.startswith("/") and unquote_to_bytes(raw).decode("latin-1") == path:
            return raw
    return quote(path.encode("latin-1"), safe=_SAFE)


def without_conditions(environ: WSGIEnvironment) -> None:
    """Have the application answer in full, whatever its client has already."""
    for name in (*CONDITIONAL, "range"):
        environ.pop(variable(name), None)


@lru_cache(1024)  # those that responses vary by are in here, too
def variable(name: str) -> str:
    """Give the name in the environ of a request field."""
    known = name.upper().replace("-", "_")
    return known if known in _OF_CGI else f"HTTP_{known}"


@lru_cache(16)  # each is a constant somewhere; a hit saves 2 us
def _variables(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(map(variable, names))


_OF_CGI = ("CONTENT_LENGTH", "CONTENT_TYPE")  # PEP 3333 has them without HTTP_


def clean_environ(wanted: Wanted, script_name: str) -> dict[str, Any]:
    """Make the environ of a GET that nobody sent.

    Args:
        wanted: What it is for.
        script_name: Where the application is mounted.
    """
    target = wanted.target
    host, port = _host_and_port(target)
    path = unquote_to_bytes(target.path).decode("latin-1")
    query = f"?{target.query}" if target.query else ""
    return {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": script_name,
        "PATH_INFO": path.removeprefix(script_name),
        "QUERY_STRING": target.query,
        "RAW_URI": target.path + query,
        "REMOTE_ADDR": _NOBODY,
        "SERVER_NAME": host,
        "SERVER_PORT": port,
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": target.host,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": target.scheme,
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        **{variable(name): value for name, value in wanted.fields.items()},
    }


def _host_and_port(target: Target) -> tuple[str, str]:
    parts = urlsplit(f"//{target.host}")
    default = PORTS.get(target.scheme, ":80").removeprefix(":")
    return parts.hostname or target.host, str(parts.port or default)
