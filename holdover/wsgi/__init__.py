"""Holdover for WSGI applications.

The names are loaded when they are first used, so that nobody needs a library for a
middleware that he does not use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from holdover.wsgi.cache import CacheMiddleware

__all__ = ["CacheMiddleware"]

_HOMES = {"CacheMiddleware": "holdover.wsgi.cache"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
