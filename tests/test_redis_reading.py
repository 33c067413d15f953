"""Replies that `holdover.redis` reads off the socket itself: all of one, or trouble."""

import contextlib
import socket
import threading

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st
from memory import taken_memory
from pieces import Pieces, sliced
from waiting import wait_until

from holdover import make_region
from holdover.errors import BackendError
from holdover.regions.backends import receiving
from holdover.regions.backends import redis_reading as reading
from holdover.regions.backends.receiving import LARGE_PIECE, PIECE, Closed
from holdover.regions.backends.redis import RedisBackend
from holdover.testing import ToxicProxy, toxics

TEXTS = st.none() | st.binary(max_size=300)


def packed(text):
    """A bulk string."""
    return b"$-1\r\n" if text is None else b"$%d\r\n%b\r\n" % (len(text), text)


CUTS = st.lists(st.integers(0, 10_000), max_size=8)


@given(st.lists(TEXTS, max_size=5), CUTS)
def test_a_list_comes_in_any_pieces(texts, cuts):
    """However it is cut up on its way."""
    data = b"*%d\r\n" % len(texts) + b"".join(map(packed, texts))
    assert reading.reply_from(Pieces(*sliced(data, cuts))) == texts


@given(TEXTS, CUTS)
def test_a_text_comes_in_any_pieces(text, cuts):
    """A bulk string alone."""
    assert reading.reply_from(Pieces(*sliced(packed(text), cuts))) == text


LARGE = bytes(range(256)) * 20_000
SIZES = [PIECE - 16, PIECE, PIECE + 1, LARGE_PIECE + 1, len(LARGE)]


@pytest.mark.parametrize("size", SIZES)
@given(rest=TEXTS, cuts=st.lists(st.integers(0, 6_000_000), max_size=8))
def test_a_large_one_and_what_follows(size, rest, cuts):
    """Of more than is received at once, whatever comes with its end."""
    text = LARGE[:size]
    data = b"*3\r\n" + packed(rest) + packed(text) + packed(rest)
    assert reading.reply_from(Pieces(*sliced(data, cuts))) == [rest, text, rest]


@pytest.mark.parametrize("size", SIZES)
def test_a_large_one_without_its_end(size):
    """Whatever is there instead."""
    data = packed(LARGE[:size])
    with pytest.raises(Closed):
        reading.reply_from(Pieces(data[:-1]))
    with pytest.raises(Closed):
        reading.reply_from(Pieces(data[: size // 2]))
    with pytest.raises(reading.Nonsense):
        reading.reply_from(Pieces(data[:-2] + b"ab"))


def test_no_memory_for_what_is_only_announced():
    """Whoever says that gigabytes come gets room for what has come."""
    with taken_memory() as taken, pytest.raises(Closed):
        reading.reply_from(Pieces(b"$%d\r\n" % 2**40, b"x" * 100_000))
    assert 0 < taken.most < 4 * LARGE_PIECE


def test_a_large_one_lies_where_it_was_received():
    """There is no second copy of it, not even for a moment."""
    pieces = Pieces(*sliced(packed(LARGE), range(0, len(LARGE), PIECE)))
    with taken_memory() as taken:
        reading.reply_from(pieces)
    assert 0 < taken.most < 1.5 * len(LARGE)


def test_what_was_read_is_left_behind(monkeypatch):
    """Many texts together are not copied again for each of them."""
    carried = []

    def received(sock, data, length):
        carried.append(len(data))
        return receiving.received(sock, data, length)

    monkeypatch.setattr(reading, "received", received)
    texts = [LARGE[: PIECE - number] for number in range(100)]
    data = b"*100\r\n" + b"".join(map(packed, texts))
    pieces = Pieces(*sliced(data, range(0, len(data), PIECE)))
    assert reading.reply_from(pieces) == texts
    assert 0 < sum(carried) < len(data)


@given(st.lists(TEXTS, min_size=1, max_size=3), CUTS, st.integers(0, 10_000))
def test_a_part_is_no_reply(texts, cuts, end):
    """A server that hangs up in the middle has not answered."""
    data = b"*%d\r\n" % len(texts) + b"".join(map(packed, texts))
    part = data[: end % len(data)]
    with pytest.raises(Closed):
        reading.reply_from(Pieces(*sliced(part, cuts)))


@given(CUTS)
def test_an_error_is_read_whole(cuts):
    """So that the connection is sound."""
    pieces = Pieces(*sliced(b"-NOPERM this user may not\r\n", cuts))
    with pytest.raises(reading.Refusal):
        reading.reply_from(pieces)
    assert not pieces.pieces


@pytest.mark.parametrize(
    "data",
    [
        b"+OK\r\n",
        b":1\r\n",
        b"*1\r\n:1\r\n",
        b"*1\r\n*1\r\n$1\r\na\r\n",
        b"_\r\n",
        b">2\r\n$1\r\na\r\n$1\r\nb\r\n",
        b"$1\r\na\r\n$1\r\nb\r\n",
        b"*1\r\n$1\r\na\r\n+OK\r\n",
        b"-ERR no\r\n+OK\r\n",
        b"$1\r\nabc\r\n",
        b"$x\r\na\r\n",
        b"*\r\n",
        b"$" + b"1" * 100_000,
        b"\x00" * 100,
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
    ],
    ids=range(15),
)
def test_what_is_no_such_reply(data):
    """It is told, and never taken for one."""
    with pytest.raises((reading.Nonsense, ValueError)):
        reading.reply_from(Pieces(data))


@given(st.binary(max_size=200), CUTS)
def test_any_bytes(data, cuts):
    """They give a reply or trouble, and end."""
    with contextlib.suppress(Closed, reading.Nonsense, reading.Refusal, ValueError):
        reply = reading.reply_from(Pieces(*sliced(data, cuts)))
        assert reply is None or isinstance(reply, bytes | list)


def backend_at(url, **arguments):
    """A backend with a connection of this thread."""
    backend = RedisBackend({"url": url, **arguments})
    backend.clock("r")
    backend.read("k", "r")
    return backend


def own(backend):
    """The connection of this thread."""
    return backend._link._own.connection


class Loud(redis.Connection):
    """A connection that tells what is sent."""

    def send_packed_command(self, command, check_health=True):
        super().send_packed_command(command, check_health)


class TestLink:
    """What a backend makes of them."""

    def test_who_reads(self, redis_server, tls_server, certificate):
        """Holdover over plain sockets, else redis-py."""
        plain = backend_at(redis_server.url)
        assert reading.plain_socket(own(plain)) is not None
        assert plain._link._reads_itself
        pushing = backend_at(redis_server.url, connection_kwargs={"protocol": 3})
        assert not pushing._link._reads_itself
        any_version = backend_at(redis_server.url, connection_kwargs={"protocol": None})
        assert not any_version._link._reads_itself
        ways = {"connection_class": Loud}
        loud = backend_at(redis_server.url, connection_kwargs=ways)
        assert not loud._link._reads_itself
        checking = backend_at(
            redis_server.url, connection_kwargs={"health_check_interval": 1}
        )
        assert not checking._link._reads_itself
        trust = {"ssl_ca_certs": certificate.path}
        hidden = backend_at(tls_server.url, connection_kwargs=trust)
        assert reading.plain_socket(own(hidden)) is None
        for backend in (plain, pushing, any_version, loud, checking, hidden):
            backend.write("k", b"stored", ttl=None)
            assert backend.read("k", "r")[0] == b"stored"

    def test_an_error_keeps_the_connection(self, redis_server):
        """It is told in redis-py's words."""
        backend = backend_at(redis_server.url)
        connection = own(backend)
        with redis.Redis.from_url(redis_server.url) as client:
            client.execute_command("ACL SETUSER", "default", "-mget")
            try:
                with pytest.raises(BackendError, match="permissions") as caught:
                    backend.read("k", "r")
            finally:
                client.execute_command("ACL SETUSER", "default", "+mget")
        assert isinstance(caught.value.__cause__, redis.exceptions.NoPermissionError)
        assert own(backend) is connection
        assert backend.read("k", "r")[0] is None

    def test_a_server_that_has_closed(self, redis_server):
        """A connection that was closed meanwhile is replaced, and nobody notices."""
        backend = backend_at(redis_server.url)
        backend.write("k", b"stored", ttl=None)
        with redis.Redis.from_url(redis_server.url) as client:
            client.client_kill_filter(_type="normal", skipme=True)
        assert backend.read("k", "r")[0] == b"stored"

    def test_a_socket_that_has_failed(self, redis_server):
        """Whatever the operating system says of it, there is another."""
        backend = backend_at(redis_server.url)
        backend.write("k", b"stored", ttl=None)
        own(backend)._sock.close()
        assert backend.read("k", "r")[0] == b"stored"

    def test_an_error_that_nobody_asked_for(self, redis_server):
        """The connection is not used on, or each reply would be the one before."""

        def treat(stream, data):
            yield b"-ERR idle\r\n"
            stream.wait(0.05)
            yield data
            proxy.heal()

        with ToxicProxy(redis_server.port) as proxy:
            backend = backend_at(proxy.through(redis_server.url))
            backend.write("k", b"one", ttl=None)
            backend.write("j", b"two", ttl=None)
            backend.read("k", "r")
            proxy.replies = treat
            assert backend.read("k", "r")[0] == b"one"
            assert backend.read("j", "r")[0] == b"two"

    @pytest.mark.parametrize(
        "answer",
        [b"+OK\r\n", b"*2\r\n$1\r\na\r\n:3\r\n", b"\xff\xfe", b"*9\r\n$-1\r\n"],
    )
    def test_nonsense_ends_the_connection(self, redis_server, answer):
        """What is left of it is no reply to the next command."""
        with ToxicProxy(redis_server.port) as proxy:
            backend = backend_at(proxy.through(redis_server.url))
            backend.write("k", b"stored", ttl=None)
            proxy.replies = toxics.replace(answer)
            with pytest.raises(BackendError):
                backend.read("k", "r")
            proxy.heal()
            assert wait_until(lambda: backend.read("k", "r")[0]) == b"stored"

    def test_one_that_is_late(self, redis_server):
        """It is given up after the timeout, and its reply is nobody's."""
        with ToxicProxy(redis_server.port) as proxy:
            backend = backend_at(proxy.through(redis_server.url))
            backend.write("k", b"stored", ttl=None)
            proxy.replies = toxics.blackhole()
            with pytest.raises(BackendError, match="asking Redis: Timeout"):
                backend.read("k", "r")
            assert own(backend) is None

    @pytest.mark.parametrize(
        "stop", [toxics.blackhole(), toxics.limit_data(0), toxics.reset_peer()]
    )
    def test_a_large_one_that_stops_half_way(self, redis_server, stop):
        """What there is of it is no value, and its rest is no reply to anything."""
        came = []

        def treat(stream, data):
            came.append(len(data))
            return (toxics.clean if sum(came) < len(LARGE) // 2 else stop)(stream, data)

        with ToxicProxy(redis_server.port) as proxy:
            backend = backend_at(proxy.through(redis_server.url))
            backend.write("k", LARGE, ttl=None)
            backend.write("other", b"another", ttl=None)
            backend.read("k", "r")
            proxy.replies = treat
            own(backend)._sock.settimeout(0.2)
            with pytest.raises(BackendError):
                backend.read("k", "r")
            assert sum(came) > 0
            proxy.heal()
            assert backend.read("other", "r")[0] == b"another"
            assert backend.read("k", "r")[0] == LARGE

    def test_a_signal_in_the_middle(self, redis_server, monkeypatch):
        """What interrupts a reading loses the connection with its reply."""
        backend = backend_at(redis_server.url)
        backend.write("k", b"stored", ttl=None)

        def interrupted(sock):
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(reading, "reply_from", interrupted)
            with pytest.raises(KeyboardInterrupt):
                backend.read("k", "r")
        backend.write("other", b"another", ttl=None)
        assert backend.read("k", "r")[0] == b"stored"
        assert backend.read("other", "r")[0] == b"another"

    def test_many_threads(self, redis_server):
        """Each has a connection of its own, and gets its own reading."""
        region = make_region("r").configure(
            "holdover.redis", 60, {"url": redis_server.url}, unsigned_pickle=True
        )
        wrong = []

        @region.cache_on_arguments()
        def squared(number):
            return number * number

        def visit(first):
            for number in range(400):
                at = (first + number) % 40
                if squared(at) != at * at:
                    wrong.append(at)

        threads = [threading.Thread(target=visit, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong
        assert region.figures().hits > 2000


def test_a_socket_that_fails():
    """Errors of the operating system stay what they are."""
    one, other = socket.socketpair()
    with one, other:
        other.sendall(b"$5\r\nab")
        one.settimeout(0.01)
        with pytest.raises(TimeoutError):
            reading.reply_from(one)
