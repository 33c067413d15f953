"""A wire between a client and its server that a test can damage."""

import contextlib
import itertools
import socket
import struct
import threading
import time

_PATIENCE = 20.0  # seconds


class Pieces:
    """A socket whose other end sends in pieces, and then closes."""

    def __init__(self, *pieces):
        self.pieces = list(pieces)

    def recv(self, most):
        """Give the next piece, or as much of it as is wanted."""
        if not self.pieces:
            return b""
        piece = self.pieces.pop(0)
        if len(piece) > most:
            self.pieces.insert(0, piece[most:])
        return piece[:most]

    def recv_into(self, view):
        """Do the same with room that is there already."""
        piece = self.recv(len(view))
        view[: len(piece)] = piece
        return len(piece)


def sliced(data, cuts):
    """Cut *data* at several places."""
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[a:b] for a, b in itertools.pairwise(places)]


class Wire:
    """One client's connection through the proxy."""

    def __init__(self, client, server):
        self.client = client
        self.server = server

    def close(self, *, rudely=False):
        """Close both ends; rudely, so that the client gets a reset."""
        if rudely:
            linger = struct.pack("ii", 1, 0)
            self.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        for end in (self.client, self.server):
            with contextlib.suppress(OSError):
                if not rudely:
                    end.shutdown(socket.SHUT_RDWR)
            end.close()  # though its peer may be gone already


def pass_on(wire, data):
    """Do no harm."""
    wire.client.sendall(data)


def swallow(wire, data):
    """Be a black hole."""


def cut_after(count):
    """Give the first bytes of a reply, then hang up."""

    def treat(wire, data):
        wire.client.sendall(data[:count])
        wire.close()

    return treat


def reset(wire, data):
    """Answer with a reset."""
    wire.close(rudely=True)


def slice_up(wire, data):
    """Give a reply byte by byte."""
    for number in range(len(data)):
        wire.client.sendall(data[number : number + 1])


def delayed(seconds):
    """Give every reply late."""

    def treat(wire, data):
        time.sleep(seconds)
        wire.client.sendall(data)

    return treat


def flipped(position, mask=0x01):
    """Give a reply with one bit changed."""

    def treat(wire, data):
        damaged = bytearray(data)
        damaged[position % len(data)] ^= mask
        wire.client.sendall(bytes(damaged))

    return treat


def replaced(by):
    """Give something else instead."""
    return lambda wire, data: wire.client.sendall(by)


class Swapper:
    """Give each of two clients the reply that is meant for the other."""

    def __init__(self):
        self._meeting = threading.Barrier(2, timeout=5)
        self.replies = {}

    def __call__(self, wire, data):
        """Wait for the other client's first reply, and give that."""
        if wire in self.replies:
            return wire.client.sendall(data)
        self.replies[wire] = data
        self._meeting.wait()
        other = next(one for one in self.replies if one is not wire)
        return wire.client.sendall(self.replies[other])


class Proxy:
    """Passes bytes on, and replies as ``proxy.treat(wire, data)`` does.

    What ``proxy.hold_back(data)`` returns, an event or None, is waited for before a
    request is passed on, even if whoever sent it has long gone.

    Args:
        port: Where the server listens, on this host.
    """

    def __init__(self, port):
        self.treat = pass_on
        self.hold_back = lambda data: None
        self._port = port
        self._wires = []
        self._over = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._over = True
        with contextlib.suppress(OSError):
            # Without it accept() goes on: it would take one more client.
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for wire in self._wires:
            wire.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._port))
                wire = Wire(client, server)
                self._wires.append(wire)
                if self._over:  # since it was accepted
                    wire.close()
                for way in (self._ask, self._answer):
                    threading.Thread(target=way, args=(wire,), daemon=True).start()

    def _ask(self, wire):
        with contextlib.suppress(OSError):
            while data := wire.client.recv(65_536):
                if event := self.hold_back(data):
                    event.wait(_PATIENCE)
                wire.server.sendall(data)
        wire.close()

    def _answer(self, wire):
        with contextlib.suppress(OSError, threading.BrokenBarrierError):
            while data := wire.server.recv(65_536):
                self.treat(wire, data)
        wire.close()
