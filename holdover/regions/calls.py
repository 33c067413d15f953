"""One request for a value, and what its creator made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from holdover.regions.lifetime import Lifetime

Described = tuple[str, list[Any], dict[str, Any], str]
"""A call as data: the function's registered name, args, kwargs and the user's key."""


@dataclass(slots=True, kw_only=True)
class Call:
    """One request for a value.

    Attributes:
        user_key: The key as the user gave it.
        key: The key as stored.
        create: Makes the value; takes no arguments.
        lifetime: How its age is judged.
        own_lifetime: Whether the entry is to carry that lifetime with it.
        should_cache: Says whether a created value is to be stored; None: always.
        empty: Makes what is served at once if there is no value; None: wait instead.
        order: Function, args, kwargs and key for a refresh elsewhere, if it can travel.
        asked: The ticket that says when, in this process, it was asked.
    """

    user_key: str
    key: str
    create: Callable[[], Any]
    lifetime: Lifetime
    own_lifetime: bool = False
    should_cache: Callable[[Any], bool] | None = None
    empty: Callable[[], Any] | None = None
    order: Callable[[], Described | None] | None = None
    asked: int = 0


@dataclass(slots=True)
class Made:
    """What a creator made: the value, its cost in seconds, and what becomes of it."""

    value: Any
    cost: float
    wanted: bool
    stored: bool = False
