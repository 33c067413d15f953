"""A part of the port that only backends in this process's memory have."""

from __future__ import annotations

from abc import ABC, abstractmethod

from holdover.regions.at_hand import Place
from holdover.regions.backends.grants import Stored
from holdover.regions.slots import Slot


class InProcess(ABC):
    """A backend whose entries a decorated function may have at hand."""

    @abstractmethod
    def stamped(self, region: str) -> Place | None:
        """Give what has another stamp whenever something of *region* is invalidated.

        None if it has to be asked each time.
        """

    @abstractmethod
    def slot_of(self, key: str) -> Slot[Stored] | None:
        """Give the slot of *key*, if there is one."""
