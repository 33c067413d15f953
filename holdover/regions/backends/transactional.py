"""A part of the port that only some backends have: invalidation in a transaction.

Whoever changes his data and invalidates afterwards may die in between; whoever does it
before may be overtaken by a creator that still reads the old data. A backend in the
same database can do both at once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from holdover.regions.ticks import Reach


class Transactional(ABC):
    """A backend whose removals can be part of a caller's transaction, if it says so.

    From the call to the end of the transaction, nobody wins a lease of the keys, and
    others go on reading what is there. If it is committed, this is the moment from
    which no value is read whose creator started earlier; if it is rolled back, nothing
    has happened. *connection* is what the database's library calls so. Whatever it
    raises is raised unchanged, since what to do about it is up to the transaction's
    owner.
    """

    @abstractmethod
    def remove_within(self, connection: Any, keys: Sequence[str]) -> bool:
        """Remove values as `Backend.remove_multi` does, once the caller commits.

        Raises:
            InvalidArgument: *connection* is none, or one to another kind of database.
        """

    @abstractmethod
    def advance_within(
        self,
        connection: Any,
        region: str,
        *,
        hard: bool,
        reaches: Sequence[Reach] = (),
    ) -> None:
        """Invalidate as `Backend.advance` does, once the caller commits.

        Raises:
            InvalidArgument: *connection* is none, or one to another kind of database.
        """
