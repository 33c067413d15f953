"""The functions that a worker may run: those that were registered, and no others."""

from __future__ import annotations

import weakref
from typing import Generic, Protocol, TypeVar

from holdover.regions.errors import UnregisteredFunction
from holdover.regions.forks import ForkSafeLock

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Finder(Protocol[T_co]):
    """A region that may find a function by its name where nobody registered it."""

    def find_for_order(self, name: str) -> T_co:
        """Find what *name* stands for.

        Raises:
            UnregisteredFunction: It may not be found here.
        """


class Catalogue(Generic[T]):
    """Names and what they stand for, per region."""

    def __init__(self) -> None:
        self._entries: dict[tuple[str, str], T] = {}
        self._finders: weakref.WeakValueDictionary[str, Finder[T]]
        self._finders = weakref.WeakValueDictionary()
        self._lock = ForkSafeLock()  # guards changes

    def register(self, region: str, name: str, entry: T) -> None:
        """Let *name* stand for *entry*; a reloaded module replaces its own."""
        with self._lock.held:
            self._entries[region, name] = entry

    def know(self, region: str, finder: Finder[T]) -> None:
        """Ask *finder* for what nobody registers, as long as it lives."""
        with self._lock.held:
            self._finders[region] = finder

    def registered(self, region: str, name: str) -> T | None:
        """Give what *name* stands for, if it was registered."""
        return self._entries.get((region, name))

    def find(self, region: str, name: str) -> T:
        """Look *name* up.

        Raises:
            UnregisteredFunction: Nobody registered it in this process, nor may it be
                imported.
        """
        found = self._entries.get((region, name))
        if found is not None:
            return found
        finder = self._finders.get(region)
        if finder is not None:
            return finder.find_for_order(name)
        raise UnregisteredFunction(
            f"no function {name!r} is registered for region {region!r} in this "
            "process: has the worker imported its module?"
        )
