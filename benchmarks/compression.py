"""What compressing a value costs, and what it saves: why the default is zstd, level 1.

    python benchmarks/compression.py [--rounds 15]

For values of four kinds and two sizes: how many times smaller a payload becomes, and
the microseconds to pack and to unpack it, best of all rounds. "pays below" is the speed
of the way to the store (megabits per second) below which one packing and one unpacking
take less time than sending the bytes that they save, twice.
"""

from __future__ import annotations

import argparse
import json
import pickle
import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field

from interleaved import Timed, measure

from holdover import Compression

SLICE = 0.01  # seconds per subject and round
SIZES = (1_000, 10_000, 1_000_000)  # bytes, about
WAYS = {
    "zstd 1": Compression(algorithm="zstd", level=1, max_ratio=1e6),
    "zstd 3": Compression(algorithm="zstd", level=3, max_ratio=1e6),
    "zlib 1": Compression(algorithm="zlib", level=1, max_ratio=1e6),
    "zlib 6": Compression(algorithm="zlib", level=6, max_ratio=1e6),
}
WORDS = [f"word{number * number}" for number in range(2_000)]


@dataclass
class Subject(Timed):
    call: object
    times: list[float] = field(default_factory=list)
    at_once: int = 1


def payloads(size: int) -> dict[str, bytes]:
    """Values of about *size* bytes, by what they are."""
    dice = random.Random(7)
    rows = [
        {"id": number, "name": dice.choice(WORDS), "price": dice.random() * 100}
        for number in range(size // 45)
    ]
    text = " ".join(dice.choices(WORDS, k=size // 11))
    page = "".join(f"<li class=item><b>{one['name']}</b></li>" for one in rows)
    return {
        "rows, pickled": pickle.dumps(rows),
        "rows, as JSON": json.dumps(rows).encode(),
        "text": text.encode(),
        "page": page.encode(),
        "photograph": dice.randbytes(size),
    }


def measured(payload: bytes, rounds: int) -> Iterator[tuple[str, float, float, float]]:
    """Give each way's ratio, and its microseconds to pack and to unpack."""
    subjects: dict[str, tuple[float, Subject, Subject]] = {}
    for name, way in WAYS.items():
        packed = way.pack(payload)
        view = memoryview(packed or b"")
        pack = Subject(lambda way=way: way.pack(payload))
        unpack = Subject(lambda way=way, view=view: way.unpack(view))
        ratio = len(payload) / len(packed) if packed else 1.0
        subjects[name] = ratio, pack, unpack if packed else Subject(lambda: None)
    measure([one for _, *both in subjects.values() for one in both], rounds, SLICE)
    for name, (ratio, pack, unpack) in subjects.items():
        yield name, ratio, pack.best, unpack.best


def pays_below(size: int, ratio: float, taken: float) -> float:
    """Megabits per second: bits that are saved, both ways, by microseconds."""
    return 2 * 8 * size * (1 - 1 / ratio) / taken


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    head = ("Value", "bytes", "way", "x smaller", "pack us", "unpack us", "pays below")
    print("{:14} {:>9}  {:7} {:>9} {:>9} {:>9} {:>10}".format(*head))
    for size in SIZES:
        for kind, payload in payloads(size).items():
            for name, ratio, pack, unpack in measured(payload, options.rounds):
                limit = pays_below(len(payload), ratio, pack + unpack)
                print(
                    f"{kind:14} {len(payload):>9,}  {name:7} {ratio:>9.1f} "
                    f"{pack:>9.0f} {unpack:>9.0f} {limit:>10,.0f}"
                )
    return 0


if __name__ == "__main__":
    sys.exit(main())
