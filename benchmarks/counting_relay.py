"""A relay before a Redis server, which counts what is asked of the server."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from holdover.testing import ToxicProxy

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


class CountingRelay(ToxicProxy):
    """Hands everything on, both ways, between its clients and a server.

    Args:
        port: Where the server listens, on this host.
    """

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.url = f"redis://{self.address}/0"
        self.requests = self._pass_whole
        self._counting = threading.Lock()  # guards what follows
        self._sent = Sent()

    def count(self, request: bytes) -> None:
        """Count one request, which may be of several commands."""
        commands = command_names(request)
        with self._counting:
            self._sent.trips += 1
            self._sent.commands.update(commands)

    def reset(self) -> Sent:
        """Give what was counted since the last time."""
        with self._counting:
            sent, self._sent = self._sent, Sent()
            return sent

    def _pass_whole(self, stream, data: bytes) -> Iterable[bytes]:
        """Wait until the client waits: a pipeline may come in many pieces."""
        request = stream.notes.pop(self, b"") + data
        stream.wait(_QUIET)
        while more := stream.rest():
            request += more
            stream.wait(_QUIET)
        if command_names(request):
            self.count(request)
            yield request
        else:
            stream.notes[self] = request


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
