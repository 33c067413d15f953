"""A part of the port that only some backends have: telling of changes as they happen.

It makes near caches drop early what they would drop anyway, so that nothing depends on
it: a message may come late, twice, or never.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Protocol

Change = str | Callable[[str], bool] | None
"""A key that was changed, what says of a key whether it was, or None for any key."""


class Subscription(Protocol):
    """Hears of changes, for one region in one process; used by one thread."""

    def changes(self, wait: float) -> Sequence[Change]:
        """Give what was changed since the last time, by whomever.

        Args:
            wait: Seconds that it waits at most if there is nothing to tell.

        Raises:
            BackendError: It hears no more.
        """

    def probe(self) -> Sequence[Change]:
        """See that the server is still there, within a bounded time; else as `changes`.

        Raises:
            BackendError: It is not, or hears no more.
        """

    def close(self) -> None:
        """End it; raises nothing."""


class Pushing(ABC):
    """A backend that tells of changes as they happen, if it declares that it does."""

    @abstractmethod
    def subscribe(self, region: str, prefix: str) -> Subscription:
        """Begin to hear of changes: all that come after this has returned.

        Args:
            region: The region; its clock's changes are changes of any key.
            prefix: What its keys begin with.

        Raises:
            BackendError: The server cannot be reached, or does not allow it.
        """
