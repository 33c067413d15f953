"""Bare PyMySQL."""

from __future__ import annotations

import pickle
from typing import Any

import pymysql

from peers.subject import Call, Maker, Place


def mariadb(place: Place, make: Maker) -> Call:
    """Ask as cheaply as PyMySQL can: by one cursor."""
    cursor = pymysql.connect(**place.known, autocommit=True).cursor()
    cursor.execute("CREATE TABLE t (k varbinary(9) PRIMARY KEY, v longblob)")
    cursor.execute("INSERT INTO t VALUES (%s, %s)", (b"floor", pickle.dumps(make())))

    def read() -> Any:
        cursor.execute("SELECT v FROM t WHERE k = %s", (b"floor",))
        return pickle.loads(cursor.fetchone()[0])

    return read
