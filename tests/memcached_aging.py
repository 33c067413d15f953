"""Time for tests of backends whose server judges by a clock of its own."""

import math
import threading
import time
from urllib.parse import unquote

from holdover.testing import FakeClock


class AgingServers(FakeClock):
    """A clock that moves, and makes what memcached servers keep older by as much.

    Their clocks tick in seconds, so that a ttl is rounded up before they are told; what
    is left of it is rounded down here.

    Args:
        servers: The servers.
    """

    def __init__(self, servers):
        super().__init__()
        self._servers = servers
        self._aging = threading.Lock()  # a server makes one listing at a time
        self._owed = 0.0  # what has passed and was not told; below 0 if more was
        self._told_at = time.monotonic()

    def advance(self, seconds):
        """Let seconds pass, and shorten the remaining time of whatever has one."""
        super().advance(seconds)
        with self._aging:
            # Their clocks have gone on by themselves: on a busy machine, by seconds.
            now = time.monotonic()
            self._owed += seconds - (now - self._told_at)
            self._told_at = now
            whole = math.ceil(self._owed)
            self._owed -= whole
            for server in self._servers:
                _age(server, whole)


def _age(server, seconds):
    stats = dict(line.split()[1:3] for line in server.ask("stats", b"END\r\n")[:-1])
    left = {
        name: expires_at - int(stats["time"]) - seconds
        for name, expires_at in _expiring(server).items()
    }
    for name, rest in left.items():
        server.ask(f"touch {name} {rest if rest > 0 else -1}")


def _expiring(server):
    """Give the names of the items that expire, and when they do."""
    found = {}
    for line in server.ask("lru_crawler metadump all", b"END\r\n")[:-1]:
        item = dict(word.split("=", 1) for word in line.split())
        if item["exp"] != "-1":
            found[unquote(item["key"])] = int(item["exp"])
    return found
