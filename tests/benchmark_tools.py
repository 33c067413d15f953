"""Made-up measurements, and the way to the modules that make real ones."""

import sys
from pathlib import Path

# At the end: some modules there have the names of ours.
sys.path.append(str(Path(__file__).parent.parent / "benchmarks"))

from peers.record import Figure, Key, Record

FACTS = {
    "command": "make bench",
    "date": "2026-11-22",
    "rounds": 21,
    "cores": 2,
    "load": [0.5, 2.25],
    "versions": ["CPython 3.11.7", "Redis 7.0.15"],
}


def figure(best, noise=0.0):
    """A figure whose best quarter ends by so much of the best behind it."""
    nearly = best * (1 + noise)
    return Figure(best, nearly, nearly * 1.25, nearly * 0.5)


def record_of(*measured):
    """A record of ``(case, store, name, best[, noise])``."""
    return Record(FACTS, {Key(*one[:3]): figure(*one[3:]) for one in measured})
