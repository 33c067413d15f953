"""The functions that a worker may run: those that were registered, and no others."""

from __future__ import annotations

from typing import Generic, TypeVar

from holdover.regions.errors import UnregisteredFunction
from holdover.regions.forks import ForkSafeLock

T = TypeVar("T")


class Catalogue(Generic[T]):
    """Names and what they stand for, per region."""

    def __init__(self) -> None:
        self._entries: dict[tuple[str, str], T] = {}
        self._lock = ForkSafeLock()  # guards changes

    def register(self, region: str, name: str, entry: T) -> None:
        """Let *name* stand for *entry*; a reloaded module replaces its own."""
        with self._lock.held:
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
