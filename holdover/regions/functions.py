"""The functions that a worker may run: those that were registered, and no others."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from holdover.regions.errors import UnregisteredFunction

T = TypeVar("T")


def name_of(function: Callable[..., Any]) -> str | None:
    """Give the name by which another process could find *function* again.

    None for lambdas, closures, bound methods and callables without a name.
    """
    module = getattr(function, "__module__", None)
    qualname = getattr(function, "__qualname__", None)
    if not module or not qualname or "<" in qualname or hasattr(function, "__self__"):
        return None
    return f"{module}:{qualname}"


class Catalogue(Generic[T]):
    """Names and what they stand for, per region."""

    def __init__(self) -> None:
        self._entries: dict[tuple[str, str], T] = {}
        self._lock = threading.Lock()  # guards changes

    def register(self, region: str, name: str, entry: T) -> None:
        """Let *name* stand for *entry*; a reloaded module replaces its own."""
        with self._lock:
            self._entries[region, name] = entry

    def find(self, region: str, name: str) -> T:
        """Look *name* up.

        Raises:
            UnregisteredFunction: Nobody registered it in this process.
        """
        try:
            return self._entries[region, name]
        except KeyError:
            raise UnregisteredFunction(
                f"no function {name!r} is registered for region {region!r} in this "
                "process: has the worker imported its module?"
            ) from None
