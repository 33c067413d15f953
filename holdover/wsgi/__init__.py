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
    from holdover.wsgi.http.steering import ResponseCache, response_cache
    from holdover.wsgi.session import Session
    from holdover.wsgi.session_beaker_import import BeakerSessions
    from holdover.wsgi.session_errors import (
        BeakerPickleWarning,
        BeakerSecretWarning,
        InsecureSessionWarning,
        SessionError,
        SessionTooLarge,
        SessionTooLate,
        SessionUnavailable,
    )
    from holdover.wsgi.session_flask import FlaskSessions
    from holdover.wsgi.session_options import SessionOptions
    from holdover.wsgi.session_pyramid import PyramidSessions
    from holdover.wsgi.session_users import UserSession
    from holdover.wsgi.sessions import (
        SessionMiddleware,
        Sessions,
        service_unavailable,
    )

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
    "BeakerPickleWarning": "holdover.wsgi.session_errors",
    "BeakerSecretWarning": "holdover.wsgi.session_errors",
    "BeakerSessions": "holdover.wsgi.session_beaker_import",
    "CacheMiddleware": "holdover.wsgi.cache",
    "FlaskSessions": "holdover.wsgi.session_flask",
    "HTTPCacheMiddleware": "holdover.wsgi.http.middleware",
    "HTTPCachePolicy": "holdover.wsgi.http.policy",
    "InsecureSessionWarning": "holdover.wsgi.session_errors",
    "PageCodec": "holdover.wsgi.http.codec",
    "PyramidSessions": "holdover.wsgi.session_pyramid",
    "ResponseCache": "holdover.wsgi.http.steering",
    "Session": "holdover.wsgi.session",
    "SessionError": "holdover.wsgi.session_errors",
    "SessionMiddleware": "holdover.wsgi.sessions",
    "SessionOptions": "holdover.wsgi.session_options",
    "SessionTooLarge": "holdover.wsgi.session_errors",
    "SessionTooLate": "holdover.wsgi.session_errors",
    "SessionUnavailable": "holdover.wsgi.session_errors",
    "Sessions": "holdover.wsgi.sessions",
    "UserSession": "holdover.wsgi.session_users",
    "response_cache": "holdover.wsgi.http.steering",
    "service_unavailable": "holdover.wsgi.sessions",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
