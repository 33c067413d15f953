"""The HTTP response cache under real servers: who sends files, who makes pages anew."""

import http.client
import itertools
import os
import re
from pathlib import Path

import pytest
from fleet_workers import surround, worker
from serving import WSGIServer, visit
from waiting import wait_until

CONTENT = bytes(range(256)) * 400
HERE = Path(__file__).parent
SERVERS = {
    "gunicorn": ("gunicorn", "--no-control-socket"),
    "gunicorn threads": ("gunicorn", "--no-control-socket", "--threads=2"),
    "uwsgi": ("uwsgi",),
    "uwsgi threads": ("uwsgi", "--threads=2"),
}
NUMBERS = itertools.count(1)


class Pages:
    """The site of served_pages.py under a server."""

    def __init__(self, server, folder):
        self._server = server
        self._folder = folder

    def ask(self, path, method="GET", **fields):
        """Give status, what the cache says, and the body, as it came over the wire."""
        connection = http.client.HTTPConnection(
            "127.0.0.1", self._server.port, timeout=10
        )
        try:
            connection.request(method, path, headers=fields)
            response = connection.getresponse()
            told = response.headers["Cache-Status"].partition(";")[2]
            return response.status, told, response.read()
        finally:
            connection.close()

    def notes(self, path):
        """Give what was noted of a page."""
        lines = (self._folder / "notes").read_text().splitlines()
        return [one for one in lines if f" {path}" in f"{one} "]

    def closed(self, path):
        """Tell how often a file was closed."""
        return self.notes(path).count(f"closed {path}")


@pytest.fixture(scope="module", params=SERVERS)
def served_by(request):
    """Each server in turn."""
    return request.param


def _started(kind, folder, runner):
    (folder / "content").write_bytes(CONTENT)
    name, *options = SERVERS[kind]
    told = {"PAGES": f"file://{folder}/pages", "RUNNER": runner, "FOLDER": str(folder)}
    return WSGIServer(name, "served_pages:application", HERE, told, *options)


@pytest.fixture(scope="module")
def pages(served_by, tmp_path_factory):
    """The site, whose threads make stale pages anew where there may be any."""
    folder = tmp_path_factory.mktemp("pages")
    with _started(served_by, folder, "thread") as server:
        yield Pages(server, folder)


@pytest.fixture
def path():
    """Name a page that nobody has asked for yet."""
    return lambda kind: f"/{kind}/{next(NUMBERS)}"


class TestFiles:
    def test_one_that_is_not_stored(self, pages, path):
        """Stays one, which the server sends by itself; it is closed, once."""
        passed = path("passed")
        for count in (1, 2):
            status, told, body = pages.ask(passed)
            assert (status, body) == (200, CONTENT)
            assert told == 'fwd=uri-miss;detail="no-store"'
            wait_until(lambda count=count: pages.closed(passed) >= count)
        assert pages.notes(passed).count(f"GET {passed} is a file") == 2
        assert pages.closed(passed) == 2

    @pytest.mark.parametrize("kind", ["passed", "kept"])
    def test_to_a_head(self, pages, path, kind):
        """It stays one; nothing of it is sent."""
        path = path(kind)
        status, _, body = pages.ask(path, "HEAD")
        assert (status, body) == (200, b"")
        wait_until(lambda: pages.closed(path) == 1)
        assert f"HEAD {path} is a file" in pages.notes(path)

    @pytest.mark.parametrize("kind", ["passed", "kept"])
    def test_to_a_range_before_it_is_there(self, pages, path, kind):
        """It stays one: the application may do as it likes with the range."""
        path = path(kind)
        status, told, body = pages.ask(path, Range="bytes=10-19")
        assert (status, body, told) == (200, CONTENT, "fwd=uri-miss")
        wait_until(lambda: pages.closed(path) == 1)
        assert f"GET {path} is a file" in pages.notes(path)

    def test_one_that_is_stored(self, pages, path):
        """Is read, closed, and then served from the cache, with ranges and heads."""
        kept = path("kept")
        assert pages.ask(kept) == (200, "fwd=uri-miss;stored", CONTENT)
        wait_until(lambda: pages.closed(kept) == 1)
        status, told, body = pages.ask(kept)
        assert (status, body) == (200, CONTENT)
        # Who has read the first answer may be there before it is stored, and waits.
        assert re.fullmatch(r"hit;ttl=\d+|fwd=uri-miss;ttl=\d+;collapsed", told)
        assert pages.ask(kept, Range="bytes=10-19")[::2] == (206, CONTENT[10:20])
        assert pages.ask(kept, "HEAD")[::2] == (200, b"")
        assert pages.closed(kept) == 1

    def test_to_a_change(self, pages, path):
        """It stays one, and is closed; the page is removed."""
        kept = path("kept")
        pages.ask(kept)
        assert pages.ask(kept, "POST") == (200, "fwd=method", CONTENT)
        wait_until(lambda: pages.closed(kept) == 2)
        assert f"POST {kept} is a file" in pages.notes(kept)
        assert pages.ask(kept)[1] == "fwd=uri-miss;stored"


def test_a_stale_page_is_made_anew(pages, path, served_by):
    """By a thread of ours where the application bears two; else by the server's."""
    path = path("stale")
    first = pages.ask(path, Cookie="id=7")[2]
    wait_until(lambda: pages.ask(path, Cookie="id=7")[2] != first)
    made = [one.split() for one in pages.notes(path) if one.startswith("made")]
    whom, threads = [words[3] for words in made], [words[5] for words in made]
    assert whom == ["visitor"] + ["nobody"] * (len(made) - 1)
    ours = ["holdover" in name.lower() for name in threads]
    assert ours == [False] + [served_by.endswith("threads")] * (len(made) - 1)


@pytest.mark.parametrize(
    "options", [(), pytest.param(("--threads=2",), marks=pytest.mark.slow)]
)
def test_uwsgi_has_a_queue_make_pages_anew(
    options, tmp_path, redis_server, monkeypatch
):
    """What publishes orders goes on beside the server's threads, or its only one."""
    surround(monkeypatch, tmp_path, redis_server)
    monkeypatch.setenv("FLEET_WEB", "none")
    variables = {one: os.environ[one] for one in os.environ if one[:6] == "FLEET_"}
    variables["FLEET_WEB"] = "any"
    with (
        worker(tmp_path, "threads", app="http_fleet") as process,
        WSGIServer("uwsgi", "http_fleet:site", HERE, variables, *options) as server,
    ):
        wait_until(lambda: visit(server.address) == str(process.pid))
