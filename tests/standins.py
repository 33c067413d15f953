"""Stand-ins for what a region works with: an unserved queue, a verb that fails."""

import json
import threading

from holdover.errors import BackendError


def broken(*_, **__):
    """Stand for a verb of a backend that cannot be reached."""
    raise BackendError("away")


class UnservedQueue:
    """A runner that keeps its orders, as they come out of JSON.

    Args:
        leaves_process: Whether it says that its worker is another process.
    """

    name = "unserved"
    takes_orders = True
    modules = ()

    def __init__(self, *, leaves_process=False):
        self.leaves_process = leaves_process
        self.messages = []
        self.arrived = threading.Event()

    def bind(self, execute):
        """Nothing to keep: no order is carried out."""

    def submit(self, job):
        """Keep the message."""
        self.messages.append(json.loads(json.dumps(job.order.to_message())))
        self.arrived.set()
