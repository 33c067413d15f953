"""Beaker's calls, over Holdover's regions.

An application moves by changing its imports: ``from beaker.cache import cache_region``
becomes ``from holdover.wsgi.beaker.cache import cache_region``, and so on for
``beaker.util``, ``beaker.session``, ``beaker.middleware`` and ``beaker.exceptions``;
all names are here, too. What is the same, what is better and what is not there is told
in ``docs/beaker.rst``.
"""

from __future__ import annotations

from holdover.wsgi.beaker.cache import (
    Cache,
    CacheManager,
    cache_region,
    cache_regions,
    region_invalidate,
)
from holdover.wsgi.beaker.exceptions import BeakerException
from holdover.wsgi.beaker.middleware import CacheMiddleware, SessionMiddleware
from holdover.wsgi.beaker.session import CookieSession, Session, SessionObject
from holdover.wsgi.beaker.util import (
    coerce_cache_params,
    func_namespace,
    parse_cache_config_options,
)

__all__ = [
    "BeakerException",
    "Cache",
    "CacheManager",
    "CacheMiddleware",
    "CookieSession",
    "Session",
    "SessionMiddleware",
    "SessionObject",
    "cache_region",
    "cache_regions",
    "coerce_cache_params",
    "func_namespace",
    "parse_cache_config_options",
    "region_invalidate",
]
