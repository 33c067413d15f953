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
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from peers.subject import VALUE, Call, Maker, Place
from peers.subjects import of_dogpile, of_holdover
from servers import MemcachedServer, RedisServer

SPAWN = multiprocessing.get_context("spawn")
SHORT = 0.0005  # seconds
STATES = ("alone", "beside", "beside, 0.5 ms")
Builder = Callable[[Place, Maker], Call]
SUBJECTS: dict[tuple[str, str], Builder] = {
    ("memory", "Holdover"): of_holdover.memory,
    ("memory", "dogpile.cache"): of_dogpile.memory,
    ("file", "Holdover"): of_holdover.file,
    ("file", "dogpile.cache"): of_dogpile.dbm_file,
    ("SQLite", "Holdover"): of_holdover.sqlite,
    ("Redis", "Holdover"): of_holdover.redis,
    ("Redis", "dogpile.cache"): of_dogpile.redis,
    ("memcached", "Holdover"): of_holdover.memcached,
    ("memcached", "dogpile.cache"): of_dogpile.memcached,
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


def felt(builder: Builder, place: Place, seconds: float, answer: Any) -> None:
    """Run in a process of its own: answer with the times in each state."""
    call = builder(place, Maker(VALUE))
    call()
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


def measured(builder: Builder, place: Place, seconds: float) -> list[list[float]]:
    answer, theirs = SPAWN.Pipe()
    process = SPAWN.Process(target=felt, args=(builder, place, seconds, theirs))
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
        urls = {"Redis": redis.url, "memcached": memcached.url}
        for number, ((store, whose), builder) in enumerate(SUBJECTS.items()):
            own = Path(folder, str(number))
            own.mkdir()
            place = Place(str(own), urls.get(store, ""), name=f"convoy{number}")
            found = [sorted(one) for one in measured(builder, place, options.seconds)]
            shares = "".join(
                f"{one[len(one) // 2]:>20.1f}{one[len(one) * 99 // 100]:>9.0f}"
                for one in found
            )
            print(f"{store:10}{whose:14}{shares}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
