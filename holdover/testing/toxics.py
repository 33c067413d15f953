"""What a `ToxicProxy` can do to requests and replies; named as in Toxiproxy.

A toxic is a function: it is given a stream and the piece of bytes that has come (up to
64 KiB), and gives the pieces that are passed on in its place. Whatever makes one raises
`ConfigurationError` for numbers that make no sense. One of your own::

    def shout(stream, data):
        yield data.upper()

    proxy.replies = shout
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterable, Iterator

from holdover.regions.errors import ConfigurationError, check_count
from holdover.regions.lifetime import lease_span
from holdover.regions.numbers import is_number
from holdover.testing.chances import check_chance
from holdover.testing.links import Stream, Toxic

__all__ = [
    "Stream",
    "Swap",
    "Toxic",
    "bandwidth",
    "blackhole",
    "chain",
    "clean",
    "corrupt",
    "latency",
    "limit_data",
    "once",
    "replace",
    "reset_peer",
    "slicer",
    "sometimes",
    "stall",
]

_STEP = 0.05  # seconds
_PATIENCE = 30.0  # seconds


def clean(stream: Stream, data: bytes) -> Iterable[bytes]:
    """Do no harm."""
    return (data,)


def latency(seconds: float, jitter: float = 0.0, *, seed: int = 0) -> Toxic:
    """Pass everything on so much later.

    What comes while a piece is waited with comes with it: a reply of many pieces is
    late once.

    Args:
        seconds: How much later.
        jitter: Seconds that it may be more or less, by chance.
        seed: Makes the chance repeatable.
    """
    seconds = lease_span(seconds, "seconds", zero=True)
    jitter = lease_span(jitter, "jitter", zero=True)
    dice = random.Random(seed)  # noqa: S311 - not a secret

    def treat(stream: Stream, data: bytes) -> Iterator[bytes]:
        stream.wait(max(0.0, seconds + dice.uniform(-jitter, jitter)))
        yield data
        yield stream.rest()

    return treat


def bandwidth(rate: float) -> Toxic:
    """Pass on no more than *rate* bytes in a second."""
    if not is_number(rate) or rate <= 0:
        raise ConfigurationError(f"rate must be bytes in a second, got {rate!r:.80}")
    size = max(1, int(rate * _STEP))

    def treat(stream: Stream, data: bytes) -> Iterator[bytes]:
        for piece in _sliced(data, size):
            stream.wait(len(piece) / rate)
            yield piece

    return treat


def slicer(size: int = 1, delay: float = 0.0) -> Toxic:
    """Pass on in slices of *size* bytes, *delay* seconds before each."""
    check_count("size", size)
    delay = lease_span(delay, "delay", zero=True)

    def treat(stream: Stream, data: bytes) -> Iterator[bytes]:
        for piece in _sliced(data, size):
            stream.wait(delay)
            yield piece

    return treat


def _sliced(data: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def limit_data(count: int) -> Toxic:
    """Pass on *count* bytes of each connection from now on, and close it then."""
    check_count("count", count, least=0)

    def treat(stream: Stream, data: bytes) -> Iterator[bytes]:
        left = stream.notes.get(treat, count)
        yield data[:left]
        stream.notes[treat] = left - len(data)
        if len(data) >= left:
            stream.close()

    return treat


def blackhole(closing_after: float | None = None) -> Toxic:
    """Pass nothing on, as Toxiproxy's ``timeout`` does.

    Args:
        closing_after: Seconds after which the connection is closed; None: never.
    """
    if closing_after is not None:
        closing_after = lease_span(closing_after, "closing_after", zero=True)

    def treat(stream: Stream, data: bytes) -> Iterable[bytes]:
        if closing_after is not None:
            stream.wait(closing_after)
            stream.close()
        return ()

    return treat


def stall(until: threading.Event, *, patience: float = _PATIENCE) -> Toxic:
    """Keep back what comes, and pass it on once *until* is set.

    Even if its sender has given up and gone: so a server that was frozen, or cut off,
    reads late what it was sent.

    Args:
        until: What is waited for.
        patience: Seconds that it is waited for at most.
    """

    def treat(stream: Stream, data: bytes) -> Iterator[bytes]:
        deadline = time.monotonic() + patience
        while not until.wait(_STEP) and time.monotonic() < deadline:
            stream.wait(0)
        yield data

    return treat


def reset_peer(after: float = 0.0) -> Toxic:
    """Answer with a reset, *after* so many seconds."""
    after = lease_span(after, "after", zero=True)

    def treat(stream: Stream, data: bytes) -> Iterable[bytes]:
        stream.wait(after)
        stream.reset()
        return ()

    return treat


def corrupt(position: int, mask: int = 0x01) -> Toxic:
    """Flip a bit of each piece.

    Args:
        position: Which byte; counted on from the start where a piece is shorter.
        mask: Which of its bits.
    """

    def treat(stream: Stream, data: bytes) -> Iterable[bytes]:
        damaged = bytearray(data)
        damaged[position % len(data)] ^= mask
        return (bytes(damaged),)

    return treat


def replace(by: bytes) -> Toxic:
    """Pass on something else in place of each piece."""

    def treat(stream: Stream, data: bytes) -> Iterable[bytes]:
        return (by,)

    return treat


class Swap:
    """Give each of two clients the first reply that is meant for the other.

    Args:
        patience: Seconds that the first waits for the second; then it is hung up on.

    Attributes:
        replies: What each stream was to get, once it has come.
    """

    def __init__(self, patience: float = 5.0) -> None:
        self._meeting = threading.Barrier(2, timeout=patience)
        self._lock = threading.Lock()  # guards what follows
        self.replies: dict[Stream, bytes] = {}

    def __call__(self, stream: Stream, data: bytes) -> Iterable[bytes]:
        """Wait for the other client's first reply, and give that."""
        with self._lock:
            if stream in self.replies or len(self.replies) == self._meeting.parties:
                return (data,)
            self.replies[stream] = data
        try:
            self._meeting.wait()
        except threading.BrokenBarrierError:
            stream.close()
            return ()
        return [reply for one, reply in self.replies.items() if one is not stream]


def chain(*toxics: Toxic) -> Toxic:
    """Have what one toxic passes on meet the next one."""

    def treat(stream: Stream, data: bytes) -> Iterable[bytes]:
        return _through(toxics, stream, data)

    return treat


def _through(toxics: tuple[Toxic, ...], stream: Stream, data: bytes) -> Iterator[bytes]:
    if not toxics:
        yield data
        return
    first, *others = toxics
    for piece in first(stream, data):
        yield from _through(tuple(others), stream, piece)


def sometimes(toxic: Toxic, chance: float, *, seed: int = 0) -> Toxic:
    """Treat a piece so by *chance* (0.0 to 1.0), which *seed* makes repeatable."""
    check_chance("chance", chance)
    dice = random.Random(seed)  # noqa: S311 - not a secret

    def treat(stream: Stream, data: bytes) -> Iterable[bytes]:
        chosen = toxic if dice.random() < chance else clean
        return chosen(stream, data)

    return treat


def once(toxic: Toxic) -> Toxic:
    """Treat the first piece so, whosever it is, and do no harm from then on."""
    left = [toxic]

    def treat(stream: Stream, data: bytes) -> Iterable[bytes]:
        try:
            return left.pop()(stream, data)  # in one step: another stream may ask, too
        except IndexError:
            return clean(stream, data)

    return treat
