"""Who is measured, at what, with which values: the words of all that stands here."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

VALUE = {"name": "abcdefgh", "price": 12.5, "tags": ["a", "b", "c"], "id": 1234567}
LARGE = bytes(range(250)) * 400  # 100,000 of them
HUGE = bytes(range(250)) * 20_000  # 5,000,000
KEYS = [f"key{number}" for number in range(100)]
LIFETIME = 3600  # seconds, longer than any measurement
CROWD = 8  # threads, or tasks of asyncio's

Call = Callable[[], Any]
Price = Callable[[int, int, str], Any]

VALUES: dict[str, object] = {
    "hit": VALUE,
    "many": [VALUE] * len(KEYS),
    "threads": VALUE,
    "100 KB": LARGE,
    "5 MB": HUGE,
    "door": VALUE,
}


@dataclass(frozen=True)
class Subject:
    """Who does what, on which store.

    Attributes:
        case: What is done, one of `VALUES`.
        store: Where the value is.
        name: Who does it; unique among those of the same case and store.
        builder: Who builds it: a module of ``subjects``, and a function.
    """

    case: str
    store: str
    name: str
    builder: str

    def __str__(self) -> str:
        return f"{self.case}, {self.store}: {self.name}"

    @property
    def slug(self) -> str:
        """A name for folders, tables and prefixes that is its own on this store."""
        return re.sub(r"\W+", "_", f"{self.case} {self.name}").lower()


@dataclass(frozen=True)
class Place:
    """Where a subject keeps its values.

    Attributes:
        folder: A folder of its own, which is there.
        url: The server, if the store is one.
        known: What else a client of it must know.
        server: Which server it is, with its version.
        name: A name that nobody else uses there.
    """

    folder: str
    url: str = ""
    known: dict[str, Any] = field(default_factory=dict)
    server: str = ""
    name: str = ""

    def of(self, subject: Subject) -> Place:
        """Give the part of it that is a subject's."""
        own = Path(self.folder, subject.slug)
        own.mkdir()
        return replace(self, folder=str(own), name=subject.slug)

    def to_dict(self) -> dict[str, Any]:
        """Give it as data."""
        return asdict(self)


class Maker:
    """Makes the value, and counts how often, so that no miss is taken for a hit.

    Args:
        value: What it makes.
    """

    def __init__(self, value: object) -> None:
        self.value = value
        self.runs = 0

    def __call__(self) -> Any:
        self.runs += 1
        return self.value

    @property
    def price(self) -> Price:
        """A function to be decorated."""

        def price(article: int, shop: int, name: str = "x") -> Any:
            return self()

        return price

    @property
    def awaited_price(self) -> Callable[[int, int, str], Awaitable[Any]]:
        """The same for libraries of asyncio's."""

        async def price(article: int, shop: int, name: str = "x") -> Any:
            return self()

        return price

    def kept_by(
        self, get: Callable[[str], Any], put: Callable[[str, Any], object]
    ) -> Price:
        """Give the function as whoever has no decorator writes it, its key by hand."""

        def price(article: int, shop: int, name: str = "x") -> Any:
            key = f"price:{article}:{shop}:{name}"
            value = get(key)
            if value is None:
                value = self()
                put(key, value)
            return value

        return price


def hit(price: Price) -> Call:
    """Give the call that is timed."""
    return lambda: price(1, 2, "abcdefgh")


def awaited_hit(price: Callable[[int, int, str], Awaitable[Any]]) -> Call:
    """Give the same as a coroutine function."""

    async def call() -> Any:
        return await price(1, 2, "abcdefgh")

    return call
