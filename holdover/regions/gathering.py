"""Several regions at once, as users give them: a registry, a region, or a list."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Protocol, TypeVar, cast

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class Regions(Protocol[R_co]):
    """Regions by name: a registry."""

    def region(self, name: str) -> R_co:
        """Give the region of that name."""

    def __iter__(self) -> Iterator[str]:
        """Give the names."""


def gathered(given: Regions[R] | R | Iterable[R], kind: type[Any]) -> list[R]:
    """Give the regions, which are of one *kind*, that there are now."""
    if isinstance(given, kind):
        return [cast("R", given)]
    if hasattr(given, "region"):
        named = cast("Regions[R]", given)
        return [named.region(name) for name in named]
    return list(cast("Iterable[R]", given))
