"""Holdover for Django.

Django is imported when a name is first used, not before.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from holdover.contrib_django.cache import RegionCache, UnpicklableValue

__all__ = ["RegionCache", "UnpicklableValue"]

_HOMES = {
    "RegionCache": "holdover.contrib_django.cache",
    "UnpicklableValue": "holdover.contrib_django.cache",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
