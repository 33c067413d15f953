"""The reverse proxy of the examples, over real HTTP, in front of a real origin."""

import http.client
import itertools
import re
import socket
import sys
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from serving import EXAMPLES, WSGIServer, served, visit
from waiting import wait_until

BODY = bytes(range(256)) * 40
KEPT = "max-age=60"
HIT = r'"Holdover";(hit;ttl=\d+|fwd=uri-miss;ttl=\d+;collapsed)$'
NUMBERS = itertools.count()


class Origin(ThreadingHTTPServer):
    """A server whose pages are methods of its handler; counts what it is asked."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Pages)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.asked = Counter()
        self.fields = {}
        self.may_end = threading.Event()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,))

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.die()

    def die(self):
        """Answer nobody any more."""
        self.may_end.set()
        if self._thread.is_alive():
            self.shutdown()
            self._thread.join()
            self.server_close()

    def handle_error(self, request, client_address):
        """Say nothing: clients that go away are what is tested."""
        assert isinstance(sys.exc_info()[1], OSError)


class Pages(BaseHTTPRequestHandler):
    """What the origin serves."""

    protocol_version = "HTTP/1.1"

    def __getattr__(self, name):
        """Answer every method alike."""
        if name in ("do_GET", "do_HEAD", "do_POST"):
            return self.answer
        raise AttributeError(name)

    def answer(self):
        """Answer with the page of the path's name."""
        self.server.asked[f"{self.command} {self.path}"] += 1
        self.server.fields[self.path] = self.headers
        getattr(self, self.path.split("/")[1] or "home")()

    def log_message(self, *_):
        """Say nothing."""

    def give(self, body, *fields, status=200):
        """Send a whole answer."""
        self.send_response(status)
        for name, value in (("Content-Length", str(len(body))), *fields):
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def home(self):
        """Say hello."""
        self.give(b"hello")

    def fresh(self):
        """Give a page that is kept, but not what is about this connection."""
        hop_by_hop = [("Connection", "X-Hop"), ("X-Hop", "1"), ("Keep-Alive", "a")]
        self.give(BODY, ("Cache-Control", KEPT), ("ETag", '"one"'), *hop_by_hop)

    def meanwhile(self):
        """Give a page that is served while the next one is made."""
        count = self.server.asked[f"GET {self.path}"]
        said = "max-age=0, stale-while-revalidate=60"
        self.give(str(count).encode(), ("Cache-Control", said))

    def asked(self):
        """Give a page that has to be asked about."""
        if self.headers["If-None-Match"] == '"one"':
            self.give(b"", ("ETag", '"one"'), status=304)
            return
        self.give(BODY, ("Cache-Control", "max-age=0"), ("ETag", '"one"'))

    def fallback(self):
        """Give a page that may stand in for an error."""
        self.give(BODY, ("Cache-Control", "max-age=0, stale-if-error=60"))

    def chunked(self):
        """Give a page whose length nobody knows before its end."""
        self.begin(("Transfer-Encoding", "chunked"))
        for start in range(0, len(BODY), 4096):
            chunk = BODY[start : start + 4096]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        self.wfile.write(b"0\r\n\r\n")

    def slow(self):
        """Give the first half; the second when it may end."""
        self.begin(("Content-Length", str(len(BODY))))
        self.wfile.write(BODY[:5000])
        self.server.may_end.wait(20)
        self.wfile.write(BODY[5000:])

    def torn(self):
        """Give less than was promised."""
        self.begin(("Content-Length", str(len(BODY))))
        self.wfile.write(BODY[:5000])
        self.close_connection = True

    def begin(self, *fields):
        """Send a head."""
        self.send_response(200)
        for name, value in (("Cache-Control", KEPT), *fields):
            self.send_header(name, value)
        self.end_headers()

    def echo(self):
        """Give back what was sent."""
        if self.headers["Transfer-Encoding"] == "chunked":
            sent = b""
            while length := int(self.rfile.readline(), 16):
                sent += self.rfile.read(length)
                self.rfile.readline()
            self.rfile.readline()
        else:
            sent = self.rfile.read(int(self.headers["Content-Length"]))
        self.give(sent, ("Content-Location", self.headers["X-Changes"]))


class ProxyServer(WSGIServer):
    """The proxy, under a WSGI server."""

    def __init__(self, name, origin):
        folder, variables = EXAMPLES / "reverse_proxy", {"ORIGIN": origin}
        super().__init__(name, "proxy:application", folder, variables, "--threads=8")

    def ask(self, path, method="GET", body=None, **fields):
        """Send a request; give status, fields and body of its answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        named = {name.replace("_", "-"): value for name, value in fields.items()}
        try:
            connection.request(method, path, body, named)
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()


@pytest.fixture(scope="module")
def origin():
    """The origin that tests share which leave it alive."""
    with Origin() as server:
        yield server


@pytest.fixture(scope="module", params=["waitress", "gunicorn"])
def proxy(request, origin):
    """The proxy in front of it, under each server in turn."""
    with ProxyServer(request.param, origin.url) as server:
        yield server


@pytest.fixture
def page():
    """Give a path that nobody has asked for yet, of a page by its name."""
    return lambda name: f"/{name}/{next(NUMBERS)}"


def test_it_runs_as_its_first_lines_say(origin):
    """By itself, on a port that it finds and prints."""
    program = EXAMPLES / "reverse_proxy" / "proxy.py"
    with served(program, "0", ORIGIN=origin.url) as address:
        assert visit(address) == "hello"


def test_a_fresh_page_is_asked_for_once(origin, proxy, page):
    """Then all is answered from what is stored: the whole, parts, heads, and 304s."""
    path = page("fresh")
    status, fields, body = proxy.ask(path, X_Any="1", X_Own="1", Connection="X-Own")
    assert (status, body) == (200, BODY)
    assert fields["Cache-Status"] == '"Holdover";fwd=uri-miss;stored'
    assert "X-Hop" not in fields
    assert origin.fields[path]["X-Any"] == "1"
    assert "X-Own" not in origin.fields[path]
    for method, given in (("GET", BODY), ("HEAD", b"")):
        status, fields, body = proxy.ask(path, method)
        assert (status, body) == (200, given)
        assert fields["Content-Length"] == str(len(BODY))
        # Who has read the first answer may be there before it is stored, and waits.
        assert re.match(HIT, fields["Cache-Status"])
        assert int(fields["Age"]) < 10
    status, fields, body = proxy.ask(path, Range="bytes=10-19")
    assert (status, body) == (206, BODY[10:20])
    assert fields["Content-Range"] == f"bytes 10-19/{len(BODY)}"
    status, _, body = proxy.ask(path, If_None_Match='"one"')
    assert (status, body) == (304, b"")
    assert origin.asked[f"GET {path}"] == 1
    assert origin.asked[f"HEAD {path}"] == 0


def test_a_stale_page_is_served_while_the_next_is_made(origin, proxy, page):
    """The visitor gets the old one at once, another soon the new one."""
    path = page("meanwhile")
    assert proxy.ask(path)[2] == b"1"
    assert proxy.ask(path)[2] == b"1"
    wait_until(lambda: proxy.ask(path)[2] != b"1")
    assert "cookie" not in origin.fields[path]


def test_the_origin_is_asked_whether_a_page_still_holds(origin, proxy, page):
    """A 304 saves it the body."""
    path = page("asked")
    assert proxy.ask(path)[2] == BODY
    status, fields, body = proxy.ask(path)
    assert (status, body) == (200, BODY)
    assert ";fwd=stale;fwd-status=304" in fields["Cache-Status"]
    assert origin.fields[path]["If-None-Match"] == '"one"'


def test_a_page_in_chunks_is_stored_whole(origin, proxy, page):
    """What had no length when it came has one when it is served again."""
    path = page("chunked")
    assert proxy.ask(path)[2] == BODY
    _, fields, body = proxy.ask(path)
    assert body == BODY
    assert fields["Content-Length"] == str(len(BODY))
    assert origin.asked[f"GET {path}"] == 1


@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_body_goes_through_and_changes_what_others_get(
    origin, proxy, page, is_chunked
):
    """Whatever its form; the page that it changed is asked for again."""
    path = page("fresh")
    proxy.ask(path)
    body = iter([BODY[:5000], BODY[5000:]]) if is_chunked else BODY
    status, fields, back = proxy.ask(
        "/echo",
        "POST",
        body,
        X_Changes=path,
        X_Forwarded_For="192.0.2.1",
        Content_Type="text/x",
    )
    assert (status, back) == (200, BODY)
    assert fields["Cache-Status"] == '"Holdover";fwd=method'
    # Waitress drops what clients say of it, unless it is told whom to trust.
    known = origin.fields["/echo"]["X-Forwarded-For"]
    assert known in ("192.0.2.1, 127.0.0.1", "127.0.0.1")
    assert origin.fields["/echo"]["Content-Type"] == "text/x"
    proxy.ask(path)
    assert origin.asked[f"GET {path}"] == 2


def test_a_client_that_goes_away_leaves_nothing(origin, proxy, page):
    """Half a page is never stored; the next client gets the whole."""
    path = page("slow")
    origin.may_end.clear()
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        assert client.recv(100).startswith(b"HTTP/1.1 200")
    origin.may_end.set()
    for _ in range(2):
        assert proxy.ask(path, Host="127.0.0.1")[2] == BODY
    assert origin.asked[f"GET {path}"] <= 2


def test_a_page_that_breaks_off_is_an_error_and_not_stored(origin, proxy, page):
    """Nobody is told that half of it was the whole."""
    path = page("torn")
    for _ in range(2):
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            proxy.ask(path)
    assert origin.asked[f"GET {path}"] == 2


@pytest.mark.parametrize("name", ["waitress", "gunicorn"])
def test_an_origin_that_dies_is_stood_in_for(name):
    """By what was said to do so, and by what is fresh; of the rest, there is a 502."""
    with Origin() as origin, ProxyServer(name, origin.url) as proxy:
        for path in ("/fallback", "/fresh"):
            proxy.ask(path)
        origin.die()
        for path in ("/fallback", "/fresh"):
            status, _, body = proxy.ask(path)
            assert (status, body) == (200, BODY)
        assert proxy.ask("/home")[0] == 502


def test_what_is_no_origin_is_refused(monkeypatch):
    """The error says what was wanted."""
    with (
        pytest.raises(AssertionError, match=re.escape("must be an http(s) URL")),
        served(EXAMPLES / "reverse_proxy" / "proxy.py", "0", ORIGIN="shop"),
    ):
        pass
