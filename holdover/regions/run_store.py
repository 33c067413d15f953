"""What may keep the runs of schedules in place of a backend: a framework's database.

A backend moves bytes under keys. Whoever wants to list runs, search them and show them
to people needs them as what they are, and implements this port.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

from holdover.regions.values import frozen

if TYPE_CHECKING:
    from holdover.regions.runs import Run


@frozen
class KeptRun:
    """A run as it is kept.

    Attributes:
        run: The run, with ``NO_VALUE`` for its value.
        payload: Its value, encoded and signed as its region says; None if it has none.
    """

    run: Run
    payload: bytes | None


class RunStore(ABC):
    """Keeps the runs of the schedules of any number of regions.

    Whatever goes wrong in it is raised as `BackendError`: a run is carried out even if
    it cannot be kept.

    """

    @property
    def secret(self) -> str | bytes | Sequence[str | bytes] | None:
        """What signs the values of regions that have no secret of their own.

        As their ``secret`` would; None leaves them unsigned.
        """
        return None

    @abstractmethod
    def add(self, run: Run, payload: bytes | None, keep: int) -> None:
        """Keep a run; of its schedule, forget what is beyond the last *keep*.

        The newest run that has a payload and has not failed stays, however old it is.

        Args:
            run: The run, with its value, for stores that show it.
            payload: What `newest` and `runs` give back; None if there is no value.
            keep: How many runs are kept.

        Raises:
            BackendError: It could not be kept.
        """

    @abstractmethod
    def newest(self, region: str, name: str) -> bytes | None:
        """Give the payload of the newest run that has one and has not failed.

        Raises:
            BackendError: The store cannot be read.
        """

    @abstractmethod
    def runs(self, region: str, name: str) -> list[KeptRun]:
        """Give the runs of a schedule that are kept, newest first.

        Raises:
            BackendError: The store cannot be read.
        """

    @abstractmethod
    def check(self) -> None:
        """See whether runs can be kept, for ``holdover doctor``.

        Raises:
            BackendError: It says why not.
        """

    def place(self) -> str:
        """Say which of its kind it is, for people: nothing secret."""
        return ""

    def needs_this_thread(self) -> bool:
        """Say whether `add` must be called by the thread that asks.

        As in a transaction, which others would wait for. It is called in a thread of
        its own otherwise, so that a store that hangs holds nobody up.
        """
        return False
