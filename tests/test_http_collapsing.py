"""Of many requests for a page that is not there, one reaches the application."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from http_shop import Response, Site, environ_for, page, pages_region
from waiting import PATIENCE, wait_until

from holdover.wsgi import HTTPCachePolicy
from holdover.wsgi.http.collapsing import Collapsing
from holdover.wsgi.http.environ import read_request
from holdover.wsgi.http.fills import Fill, Fills
from holdover.wsgi.http.pages import Pages

MINUTE = ("Cache-Control", "max-age=60")
PRIVATE = ("Cache-Control", "private")
OLD = [("Cache-Control", "max-age=10, stale-if-error=600"), ("Age", "11")]
CROWD = 32


class Gate:
    """A view that is held up until the test lets it go on.

    Args:
        view: What it answers then.
    """

    def __init__(self, view):
        self.view = view
        self.entered = threading.Semaphore(0)
        self.open = threading.Event()

    def __call__(self, environ, start_response):
        self.entered.release()
        assert self.open.wait(PATIENCE)
        return self.view(environ, start_response)


def failing(environ, start_response):
    """Be a view that gives no answer."""
    raise RuntimeError("no answer")


def crowd(site, count=CROWD, **request):
    """Have many ask at once; give what they will get."""
    barrier = threading.Barrier(count)

    def one(_):
        barrier.wait()
        return site.ask(**request)

    pool = ThreadPoolExecutor(count)
    return [pool.submit(one, number) for number in range(count)]


def results(futures):
    """Give what has come."""
    return [one.result(PATIENCE) for one in futures]


class TestThreads:
    def test_one_asks(self, pages_url):
        """The others get its answer as soon as it is there."""
        gate = Gate(page("made"))
        site = Site(pages_url, gate)
        waiting = crowd(site)
        assert gate.entered.acquire(timeout=PATIENCE)
        gate.open.set()
        replies = results(waiting)
        assert {one.text for one in replies} == {"made"}
        assert site.calls == 1
        told = [one.cache.split(";") for one in replies]
        assert [one for one in told if "stored" in one] == [["fwd=uri-miss", "stored"]]
        assert all("collapsed" in one or one[0] == "hit" or "stored" in one
                   for one in told)  # fmt: skip

    def test_variants_are_asked_for_side_by_side(self, pages_url):
        """Once it is known that there are any."""
        inside, both = [], threading.Barrier(2, timeout=PATIENCE)

        def view(environ, start_response):
            language = environ["HTTP_ACCEPT_LANGUAGE"]
            if language != "en":
                both.wait()
                inside.append(language)
            head = [MINUTE, ("Vary", "Accept-Language"), ("Content-Type", "text/plain")]
            start_response("200 OK", head)
            return [language.encode()]

        site = Site(pages_url, view)
        site.ask(fields={"Accept-Language": "en"})
        languages = ["de", "fr"] * 4
        with ThreadPoolExecutor(8) as pool:
            replies = pool.map(
                lambda one: site.ask(fields={"Accept-Language": one}).text, languages
            )
        assert list(replies) == languages
        assert sorted(inside) == ["de", "fr"]

    def test_a_private_answer_keeps_nobody_waiting(self, pages_url):
        """Its head lets all others go, at once and side by side; it is remembered."""
        first, others = threading.Event(), threading.Barrier(CROWD - 1)

        def view(environ, start_response):
            if environ["test.call"] > 1:
                others.wait(PATIENCE)  # breaks unless they are all here at once
            else:
                first.set()
            return page(None, PRIVATE)(environ, start_response)

        site = Site(pages_url, view)
        replies = results(crowd(site))
        assert sorted(int(one.text) for one in replies) == list(range(1, CROWD + 1))
        others = threading.Barrier(8)
        assert len(results(crowd(site, 8))) == 8

    def test_a_private_body_keeps_nobody_waiting(self, pages_url):
        """Though it is sent slowly."""
        policy = HTTPCachePolicy(wait=60.0)
        site = Site(pages_url, page("text", PRIVATE), policy=policy)
        slow = Response(site.app, environ_for())
        begun = time.monotonic()
        assert site.ask().text == "text"
        assert time.monotonic() - begun < PATIENCE
        slow.close()

    @pytest.mark.parametrize("fields", [{"Authorization": "Basic x"},
                                        {"Cache-Control": "no-store"}])  # fmt: skip
    def test_a_private_request_keeps_nobody_waiting(self, pages_url, fields):
        """Nor do those like it wait for each other."""
        barrier = threading.Barrier(7)

        def view(environ, start_response):
            if environ["test.call"] > 1:
                barrier.wait(PATIENCE)
            return page()(environ, start_response)

        site = Site(pages_url, view)
        if "Authorization" in fields:
            replies = results(crowd(site, 8, fields=fields))
        else:
            site.ask(fields=fields)
            replies = results(crowd(site, 7, fields=fields))
        assert len({one.text for one in replies}) == len(replies)

    def test_an_answer_that_becomes_public_is_stored(self, pages_url):
        """That nobody waits does not mean that nothing is kept."""
        site = Site(pages_url, page(None, PRIVATE))
        assert site.texts(2) == ["1", "2"]
        site.view = page()
        assert site.texts(3) == ["3", "3", "3"]

    def test_an_error_keeps_nobody_waiting(self, pages_url):
        """Who waited for one that failed asks for himself."""
        others = threading.Barrier(CROWD - 1)

        def view(environ, start_response):
            if environ["test.call"] == 1:
                raise RuntimeError("only once")
            others.wait(PATIENCE)
            return page("made", PRIVATE)(environ, start_response)

        site = Site(pages_url, view)
        outcomes = [one.exception(PATIENCE) for one in crowd(site)]
        assert sorted(repr(one) for one in outcomes if one) == [
            "RuntimeError('only once')"
        ]

    def test_who_has_looked_too_early(self, pages_url):
        """Does not wait for those who know already that it is of no use."""
        region = pages_region(pages_url)
        pages = Pages(region, HTTPCachePolicy())
        collapsing = Collapsing(pages, HTTPCachePolicy(wait=60.0))
        request = read_request(environ_for(), HTTPCachePolicy())
        early = pages.find(request)
        pages.keep_passing(early.place, "private", region.lease(early.place.key))
        begun = time.monotonic()
        with collapsing.settle(request, early).turn:
            assert collapsing.settle(request, early).turn is None
        assert time.monotonic() - begun < PATIENCE

    def test_a_page_that_is_never_fresh_keeps_nobody_waiting(self, pages_url):
        """It is asked about by each for himself; no waiting in line."""
        barrier = threading.Barrier(7)

        def view(environ, start_response):
            if environ["test.call"] > 1:
                barrier.wait(PATIENCE)
            cache = ("Cache-Control", "no-cache")
            return page(None, cache, ("ETag", '"1"'))(environ, start_response)

        site = Site(pages_url, view)
        site.ask()
        assert len(results(crowd(site, 7))) == 7

    def test_waiting_has_an_end(self, pages_url):
        """Then each asks for himself, and for a while nobody waits at all."""
        policy = HTTPCachePolicy(wait=2.0)
        gate = Gate(page("slow"))
        site = Site(pages_url, gate, policy=policy)
        first = crowd(site, 1)
        assert gate.entered.acquire(timeout=PATIENCE)
        site.view = page("mine")
        begun = time.monotonic()
        assert site.ask().text == "mine"
        waited = time.monotonic() - begun
        assert 2.0 <= waited < 6.0
        begun = time.monotonic()
        assert site.texts(5) == ["mine"] * 5
        assert time.monotonic() - begun < 2.0
        gate.open.set()
        assert [one.text for one in results(first)] == ["slow"]
        assert site.ask().text == "slow"

    def test_a_wrong_length_keeps_nobody_waiting(self, pages_url):
        """It is known only at the end of a body, and remembered then."""

        def view(environ, start_response):
            head = [MINUTE, ("Content-Type", "text/plain"), ("Content-Length", "3")]
            start_response("200 OK", head)
            return iter([b"a"])

        site = Site(pages_url, view)
        site.app = site.middleware
        site.ask()
        first = Response(site.app, environ_for())
        begun = time.monotonic()
        site.ask()
        assert time.monotonic() - begun < 4.0  # waiting: 5 s
        first.close()

    def test_a_visitor_who_goes_lets_others_go_on(self, pages_url):
        """The next one asks."""

        def view(environ, start_response):
            start_response("200 OK", [MINUTE, ("Content-Type", "text/plain")])
            return iter([b"a", b"b"])

        site = Site(pages_url, view)
        gone = Response(site.app, environ_for())
        next(gone.chunks)
        waiting = crowd(site, 4)
        wait_until(lambda: threading.active_count() > 4, "those who wait")
        gone.close()
        assert {one.text for one in results(waiting)} == {"ab"}
        assert site.calls == 2

    def test_a_server_that_never_closes(self, pages_url):
        """Costs the first who comes his wait, and no more."""
        policy = HTTPCachePolicy(wait=0.5, pass_for=60.0)

        def view(environ, start_response):
            start_response("200 OK", [MINUTE, ("Content-Type", "text/plain")])
            return iter([b"a", b"b"])

        site = Site(pages_url, view, policy=policy)
        with contextlib.closing(Response(site.middleware, environ_for())):
            begun = time.monotonic()
            assert site.texts(10) == ["ab"] * 10
            assert time.monotonic() - begun < 4.0  # if all waited: 5 s

    @pytest.mark.parametrize("fails", ["raises", "answers"])
    def test_an_old_page_stands_in_for_all(self, pages_url, fails, monkeypatch):
        """One sees the application fail; nobody waits for it again, nor is told."""
        waiters, wait = [], Fill.wait
        monkeypatch.setattr(
            Fill, "wait", lambda self, most: waiters.append(self) or wait(self, most)
        )
        site = Site(pages_url, page("old", *OLD))
        site.ask()
        gate = Gate(failing if fails == "raises" else page("", status="503 No"))
        site.view = gate
        waiting = crowd(site)
        assert gate.entered.acquire(timeout=PATIENCE)
        wait_until(lambda: len(waiters) == CROWD - 1)
        gate.open.set()
        assert {(one.code, one.text) for one in results(waiting)} == {(200, "old")}
        assert site.calls == 2

    def test_an_old_page_stands_in_for_what_is_late(self, pages_url):
        """Who has waited for long gets it, and who comes after that does not wait."""
        policy = HTTPCachePolicy(wait=2.0)
        site = Site(pages_url, page("old", *OLD), policy=policy)
        site.ask()
        gate = Gate(page("new", MINUTE))
        site.view = gate
        first = crowd(site, 1)
        assert gate.entered.acquire(timeout=PATIENCE)
        assert {one.text for one in results(crowd(site, 8))} == {"old"}
        begun = time.monotonic()
        assert site.ask().text == "old"
        assert time.monotonic() - begun < 2.0
        gate.open.set()
        assert results(first)[0].text == "new"
        assert site.ask().text == "new"
        assert site.calls == 2

    def test_an_old_page_stands_in_for_who_does_not_wait(self, pages_url):
        """He asks for himself, beside another, and is told of no error."""
        site = Site(pages_url, page("old", *OLD))
        site.ask()
        gate = Gate(page("new", MINUTE))
        site.view = gate
        first = crowd(site, 1)
        assert gate.entered.acquire(timeout=PATIENCE)
        for site.view in (failing, page("", status="503 No")):
            assert site.ask(fields={"Cache-Control": "no-cache"}).text == "old"
        site.view = page("other")
        assert site.ask(fields={"Cache-Control": "no-cache"}).text == "other"
        gate.open.set()
        results(first)

    def test_who_wants_a_newer_one_does_not_wait(self, pages_url):
        """``no-cache`` means that the application is asked by this request."""
        gate = Gate(page("slow"))
        site = Site(pages_url, gate)
        first = crowd(site, 1)
        assert gate.entered.acquire(timeout=PATIENCE)
        site.view = page("new")
        assert site.ask(fields={"Cache-Control": "no-cache"}).text == "new"
        gate.open.set()
        results(first)


@contextlib.contextmanager
def processes(url, folder, count, threads):
    """Run processes of one site; gives them when they are ready."""
    command = [sys.executable, str(Path(__file__).with_name("http_process.py"))]
    started = [
        subprocess.Popen(
            [*command, url, str(folder), str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(count)
    ]
    try:
        for one in started:
            assert one.stdout.readline() == "ready\n"
        yield started
    finally:
        for one in started:
            one.kill()
            one.communicate()


def tell(process, path):
    """Have a process ask for a page."""
    process.stdin.write(path + "\n")
    process.stdin.flush()


def asked(folder, path):
    """Give who has been asked for a page."""
    notes = folder / "calls"
    lines = notes.read_text().splitlines() if notes.exists() else []
    return [int(one.split()[1]) for one in lines if one.split()[0] == path]


@pytest.fixture(params=["file", "redis"])
def shared_url(request, tmp_path):
    """Where several processes keep pages."""
    if request.param == "redis":
        return request.getfixturevalue("redis_server").patient_url
    return f"file://{tmp_path}/pages"


class TestProcesses:
    def test_one_asks(self, shared_url, tmp_path):
        """Of four processes with eight threads each."""
        with processes(shared_url, tmp_path, 4, 8) as started:
            for one in started:
                tell(one, "/cold")
            replies = [reply for one in started for reply in
                       json.loads(one.stdout.readline())]  # fmt: skip
        assert len(replies) == 32
        assert [{text for text, _, _ in replies}] == [
            {str(one) for one in asked(tmp_path, "/cold")}
        ]
        assert len(asked(tmp_path, "/cold")) == 1

    def test_a_private_answer_keeps_no_process_waiting(self, shared_url, tmp_path):
        """They ask side by side: all together take as long as two."""
        with processes(shared_url, tmp_path, 3, 4) as started:
            begun = time.monotonic()
            for one in started:
                tell(one, "/private")
            for one in started:
                json.loads(one.stdout.readline())
            took = time.monotonic() - begun
        assert len(asked(tmp_path, "/private")) == 12
        assert took < 0.6 * 10  # one after the other: 7.2 s

    def test_who_dies_is_replaced(self, shared_url, tmp_path):
        """By one of those who wait, when his lease has lapsed."""
        with processes(shared_url, tmp_path, 2, 1) as (first, second):
            tell(first, "/forever")
            wait_until(lambda: asked(tmp_path, "/forever"), "the first")
            tell(second, "/forever")
            first.send_signal(signal.SIGKILL)
            wait_until(lambda: len(asked(tmp_path, "/forever")) == 2, "the second")
            assert asked(tmp_path, "/forever") == [first.pid, second.pid]


def test_the_child_of_a_fork_waits_for_nobody():
    """Those who ask have stayed behind in the parent, which goes on waiting."""
    fills = Fills(most=60.0, pause=1.0)
    mine, _ = fills.join("page")
    child = os.fork()
    if child == 0:
        os._exit(0 if fills.join("page")[1] else 1)
    _, code = os.waitpid(child, 0)
    assert code == 0
    assert fills.join("page") == (mine, False)


def test_a_region_that_two_sites_share():
    """They are as two processes: who has no page waits for the other's."""
    region = pages_region("memory://")
    gate = Gate(page("one's"))
    one, two = Site(region, gate), Site(region, page("two's"))
    first = crowd(one, 1)
    assert gate.entered.acquire(timeout=PATIENCE)
    second = crowd(two, 4)
    gate.open.set()
    texts = {reply.text for reply in results(first) + results(second)}
    assert (texts, two.calls) == ({"one's"}, 0)
