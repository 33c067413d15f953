"""The process that keeps a store's server, in a temporary folder, and ends with us.

It answers the name of a store with the place; when its standard input ends, it stops
the server and removes the folder, also if whoever measures was killed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

from redis_clusters import Cluster
from redis_sentinels import SentinelGroup
from servers import MemcachedServer, RedisServer
from sql_servers import MariaServer, PostgresServer

from peers.pipes import answering, questions
from peers.subject import Place

Keeping = Callable[[str], AbstractContextManager[Place]]


@contextmanager
def no_server(folder: str) -> Iterator[Place]:
    yield Place(folder)


@contextmanager
def redis(folder: str) -> Iterator[Place]:
    with RedisServer(Path(folder)) as server:
        yield Place(folder, server.url, server=f"Redis {version_of(server)}")


@contextmanager
def memcached(folder: str) -> Iterator[Place]:
    with MemcachedServer() as server:
        said = server.ask("version")[0]
        yield Place(folder, server.url, server=said.replace("VERSION", "memcached"))


@contextmanager
def postgres(folder: str) -> Iterator[Place]:
    with PostgresServer() as server:
        [[version]] = server.run("SHOW server_version")
        yield Place(folder, server.url, server=f"PostgreSQL {version.split()[0]}")


@contextmanager
def mariadb(folder: str) -> Iterator[Place]:
    with MariaServer() as server:
        known = {"host": "127.0.0.1", "port": server.port}
        known |= {"user": "holdover", "database": "test"}
        [[version]] = server.run("SELECT version()")
        yield Place(folder, server.url, known, f"MariaDB {version.split('-')[0]}")


@contextmanager
def cluster(folder: str) -> Iterator[Place]:
    with Cluster(folder, primaries=1) as nodes:
        [node] = nodes.primaries
        yield Place(folder, node.url, nodes.arguments, f"Redis {version_of(node)}")


@contextmanager
def sentinel(folder: str) -> Iterator[Place]:
    with SentinelGroup(folder, replicas=0, sentinels=1) as group:
        own = f"Redis {version_of(group.master)}"
        yield Place(folder, group.master.url, group.arguments, own)


def version_of(server: RedisServer) -> str:
    with server.client() as client:
        return client.info("server")["redis_version"]


KEPT: dict[str, Keeping] = {
    **dict.fromkeys(("file", "dbm", "sqlite"), no_server),
    "memory": redis,  # behind what is near
    "redis": redis,
    "memcached": memcached,
    "postgres": postgres,
    "mariadb": mariadb,
    "cluster": cluster,
    "sentinel": sentinel,
}


def main() -> None:
    folder = partial(tempfile.TemporaryDirectory, prefix="holdover-bench-")
    with answering() as answer, folder() as held:
        asked = questions()
        with KEPT[next(asked)["store"]](held) as place:
            answer({"place": place.to_dict()})
            list(asked)  # until nobody can ask any more


if __name__ == "__main__":
    main()
