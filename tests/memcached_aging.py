"""Time for tests of backends whose server judges by a clock of its own."""

import math
import threading
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
        self._servers = [_Aging(server) for server in servers]
        self._lock = threading.Lock()  # a server makes one listing at a time

    def advance(self, seconds):
        """Let seconds pass, and shorten the remaining time of whatever has one."""
        super().advance(seconds)
        with self._lock:
            for server in self._servers:
                server.age(seconds)


class _Aging:
    """One server, whose own clock goes on: on a busy machine, by seconds."""

    def __init__(self, server):
        self._server = server
        self._told_at = self._now()
        self._owed = {}  # what has passed for items and was not told

    def age(self, seconds):
        """Let seconds pass for each item, less those that its server has seen."""
        now, items = self._now(), self._expiring()
        owed = {}
        for name, (expires_at, stored_at) in items.items():
            known = self._owed.get(name, 0.0) if stored_at <= self._told_at else 0.0
            seen = now - max(stored_at, self._told_at)
            owed[name] = known + seconds - seen
            whole = math.ceil(owed[name])
            owed[name] -= whole
            rest = expires_at - now - whole
            self._server.ask(f"touch {name} {rest if rest > 0 else -1}")
        self._told_at, self._owed = now, owed

    def _now(self):
        stats = self._server.ask("stats", b"END\r\n")[:-1]
        return int(dict(line.split()[1:3] for line in stats)["time"])

    def _expiring(self):
        """Give the names of the items that expire, when they do, and were stored.

        The crawler passes by those that are locked at that moment, by whatever thread.
        """
        return self._listed() | self._listed() | self._listed()

    def _listed(self):
        found = {}
        for line in self._server.ask("lru_crawler metadump all", b"END\r\n")[:-1]:
            item = dict(word.split("=", 1) for word in line.split())
            if item["exp"] != "-1":  # the time of an access is kept once a minute
                found[unquote(item["key"])] = int(item["exp"]), int(item["la"])
        return found
