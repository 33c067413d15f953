"""Time for tests of backends whose server judges by a clock of its own."""


class AgingServer:
    """Stands for a clock that moves: makes what a Redis server keeps older.

    Args:
        client: A connection of redis-py's to the server.
    """

    def __init__(self, client):
        self._client = client

    def advance(self, seconds):
        """Shorten the remaining time of whatever has one."""
        for name in self._client.scan_iter():
            left = self._client.pttl(name)
            if left >= 0:
                self._client.pexpire(name, max(0, left - round(seconds * 1000)))
