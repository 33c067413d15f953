"""How soon waiters leave after the one creator has ended.

    python benchmarks/stampede.py [--rounds 50] [--only redis] [--json]

Cold: 32 threads of a process, or 8 processes, ask at the same moment for a value that
takes 100 ms to make. Noted is, for every waiter, the time from the creator's end to the
waiter's return; not in the first round, in which each of them connects.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import tempfile
import threading
import time
from functools import partial
from pathlib import Path

from holdover import make_region

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from servers import MemcachedServer, RedisServer
from sql_servers import PostgresServer

THREADS, PROCESSES = 32, 8
COST = 0.1
FORK = multiprocessing.get_context("fork")


def region(backend: str, arguments: dict[str, object]):
    return make_region("herd").configure(
        f"holdover.{backend}", 60, arguments, unsigned_pickle=True
    )


def threads_rounds(make, rounds: int) -> list[tuple[int, list[float]]]:
    """Stampedes of threads, which live on as a server's do.

    For each, how many creators ran, and the waiters' delays.
    """
    shared, barrier = make(), threading.Barrier(THREADS)
    ended: list[list[float]] = [[] for _ in range(rounds)]
    left: list[list[float]] = [[] for _ in range(rounds)]

    def create(number: int) -> int:
        time.sleep(COST)
        ended[number].append(time.perf_counter())
        return 1

    def ask() -> None:
        for number in range(rounds):
            barrier.wait()
            shared.get_or_create(f"k{number}", partial(create, number))
            left[number].append(time.perf_counter())

    askers = [threading.Thread(target=ask) for _ in range(THREADS)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    return [
        (len(ends), [at - ends[0] for at in leaves])
        for ends, leaves in zip(ended, left, strict=True)
    ]


def process_main(make, rounds: int, barrier, results) -> None:
    shared = make()
    for number in range(rounds):
        ended: list[float] = []

        def create(ended: list[float] = ended) -> int:
            time.sleep(COST)
            ended.append(time.monotonic())
            return 1

        barrier.wait()
        shared.get_or_create(f"key{number}", create)
        results.put((number, ended, time.monotonic()))


def processes_rounds(make, rounds: int) -> list[tuple[int, list[float]]]:
    """Stampedes of processes: for each, how many creators ran, and the delays."""
    barrier, results = FORK.Barrier(PROCESSES), FORK.Queue()
    workers = [
        FORK.Process(target=process_main, args=(make, rounds, barrier, results))
        for _ in range(PROCESSES)
    ]
    for worker in workers:
        worker.start()
    answers = [results.get() for _ in range(PROCESSES * rounds)]
    for worker in workers:
        worker.join()
    found = []
    for number in range(rounds):
        mine = [answer for answer in answers if answer[0] == number]
        ends = [end for _, ended, _ in mine for end in ended]
        found.append((len(ends), [left - ends[0] for _, _, left in mine]))
    return found


def summary(name: str, found: list[tuple[int, list[float]]]) -> dict[str, object]:
    delays = sorted(delay * 1e3 for _, some in found for delay in some)
    return {
        "stampede": name,
        "rounds": len(found),
        "creators": sum(count for count, _ in found),
        "p50_ms": round(delays[len(delays) // 2], 2),
        "p99_ms": round(delays[int(len(delays) * 0.99)], 2),
        "max_ms": round(delays[-1], 2),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--only", default="", help="part of a backend's name")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    rows = []
    with (
        tempfile.TemporaryDirectory() as folder,
        RedisServer(folder) as redis,
        MemcachedServer() as memcached,
        PostgresServer() as postgres,
    ):
        makers = {
            "memory": partial(region, "memory", {}),
            "file": partial(region, "file", {"path": f"{folder}/files"}),
            "SQLite": partial(region, "sql", {"url": f"sqlite:///{folder}/herd.db"}),
            "memcached": partial(region, "memcached", {"url": memcached.url}),
            "Redis": partial(region, "redis", {"url": redis.url}),
            "PostgreSQL": partial(
                region, "sql", {"url": postgres.url, "create_table": True}
            ),
        }
        makers = {
            name: make
            for name, make in makers.items()
            if options.only.lower() in name.lower()
        }
        for backend, make in makers.items():
            found = threads_rounds(make, options.rounds + 1)[1:]
            rows.append(summary(f"{backend}, {THREADS} threads", found))
        for backend, make in makers.items():
            if backend != "memory":
                found = processes_rounds(make, options.rounds + 1)[1:]
                rows.append(summary(f"{backend}, {PROCESSES} processes", found))
    for row in rows:
        print(
            json.dumps(row)
            if options.json
            else "  ".join(f"{k}: {v}" for k, v in row.items())
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
