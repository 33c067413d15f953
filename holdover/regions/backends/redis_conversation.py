"""What is said over one connection of `holdover.redis`, and how one gets there."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from redis.exceptions import ReadOnlyError, ResponseError

from holdover.regions.backends.redis_commands import Command, packed


class Conversation:
    """One connection, for as long as several commands need the same one."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def ask(self, *commands: Command) -> list[Any]:
        """Send all commands in one write; give each one's reply, or its error."""
        self.post(commands)
        return self.replies(len(commands))

    def post(self, commands: Sequence[Command]) -> None:
        """Send all commands in one write, and do not wait."""
        self._connection.send_packed_command(packed(commands))

    def replies(self, count: int) -> list[Any]:
        """Give the replies to what was posted, or its errors."""
        return [self._reply() for _ in range(count)]

    def send(self, packed: bytes) -> Any:
        """Send one command that is packed already; give its reply, or its error."""
        self._connection.send_packed_command((packed,))
        return self._reply()

    def _reply(self) -> Any:
        try:
            return self._connection.read_response(disable_decoding=True)
        except ReadOnlyError:
            raise  # the master is elsewhere now: connect anew, to wherever that is
        except ResponseError as error:
            return error


class Way(Protocol):
    """The way to wherever something is: to a server, or to those of a cluster."""

    def ask(self, *commands: Command) -> list[Any]:
        """See `Link.ask`."""

    def transact(self, transactions: Sequence[Sequence[Command]]) -> None:
        """See `Link.transact`."""

    def conversation_about(self, name: bytes) -> AbstractContextManager[Conversation]:
        """See `Link.conversation_about`."""
