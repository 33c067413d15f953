"""Holdover for WSGI applications.

The names are loaded when they are first used, so that nobody needs a library for a
middleware that he does not use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from holdover.wsgi.cache import CacheMiddleware
    from holdover.wsgi.http.codec import PageCodec
    from holdover.wsgi.http.middleware import HTTPCacheMiddleware
    from holdover.wsgi.http.policy import HTTPCachePolicy
    from holdover.wsgi.http.reflections import ReflectedFieldWarning
    from holdover.wsgi.http.steering import ResponseCache, response_cache
    from holdover.wsgi.sessions.beaker_import import BeakerSessions
    from holdover.wsgi.sessions.errors import (
        BeakerPickleWarning,
        BeakerSecretWarning,
        InsecureSessionWarning,
        SessionError,
        SessionTooLarge,
        SessionTooLate,
        SessionUnavailable,
    )
    from holdover.wsgi.sessions.flask import FlaskSessions
    from holdover.wsgi.sessions.middleware import (
        SessionMiddleware,
        Sessions,
        service_unavailable,
    )
    from holdover.wsgi.sessions.options import SessionOptions
    from holdover.wsgi.sessions.pyramid import PyramidSessions
    from holdover.wsgi.sessions.session import Session
    from holdover.wsgi.sessions.users import UserSession

__all__ = [
    "BeakerPickleWarning",
    "BeakerSecretWarning",
    "BeakerSessions",
    "CacheMiddleware",
    "FlaskSessions",
    "HTTPCacheMiddleware",
    "HTTPCachePolicy",
    "InsecureSessionWarning",
    "PageCodec",
    "PyramidSessions",
    "ReflectedFieldWarning",
    "ResponseCache",
    "Session",
    "SessionError",
    "SessionMiddleware",
    "SessionOptions",
    "SessionTooLarge",
    "SessionTooLate",
    "SessionUnavailable",
    "Sessions",
    "UserSession",
    "response_cache",
    "service_unavailable",
]

_HOMES = {
    "BeakerPickleWarning": "holdover.wsgi.sessions.errors",
    "BeakerSecretWarning": "holdover.wsgi.sessions.errors",
    "BeakerSessions": "holdover.wsgi.sessions.beaker_import",
    "CacheMiddleware": "holdover.wsgi.cache",
    "FlaskSessions": "holdover.wsgi.sessions.flask",
    "HTTPCacheMiddleware": "holdover.wsgi.http.middleware",
    "HTTPCachePolicy": "holdover.wsgi.http.policy",
    "InsecureSessionWarning": "holdover.wsgi.sessions.errors",
    "PageCodec": "holdover.wsgi.http.codec",
    "PyramidSessions": "holdover.wsgi.sessions.pyramid",
    "ReflectedFieldWarning": "holdover.wsgi.http.reflections",
    "ResponseCache": "holdover.wsgi.http.steering",
    "Session": "holdover.wsgi.sessions.session",
    "SessionError": "holdover.wsgi.sessions.errors",
    "SessionMiddleware": "holdover.wsgi.sessions.middleware",
    "SessionOptions": "holdover.wsgi.sessions.options",
    "SessionTooLarge": "holdover.wsgi.sessions.errors",
    "SessionTooLate": "holdover.wsgi.sessions.errors",
    "SessionUnavailable": "holdover.wsgi.sessions.errors",
    "Sessions": "holdover.wsgi.sessions.middleware",
    "UserSession": "holdover.wsgi.sessions.users",
    "response_cache": "holdover.wsgi.http.steering",
    "service_unavailable": "holdover.wsgi.sessions.middleware",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
