"""A Redis Cluster, for tests."""

import contextlib
from functools import partial
from pathlib import Path

from servers import RedisServer, free_port
from waiting import wait_until

from holdover.regions.backends.redis_slots import SLOTS

_NODE_TIMEOUT = "1000"  # milliseconds; after them a node counts as dead


class ClusterNode(RedisServer):
    """A node of a cluster, which it does not know yet."""

    def __init__(self, folder, *options):
        super().__init__(folder, *options)
        self.id = None

    def take_port(self):
        """Choose where to listen, to clients and to other nodes."""
        super().take_port()
        self.bus = free_port()

    def _listening(self):
        rules = ["--cluster-enabled", "yes", "--cluster-port", str(self.bus)]
        rules += ["--cluster-node-timeout", _NODE_TIMEOUT, "--cluster-config-file"]
        rules += ["nodes.conf", "--cluster-require-full-coverage", "no"]
        return [*super()._listening(), *rules, "--repl-diskless-sync-delay", "0"]


class Cluster:
    """Primaries that share the slots, each with its replicas.

    Args:
        folder: Where the nodes' working directories are put.
        primaries: How many.
        replicas: How many each of them has.
        program: What the nodes run.
        *options: More of the nodes' command lines.
    """

    def __init__(
        self, folder, *options, primaries=3, replicas=0, program="redis-server"
    ):
        self._folder = Path(folder)
        self._counts = primaries, replicas
        self._options = options
        self._program = program
        self._stack = contextlib.ExitStack()

    def __enter__(self):
        primaries, replicas = self._counts
        with self._stack:
            self.primaries = [self.add_node() for _ in range(primaries)]
            self.replicas = [self.add_node() for _ in range(primaries * replicas)]
            self._share_slots()
            self._follow()
            for node in self.nodes:
                wait_until(partial(self._is_ready, node))
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *_):
        self._stack.close()

    @property
    def nodes(self):
        """All nodes, primaries first."""
        return [*self.primaries, *self.replicas]

    @property
    def arguments(self):
        """What a backend has to be told."""
        return {"startup_nodes": [f"127.0.0.1:{one.port}" for one in self.nodes]}

    def add_node(self):
        """Start a node, which joins those that there are, without a slot."""
        number = len(list(self._folder.glob("node*")))
        folder = self._folder / f"node{number}"
        folder.mkdir()
        node = ClusterNode(folder, *self._options)
        node.program = node.package = self._program
        self._stack.enter_context(node)
        with node.client() as client:
            node.id = client.execute_command("CLUSTER", "MYID").decode()
            if number:
                client.execute_command("CLUSTER", "MEET", *self._first)
        if not number:
            self._first = ("127.0.0.1", node.port, node.bus)
        return node

    def empty(self):
        """Have all nodes forget everything."""
        for node in self.primaries:
            assert node.ask("FLUSHALL") == "+OK"

    def owner_of(self, slot):
        """Give the primary of a slot."""
        each = SLOTS / len(self.primaries)
        return self.primaries[int(slot / each)]

    def _share_slots(self):
        count = len(self.primaries)
        for number, node in enumerate(self.primaries):
            first = -(-number * SLOTS // count)
            last = -(-(number + 1) * SLOTS // count) - 1
            with node.client() as client:
                client.execute_command("CLUSTER", "ADDSLOTSRANGE", first, last)

    def _follow(self):
        for number, replica in enumerate(self.replicas):
            primary = self.primaries[number % len(self.primaries)]
            with replica.client() as client:
                knows = partial(self._knows, client, primary.id)
                wait_until(knows, "the primary")
                client.execute_command("CLUSTER", "REPLICATE", primary.id)

    def _knows(self, client, node_id):
        return node_id.encode() in client.execute_command("CLUSTER", "NODES")

    def _is_ready(self, node):
        with node.client() as client:
            told = dict(
                line.split(":", 1)
                for line in client.execute_command("CLUSTER", "INFO").decode().split()
            )
            linked = client.info()
        return (
            told["cluster_state"] == "ok"
            and told["cluster_slots_assigned"] == str(SLOTS)
            and told["cluster_known_nodes"] == str(len(self.nodes))
            and told["cluster_size"] == str(len(self.primaries))
            and linked.get("master_link_status", "up") == "up"
            and linked["role"] == ("slave" if node in self.replicas else "master")
        )
