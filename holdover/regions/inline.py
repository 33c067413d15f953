"""Functions that are cached where they are used: ``region.cached(fetch)(x)``."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from holdover.regions.cached import CachedFunction
from holdover.regions.cached_many import CachedMany
from holdover.regions.importing import is_importable
from holdover.regions.keys import found_by, name_of

if TYPE_CHECKING:
    from holdover.regions.calls import Described

P = ParamSpec("P")
T = TypeVar("T")


class InlineFunction(CachedFunction[P, T]):
    """A cached function of which a worker may know nothing.

    Attributes:
        may_travel: Says, when a refresh is due, whether a worker would carry it out.
    """

    may_travel: Callable[[], bool]

    def _order(
        self, key: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Described | None:
        # An order that every worker refuses would leave the value stale for good.
        return super()._order(key, args, kwargs) if self.may_travel() else None

    def can_be_imported(self) -> bool:
        """Say whether a worker that imports its module finds it there."""
        return self.name is not None and is_importable(self.function)


Behind = CachedFunction[Any, Any] | CachedMany
"""What a wrapper of a region's making calls."""


class Remembered:
    """What a region has made of functions, so that the same gives the same again.

    Functions that live as long as their module keep what was made of them; for lambdas
    and the like it lasts while somebody holds it.
    """

    def __init__(self) -> None:
        self._held: weakref.WeakValueDictionary[Hashable, Any]
        self._held = weakref.WeakValueDictionary()
        self._kept: dict[Hashable, Any] = {}
        self._cached: weakref.WeakKeyDictionary[Any, weakref.ref[Behind]]
        self._cached = weakref.WeakKeyDictionary()

    def note(self, wrapper: Any, cached: Behind) -> Any:
        """Remember that *wrapper* is of this region's making; give it back."""
        self._cached[wrapper] = weakref.ref(cached)  # as long as the wrapper holds it
        return wrapper

    def behind(self, wrapper: Any) -> Behind | None:
        """Give what a wrapper of this region's making calls; None if it is none."""
        try:
            found = self._cached.get(wrapper)
        except TypeError:  # not hashed or not weakly referred to: none of ours
            return None
        return None if found is None else found()

    def made(self, function: Any) -> bool:
        """Say whether *function* is a wrapper of this region's making."""
        return self.behind(function) is not None

    def kept(self, function: Any) -> Any:
        """Give what was kept of *function*, cached without any option; else None."""
        try:
            return self._kept.get(function)
        except TypeError:  # a callable object without a hash
            return None

    def keep(self, function: Any, cached: Any) -> Any:
        """Keep *cached* as long as the region lives; give what is kept."""
        return self._kept.setdefault(function, cached)

    def remember(self, key: tuple[Any, ...], make: Callable[[], Any]) -> Any:
        """Give the wrapper that was made for *key*, or make it."""
        try:
            found = self._held.get(key)
        except TypeError:  # a callable object without a hash: nobody can know it again
            return make()
        # Of two threads that are here at once, the first to arrive provides for both.
        return found or self._held.setdefault(key, make())


def lives_in_its_module(function: Callable[..., Any]) -> bool:
    """Say whether *function* lives as long as the module or the class that it is in."""
    name = name_of(function)
    return name is not None and found_by(name) is function
