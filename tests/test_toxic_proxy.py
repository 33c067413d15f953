"""The proxy that users put before their servers, and what it does to the wire."""

import contextlib
import multiprocessing
import os
import socket
import socketserver
import subprocess
import sys
import threading
import time

import pytest
from kombu import Connection
from rabbit_server import RabbitServer
from waiting import PATIENCE, wait_until

from holdover import errors, make_region
from holdover.testing import ProxyFailed, ToxicProxy, toxics
from holdover.testing import proxy as module
from holdover.testing.links import Link

FORK = multiprocessing.get_context("fork")


class Echo(socketserver.BaseRequestHandler):
    """Gives everything back, and says goodbye to who has no more to say."""

    def handle(self):
        with contextlib.suppress(OSError):
            while data := self.request.recv(65_536):
                self.server.heard.append(data)
                self.request.sendall(data)
            self.request.sendall(b"bye")


class EchoServer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address=("127.0.0.1", 0)):
        self.heard = []
        super().__init__(address, Echo)

    def __enter__(self):
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()

    @property
    def port(self):
        return self.server_address[1]


class EchoOnPath(EchoServer):
    address_family = socket.AF_UNIX


@pytest.fixture
def server():
    """What is behind the proxy: it gives everything back."""
    with EchoServer() as server:
        yield server


@pytest.fixture
def proxy(server):
    """An open way to it."""
    with ToxicProxy(server.port) as proxy:
        yield proxy


@pytest.fixture
def dial(proxy):
    """Connect a client to the proxy."""
    with contextlib.ExitStack() as clients:
        yield lambda: clients.enter_context(
            socket.create_connection(("127.0.0.1", proxy.port), timeout=PATIENCE)
        )


def received(client, count):
    """Read so many bytes, or all that there are."""
    found = b""
    while len(found) < count and (more := client.recv(count - len(found))):
        found += more
    return found


def asked(client, data=b"hello"):
    """Say something, and give the answer, which is as long."""
    client.sendall(data)
    return received(client, len(data))


class TestPassing:
    def test_without_a_toxic_nothing_is_changed(self, dial):
        """However much there is."""
        client, data = dial(), os.urandom(3_000_000)
        sending = threading.Thread(target=client.sendall, args=(data,))
        sending.start()
        assert received(client, len(data)) == data
        sending.join()

    def test_clients_do_not_hear_each_other(self, dial):
        """Each has a connection of its own."""
        clients = [dial() for _ in range(20)]
        for number, client in enumerate(clients):
            client.sendall(b"%02d" % number)
        assert [int(received(one, 2)) for one in clients] == list(range(20))

    def test_who_has_no_more_to_say_still_hears(self, dial):
        """One way may end before the other."""
        client = dial()
        client.sendall(b"all")
        client.shutdown(socket.SHUT_WR)
        assert received(client, 100) == b"allbye"

    def test_a_connection_that_has_ended_is_forgotten(self, proxy, dial):
        """Whoever ends it."""
        client = dial()
        assert asked(client) == b"hello"
        assert proxy.connections == 1
        client.close()
        wait_until(lambda: proxy.connections == 0)

    def test_a_unix_socket(self, tmp_path):
        """A server on the same host may have a path in place of a port."""
        path = tmp_path / "echo"
        with (
            EchoOnPath(str(path)),
            ToxicProxy(path) as proxy,
            socket.create_connection(("127.0.0.1", proxy.port), PATIENCE) as client,
        ):
            assert asked(client) == b"hello"

    def test_a_unix_socket_that_is_away(self, tmp_path):
        """Its clients are reset."""
        with ToxicProxy(tmp_path / "nobody") as proxy:
            client = socket.socket()
            with client, pytest.raises(ConnectionResetError):
                client.connect(("127.0.0.1", proxy.port)) or client.recv(1)

    def test_another_host(self, server):
        """A server may be anywhere."""
        with (
            ToxicProxy(f"localhost:{server.port}") as proxy,
            socket.create_connection(("127.0.0.1", proxy.port), PATIENCE) as client,
        ):
            assert asked(client) == b"hello"

    @pytest.mark.parametrize("wrong", [None, True, "6379", "redis", 5.0, ":6379"])
    def test_what_is_no_server(self, wrong):
        """It says what was wanted."""
        with pytest.raises(errors.ConfigurationError, match="upstream must be"):
            ToxicProxy(wrong)

    def test_a_server_that_is_away(self, dial, server):
        """Its clients are reset, and served once it is there."""
        address = server.server_address
        server.__exit__()
        with pytest.raises(ConnectionResetError):
            dial().recv(1)  # or as soon as it has connected
        with EchoServer(address):
            assert asked(dial()) == b"hello"


def assert_reset(client):
    """The connection is reset, and not closed in another way."""
    with pytest.raises(ConnectionResetError):
        client.recv(1)


def is_refused(proxy):
    """Say whether nobody listens."""
    try:
        socket.create_connection(("127.0.0.1", proxy.port), timeout=PATIENCE).close()
    except ConnectionRefusedError:
        return True
    return False


class TestSwitching:
    def test_down_and_up(self, proxy, dial):
        """Down, all are closed and refused; up, the port is the same."""
        client = dial()
        assert asked(client) == b"hello"
        for _ in range(3):
            port = proxy.port
            proxy.down()
            proxy.down()
            assert received(client, 1) == b""
            assert is_refused(proxy)
            proxy.up()
            proxy.up()
            assert proxy.port == port
            client = dial()
            assert asked(client) == b"hello"

    def test_nobody_is_given_the_port_while_it_is_down(self, proxy):
        """A client that goes on connecting never meets himself."""
        proxy.down()
        refused = sum(is_refused(proxy) for _ in range(300))
        assert refused == 300
        with pytest.raises(OSError, match="in use"), socket.socket() as other:
            other.bind(("127.0.0.1", proxy.port))

    def test_it_opens_with_its_block(self, server):
        """Before and after it, connections are refused."""
        proxy = ToxicProxy(server.port)
        assert is_refused(proxy)
        for _ in range(2):
            with proxy:
                assert not is_refused(proxy)
            assert is_refused(proxy)

    @pytest.mark.parametrize("end", [ToxicProxy.close, ToxicProxy.down])
    def test_a_port_that_somebody_has_taken(self, proxy, end):
        """It says so, until he has gone."""
        end(proxy)
        with socket.create_server(("127.0.0.1", proxy.port)):
            for _ in range(2):
                with pytest.raises(ProxyFailed, match="in use"):
                    proxy.up()
        proxy.up()
        assert not is_refused(proxy)
        assert issubclass(ProxyFailed, errors.HoldoverError)

    def test_a_port_that_is_taken_while_it_goes_down(self, proxy, monkeypatch):
        """It is down all the same."""

        def fail(port):
            raise OSError("in use")

        with monkeypatch.context() as patch:
            patch.setattr(module, "_bound", fail)
            proxy.down()
        assert is_refused(proxy)
        proxy.up()
        assert not is_refused(proxy)

    def test_too_many_open_files(self, server):
        """Whoever comes after that is served."""
        ours, theirs = socket.socketpair()
        answers = iter([OSError("too many open files"), (theirs, "")])

        class Listener:
            def accept(self):
                answer = next(answers, None)
                if answer is None:
                    proxy._listener = None
                if not isinstance(answer, tuple):
                    raise answer or OSError("closed")
                return answer

        proxy = ToxicProxy(server.port)
        proxy._listener = Listener()
        with ours:
            proxy._accept(proxy._listener)
            proxy._listener = None
            assert asked(ours) == b"hello"
        proxy.close()

    def test_who_comes_while_it_goes_down(self, server):
        """He is hung up on."""
        ours, theirs = socket.socketpair()
        proxy = ToxicProxy(server.port)
        with ours:
            proxy._begin("a listener that was", theirs)
            assert received(ours, 1) == b""
        proxy.close()

    def test_who_connects_while_all_are_cut(self, server):
        """Not even the server is asked."""
        ours, theirs = socket.socketpair()

        def dial():
            link.over.set()
            return socket.create_connection(("127.0.0.1", server.port))

        link = Link(theirs, dial, lambda: toxics.clean, lambda: toxics.clean)
        with ours:
            ours.sendall(b"hello")
            link.run()
            with pytest.raises(ConnectionResetError):  # what he said is unread
                ours.recv(1)
        assert server.heard == []

    def test_cut(self, proxy, dial):
        """Connections are closed, and others may come."""
        client = dial()
        assert asked(client) == b"hello"
        proxy.cut()
        assert received(client, 1) == b""
        assert asked(dial()) == b"hello"

    def test_heal(self, proxy, dial):
        """What comes from then on is passed on, on the same connection."""
        client = dial()
        proxy.requests = proxy.replies = toxics.replace(b"no")
        assert asked(client, b"hi") == b"no"
        proxy.heal()
        assert asked(client) == b"hello"

    def test_all_threads_end_with_the_block(self, server):
        """Whatever its connections are about: nothing, a toxic, a full buffer."""
        before = set(threading.enumerate())
        with contextlib.ExitStack() as clients, ToxicProxy(server.port) as proxy:
            for toxic in (toxics.clean, toxics.latency(600), toxics.bandwidth(1)):
                proxy.replies = toxic
                client = socket.create_connection(("127.0.0.1", proxy.port))
                clients.enter_context(client).sendall(b"hello")
            client.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:  # until nobody takes any more
                    client.send(bytes(65_536))
            wait_until(lambda: proxy.connections == 3)
        left = [
            one for one in set(threading.enumerate()) - before
            if one.name.startswith("toxic")
        ]  # fmt: skip
        assert left == []
        assert proxy.connections == 0

    def test_a_toxic_may_end_the_proxy(self, proxy, dial):
        """Though it runs in one of the proxy's own threads."""

        def end(stream, data):
            proxy.close()
            return ()

        proxy.requests = end
        client = dial()
        client.sendall(b"hello")
        assert received(client, 1) == b""
        wait_until(lambda: is_refused(proxy))

    def test_the_child_of_a_fork_keeps_nothing_open(self, proxy, dial):
        """What the parent closes or resets is so, though a child lives."""
        clients = [dial(), dial()]
        for client in clients:
            assert asked(client) == b"hello"
        over = FORK.Event()
        child = FORK.Process(target=over.wait, args=(PATIENCE,))
        child.start()
        proxy.replies = toxics.once(toxics.reset_peer())
        clients[0].sendall(b"hello")
        assert_reset(clients[0])
        proxy.down()
        assert received(clients[1], 1) == b""
        assert is_refused(proxy)
        over.set()
        child.join()


class TestToxics:
    def test_reset_peer(self, proxy, dial):
        """Both ways, the client gets a reset and no end."""
        proxy.replies = toxics.reset_peer()
        client = dial()
        client.sendall(b"hello")
        assert_reset(client)
        proxy.heal()
        proxy.requests = toxics.reset_peer(after=0.01)
        client = dial()
        client.sendall(b"hello")
        assert_reset(client)

    def test_blackhole(self, proxy, dial):
        """Nothing comes, and the connection stays; what it swallowed is lost."""
        swallowed = threading.Event()

        def swallow(stream, data):
            yield from toxics.blackhole()(stream, data)
            swallowed.set()

        proxy.replies = swallow
        client = dial()
        client.sendall(b"hello")
        assert swallowed.wait(PATIENCE)
        proxy.heal()
        assert asked(client, b"again") == b"again"

    def test_a_blackhole_that_closes(self, proxy, dial):
        """After its time, and without a byte."""
        proxy.replies = toxics.blackhole(closing_after=0.01)
        client = dial()
        client.sendall(b"hello")
        assert received(client, 1) == b""

    def test_latency(self, proxy, dial):
        """A reply is late, and late once, of however many pieces it is."""
        proxy.replies = toxics.latency(0.2)
        began = time.monotonic()
        assert asked(dial()) == b"hello"
        assert time.monotonic() - began >= 0.2
        noted = Noting(rest=b" and more")
        assert list(toxics.latency(0.2)(noted, b"hello")) == [b"hello", b" and more"]
        assert noted.waits == [0.2]

    def test_the_rest_of_what_has_come(self, proxy, dial):
        """A toxic may put the pieces of a reply together."""
        client, said = dial(), os.urandom(300_000)

        def gather(stream, data):
            while len(data) < len(said):
                stream.wait(0.001)
                data += stream.rest()
            yield data[::-1]

        proxy.replies = gather
        assert asked(client, said) == said[::-1]

    def test_the_chance_of_jitter_is_repeatable(self):
        """The same seed, the same waits."""

        def waits(seed):
            noted = Noting()
            toxic = toxics.latency(1.0, jitter=0.5, seed=seed)
            for _ in range(20):
                list(toxic(noted, b"x"))
            return noted.waits

        assert waits(1) == waits(1) != waits(2)
        assert all(0.5 <= one <= 1.5 for one in waits(1))

    def test_bandwidth(self):
        """So many bytes in a second."""
        noted = Noting()
        pieces = list(toxics.bandwidth(1000)(noted, bytes(2500)))
        assert sum(noted.waits) == pytest.approx(2.5)
        assert [len(one) for one in pieces] == [50] * 50
        assert len(list(toxics.bandwidth(0.5)(noted, b"ab"))) == 2

    def test_slicer(self, proxy, dial):
        """In pieces, but all of it."""
        noted = Noting()
        assert list(toxics.slicer(2, 0.5)(noted, b"hello")) == [b"he", b"ll", b"o"]
        assert noted.waits == [0.5] * 3
        proxy.replies = toxics.slicer()
        assert asked(dial()) == b"hello"

    @pytest.mark.parametrize(
        ("count", "left"), [(0, b""), (3, b"hel"), (7, b"hellohe")]
    )
    def test_limit_data(self, proxy, dial, count, left):
        """So many bytes, counted on each connection, and then its end."""
        client = dial()
        assert asked(client) == b"hello"  # does not count
        proxy.replies = toxics.limit_data(count)
        for one in (client, dial()):
            one.sendall(b"hello")
            found = received(one, len(left[:5]))
            if len(left) > 5:
                one.sendall(b"hello")
            assert found + received(one, 100) == left

    def test_stall(self, proxy, dial, server):
        """What is kept back comes once it may, though its sender has gone."""
        let, came = threading.Event(), threading.Event()

        def note(stream, data):
            came.set()
            yield data

        proxy.requests = toxics.chain(note, toxics.stall(let))
        client = dial()
        client.sendall(b"hello")
        assert came.wait(PATIENCE)
        client.close()
        assert server.heard == []
        let.set()
        wait_until(lambda: server.heard == [b"hello"])

    def test_a_stall_waits(self):
        """Until it may pass."""
        let = threading.Event()
        noted = Noting()
        noted.then = lambda: len(noted.waits) == 3 and let.set()
        assert list(toxics.stall(let)(noted, b"hello")) == [b"hello"]
        assert noted.waits == [0] * 3

    def test_a_stall_is_bounded(self, proxy, dial):
        """By its patience."""
        proxy.requests = toxics.stall(threading.Event(), patience=0.01)
        assert asked(dial()) == b"hello"

    def test_corrupt(self, proxy, dial):
        """One bit of each piece; a place behind its end is counted on."""
        client = dial()
        proxy.replies = toxics.corrupt(1)
        assert asked(client) == b"hdllo"
        proxy.replies = toxics.corrupt(14, mask=0x80)
        assert asked(client) == b"hell\xef"

    def test_replace(self, proxy, dial):
        """Something else comes."""
        proxy.requests = toxics.replace(b"HELLO")
        assert asked(dial()) == b"HELLO"

    def test_swap(self, proxy, dial):
        """Two get each other's reply once; then each its own, and a third, too."""
        proxy.replies = swap = toxics.Swap(PATIENCE)
        clients = {b"one": dial(), b"two": dial()}
        for said, client in clients.items():
            client.sendall(said)
        assert received(clients[b"one"], 3) == b"two"
        assert received(clients[b"two"], 3) == b"one"
        assert sorted(swap.replies.values()) == [b"one", b"two"]
        for client in (*clients.values(), dial()):
            assert asked(client) == b"hello"

    def test_a_swap_of_one(self, proxy, dial):
        """Who waits in vain for another is hung up on."""
        proxy.replies = toxics.Swap(0.01)
        client = dial()
        client.sendall(b"hello")
        assert received(client, 1) == b""

    def test_chain(self, proxy, dial):
        """Each gets what the one before passes on."""
        proxy.replies = toxics.chain(toxics.slicer(2), toxics.limit_data(3))
        client = dial()
        client.sendall(b"hello")
        assert received(client, 100) == b"hel"
        assert list(toxics.chain()(Noting(), b"as it was")) == [b"as it was"]

    def test_sometimes(self):
        """As often as was said, and the same each time."""
        chances = {0.0: {0}, 0.5: range(350, 650), 1.0: {1000}}
        for chance, expected in chances.items():
            runs = []
            for _ in range(2):
                toxic = toxics.sometimes(toxics.replace(b"x"), chance, seed=3)
                runs.append([list(toxic(None, b"")) for _ in range(1000)])
            assert runs[0] == runs[1]
            assert runs[0].count([b"x"]) in expected

    def test_once(self, proxy, dial):
        """The first piece, of whomever."""
        proxy.replies = toxics.once(toxics.replace(b"HELLO"))
        assert asked(dial()) == b"HELLO"
        assert asked(dial()) == b"hello"

    @pytest.mark.parametrize(
        ("make", "named"),
        [
            (lambda: toxics.latency(-1), "seconds must"),
            (lambda: toxics.latency(1, jitter="much"), "jitter must"),
            (lambda: toxics.bandwidth(0), "rate must be bytes in a second, got 0"),
            (lambda: toxics.bandwidth("1k"), "rate must"),
            (lambda: toxics.slicer(0), "size must be an int above 0, got 0"),
            (lambda: toxics.slicer(delay=-1), "delay must"),
            (lambda: toxics.limit_data(-1), "count must be an int of 0 or more"),
            (lambda: toxics.blackhole(-1), "closing_after must"),
            (lambda: toxics.reset_peer(None), "after must"),
            (lambda: toxics.sometimes(toxics.clean, 2), "chance must be a chance"),
        ],
    )
    def test_numbers_that_make_no_sense(self, make, named):
        """They are refused where they are given, and not in a thread."""
        with pytest.raises(errors.ConfigurationError, match=named):
            make()

    def test_one_of_your_own(self, proxy, dial):
        """A function of what has come, with a memory of its stream."""

        def count(stream, data):
            stream.notes[count] = stream.notes.get(count, 0) + 1
            yield b"%d" % stream.notes[count]
            yield data

        proxy.replies = count
        for client in (dial(), dial()):
            assert asked(client, b"a")[:1] == b"1"
            assert received(client, 1) == b"a"
            client.sendall(b"b")
            assert received(client, 2) == b"2b"

    @pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
    def test_one_that_fails(self, proxy, dial):
        """Its connection is closed; the next one is not."""

        def fail(stream, data):
            raise ZeroDivisionError

        proxy.replies = fail
        client = dial()
        client.sendall(b"hello")
        assert received(client, 1) == b""
        proxy.heal()
        assert asked(dial()) == b"hello"


class Noting:
    """A stream that notes how long it was to wait."""

    def __init__(self, rest=b""):
        self.waits = []
        self.then = int
        self.rest = lambda: rest

    def wait(self, seconds):
        self.waits.append(seconds)
        self.then()


def test_through():
    """A URL keeps all but the server."""
    proxy = ToxicProxy(1)
    here = proxy.address
    for url, expected in {
        "redis://localhost:6379/0": f"redis://{here}/0",
        "rediss://user:p%40ss@cache.example/1?a=b": f"rediss://user:p%40ss@{here}/1?a=b",
        "amqp://guest:guest@[::1]:5672//": f"amqp://guest:guest@{here}//",
        "mariadb+pymysql://u@db/test": f"mariadb+pymysql://u@{here}/test",
    }.items():
        assert proxy.through(url) == expected
    for wrong in ("unix:///run/redis.sock", "localhost:6379", "memcached://a,b"):
        with pytest.raises(errors.ConfigurationError, match="one server"):
            proxy.through(wrong)
    proxy.close()


# -- real servers --------------------------------------------------------------


KINDS = {
    "redis_server": ("redis", {}),
    "memcached_server": ("memcached", {}),
    "postgres": ("postgresql", {"create_table": True}),
    "mariadb": ("mariadb", {"create_table": True}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_server_is_served(request, kind):
    """What passes is as it was; in trouble callers are answered; then all goes on."""
    scheme, arguments = KINDS[kind]
    server = request.getfixturevalue(kind)
    url = server.url if "://" in server.url else f"{scheme}://{server.url}"
    with ToxicProxy(server.port) as proxy:
        region = make_region("proxied").configure(
            proxy.through(url), 60, arguments, unsigned_pickle=True
        )
        value = os.urandom(300_000)
        assert region.set("k", value).pending is False
        proxy.requests = proxy.replies = toxics.slicer(10_000)
        assert region.get("k") == value
        proxy.heal()
        proxy.down()
        assert region.get_or_create("k", lambda: "made") == "made"
        assert region.delete("k").pending
        proxy.up()
        wait_until(lambda: region.set("k", "again").pending is False)
        assert region.get("k") == "again"


@pytest.mark.xdist_group("rabbit")
def test_a_broker_is_served():
    """AMQP passes; a broker that is down refuses, and its messages are there again."""
    with RabbitServer() as rabbit, ToxicProxy(rabbit.port) as proxy:
        url = proxy.through(rabbit.url)
        with Connection(url) as link, link.SimpleQueue("proxied") as queue:
            queue.put("kept")
        proxy.down()
        with pytest.raises(ConnectionRefusedError):
            Connection(url).connect()
        proxy.up()
        with Connection(url) as link, link.SimpleQueue("proxied") as queue:
            message = queue.get(timeout=PATIENCE)
            assert message.payload == "kept"
            message.ack()


def test_it_needs_no_pytest():
    """An application may use it where there is none; all names are found, and told."""
    code = """
import sys
sys.modules["pytest"] = None
import holdover.testing as testing
heavy = {"contract", "oracle", "proxy", "clock"}
assert not [one for one in sys.modules if one.rpartition(".")[2] in heavy], sys.modules
from holdover.testing import FakeClock, Oracle, ToxicProxy, hammer, toxics
assert set(testing.__all__) <= set(dir(testing))
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    import holdover.testing as everything

    assert all(hasattr(everything, name) for name in everything.__all__)
    assert not hasattr(everything, "nothing")
