"""Database connections of threads that nobody else clears up after.

Threads of Holdover's call `close_connections` after each piece of work. A queue's
worker, whoever started it, gets `CONNECTIONS` with its order. A page is made anew by a
request, with the signals by which Django does the same.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.db import close_old_connections, connections

from holdover import OrderContext


def close_connections() -> None:
    """Close this thread's database connections, after work in a thread of Holdover's.

    All of them, whatever CONN_MAX_AGE says: the thread ends, or waits for its next work
    for who knows how long, and an open connection waits in the database meanwhile.
    """
    connections.close_all()


def _this_thread() -> dict[str, Any]:
    return {"ordered_in": f"{os.getpid()}-{threading.get_ident()}"}


@contextmanager
def _fresh_connections(captured: Mapping[str, Any]) -> Iterator[None]:
    """Carry an order out with connections that work, and leave no old one behind."""
    if captured == _this_thread():  # of an eager queue: its connections are in use
        yield
        return
    close_old_connections()
    try:
        yield
    finally:
        close_old_connections()


CONNECTIONS = OrderContext(_this_thread, _fresh_connections)
