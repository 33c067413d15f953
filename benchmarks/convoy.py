"""What hits cost beside a thread that only computes.

    python benchmarks/convoy.py [--seconds 5]

Whoever asks the operating system for something lets other threads run meanwhile, and
one that computes gives the interpreter back after ``sys.getswitchinterval()`` only:
5 ms unless told otherwise. Each call that asks it twice waits twice. Microseconds of a
hit of a decorated function: alone, beside such a thread, and beside it with a switch
interval of 0.5 ms; ours and dogpile.cache's, each in a process of its own.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from floors import Call
from hits import dogpiles, ours
from servers import MemcachedServer, RedisServer

SPAWN = multiprocessing.get_context("spawn")
SHORT = 0.0005  # seconds
STATES = ("alone", "beside", "beside, 0.5 ms")


def subjects(folder: str, redis: str, memcached: str) -> dict[tuple[str, str], Any]:
    """What makes a hit, by backend and whose it is."""
    return {
        ("memory", "Holdover"): (ours, "memory", {}),
        ("memory", "dogpile.cache"): (dogpiles, "memory", {}),
        ("file", "Holdover"): (ours, "file", {"path": f"{folder}/ours"}),
        ("file", "dogpile.cache"): (dogpiles, "dbm", {"filename": f"{folder}/theirs"}),
        ("SQLite", "Holdover"): (ours, "sql", {"url": f"sqlite:///{folder}/ours.db"}),
        ("Redis", "Holdover"): (ours, "redis", {"url": redis}),
        ("Redis", "dogpile.cache"): (dogpiles, "redis", {"url": redis}),
        ("memcached", "Holdover"): (ours, "memcached", {"url": memcached}),
        ("memcached", "dogpile.cache"): (dogpiles, "pymemcache", {"url": [memcached]}),
    }


def hits(call: Call, seconds: float) -> list[float]:
    """Ask every millisecond, as a server does; give what each call took."""
    times, end = [], time.perf_counter() + seconds
    while (begun := time.perf_counter()) < end:
        call()
        times.append(1e6 * (time.perf_counter() - begun))
        time.sleep(0.001)
    return times


def compute(over: threading.Event) -> None:
    while not over.is_set():
        sum(range(1000))


def felt(subject: Any, seconds: float, answer: Any) -> None:
    """Run in a process of its own: answer with the times in each state."""
    make, backend, arguments = subject
    call = make(backend, **arguments)
    found = [hits(call, seconds)]
    over = threading.Event()
    busy = threading.Thread(target=compute, args=(over,))
    busy.start()
    try:
        found.append(hits(call, seconds))
        sys.setswitchinterval(SHORT)
        found.append(hits(call, seconds))
    finally:
        over.set()
        busy.join()
    answer.send(found)


def measured(subject: Any, seconds: float) -> list[list[float]]:
    answer, theirs = SPAWN.Pipe()
    process = SPAWN.Process(target=felt, args=(subject, seconds, theirs))
    process.start()
    theirs.close()
    try:
        return answer.recv()
    finally:
        process.join()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=5.0)
    options = parser.parse_args()
    head = "".join(f"{state + ', p50':>20}{'p99':>9}" for state in STATES)
    print(f"{'Backend':10}{'whose':14}{head}")
    with (
        tempfile.TemporaryDirectory() as folder,
        RedisServer(folder) as redis,
        MemcachedServer() as memcached,
    ):
        known = subjects(folder, redis.url, memcached.url)
        for (backend, whose), subject in known.items():
            found = [sorted(one) for one in measured(subject, options.seconds)]
            shares = "".join(
                f"{one[len(one) // 2]:>20.1f}{one[len(one) * 99 // 100]:>9.0f}"
                for one in found
            )
            print(f"{backend:10}{whose:14}{shares}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
