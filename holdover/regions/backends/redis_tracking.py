"""How `holdover.redis` hears of changes: client tracking, in its broadcasting mode.

The server sends the name of each changed key that begins with a prefix. In version 2
of the protocol, which every redis-py reads alike, it sends them to a subscriber; here
the tracking connection is its own one, so that neither can be lost without the other.
"""

from __future__ import annotations

import contextlib
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from holdover.regions.backends.base import translated
from holdover.regions.backends.pushing import Change, Pushing
from holdover.regions.backends.redis_link import Link
from holdover.regions.backends.redis_records import OURS, VALUES
from holdover.regions.encoding import to_text
from holdover.regions.errors import BackendError

_CHANNEL = b"__redis__:invalidate"


class PushedByRedis(Pushing):
    """The part of the backend that tells of changes."""

    _link: Link

    @abstractmethod
    def _value_name(self, key: str) -> bytes: ...

    @abstractmethod
    def _clock_names(self, region: str) -> tuple[bytes, bytes]: ...

    def subscribe(self, region: str, prefix: str) -> Tracking:
        """See `Pushing.subscribe`."""
        clock, _ = self._clock_names(region)
        connection = self._link.opened(protocol=2)
        tracking = Tracking(connection, clock)
        try:
            # Without a prefix all keys are meant, and the clock is among them.
            tracking.begin([self._value_name(prefix), clock] if prefix else [])
        except BaseException:
            tracking.close()
            raise
        return tracking


class Tracking:
    """See `Subscription`. The server's timeout bounds each answer.

    Args:
        connection: A connection of its own.
        clock: The name of the region's clock.
    """

    def __init__(self, connection: Any, clock: bytes) -> None:
        self._connection = connection
        self._clock = clock

    def begin(self, prefixes: Sequence[bytes]) -> None:
        """Have the server tell of keys with these *prefixes*.

        Raises:
            BackendError: It does not answer, or does not allow it.
        """
        with _translated():
            self._send("CLIENT", "ID")
            me = self._receive()
            words = [word for prefix in prefixes for word in (b"PREFIX", prefix)]
            self._send("CLIENT", "TRACKING", "ON", "REDIRECT", me, "BCAST", *words)
            self._receive()
            self._send("SUBSCRIBE", _CHANNEL)
            self._receive()

    def changes(self, wait: float) -> list[Change]:
        """See `Subscription.changes`."""
        changed: list[Change] = []
        with _translated():
            while self._connection.can_read(timeout=0 if changed else wait):
                changed += self._read(self._receive())
        return changed

    def probe(self) -> list[Change]:
        """See `Subscription.probe`."""
        changed: list[Change] = []
        with _translated():
            self._send("PING")
            while (message := self._receive()) != [b"pong", b""]:
                changed += self._read(message)
        return changed

    def close(self) -> None:
        """See `Subscription.close`."""
        with contextlib.suppress(Exception):  # it is over, whatever ails it
            self._connection.disconnect()

    def _send(self, *command: str | bytes | int) -> None:
        packed = self._connection.pack_command(*command)
        # A health check of redis-py's would not understand a subscriber's answer.
        self._connection.send_packed_command(packed, check_health=False)

    def _receive(self) -> Any:
        return self._connection.read_response(disable_decoding=True)

    def _read(self, message: Any) -> list[Change]:
        """Read which keys a message is about; None if about all, as after FLUSHALL."""
        match message:
            case [b"message", channel, None] if channel == _CHANNEL:
                return [None]
            case [b"message", channel, [*names]] if channel == _CHANNEL:
                return [change for name in names for change in self._changes_at(name)]
        raise BackendError(f"Redis said {message!r:.80} where a change was expected")

    def _changes_at(self, name: bytes) -> list[Change]:
        """Give what a name means that was changed: nothing, if it is none of ours."""
        if name == self._clock:
            return [None]
        if name.startswith(OURS) and not name.startswith(VALUES):
            return []
        try:
            return [to_text(name.removeprefix(VALUES))]
        except UnicodeDecodeError:  # without a prefix one hears of everybody's
            return []


def _translated() -> contextlib.AbstractContextManager[None]:
    return translated("hearing of changes from Redis", Exception)
