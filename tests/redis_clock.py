"""Time for tests of backends whose server judges by a clock of its own."""

from holdover.testing import FakeClock


class AgingServer(FakeClock):
    """A clock that moves, and makes what a Redis server keeps older by as much.

    Args:
        client: A connection of redis-py's to the server.
    """

    def __init__(self, client):
        super().__init__()
        self._client = client

    def advance(self, seconds):
        """Let seconds pass, and shorten the remaining time of whatever has one."""
        super().advance(seconds)
        for name in self._client.scan_iter():
            left = self._client.pttl(name)
            if left >= 0:
                self._client.pexpire(name, max(0, left - round(seconds * 1000)))
