"""How `holdover.redis` talks to its server: over connections that are kept.

redis-py's connections are used for what they know (TLS, AUTH, the handshake) and its
client and pool are not, which cost more than the server does.
"""

from __future__ import annotations

import queue
import threading
import weakref
from collections.abc import Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from redis.exceptions import ConnectionError as ClosedConnection
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as TookTooLong

from holdover.regions.backends import redis_reading as reading
from holdover.regions.backends.redis_commands import Command, transaction
from holdover.regions.backends.redis_conversation import Conversation
from holdover.regions.backends.redis_options import Keeper, words_of
from holdover.regions.backends.redis_replies import Refused, accepted, transacted
from holdover.regions.errors import BackendError
from holdover.regions.forks import renew_after_fork
from holdover.regions.seats import Seat, seats

_CLOSED = (ClosedConnection, OSError)
_MOST_SEATS = 10_000  # where a pool has no limit to speak of


class _Own(threading.local):
    """The connection of this thread, None while it is in use.

    Whatever ends a command in the middle (Ctrl-C, a time limit, a greenlet's kill)
    thereby also loses the connection, so that its reply is never taken for that of the
    next command (CVE-2023-28858); and a signal handler that asks the cache in the
    middle of a command gets a connection of its own.
    """

    connection: Any = None


class Link:
    """The way to one server, for all threads of this process.

    Args:
        pool: redis-py's connection pool, which knows how connections are made.
        keeper: Who keeps connections between commands.
        wait: Seconds that a command waits for a connection where there are few.
    """

    def __init__(self, pool: Any, keeper: Keeper, *, wait: float) -> None:
        self._pool = pool
        self._keeper = keeper
        self._wait = wait
        self._words = words_of(pool)
        self._reads_itself = reading.speaks_plainly(pool)
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Leave the parent its connections; redis-py closes our ends of them."""
        self.forget()
        most = min(self._pool.max_connections, _MOST_SEATS)
        self._seats = seats(0 if self._keeper is Keeper.THREAD else most)

    def forget(self) -> None:
        """Let no connection of before be used again."""
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
            reply = self._fetched(connection, packed)
        except _CLOSED:  # by a server that restarted, or after a long pause
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

    def _fetched(self, connection: Any, packed: bytes) -> Any:
        sock = reading.plain_socket(connection) if self._reads_itself else None
        if sock is None:
            return _fetched_by_client(connection, packed)
        try:
            sock.sendall(packed)
            return reading.reply_from(sock)
        except TimeoutError as error:
            raise TookTooLong("Timeout reading from socket") from error
        except reading.Refusal:  # ask again: redis-py knows what it means
            reply = _fetched_by_client(connection, packed)
            connection.disconnect()  # that error was no reply to this command
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
        own = self._own
        connection = own.connection
        if connection is None or _has_ended(connection):
            with self.conversation() as conversation:
                return conversation.ask(*commands)
        # As in a conversation, without its two context managers (5 us of 42).
        own.connection = None
        try:
            replies = Conversation(connection).ask(*commands)
        except BaseException as error:
            connection.disconnect()
            if not isinstance(error, Exception):
                raise
            raise BackendError(f"asking Redis: {error}") from error
        own.connection = connection
        return replies

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
        held = self._of_thread() if self._keeper is Keeper.THREAD else self._shared()
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
    def _of_thread(self) -> Iterator[Any]:
        """Hold the connection that this thread keeps."""
        own = self._own
        connection, own.connection = own.connection, None
        with self._used(connection) as used:
            own = self._own  # which may be another, now that it is connected
            yield used
        own.connection = used

    @contextmanager
    def _shared(self) -> Iterator[Any]:
        """Hold one of a few connections, when there is one."""
        try:
            seat = self._seats.get(timeout=self._wait)
        except queue.Empty:
            raise BackendError(
                f"no connection was free for {self._wait:g} s: the connection pool "
                f"has {self._pool.max_connections}"
            ) from None
        try:
            held = self._borrowed if self._keeper is Keeper.POOL else self._at_seat
            with held(seat) as connection:
                yield connection
        finally:
            seat.leave()

    @contextmanager
    def _at_seat(self, seat: Seat) -> Iterator[Any]:
        """Hold the connection that lies at a place.

        It is not the pool's: an exception from outside can have that lose one.
        """
        connection: Any = None
        if seat.kept:
            own, connection = seat.kept.pop()
            if own is not self._own:  # it leads to where nobody is to go any more
                connection.disconnect()
                connection = None
        with self._used(connection) as used:
            own = self._own
            yield used
        seat.kept.append((own, used))

    @contextmanager
    def _borrowed(self, _seat: Seat) -> Iterator[Any]:
        """Hold a connection of a pool that others use, too."""
        connection = None
        try:
            connection = self._pool.get_connection(*self._words)
            with self._used(connection) as used:
                yield used
        finally:
            if connection is not None:
                self._pool.release(connection)

    @contextmanager
    def _used(self, connection: Any) -> Iterator[Any]:
        """Use a connection, or a new one; an exception closes it."""
        if connection is None:
            connection = self._pool.connection_class(**self._pool.connection_kwargs)
        elif _has_ended(connection):
            connection.disconnect()
        try:
            self._connect(connection)
            yield connection
        except BaseException:
            connection.disconnect()
            raise

    def _connect(self, connection: Any) -> None:
        connection.connect()  # does nothing if it is
        _close_with(connection)


def _fetched_by_client(connection: Any, packed: bytes) -> Any:
    connection.send_packed_command((packed,))
    return connection.read_response(disable_decoding=True)


def _close_with(connection: Any) -> None:
    """Have the socket of a *connection* closed when nobody has that any more.

    It would be anyway; but the garbage collector may come to the socket first, which
    then complains that nobody has closed it.
    """
    sock = connection._sock  # noqa: SLF001 - redis-py has no other way to it
    if getattr(connection, "closed_with", None) is not sock:
        connection.closed_with = sock
        weakref.finalize(connection, sock.close).atexit = False


def _has_ended(connection: Any) -> bool:
    """Say whether the server closed an idle connection, or sent what nobody asked for.

    Looked for before sending what must not be sent twice.
    """
    try:
        return bool(connection.can_read())
    except Exception:  # noqa: BLE001 - it is not usable, whatever ails it
        return True
