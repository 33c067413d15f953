"""The least that a hit could cost, and what the bare client libraries cost."""

from __future__ import annotations

import dbm
import os
import pickle
import socket
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pymemcache
import redis
from redis.cluster import ClusterNode, RedisCluster
from sql_servers import MariaServer, PostgresServer

VALUE = {"name": "abcdefgh", "price": 12.5, "tags": ["a", "b", "c"], "id": 1234567}
Call = Callable[[], object]


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


def dbm_floor(folder: Path) -> Call:
    """Open, read and close, as whoever shares a dbm file must."""
    path = str(folder / "floor.dbm")
    with dbm.open(path, "c") as database:
        database[b"floor"] = pickle.dumps(VALUE)

    def read() -> object:
        with dbm.open(path, "r") as database:
            return pickle.loads(database[b"floor"])

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


def mariadb_floor(server: MariaServer) -> Call:
    """Ask as cheaply as PyMySQL can: by one cursor."""
    cursor = server.connect().cursor()
    cursor.execute("CREATE TABLE t (k varbinary(9) PRIMARY KEY, v longblob)")
    cursor.execute("INSERT INTO t VALUES (%s, %s)", (b"floor", pickle.dumps(VALUE)))

    def read() -> object:
        cursor.execute("SELECT v FROM t WHERE k = %s", (b"floor",))
        return pickle.loads(cursor.fetchone()[0])

    return read


def cluster_client(nodes: list[ClusterNode]) -> Call:
    client = RedisCluster(startup_nodes=nodes)
    client.set("client", pickle.dumps(VALUE))
    return lambda: pickle.loads(client.get("client"))


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
