"""Removing the rows of `holdover.sql` that are past their ttl: a few at a time."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from contextlib import suppress

from holdover.regions.backends.sql_link import Link
from holdover.regions.backends.sql_records import MOST_ROWS
from holdover.regions.backends.sql_statements import Statements
from holdover.regions.errors import BackendError
from holdover.regions.forks import renew_after_fork

log = logging.getLogger("holdover")

WRITES = 500  # after so many, this process looks for what is past its ttl
_MOST_BATCHES = 4  # then: more rows than were written, so that the table stays small


class Purger:
    """Purges when asked to, and now and then by itself, in a thread behind the writers.

    Args:
        link: The way to the database.
        words: What to say to it.
    """

    def __init__(self, link: Link, words: Statements) -> None:
        self._link = link
        self._words = words
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Begin to count anew; the parent's thread is not here."""
        self._writes = 0
        self._at_work = threading.Lock()

    def purge(self, *, most: int | None = None) -> int:
        """Remove rows until none is left that is past its ttl, or *most* batches.

        Returns:
            How many values were removed.

        Raises:
            BackendError: The database could not do it.
        """
        purged = 0
        for _ in itertools.count() if most is None else range(most):
            begun = time.perf_counter()
            dead = self._words.dead
            rows = self._link.fetch_all(dead.sql, (MOST_ROWS,))
            if not rows:
                break
            ids = sorted(
                bytes(row[0]) for row in rows
            )  # one order for all: no deadlock
            purged += self._link.execute(*self._words.remove_dead_values(ids))
            self._link.execute(*self._words.remove_dead_rows(ids))
            if self._link.is_local:
                # Writers ask for the one lock now and then: leave it to them for as
                # long as it was held. Without that one waited for 34 ms.
                time.sleep(time.perf_counter() - begun)
        return purged

    def count_writes(self, count: int) -> None:
        """Take note of *count* writes; the writer waits for nothing."""
        self._writes += count  # that a race loses some does no harm
        if self._writes < WRITES or self._at_work.locked():
            return
        self._writes = 0
        with suppress(RuntimeError):  # no more threads, or the interpreter is ending
            # A new one each time: its connection is closed when it ends.
            threading.Thread(
                target=self._purge_some, name="holdover-purging", daemon=True
            ).start()

    def _purge_some(self) -> None:
        # Taken here, so that nothing from outside can part taking from giving back.
        at_work = self._at_work  # which a fork replaces
        if not at_work.acquire(blocking=False):
            return
        try:
            self.purge(most=_MOST_BATCHES)
        except BackendError as error:  # nobody's write fails for it
            log.warning("purging: %s", error)
        finally:
            at_work.release()
