"""What a cache costs as it grows, and what is felt while it is purged or culled.

    python benchmarks/growth.py [--most 1000000] [--rounds 15] [--only cull]

Two tables: microseconds of a hit of a key taken at random, with ten entries to --most,
beside those of bare reading the same (a dictionary's lookup, the file, the row), and
the memory or disk that an entry takes; then hits and stores (``set``) while all
--most entries, which have expired, are purged: in files and SQLite by another process,
in memory by another thread. And what stores take that each go beyond the bound of
a store with --most entries (SQLite has none).
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from holdover import Region, make_region
from holdover.regions.backends.sql_records import value_id

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from interleaved import Timed, measure
from peers.subject import VALUE, Call

BACKENDS = ("memory", "file", "SQLite")
SLICE = 0.02  # seconds per subject and round
AT_ONCE = 1000  # keys
WATCHED = 200  # keys that are asked for while others are purged
OUTDATED = bytes(200)  # is never read
QUIET = 3.0  # seconds
SMALL, BEYOND = 500, 5000  # bytes of a value, and stores beyond the bound
SPAWN = multiprocessing.get_context("spawn")


@dataclass
class Subject(Timed):
    backend: str
    name: str
    entries: int
    call: Call
    each: float = 0.0  # bytes of an entry
    times: list[float] = field(default_factory=list)
    at_once: int = 20


def region_of(backend: str, folder: str, most: int) -> Region:
    kind, arguments = {
        "memory": ("memory", {"max_entries": most + 1000}),
        "file": ("file", {"path": f"{folder}/files", "max_bytes": 1 << 40}),
        "SQLite": ("sql", {"url": f"sqlite:///{folder}/cache.db"}),
    }[backend]
    return make_region("growth").configure(
        f"holdover.{kind}", 3600, arguments, unsigned_pickle=True
    )


def fill(region: Region, count: int, first: int = 0) -> None:
    for start in range(first, count, AT_ONCE):
        some = range(start, min(start + AT_ONCE, count))
        region.set_multi({str(number): dict(VALUE) for number in some})


# -- hits, by how many entries there are ---------------------------------------


def grown(backend: str, folder: str, entries: int) -> list[Subject]:
    folder = f"{folder}/{backend}{entries}"
    Path(folder).mkdir()
    before = _resident()
    region = region_of(backend, folder, entries)
    fill(region, entries)
    taken = _resident() - before if backend == "memory" else _stored(folder)
    keys = [str(random.randrange(entries)) for _ in range(5_000)]
    places = [place_of(backend, region, key) for key in keys]
    bare = bare_reader(backend, region, folder)
    assert region.get(keys[0]) == VALUE
    assert bare(places[0])
    return [
        Subject(backend, "bare", entries, lambda: bare(random.choice(places))),
        Subject(
            backend,
            "Holdover",
            entries,
            lambda: region.get(random.choice(keys)),
            taken / entries,
        ),
    ]


def place_of(backend: str, region: Region, key: str) -> Any:
    """Where the value lies: its key in the dictionary, its path, or its row."""
    place = region._address(key)
    if backend == "file":
        return region.backend._path(place)
    return value_id(place) if backend == "SQLite" else place


def bare_reader(backend: str, region: Region, folder: str) -> Callable[[Any], object]:
    if backend == "memory":
        return region.backend._by_key.get
    if backend == "file":
        return _contents
    link = sqlite3.connect(f"{folder}/cache.db", isolation_level=None)
    cursor = link.cursor()

    def row(place: bytes) -> object:
        cursor.execute("SELECT envelope FROM holdover_cache WHERE id = ?", (place,))
        return cursor.fetchone()

    return row


def _contents(path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY)
    data = os.read(descriptor, 65_536)
    os.close(descriptor)
    return data


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _stored(folder: str) -> int:
    found = (file.lstat() for file in Path(folder).rglob("*") if file.is_file())
    return sum(one.st_blocks * 512 for one in found)


def growth(
    backends: Sequence[str], folder: str, most: int, rounds: int
) -> list[Subject]:
    sizes = sorted({10, 1_000, min(100_000, most), most})
    measured = [
        one
        for backend in backends
        for size in sizes
        for one in grown(backend, folder, size)
    ]
    measure(measured, rounds, SLICE)
    return measured


# -- requests while others are purged ------------------------------------------


@dataclass
class Felt:
    """What calls took, in microseconds, and how many entries were purged meanwhile."""

    hits: list[float] = field(default_factory=list)
    stores: list[float] = field(default_factory=list)
    purged: int = 0
    seconds: float = 0.0


def ask(region: Region, goes_on: Callable[[], bool]) -> Felt:
    """Ask for watched keys, and store every tenth, as a request would now and then."""
    felt, number = Felt(), 0
    while goes_on() or number < 20:
        number += 1
        key = f"watched {number % WATCHED}"
        if number % 10:
            felt.hits.append(_timed(partial(region.get, key)))
        else:
            felt.stores.append(_timed(partial(region.set, key, VALUE)))
        time.sleep(0.0005)  # a request does other things, too
    return felt


def _timed(call: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    call()
    return 1e6 * (time.perf_counter() - begun)


def outdate(region: Region, most: int) -> None:
    """Have so many entries in the store that have expired, and some that have not."""
    for start in range(0, most, AT_ONCE):
        some = range(start, min(start + AT_ONCE, most))
        region.backend.write_multi({f"old {n}": OUTDATED for n in some}, ttl=0.001)
    region.set_multi({f"watched {number}": VALUE for number in range(WATCHED)})


def purge_elsewhere(backend: str, folder: str, most: int, ways: Any) -> None:
    """Purge when told to; say how many there were, and what it took."""
    region = region_of(backend, folder, most)
    ways.recv()
    ways.send(purge(region))


def purge(region: Region) -> tuple[int, float]:
    begun = time.perf_counter()
    return region.backend.purge(), time.perf_counter() - begun


def felt_beside(backend: str, folder: str, most: int) -> list[Felt]:
    """What is felt without a purge, and during one."""
    Path(folder).mkdir()
    region = region_of(backend, folder, most)
    outdate(region, most)
    if backend == "memory":
        return [ask(region, _for(QUIET)), _beside_a_thread(region)]
    ours, theirs = SPAWN.Pipe()
    other = SPAWN.Process(target=purge_elsewhere, args=(backend, folder, most, theirs))
    other.start()
    quiet = ask(region, _for(QUIET))
    ours.send("now")
    busy = ask(region, lambda: not ours.poll())
    busy.purged, busy.seconds = ours.recv()
    other.join()
    return [quiet, busy]


def _beside_a_thread(region: Region) -> Felt:
    done: list[tuple[int, float]] = []
    thread = threading.Thread(target=lambda: done.append(purge(region)))
    thread.start()
    felt = ask(region, lambda: not done)
    thread.join()
    [(felt.purged, felt.seconds)] = done
    return felt


def _for(seconds: float) -> Callable[[], bool]:
    end = time.monotonic() + seconds
    return lambda: time.monotonic() < end


# -- stores in a full store ----------------------------------------------------


def felt_when_full(backend: str, folder: str, most: int) -> tuple[list[float], float]:
    """What stores take beyond the bound, in microseconds; and the part that is left."""
    bound = {"max_entries": most} if backend == "memory" else {"path": folder}
    if backend == "file":
        bound["max_bytes"] = most * SMALL
    made = make_region("full").configure(f"holdover.{backend}", 3600, bound).backend
    for number in range(most):
        made.write(f"old {number}", bytes(SMALL), ttl=3600)
    took = [
        _timed(partial(made.write, f"new {number}", bytes(SMALL), ttl=3600))
        for number in range(BEYOND)
    ]
    if backend == "memory":
        return took, len(made) / most
    return took, sum(made._usage.counts()) / bound["max_bytes"]


# -- tables --------------------------------------------------------------------


def show_growth(measured: list[Subject]) -> None:
    head = ("Backend", "subject", "entries", "median", "best", "bytes each")
    print("{:8} {:8} {:>9} {:>8} {:>8} {:>11}".format(*head))
    for one in measured:
        print(
            f"{one.backend:8} {one.name:8} {one.entries:>9,} {one.median:>8.1f} "
            f"{one.best:>8.1f} {one.each:>11,.0f}"
        )


def show_purges(backends: Sequence[str], folder: str, most: int) -> None:
    print(
        f"{'Backend':8} {'state':6} {'hits':>7}"
        + 2 * f" {'p50':>9} {'p99':>9} {'max':>9}"
        + f" {'purged':>9} {'s':>6}"
    )
    for backend in backends:
        felt = felt_beside(backend, f"{folder}/{backend} purged", most)
        show_felt(backend, felt)


def show_culls(backends: Sequence[str], folder: str, most: int) -> None:
    print(f"{'Backend':8} {'entries':>9} {'p50':>9} {'p99':>9} {'max':>9} {'full':>6}")
    for backend in backends:
        if backend != "SQLite":
            took, full = felt_when_full(backend, f"{folder}/{backend} culled", most)
            numbers = " ".join(f"{number:>9.0f}" for number in _shares(took))
            print(f"{backend:8} {most:>9,} {numbers} {full:>6.1%}")


def show_felt(backend: str, felt: list[Felt]) -> None:
    for name, one in zip(("quiet", "purge"), felt, strict=True):
        shares = (_shares(one.hits), _shares(one.stores))
        numbers = " ".join(f"{number:>9.0f}" for share in shares for number in share)
        print(f"{backend:8} {name:6} {len(one.hits):>7} {numbers} {one.purged:>9,}"
              f" {one.seconds:>6.1f}")  # fmt: skip


def _shares(times: list[float]) -> list[float]:
    """The median, the 99th percentile and the longest."""
    ordered = sorted(times)
    return [ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.99)], ordered[-1]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--most", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only", choices=["growth", "purge", "cull"])
    parser.add_argument("--backend", choices=BACKENDS, action="append")
    options = parser.parse_args()
    backends = options.backend or BACKENDS
    with tempfile.TemporaryDirectory(prefix="holdover-growth-") as folder:
        wanted = [options.only] if options.only else ["growth", "purge", "cull"]
        if "growth" in wanted:
            show_growth(growth(backends, folder, options.most, options.rounds))
        if "purge" in wanted:
            show_purges(backends, folder, options.most)
        if "cull" in wanted:
            show_culls(backends, folder, options.most)
    return 0


if __name__ == "__main__":
    sys.exit(main())
