"""What was measured: one figure per subject, and when and with what."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, Self

from peers.timing import Round


class Key(NamedTuple):
    """Whose figure it is: what was done, on which store, by whom."""

    case: str
    store: str
    name: str


@dataclass(frozen=True)
class Figure:
    """What all rounds say of one subject, in the unit of its case.

    Attributes:
        best: The fastest of all rounds, undisturbed as far as any was.
        nearly: By what the best quarter of the rounds was at least as fast.
        median: What the middle round took, with what disturbed it.
        iqr: The range that the middle half of the rounds is in.
    """

    best: float
    nearly: float
    median: float
    iqr: float

    @classmethod
    def of(cls, rounds: Sequence[Round]) -> Self:
        """Sum up what was measured."""
        fastest = [one.fastest for one in rounds]
        low, median, high = quartiles([one.mean for one in rounds])
        nearly, _, _ = quartiles(fastest)
        found = min(fastest), nearly, median, high - low
        return cls(*(float(f"{one:.4g}") for one in found))

    @property
    def spread(self) -> float:
        """The interquartile range, as a part of the median."""
        return self.iqr / self.median if self.median else 0.0

    @property
    def noise(self) -> float:
        """How well the best is known: how far off the best quarter ends."""
        return (self.nearly - self.best) / self.best if self.best else 0.0


def quartiles(numbers: Sequence[float]) -> list[float]:
    """Give the three numbers that part others into quarters."""
    if len(numbers) == 1:
        return [*numbers] * 3
    return statistics.quantiles(numbers, n=4, method="inclusive")


def together(*noises: float) -> float:
    """Add up what does not depend on each other."""
    return math.hypot(*noises)


@dataclass(frozen=True)
class Record:
    """A whole measurement.

    Attributes:
        facts: When it was made, how, and with which versions.
        figures: What was found.
    """

    facts: Mapping[str, Any]
    figures: Mapping[Key, Figure]

    def named(self, case: str, store: str) -> dict[str, Figure]:
        """Give the figures of those who do one thing on one store, by name."""
        return {
            key.name: figure
            for key, figure in self.figures.items()
            if (key.case, key.store) == (case, store)
        }

    def replaced_by(self, later: Record) -> Record:
        """Give it with the figures that were measured again."""
        return Record(self.facts, {**self.figures, **later.figures})

    def to_json(self) -> str:
        """Write it, a line for each figure, so that changes can be read."""
        lines = [
            json.dumps([*key, asdict(figure)]) for key, figure in self.figures.items()
        ]
        facts = json.dumps(dict(self.facts), indent=1)
        figures = ",\n".join(lines)
        return f'{{"facts": {facts},\n"figures": [\n{figures}\n]}}\n'

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what was written."""
        held = json.loads(text)
        return cls(
            held["facts"],
            {Key(*key): Figure(**figure) for *key, figure in held["figures"]},
        )
