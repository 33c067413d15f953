"""A relay before a Redis server, which counts what is asked of the server."""

from __future__ import annotations

import select
import socket
import socketserver
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Self

_PIECE = 1 << 20
_QUIET = 0.005  # seconds: whoever sends nothing for so long, waits for an answer


@dataclass
class Sent:
    """What was sent to the server.

    Attributes:
        trips: Round trips: how often somebody waited for an answer.
        commands: How often each command was sent.
    """

    trips: int = 0
    commands: Counter[str] = field(default_factory=Counter)


class CountingRelay(socketserver.ThreadingTCPServer):
    """Hands everything on, both ways, between its clients and a server.

    Args:
        port: Where the server listens, on this host.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Client)
        self.server_port = port
        self.url = f"redis://127.0.0.1:{self.server_address[1]}/0"
        self._lock = threading.Lock()  # guards what follows
        self._sent = Sent()

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    def count(self, request: bytes) -> None:
        """Count one request, which may be of several commands."""
        commands = command_names(request)
        with self._lock:
            self._sent.trips += 1
            self._sent.commands.update(commands)

    def reset(self) -> Sent:
        """Give what was counted since the last time."""
        with self._lock:
            sent, self._sent = self._sent, Sent()
            return sent


class _Client(socketserver.BaseRequestHandler):
    server: CountingRelay

    def handle(self) -> None:
        address = ("127.0.0.1", self.server.server_port)
        client = self.request
        with socket.create_connection(address) as upstream:
            while True:
                readable, _, _ = select.select([client, upstream], [], [])
                if client in readable:
                    request = _whole_request(client)
                    if not request:
                        return
                    self.server.count(request)
                    upstream.sendall(request)
                if upstream in readable:
                    client.sendall(upstream.recv(_PIECE))


def _whole_request(client: socket.socket) -> bytes:
    """Read until the client waits: a pipeline may come in many pieces."""
    request = b""
    while piece := client.recv(_PIECE):
        request += piece
        if command_names(request) and not select.select([client], [], [], _QUIET)[0]:
            return request
    return b""  # it has left


def command_names(request: bytes) -> list[str]:
    """Name the commands of a request in the Redis protocol: arrays of texts.

    A request that is not whole gives no names.
    """
    names, at = [], 0
    try:
        while at < len(request):
            words, at = _number(request, at)
            for number in range(words):
                length, at = _number(request, at)
                if number == 0:
                    names.append(request[at : at + length].decode().upper())
                at += length + 2
    except ValueError:
        return []
    return names if at == len(request) else []


def _number(request: bytes, at: int) -> tuple[int, int]:
    """Read a line such as ``*3``; give the number, and where the next line begins."""
    end = request.index(b"\r\n", at)
    return int(request[at + 1 : end]), end + 2
