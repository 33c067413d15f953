"""What each connection to a SQLite database is told before it is used."""

from __future__ import annotations

import time
from typing import Any

_MMAP_BYTES = 64 << 20
_PAUSE = 0.002  # seconds between two tries


def settle_sqlite(dialect: Any, connection: Any, timeout: float) -> Any:
    """Prepare a driver's new connection; give the cursor to work with."""
    cursor = connection.cursor()
    for pragma in (
        f"busy_timeout = {round(timeout * 1000)}",  # of an engine that has its own
        "journal_mode = WAL",
        "synchronous = NORMAL",
        f"mmap_size = {_MMAP_BYTES}",
    ):
        set_pragma(cursor, pragma, dialect.loaded_dbapi.OperationalError, timeout)
    return cursor


def set_pragma(
    cursor: Any, pragma: str, failure: type[Exception], timeout: float
) -> None:
    """Set one; again, if others set it at the same moment.

    Of several who are the first to open a database, SQLite tells some at once that it
    is locked, however long they are ready to wait.
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            cursor.execute(f"PRAGMA {pragma}")
            cursor.fetchall()
        except failure as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE)
        else:
            return
