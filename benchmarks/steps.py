"""What a hit of a decorated function consists of, step by step, in nanoseconds.

    python benchmarks/steps.py [--rounds 31] [--rst]

What can be called by itself is timed by itself, and each step is what a thing takes
longer than those that it consists of: best rounds, all interleaved in one process.
"""

from __future__ import annotations

import argparse
import os
import pickle
import sqlite3
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from holdover import make_region

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from interleaved import Timed, measure
from peers.subject import VALUE, Call
from servers import RedisServer

SLICE = 0.005  # seconds per subject and round
ARGUMENTS = 1, 2, "abcdefgh"
SEEN = "_holdover_seen"  # what a cached function knows of its region


@dataclass
class Subject(Timed):
    call: Call
    times: list[float] = field(default_factory=list)
    at_once: int = 50


@dataclass
class Step:
    """A step: what takes it, less what of that is another step."""

    label: str
    whole: str
    without: tuple[str, ...] = ()


@dataclass
class Hit:
    """A hit of one backend.

    Attributes:
        backend: What it is called.
        calls: What can be called by itself, by name; "hit" is all of it.
        steps: What it consists of.
    """

    backend: str
    calls: dict[str, Subject]
    steps: list[Step]


def price(article: int, shop: int, name: str = "x") -> object:
    """Stand for a function that is not cached."""
    return VALUE


def cached(backend: str, **arguments: object) -> Callable[..., object]:
    """Give the function cached in a backend, with a value that is known."""
    region = make_region("steps").configure(
        f"holdover.{backend}", 3600, arguments, unsigned_pickle=True
    )
    function = region.cache_on_arguments()(price)
    for _ in range(3):
        function(*ARGUMENTS)
    return function


def in_memory() -> Hit:
    function = cached("memory")
    seen = function.__globals__[SEEN]
    find = seen.slots.get
    calls = {
        "hit": lambda: function(*ARGUMENTS),
        "call": lambda: price(*ARGUMENTS),
        "find": lambda: find(ARGUMENTS),
        "clock": seen.now,
        "count": seen.hit,
        "nothing": lambda: None,
    }
    steps = [
        Step("calling a function with three arguments", "call"),
        Step("the slot that these arguments have", "find", ("nothing",)),
        Step("the clock", "clock"),
        Step("counting the hit", "count"),
        Step(
            "types of the arguments, and what the slot says",
            "hit",
            ("call", "find", "clock", "count"),
        ),
    ]
    return Hit("memory", {name: Subject(call) for name, call in calls.items()}, steps)


def of_bytes(
    backend: str, function: Callable[..., object], raw: dict[str, Call], asks: str
) -> Hit:
    """Give a hit of a backend of bytes.

    Args:
        backend: What it is called.
        function: The cached function.
        raw: What its reader asks the operating system or a library for.
        asks: What of that it does besides, in words.
    """
    seen = function.__globals__[SEEN]
    familiar = seen.familiar[ARGUMENTS]
    payload, read = familiar._judged.payload, familiar.read()
    calls: dict[str, Call] = {
        "hit": lambda: function(*ARGUMENTS),
        "guarded": familiar.read,
        "reader": reader_of(function),
        "value": lambda: familiar.value(read),
        "loads": lambda: pickle.loads(payload),
        **raw,
    }
    steps = [
        *(Step(label, label) for label in raw),
        Step(asks, "reader", tuple(raw)),
        Step("breaker, and failures becoming misses", "guarded", ("reader",)),
        Step("decoding the value", "loads"),
        Step("comparing bytes, tick and times", "value", ("loads",)),
        Step("arguments, gate and counting", "hit", ("guarded", "value")),
    ]
    return Hit(backend, {name: Subject(call) for name, call in calls.items()}, steps)


def reader_of(function: Any) -> Call:
    return parts_of(function)[0].reader(*parts_of(function)[1:])


def parts_of(function: Any) -> tuple[Any, str, str]:
    """Give the backend, the key that it gets, and the region."""
    region = function.__globals__["_holdover_look"].__self__.region
    return region.backend, region._address(function.key_for(*ARGUMENTS)), region.name


def in_files(folder: Path) -> Hit:
    function = cached("file", path=folder / "files")
    backend, key, region = parts_of(function)
    value = backend._path(key)
    clock = backend._clocks._file(region).path
    raw = {
        "lstat() of the value's file": lambda: os.lstat(value),
        "lstat() of the region clock's": lambda: os.lstat(clock),
    }
    return of_bytes("file", function, raw, "comparing their states with the last ones")


def in_sqlite(folder: Path) -> Hit:
    function = cached("sql", url=f"sqlite:///{folder}/cache.db")
    backend, key, region = parts_of(function)
    ids = backend.reader(key, region).args[0]
    cursor = sqlite3.connect(folder / "cache.db", isolation_level=None).cursor()

    def select() -> object:
        cursor.execute(backend._read_sql, ids)
        return cursor.fetchone()

    raw = {"one SELECT of the value and the clock": select}
    return of_bytes("SQLite", function, raw, "this thread's connection")


def in_redis(server: RedisServer) -> Hit:
    function = cached("redis", url=server.url)
    backend, key, region = parts_of(function)
    command = backend._reading_command(key, region)
    sock = backend._link._own.connection._sock

    def asked() -> bytes:
        sock.sendall(command)
        return sock.recv(65_536)

    raw = {"sending the command, and its reply": asked}
    label = "reading the reply, this thread's connection"
    return of_bytes("Redis", function, raw, label)


def table(hits: list[Hit]) -> list[tuple[str, str, int]]:
    """Give backend, step and nanoseconds."""
    rows = []
    for hit in hits:
        best = {name: 1000 * one.best for name, one in hit.calls.items()}
        for step in hit.steps:
            taken = best[step.whole] - sum(best[name] for name in step.without)
            rows.append((hit.backend, step.label, round(taken)))
        rows.append((hit.backend, "all of it", round(best["hit"])))
    return rows


def show(rows: list[tuple[str, str, int]], *, rst: bool) -> None:
    line = f"{'=' * 8}  {'=' * 47}  {'=' * 6}"
    head = f"{'Backend':8}  {'Step':47}  {'ns':>6}"
    print(f"{line}\n{head}\n{line}" if rst else head)
    for backend, label, taken in rows:
        print(f"{backend:8}  {label:47}  {taken:>6}")
    if rst:
        print(line)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=31)
    parser.add_argument("--rst", action="store_true", help="print it for the docs")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, RedisServer(folder) as server:
        hits = [
            in_memory(),
            in_files(Path(folder)),
            in_sqlite(Path(folder)),
            in_redis(server),
        ]
        measured = [one for hit in hits for one in hit.calls.values()]
        measure(measured, options.rounds, SLICE)
    show(table(hits), rst=options.rst)
    return 0


if __name__ == "__main__":
    sys.exit(main())
