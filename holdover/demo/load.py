"""The load: who visits, how often and for what; and what was seen of each visit."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What all visitors of a phase do together; the same in every phase.

    Attributes:
        url: Where the site is.
        seconds: How long they keep coming, the first pass included; after it, half as
            long at least.
        visitors: How many there are at once, each with a connection kept alive.
        think_time: Seconds, on average, that each waits between two requests.
        queries: How many different ones are asked; see `holdover.demo.queries`.
        seed: Makes the dice fall the same way each time.
    """

    url: str
    seconds: float
    visitors: int = 32
    think_time: float = 0.1
    queries: int = 40
    seed: int = 1

    def to_json(self) -> str:
        """Give it as one argument of a command line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Load:
        """Read what `to_json` wrote."""
        return cls(**json.loads(text))


@dataclass(frozen=True, slots=True)
class Request:
    """One request, as its visitor saw it.

    Attributes:
        started_at: When it was sent (wall clock, seconds).
        latency: Seconds until its answer had been read.
        age: Seconds since the value that was served had been made; 0 if the visitor
            waited for it.
        first_pass: Whether it was sent to ask each query once.
        failed: Whether there was no proper answer.
    """

    started_at: float
    latency: float
    age: float
    first_pass: bool
    failed: bool
