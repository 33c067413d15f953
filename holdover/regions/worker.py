"""The far end of a queue: from a message to a carried-out refresh."""

from __future__ import annotations

import logging
from typing import Protocol

from holdover.regions.errors import HoldoverError
from holdover.regions.functions import Catalogue
from holdover.regions.refresh.base import BatchOrder, Outcome, RefreshOrder, read_order

log = logging.getLogger("holdover")


class Refreshable(Protocol):
    """Something registered that an order can name."""

    def fulfil(self, order: RefreshOrder | BatchOrder, task_id: str | None) -> Outcome:
        """Carry the order out.

        Raises:
            HoldoverError: It cannot be carried out here.
        """


CATALOGUE: Catalogue[Refreshable] = Catalogue()
"""What the workers of this process may run; decorated functions register here."""


def carry_out(message: object, task_id: str | None = None) -> Outcome:
    """Carry out *message* in this process, or drop it; never raises for bad messages.

    Args:
        message: What came out of the queue.
        task_id: The queue's name for this delivery.
    """
    try:
        order = read_order(message)
        return CATALOGUE.find(order.region, order.function).fulfil(order, task_id)
    except HoldoverError as error:
        log.warning("a refresh message was dropped: %.200s", error)
        return Outcome(done=False, reason=str(error))
