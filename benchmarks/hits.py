"""What a hit of a decorated function costs: ours, dogpile.cache's, and the floor.

    python benchmarks/hits.py [--rounds 21] [--json]

All subjects run interleaved in one process: each round times every subject for a few
milliseconds, in shuffled order, so that a change in the machine's speed meets all of
them alike. Read the ratios. "best" is the fastest round, "median" the middle one.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import random
import socket
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pymemcache
import redis
from dogpile.cache import make_region as dogpile_region
from dogpile.cache.util import sha1_mangle_key

from holdover import make_region

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from servers import MemcachedServer, RedisServer
from sql_servers import PostgresServer

VALUE = {"name": "abcdefgh", "price": 12.5, "tags": ["a", "b", "c"], "id": 1234567}
SLICE = 0.01  # seconds per subject and round
LIMIT = 0.5  # of dogpile.cache's cost, for each backend
NEAR_LIMIT = 1.1  # of the cost of a hit of holdover.memory, for a near hit
NEAR = {"near_ttl": 3600.0}

Call = Callable[[], object]


@dataclass
class Subject:
    name: str
    backend: str
    call: Call
    times: list[float] = field(default_factory=list)

    @property
    def best(self) -> float:
        return min(self.times)

    @property
    def median(self) -> float:
        return statistics.median(self.times)


def decorated(region) -> Call:
    @region.cache_on_arguments()
    def price(article, shop, name="x"):
        return VALUE

    price(1, 2, "abcdefgh")
    return lambda: price(1, 2, "abcdefgh")


def ours(backend: str, settings: dict[str, float] | None = None, **arguments) -> Call:
    region = make_region("bench")
    return decorated(
        region.configure(
            f"holdover.{backend}",
            3600,
            arguments,
            unsigned_pickle=True,
            **(settings or {}),
        )
    )


def dogpiles(backend: str, **arguments) -> Call:
    # memcached refuses the spaces of its keys.
    mangler = sha1_mangle_key if backend == "pymemcache" else None
    region = dogpile_region(key_mangler=mangler)
    return decorated(
        region.configure(f"dogpile.cache.{backend}", 3600, arguments=arguments)
    )


def memory_floor() -> Call:
    values = {(1, 2, "abcdefgh"): VALUE}
    return lambda: values[1, 2, "abcdefgh"]


def file_floor(folder: Path) -> Call:
    path = str(folder / "floor")
    Path(path).write_bytes(pickle.dumps(VALUE))

    def read() -> object:
        descriptor = os.open(path, os.O_RDONLY)
        data = os.read(descriptor, 65_536)
        os.close(descriptor)
        return pickle.loads(data)

    return read


def redis_floor(url: str) -> Call:
    """Ask as cheaply as redis-py can: by one connection, without its client."""
    pool = redis.Redis.from_url(url, protocol=2).connection_pool
    connection = pool.connection_class(**pool.connection_kwargs)
    connection.send_command("SET", "floor", pickle.dumps(VALUE))
    connection.read_response()

    def read() -> object:
        connection.send_command("GET", "floor")
        return pickle.loads(connection.read_response(disable_decoding=True))

    return read


def sqlite_floor(folder: Path) -> Call:
    """Ask as cheaply as SQLite can be asked for one value."""
    link = sqlite3.connect(folder / "floor.db", isolation_level=None)
    link.execute("PRAGMA journal_mode = WAL")
    link.execute("PRAGMA mmap_size = 67108864")
    link.execute("CREATE TABLE t (k BLOB PRIMARY KEY, v BLOB) WITHOUT ROWID")
    link.execute("INSERT INTO t VALUES (?, ?)", (b"floor", pickle.dumps(VALUE)))
    cursor = link.cursor()

    def read() -> object:
        cursor.execute("SELECT v FROM t WHERE k = ?", (b"floor",))
        return pickle.loads(cursor.fetchone()[0])

    return read


def postgres_floor(server: PostgresServer) -> Call:
    """Ask as cheaply as psycopg can: prepared, binary, by one cursor."""
    cursor = server.connect().cursor(binary=True)
    cursor.execute("CREATE TABLE t (k bytea PRIMARY KEY, v bytea)")
    cursor.execute("INSERT INTO t VALUES (%s, %s)", (b"floor", pickle.dumps(VALUE)))

    def read() -> object:
        cursor.execute("SELECT v FROM t WHERE k = %s", (b"floor",))
        return pickle.loads(cursor.fetchone()[0])

    return read


def redis_client(url: str) -> Call:
    client = redis.Redis.from_url(url)
    client.set("client", pickle.dumps(VALUE))
    return lambda: pickle.loads(client.get("client"))


def memcached_floor(server: str) -> Call:
    """Ask over a bare socket, reading no more of the answer than its end."""
    host, port = server.split(":")
    link = socket.create_connection((host, int(port)))
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    data = pickle.dumps(VALUE)
    link.sendall(b"set floor 0 0 %d\r\n%b\r\n" % (len(data), data))
    link.recv(65_536)

    def read() -> object:
        link.sendall(b"get floor\r\n")
        answer = link.recv(65_536)
        return pickle.loads(answer[answer.index(b"\n") + 1 :])

    return read


def memcached_client(server: str) -> Call:
    client = pymemcache.Client(server, no_delay=True)
    client.set("client", pickle.dumps(VALUE), noreply=False)
    return lambda: pickle.loads(client.get("client"))


def databases(folder: Path, server: PostgresServer) -> list[Subject]:
    sqlite = ours("sql", url=f"sqlite:///{folder}/holdover.db")
    postgres = ours("sql", url=server.url, create_table=True)
    return [
        Subject("floor", "sqlite", sqlite_floor(folder)),
        Subject("holdover", "sqlite", sqlite),
        Subject("floor", "postgres", postgres_floor(server)),
        Subject("holdover", "postgres", postgres),
    ]


def subjects(folder: Path, url: str, server: str) -> list[Subject]:
    return [
        Subject("floor", "memory", memory_floor()),
        Subject("holdover", "memory", ours("memory")),
        Subject("dogpile.cache", "memory", dogpiles("memory")),
        Subject("floor", "file", file_floor(folder)),
        Subject("holdover", "file", ours("file", path=folder / "holdover")),
        Subject("holdover, near", "file", ours("file", NEAR, path=folder / "near")),
        Subject(
            "dogpile.cache", "file", dogpiles("dbm", filename=str(folder / "dogpile"))
        ),
        Subject("floor", "redis", redis_floor(url)),
        Subject("redis-py", "redis", redis_client(url)),
        Subject("holdover", "redis", ours("redis", url=url)),
        Subject("holdover, near", "redis", ours("redis", NEAR, url=url)),
        Subject("dogpile.cache", "redis", dogpiles("redis", url=url)),
        Subject("floor", "memcached", memcached_floor(server)),
        Subject("pymemcache", "memcached", memcached_client(server)),
        Subject("holdover", "memcached", ours("memcached", url=server)),
        Subject("dogpile.cache", "memcached", dogpiles("pymemcache", url=[server])),
    ]


def time_one(subject: Subject) -> None:
    """Time as many calls as fit into a slice, and note the microseconds of one."""
    call, count = subject.call, 0
    started = now = time.perf_counter()
    while now - started < SLICE:
        for _ in range(20):
            call()
        count += 20
        now = time.perf_counter()
    subject.times.append((now - started) / count * 1e6)


def measure(measured: list[Subject], rounds: int) -> None:
    for subject in measured:
        assert subject.call() == VALUE, subject
        time_one(subject)  # warms up
        subject.times.clear()
    for _ in range(rounds):
        for subject in random.sample(measured, len(measured)):
            time_one(subject)


def table(measured: list[Subject]) -> list[dict[str, object]]:
    by_name = {(one.backend, one.name): one for one in measured}
    rows: list[dict[str, object]] = []
    for one in measured:
        floor = by_name[one.backend, "floor"]
        peer = by_name.get((one.backend, "dogpile.cache"))  # it has no SQL
        rows.append(
            {
                "backend": one.backend,
                "subject": one.name,
                "median_us": round(one.median, 2),
                "best_us": round(one.best, 2),
                "times_floor": round(one.best / floor.best, 2),
                "of_dogpile": peer and round(one.best / peer.best, 3),
                "of_memory": round(one.best / by_name["memory", "holdover"].best, 2),
            }
        )
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        RedisServer(folder) as server,
        MemcachedServer() as memcached,
        PostgresServer() as postgres,
    ):
        measured = subjects(Path(folder), server.url, memcached.url)
        measured += databases(Path(folder), postgres)
        measure(measured, options.rounds)
    rows = table(measured)
    if options.json:
        print(json.dumps({"python": sys.version.split()[0], "rows": rows}))
    else:
        show(rows)
    costly = [
        row
        for row in rows
        if row["subject"] == "holdover" and (row["of_dogpile"] or 0) > LIMIT
    ]
    costly += [
        row
        for row in rows
        if row["subject"] == "holdover, near" and row["of_memory"] > NEAR_LIMIT
    ]
    return 1 if costly else 0


def show(rows: list[dict[str, object]]) -> None:
    head = (
        "backend",
        "subject",
        "median",
        "best",
        "x floor",
        "of dogpile",
        "of memory",
    )
    print("{:9} {:16} {:>10} {:>9} {:>8} {:>11} {:>10}".format(*head))
    for row in rows:
        print(
            f"{row['backend']:9} {row['subject']:16} {row['median_us']:>7} us "
            f"{row['best_us']:>6} us {row['times_floor']:>8} "
            f"{row['of_dogpile'] or '-':>11} {row['of_memory']:>10}"
        )


if __name__ == "__main__":
    sys.exit(main())
