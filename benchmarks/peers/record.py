"""What was measured: one figure per subject, and when and with what."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, Self


class Key(NamedTuple):
    """Whose figure it is: what was done, on which store, by whom."""

    case: str
    store: str
    name: str


@dataclass(frozen=True)
class Figure:
    """What all rounds say of one subject, in the unit of its case.

    Attributes:
        best: The best round.
        median: The middle one.
        low: The end of the best quarter.
        high: The beginning of the worst one.
    """

    best: float
    median: float
    low: float
    high: float

    @classmethod
    def of(cls, times: Sequence[float]) -> Self:
        """Sum up what was measured, round by round."""
        low, median, high = (
            statistics.quantiles(times, n=4, method="inclusive")
            if len(times) > 1
            else [times[0]] * 3
        )
        return cls(*(rounded(one) for one in (min(times), median, low, high)))

    @property
    def spread(self) -> float:
        """The interquartile range, as a part of the median."""
        return (self.high - self.low) / self.median

    @property
    def noise(self) -> float:
        """How well the best round is known: how far off the best quarter ends."""
        return (self.low - self.best) / self.best


def rounded(number: float) -> float:
    """Give as many digits as mean something."""
    return float(f"{number:.4g}")


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
