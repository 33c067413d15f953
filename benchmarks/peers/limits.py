"""What the figures must be, whatever they were before.

Each limit compares the bests of two subjects in one measurement. How well those are
known, their noise tells: how far from the best the best quarter of the rounds ends.
"""

from __future__ import annotations

from dataclasses import dataclass

from peers.catalogue import DOGPILE, FLOOR, OURS
from peers.imports import DOGPILES
from peers.imports import OURS as OUR_IMPORT
from peers.record import Figure, Key, Record, together

NEAR_FILES, NEAR_REDIS = (f"{OURS}, near_ttl on {kind}" for kind in ("files", "Redis"))


@dataclass(frozen=True)
class Limit:
    """Something that is to be no more than something else makes it.

    Attributes:
        ours: What is limited.
        other: What it is compared with, in the same case and store if it is a name.
        bound: How much it may be.
    """

    ours: Key
    other: str
    bound: float

    @property
    def beside(self) -> Key:
        """Whose figure it is compared with."""
        return Key(self.ours.case, self.ours.store, self.other)

    def is_in(self, record: Record) -> bool:
        """Say whether both were measured."""
        return self.ours in record.figures and self.beside in record.figures

    def found(self, record: Record) -> float:
        """Give what is limited."""
        return self._compared(record.figures[self.ours], record.figures[self.beside])

    def noise(self, record: Record) -> float:
        """Say how far off that may be, as a part of it."""
        figures = record.figures
        return together(figures[self.ours].noise, figures[self.beside].noise)

    def is_met(self, record: Record, *, leniency: float = 0) -> bool:
        """Say whether it is kept, or would be if it were so much wider."""
        return self.found(record) <= self.bound * (1 + leniency)

    @property
    def wanted(self) -> str:
        """What is wanted, in words."""
        return f"at most {self.bound:g} times {called(self.other)}"

    def said(self, found: float) -> str:
        """Write what was found."""
        return f"{found:.2f} times"

    def _compared(self, ours: Figure, other: Figure) -> float:
        return ours.best / other.best


class Cheaper(Limit):
    """Something that is to cost a certain part of what something else costs."""

    def is_met(self, record: Record, *, leniency: float = 0) -> bool:
        """Say whether it is kept, or would be if it were so much wider."""
        return self.found(record) >= self.bound / (1 + leniency)

    @property
    def wanted(self) -> str:
        """What is wanted, in words."""
        return f"at least {self.bound:g} times cheaper than {called(self.other)}"

    def _compared(self, ours: Figure, other: Figure) -> float:
        return other.best / ours.best


class Faster(Cheaper):
    """Something of which many at once are to get so many times as much."""

    @property
    def wanted(self) -> str:
        """What is wanted, in words."""
        return f"at least {self.bound:g} times the throughput of {called(self.other)}"


class Dearer(Limit):
    """Something that may cost only so much more than something else, in its unit."""

    def noise(self, record: Record) -> float:
        """Say how far off that may be, as a part of the bound."""
        compared = record.figures[self.ours], record.figures[self.beside]
        return together(*(one.nearly - one.best for one in compared)) / self.bound

    @property
    def wanted(self) -> str:
        """What is wanted, in words."""
        return f"at most {self.bound:g} {self._unit} more than {called(self.other)}"

    def said(self, found: float) -> str:
        """Write what was found."""
        return f"{found:.1f} {self._unit}"

    @property
    def _unit(self) -> str:
        return "ms" if self.ours.case == "import" else "us"

    def _compared(self, ours: Figure, other: Figure) -> float:
        return ours.best - other.best


def called(name: str) -> str:
    """Give a name as sentences have it."""
    return f"the {FLOOR}" if name == FLOOR else name


def hit(store: str, name: str = OURS) -> Key:
    """Give the key of a hit."""
    return Key("hit", store, name)


LIMITS = (
    Cheaper(hit("memory"), DOGPILE, 20),
    Cheaper(hit("file"), DOGPILE, 5),
    Cheaper(hit("redis"), DOGPILE, 2.5),
    Cheaper(hit("memcached"), DOGPILE, 2),
    Cheaper(hit("sentinel"), DOGPILE, 2),
    Limit(hit("memory"), FLOOR, 4.5),
    Limit(hit("file"), FLOOR, 1.6),
    Limit(hit("sqlite"), FLOOR, 1.6),
    Limit(hit("redis"), FLOOR, 1.6),
    Limit(hit("postgres"), FLOOR, 1.25),
    Dearer(hit("memcached"), "pymemcache", 4),
    Limit(hit("memory", NEAR_FILES), OURS, 1.1),
    Limit(hit("memory", NEAR_REDIS), OURS, 1.1),
    Faster(Key("threads", "redis", OURS), DOGPILE, 4),
    Limit(Key("many", "redis", OURS), FLOOR, 1.5),
    Dearer(Key("import", "CPU ms", OUR_IMPORT), DOGPILES, 10),
)
