"""The least that a hit could cost: Python, the operating system and a bare socket."""

from __future__ import annotations

import dbm
import functools
import os
import pickle
import socket
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from peers.subject import KEYS, VALUE, Call, Maker, Place, hit


def memory(place: Place, make: Maker) -> Call:
    """Look into a dictionary."""
    values = {(1, 2, "abcdefgh"): make()}
    return lambda: values[1, 2, "abcdefgh"]


def many_memory(place: Place, make: Maker) -> Call:
    """Look into it a hundred times."""
    values = dict.fromkeys(KEYS, VALUE)
    return lambda: [values[key] for key in KEYS]


def lru_cache(place: Place, make: Maker) -> Call:
    """Call what the standard library's decorator gives, which knows no lifetime."""
    return hit(functools.lru_cache(make.price))


def file(place: Place, make: Maker) -> Call:
    """Open, read and close one file."""
    path = str(Path(place.folder, "floor"))
    data = pickle.dumps(make())
    Path(path).write_bytes(data)
    room = len(data) + 1

    def read() -> Any:
        descriptor = os.open(path, os.O_RDONLY)
        data = os.read(descriptor, room)
        os.close(descriptor)
        return pickle.loads(data)

    return read


def dbm_file(place: Place, make: Maker) -> Call:
    """Open, read and close, as whoever shares a dbm file must."""
    path = str(Path(place.folder, "floor.dbm"))
    with dbm.open(path, "c") as database:
        database[b"floor"] = pickle.dumps(make())

    def read() -> Any:
        with dbm.open(path, "r") as database:
            return pickle.loads(database[b"floor"])

    return read


def sqlite(place: Place, make: Maker) -> Call:
    """Ask as cheaply as SQLite can be asked for one value."""
    link = sqlite3.connect(Path(place.folder, "floor.db"), isolation_level=None)
    link.execute("PRAGMA journal_mode = WAL")
    link.execute("PRAGMA mmap_size = 67108864")
    link.execute("CREATE TABLE t (k BLOB PRIMARY KEY, v BLOB) WITHOUT ROWID")
    link.execute("INSERT INTO t VALUES (?, ?)", (b"floor", pickle.dumps(make())))
    cursor = link.cursor()

    def read() -> Any:
        cursor.execute("SELECT v FROM t WHERE k = ?", (b"floor",))
        return pickle.loads(cursor.fetchone()[0])

    return read


def redis(place: Place, make: Maker) -> Call:
    """Send a request that is ready over a bare socket."""
    key, data = place.name.encode(), pickle.dumps(make())
    link = connected(place.url.removeprefix("redis://").partition("/")[0])
    link.sendall(
        b"*3\r\n$3\r\nSET\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n"
        % (len(key), key, len(data), data)
    )
    assert link.recv(100) == b"+OK\r\n"
    head = len(b"$%d\r\n" % len(data))
    return asking(
        link,
        b"*2\r\n$3\r\nGET\r\n$%d\r\n%b\r\n" % (len(key), key),
        head + len(data) + 2,
        head,
    )


def memcached(place: Place, make: Maker) -> Call:
    """Send a request that is ready over a bare socket."""
    key, data = place.name.encode(), pickle.dumps(make())
    link = connected(place.url)
    link.sendall(b"set %b 0 0 %d\r\n%b\r\n" % (key, len(data), data))
    assert link.recv(100) == b"STORED\r\n"
    head = len(b"VALUE %b 0 %d\r\n" % (key, len(data)))
    return asking(link, b"get %b\r\n" % key, head + len(data) + 7, head)


def connected(address: str) -> socket.socket:
    """Give a socket that is connected, and does not wait for more to send."""
    host, port = address.split(":")
    link = socket.create_connection((host, int(port)))
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return link


def asking(
    link: socket.socket, request: bytes, length: int, head: int
) -> Callable[[], Any]:
    """Give a function that sends a request, and gets an answer of so many bytes.

    Args:
        link: Whom it asks.
        request: What it sends.
        length: Of the whole answer.
        head: How much of it stands before the value.
    """
    room = max(length, 65_536)

    def read() -> Any:
        link.sendall(request)
        answer = link.recv(room)
        while len(answer) < length:
            answer += link.recv(room)
        return pickle.loads(memoryview(answer)[head:])

    return read
