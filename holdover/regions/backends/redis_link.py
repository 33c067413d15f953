"""How `holdover.redis` talks to its server: one kept connection per thread.

redis-py's connections are used for what they know (TLS, AUTH, the handshake) and its
client and pool are not, which cost more than the server does.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from inspect import signature
from typing import Any, Protocol

from redis.exceptions import ConnectionError as ClosedConnection
from redis.exceptions import ReadOnlyError, ResponseError
from redis.exceptions import TimeoutError as TookTooLong

from holdover.regions.errors import BackendError
from holdover.regions.forks import renew_after_fork
from holdover.regions.seats import seats

_MOST_SEATS = 10_000  # where a pool has no limit to speak of

Command = Sequence[str | bytes | int]


class Refused(BackendError):
    """The server has answered, and its answer is an error, which is chained."""


class _Own(threading.local):
    """The connection of this thread, None while it is in use.

    Whatever ends a command in the middle (Ctrl-C, a time limit, a greenlet's kill)
    thereby also loses the connection, so that its reply is never taken for that of the
    next command (CVE-2023-28858); and a signal handler that asks the cache in the
    middle of a command gets a connection of its own.
    """

    connection: Any = None


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
        self._connection.send_packed_command(self._connection.pack_commands(commands))

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


class Link:
    """The way to one server, for all threads of this process.

    Args:
        pool: redis-py's connection pool, which knows how connections are made.
        borrows: Whether connections are borrowed from *pool* for each command, so that
            its limits hold, instead of kept by each thread.
        wait: Seconds that a command waits until *pool* has a connection to lend.
    """

    def __init__(self, pool: Any, *, borrows: bool, wait: float) -> None:
        self._pool = pool
        self._borrows = borrows
        self._wait = wait
        self._words = _words_of(pool)
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Leave the parent its connections; redis-py closes our ends of them."""
        self.forget()
        most = min(self._pool.max_connections, _MOST_SEATS) if self._borrows else 0
        self._seats = seats(most)

    def forget(self) -> None:
        """Have every thread make a new connection for what it asks next."""
        self._own = _Own()

    def opened(self, **changes: Any) -> Any:
        """Open a connection that is the caller's alone, in no pool and of no thread.

        Args:
            **changes: What is other than with the pool's connections.

        Raises:
            BackendError: The server cannot be reached.
        """
        try:
            given = {**self._pool.connection_kwargs, **changes}
            connection = self._pool.connection_class(**given)
            self._connect(connection)
        except Exception as error:
            raise BackendError(f"connecting to Redis: {error}") from error
        return connection

    def fetch(self, packed: bytes) -> Any:
        """Send one packed command that does no harm if it is sent twice.

        Returns:
            The reply.

        Raises:
            BackendError: There is none, or it is an error.
        """
        own = self._own
        connection = own.connection
        if connection is None:
            return self._fetch_slowly(packed)
        own.connection = None
        try:
            connection.send_packed_command((packed,))
            reply = connection.read_response(disable_decoding=True)
        except ClosedConnection:  # by a server that restarted, or after a long pause
            connection.disconnect()
            return self._fetch_slowly(packed)
        except TookTooLong as error:
            connection.disconnect()
            raise BackendError(f"asking Redis: {error}") from error
        except ResponseError as error:
            own.connection = connection
            raise Refused(f"Redis answered: {error}") from error
        except Exception as error:  # bytes that are no reply raise anything
            connection.disconnect()
            raise BackendError(f"Redis answered nonsense: {error!r}") from error
        own.connection = connection
        return reply

    def _fetch_slowly(self, packed: bytes) -> Any:
        with self.conversation() as conversation:
            reply = conversation.send(packed)
        return accepted([reply])[0]

    def ask(self, *commands: Command) -> list[Any]:
        """Send commands in one write, once; give each one's reply, or its error.

        Raises:
            BackendError: Not all replies came; what was carried out is not known.
        """
        with self.conversation() as conversation:
            return conversation.ask(*commands)

    def exchange(self, commands: Sequence[Command]) -> Generator[list[Any], None, None]:
        """Send commands, as `ask` does, and have time for others before the replies.

        Yields:
            Nothing, when they are sent, and then the replies.
        """
        with self.conversation() as conversation:
            conversation.post(commands)
            yield []
            replies = conversation.replies(len(commands))
        yield replies

    def transact(self, transactions: Sequence[Sequence[Command]]) -> None:
        """Have the server carry out the commands of each of *transactions* in one step.

        Raises:
            Refused: The server refused one of them; others may have been carried out.
            BackendError: What was carried out is not known.
        """
        for commands in transactions:
            transacted(self.ask(*transaction(commands)))

    @contextmanager
    def conversation(self) -> Iterator[Conversation]:
        """Hold a connection; whatever leaves the block by an exception closes it.

        Raises:
            BackendError: There is no connection, or it broke.
        """
        held = self._borrowed() if self._borrows else self._taken()
        try:
            with held as connection:
                yield Conversation(connection)
        except BackendError:
            raise
        except Exception as error:  # bytes that are no reply raise anything
            raise BackendError(f"asking Redis: {error}") from error

    def conversation_about(self, name: bytes) -> AbstractContextManager[Conversation]:
        """Hold a connection to where *name* is, which is here."""
        return self.conversation()

    @contextmanager
    def _taken(self) -> Iterator[Any]:
        own = self._own
        connection, own.connection = own.connection, None
        if connection is None:
            connection = self._pool.connection_class(**self._pool.connection_kwargs)
        elif _has_ended(connection):
            connection.disconnect()
        try:
            self._connect(connection)
            own = self._own  # which may be another, now that it is connected
            yield connection
        except BaseException:
            connection.disconnect()
            raise
        own.connection = connection

    def _connect(self, connection: Any) -> None:
        connection.connect()  # does nothing if it is

    @contextmanager
    def _borrowed(self) -> Iterator[Any]:
        try:
            seat = self._seats.get(timeout=self._wait)
        except queue.Empty:
            raise BackendError(
                f"no connection was free for {self._wait:g} s: the connection pool "
                f"has {self._pool.max_connections}"
            ) from None
        try:
            connection = self._pool.get_connection(*self._words)
            try:
                yield connection
            except BaseException:
                connection.disconnect()
                raise
            finally:
                self._pool.release(connection)
        finally:
            seat.leave()


def accepted(replies: list[Any]) -> list[Any]:
    """Give *replies* if none of them is an error.

    Raises:
        Refused: One is.
    """
    for reply in replies:
        if isinstance(reply, ResponseError):
            raise Refused(f"Redis answered: {reply}") from reply
    return replies


def transaction(commands: Sequence[Command]) -> list[Command]:
    """Give what has the server carry out *commands* in one step."""
    return [("MULTI",), *commands, ("EXEC",)]


def transacted(replies: list[Any]) -> None:
    """Check what the server said to that.

    Raises:
        Refused: It refused one of the commands.
    """
    last = accepted(replies)[-1]
    accepted(a_list(last, len(replies) - 2))


def a_list(reply: Any, length: int) -> list[Any]:
    """Give *reply* if it is a list of *length*.

    Raises:
        BackendError: It is something else, such as another command's reply.
    """
    if not isinstance(reply, list) or len(reply) != length:
        raise BackendError(
            f"Redis answered {reply!r:.80} where {length} replies were wanted"
        )
    return reply


def a_number(reply: Any) -> int:
    """Give *reply* if it is a number.

    Raises:
        BackendError: It is something else.
    """
    if not isinstance(reply, int):
        raise BackendError(f"Redis answered {reply!r:.80} where a number was wanted")
    return reply


def _has_ended(connection: Any) -> bool:
    """Say whether the server closed an idle connection, or sent what nobody asked for.

    Looked for before sending what must not be sent twice.
    """
    try:
        return bool(connection.can_read())
    except Exception:  # noqa: BLE001 - it is not usable, whatever ails it
        return True


def _words_of(pool: Any) -> tuple[str, ...]:
    """Give what ``get_connection`` wants: before redis-py 5.3, a word it never uses."""
    word = signature(pool.get_connection).parameters.get("command_name")
    return ("_",) if word is not None and word.default is word.empty else ()
