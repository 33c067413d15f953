"""Time for tests of backends whose server judges by a clock of its own."""

from holdover.testing import FakeClock


class AgingServer(FakeClock):
    """A clock that moves, and makes what a Redis server keeps older by as much.

    Args:
        *clients: A connection of redis-py's to the server, or to each node.
    """

    def __init__(self, *clients):
        super().__init__()
        self._clients = clients

    def advance(self, seconds):
        """Let seconds pass, and shorten the remaining time of whatever has one."""
        super().advance(seconds)
        for client in self._clients:
            for name in client.scan_iter():
                left = client.pttl(name)
                if left >= 0:
                    client.pexpire(name, max(0, left - round(seconds * 1000)))
