"""Reading from a blocking socket until as much is there as was announced."""

from __future__ import annotations

import io
import socket

PIECE = 65_536  # bytes; most replies are smaller
LARGE_PIECE = 1 << 20  # taken ahead of what has come, whatever length was announced


class Closed(ConnectionError):
    """The server has closed the connection."""


def received(sock: socket.socket, data: bytes, length: int) -> bytes:
    """Read on until there are so many bytes, or more.

    Raises:
        Closed: There are no more.
        OSError: The connection has failed, or it took too long.
    """
    parts, missing = [data], length - len(data)
    while missing > 0:
        part = sock.recv(min(max(PIECE, missing), LARGE_PIECE))
        if not part:
            raise Closed
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)


def received_text(sock: socket.socket, begun: bytes, length: int) -> bytes:
    """Read the rest of a text of so many bytes, and not one byte more.

    It lies where it was received. Joined from pieces and cut out of them, one of 5 MB
    took five times as long, and three times its memory.

    Args:
        sock: Where it comes from.
        begun: What of it has come already; not more than the text.
        length: Its bytes.

    Raises:
        Closed: The rest does not come.
        OSError: The connection has failed, or it took too long.
    """
    whole, have = io.BytesIO(), len(begun)
    whole.write(begun)
    while have < length:
        room = min(length, 2 * have + LARGE_PIECE)
        whole.seek(room - 1)
        whole.write(b"\0")
        with whole.getbuffer() as view:
            have = _filled(sock, view, have)
    return whole.getvalue()


def _filled(sock: socket.socket, view: memoryview, have: int) -> int:
    while have < len(view):
        with view[have:] as rest:
            taken = sock.recv_into(rest)
        if not taken:
            raise Closed
        have += taken
    return have
