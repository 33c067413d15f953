"""Holdover for Django.

Django is imported when a name is first used, not before.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from holdover.contrib_django.caches.cache import RegionCache
    from holdover.contrib_django.caches.entries import UnpicklableValue
    from holdover.contrib_django.orm import (
        InvalidatingQuerySet,
        ainvalidate_on_commit,
        invalidate_on_commit,
        invalidate_queryset,
        invalidates,
        tag_of,
        tags_of,
    )
    from holdover.contrib_django.pages.decorator import cache_page
    from holdover.contrib_django.pages.fragments import invalidate_fragment
    from holdover.contrib_django.pages.inspecting import inspect_fragment, inspect_page
    from holdover.contrib_django.pages.invalidating import invalidate_page
    from holdover.contrib_django.pages.middleware import PageCacheMiddleware
    from holdover.contrib_django.periodic.discovery import autodiscover
    from holdover.contrib_django.project.runs import DatabaseRuns

__all__ = [
    "DatabaseRuns",
    "InvalidatingQuerySet",
    "PageCacheMiddleware",
    "RegionCache",
    "UnpicklableValue",
    "ainvalidate_on_commit",
    "autodiscover",
    "cache_page",
    "inspect_fragment",
    "inspect_page",
    "invalidate_fragment",
    "invalidate_on_commit",
    "invalidate_page",
    "invalidate_queryset",
    "invalidates",
    "tag_of",
    "tags_of",
]

_HOMES = {
    "DatabaseRuns": "holdover.contrib_django.project.runs",
    "PageCacheMiddleware": "holdover.contrib_django.pages.middleware",
    "cache_page": "holdover.contrib_django.pages.decorator",
    "inspect_fragment": "holdover.contrib_django.pages.inspecting",
    "inspect_page": "holdover.contrib_django.pages.inspecting",
    "invalidate_fragment": "holdover.contrib_django.pages.fragments",
    "invalidate_page": "holdover.contrib_django.pages.invalidating",
    "InvalidatingQuerySet": "holdover.contrib_django.orm.querysets",
    "RegionCache": "holdover.contrib_django.caches.cache",
    "UnpicklableValue": "holdover.contrib_django.caches.entries",
    "ainvalidate_on_commit": "holdover.contrib_django.orm.on_commit",
    "autodiscover": "holdover.contrib_django.periodic.discovery",
    "invalidate_on_commit": "holdover.contrib_django.orm.on_commit",
    "invalidate_queryset": "holdover.contrib_django.orm.querysets",
    "invalidates": "holdover.contrib_django.orm.declared",
    "tag_of": "holdover.contrib_django.orm.tags",
    "tags_of": "holdover.contrib_django.orm.tags",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
