"""What Beaker's users import from ``beaker.middleware``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from holdover.wsgi import cache as plain
from holdover.wsgi.beaker.cache import CacheManager
from holdover.wsgi.beaker.session import Session, SessionObject
from holdover.wsgi.beaker.util import (
    coerce_cache_params,
    parse_cache_config_options,
)
from holdover.wsgi.flat_options import SESSION, bare, below
from holdover.wsgi.sessions.middleware import ENVIRON_KEY
from holdover.wsgi.sessions.middleware import (
    SessionMiddleware as PlainSessionMiddleware,
)

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

__all__ = [
    "CacheManager",
    "CacheMiddleware",
    "Session",
    "SessionMiddleware",
    "SessionObject",
    "coerce_cache_params",
    "parse_cache_config_options",
]


class CacheMiddleware(plain.CacheMiddleware):
    """Puts a `CacheManager` into every request's environ, as Beaker's does.

    Its regions are in ``environ["holdover.cache"]``, too.

    Args:
        app: The application.
        config: Options by key, of which those with "cache." or "beaker.cache." are
            read.
        environ_key: Where in the environ the manager is put.
        **kwargs: Options in place of those in *config*, with or without "cache.".

    Attributes:
        app: The application.
        cache: The manager.

    Raises:
        ConfigurationError: An option is unknown or wrong.
    """

    def __init__(
        self,
        app: WSGIApplication,
        config: Mapping[str, Any] | None = None,
        environ_key: str = plain.BEAKER_KEY,
        **kwargs: Any,
    ) -> None:
        options = parse_cache_config_options(config or {})
        options |= parse_cache_config_options(kwargs, include_defaults=False)
        options |= {k: v for k, v in kwargs.items() if "cache." not in k}
        self.cache = CacheManager(**options)
        super().__init__(app, self.cache.registry)
        self.app = app
        self._placed[environ_key] = self.cache


class SessionMiddleware(PlainSessionMiddleware):
    """Puts a session into every request's environ, as Beaker's does.

    It is in ``environ["holdover.session"]``, too.

    Args:
        app: The application.
        config: Options by key, of which those with "session." or "beaker.session." are
            read; see `holdover.wsgi.SessionOptions`.
        environ_key: Where in the environ the session is put.
        **kwargs: Options in place of those in *config*, with or without "session.".

    Raises:
        ConfigurationError: An option is unknown, wrong, or unsafe.
    """

    def __init__(
        self,
        app: WSGIApplication,
        config: Mapping[str, Any] | None = None,
        environ_key: str = "beaker.session",
        **kwargs: Any,
    ) -> None:
        given = {k: held for k, (_, held) in below(config or {}, SESSION).items()}
        given |= {bare(key, SESSION) or key: held for key, held in kwargs.items()}
        flat = {f"session.{name}": value for name, value in given.items()}
        key = ENVIRON_KEY if environ_key == "beaker.session" else environ_key
        super().__init__(app, {**flat, "session.beaker": True}, environ_key=key)
