"""What users of django-dumbwaiter know: their settings, and ``get_value``."""

from __future__ import annotations

from typing import Any

__all__ = ["get_value"]


def get_value(name: str, default: Any = None) -> Any:
    """Give the newest value that a function of DUMBWAITER_FUNCTION_LIST returned.

    Nothing is ever run for it, and a failed run leaves the value before it.

    Args:
        name: The name in the list.
        default: Given if it has not yet run.

    Raises:
        UnknownSchedule: There is none of that name in the list.
    """
    from holdover import NO_VALUE  # noqa: PLC0415 - Django may not be set up yet
    from holdover.contrib_django.dumbwaiter.waiting import (  # noqa: PLC0415
        dumbwaiter_region,
    )

    found = dumbwaiter_region().value_of(name)
    return default if found is NO_VALUE else found
