"""A master with replicas and sentinels, for tests."""

import contextlib
from functools import partial
from pathlib import Path

from servers import RedisServer
from waiting import wait_until

SERVICE = "holdover"
_AT_ONCE = ["--repl-diskless-sync-delay", "0"]  # a replica need not wait for others


class SentinelServer(RedisServer):
    """A sentinel that watches one master.

    Args:
        folder: Its working directory.
        master: The server that it watches.
        quorum: How many sentinels must agree that the master is gone.
        patience: Seconds without an answer after which it is.
    """

    def __init__(self, folder, master, quorum, patience):
        super().__init__(folder)
        self._rules = [
            f"sentinel monitor {SERVICE} 127.0.0.1 {master.port} {quorum}",
            f"sentinel down-after-milliseconds {SERVICE} {round(1000 * patience)}",
            f"sentinel failover-timeout {SERVICE} 3000",
        ]

    def _listening(self):
        path = Path(self._folder) / "sentinel.conf"
        path.write_text("\n".join([f"port {self.port}", *self._rules, ""]))
        return [str(path), "--sentinel"]

    def knows(self, what, count):
        """Say whether it has found so many others ("num-slaves" and the like)."""
        with self.client() as client:
            return client.sentinel_master(SERVICE)[what] >= count


class SentinelGroup:
    """A master, its replicas, and sentinels that watch it.

    Args:
        folder: Where their working directories are put.
        replicas: How many replicas.
        sentinels: How many sentinels.
        program: What all of them run.
        patience: Seconds without an answer after which a master is gone.
    """

    def __init__(
        self, folder, *, replicas, sentinels, program="redis-server", patience=0.5
    ):
        self._patience = patience
        self._program = program
        self._folder = Path(folder)
        self._counts = replicas, sentinels
        self._stack = contextlib.ExitStack()

    def __enter__(self):
        replicas, sentinels = self._counts
        with self._stack:
            self.master = self._started(RedisServer, "master", *_AT_ONCE)
            of = ["--replicaof", f"127.0.0.1 {self.master.port}", *_AT_ONCE]
            self.replicas = [
                self._started(RedisServer, f"replica{n}", *of) for n in range(replicas)
            ]
            self.sentinels = [
                self._started(
                    SentinelServer,
                    f"sentinel{n}",
                    self.master,
                    sentinels // 2 + 1,
                    self._patience,
                )
                for n in range(sentinels)
            ]
            self._wait_until_ready()
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *_):
        self._stack.close()

    @property
    def arguments(self):
        """What a backend has to be told."""
        places = [f"127.0.0.1:{one.port}" for one in self.sentinels]
        return {"sentinels": places, "service_name": SERVICE}

    def _started(self, kind, name, *args):
        folder = self._folder / name
        folder.mkdir()
        server = kind(folder, *args)
        server.program = server.package = self._program
        return self._stack.enter_context(server)

    def _wait_until_ready(self):
        for replica in self.replicas:
            with replica.client() as client:
                wait_until(lambda: client.info()["master_link_status"] == "up")
        others = len(self.sentinels) - 1
        for one in self.sentinels:
            wait_until(partial(one.knows, "num-slaves", len(self.replicas)))
            wait_until(partial(one.knows, "num-other-sentinels", others))
