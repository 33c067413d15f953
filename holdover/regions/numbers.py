"""Numbers that somebody else has written, such as JSON, looked at before they are used.

JSON as Python reads it has NaN, infinities and whole numbers beyond all floats.
"""

from __future__ import annotations

import math
from typing import TypeGuard

LONGEST_TEXT = 16_384
"""Characters of a text in an order; whoever orders makes sure of it."""

_MOST = 2**63  # of whatever is counted or added up
_LAST_INSTANT = 1e11  # seconds since 1970: thousands of years on, and still a date


def is_finite(value: float) -> bool:
    """Say whether a number can be reckoned with as a float."""
    try:
        return math.isfinite(value)
    except OverflowError:  # an int beyond all floats
        return False


def is_number(value: object) -> TypeGuard[float]:
    """Say whether *value* is a number, and a finite one; a bool is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return is_finite(value)


def is_count(value: object) -> TypeGuard[int]:
    """Say whether *value* may be how many there are of something."""
    if isinstance(value, bool) or not isinstance(value, int):
        return False
    return 0 <= value < _MOST


def is_span(value: object) -> TypeGuard[float]:
    """Say whether *value* may be how long something took, or all of many together."""
    return is_number(value) and 0 <= value < _MOST


def is_instant(value: object) -> TypeGuard[float]:
    """Say whether *value* may be a time of day, in seconds since 1970."""
    return is_number(value) and 0 <= value < _LAST_INSTANT
