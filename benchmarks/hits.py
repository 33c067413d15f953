"""What a hit of a decorated function costs: ours, dogpile.cache's, and the floor.

    python benchmarks/hits.py [--rounds 21] [--json]

All subjects run interleaved in one process: each round times every subject for a few
milliseconds, in shuffled order, so that a change in the machine's speed meets all of
them alike. Read the ratios. "best" is the fastest round, "median" the middle one.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from dogpile.cache import make_region as dogpile_region
from dogpile.cache.util import sha1_mangle_key
from redis.cluster import ClusterNode

from holdover import make_region

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from floors import (
    VALUE,
    Call,
    cluster_client,
    dbm_floor,
    file_floor,
    mariadb_floor,
    memcached_client,
    memcached_floor,
    memory_floor,
    postgres_floor,
    redis_client,
    redis_floor,
    sqlite_floor,
)
from interleaved import Timed, measure
from redis_clusters import Cluster
from redis_sentinels import SERVICE, SentinelGroup
from servers import MemcachedServer, RedisServer
from sql_servers import MariaServer, PostgresServer

SLICE = 0.01  # seconds per subject and round
LIMIT = 0.5  # of dogpile.cache's cost, for each backend
NEAR_LIMIT = 1.1  # of the cost of a hit of holdover.memory, for a near hit
NEAR = {"near_ttl": 3600.0}


@dataclass
class Subject(Timed):
    name: str
    backend: str
    call: Call
    times: list[float] = field(default_factory=list)


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


def databases(folder: Path, server: PostgresServer) -> list[Subject]:
    sqlite = ours("sql", url=f"sqlite:///{folder}/holdover.db")
    postgres = ours("sql", url=server.url, create_table=True)
    return [
        Subject("floor", "sqlite", sqlite_floor(folder)),
        Subject("holdover", "sqlite", sqlite),
        Subject("floor", "postgres", postgres_floor(server)),
        Subject("holdover", "postgres", postgres),
    ]


def mariadb(server: MariaServer) -> list[Subject]:
    stored = ours("sql", url=server.url, create_table=True)
    return [
        Subject("floor", "mariadb", mariadb_floor(server)),
        Subject("holdover", "mariadb", stored),
    ]


def families(cluster: Cluster, group: SentinelGroup) -> list[Subject]:
    [node] = cluster.primaries
    places = cluster.arguments["startup_nodes"]
    own = [ClusterNode("127.0.0.1", node.port)]
    sentinels = [("127.0.0.1", one.port) for one in group.sentinels]
    known = {"sentinels": sentinels, "service_name": SERVICE}
    return [
        Subject("floor", "cluster", redis_floor(node.url)),
        Subject("redis-py", "cluster", cluster_client(own)),
        Subject("holdover", "cluster", ours("redis_cluster", startup_nodes=places)),
        Subject("floor", "sentinel", redis_floor(group.master.url)),
        Subject("redis-py", "sentinel", redis_client(group.master.url)),
        Subject("holdover", "sentinel", ours("redis_sentinel", **group.arguments)),
        Subject("dogpile.cache", "sentinel", dogpiles("redis_sentinel", **known)),
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
        Subject("floor", "dbm", dbm_floor(folder)),
        Subject("holdover", "dbm", ours("dbm", filename=str(folder / "ours.dbm"))),
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
        MariaServer() as maria,
        tempfile.TemporaryDirectory() as nodes,
        Cluster(nodes, primaries=1) as cluster,
        tempfile.TemporaryDirectory() as servers,
        SentinelGroup(servers, replicas=0, sentinels=1) as group,
    ):
        measured = subjects(Path(folder), server.url, memcached.url)
        measured += databases(Path(folder), postgres)
        measured += mariadb(maria)
        measured += families(cluster, group)
        for subject in measured:
            assert subject.call() == VALUE, subject
        measure(measured, options.rounds, SLICE)
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
