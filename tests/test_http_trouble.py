"""Whatever befalls the store, the application answers, and soon."""

import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from http_shop import STALE, Site, page, pages_region
from standins import broken
from waiting import wait_until

from holdover.wsgi import HTTPCachePolicy

BYPASS = 'fwd=bypass;detail="backend"'
MINUTE = ("Cache-Control", "max-age=60")
HUNG = 5.0  # seconds; three operations, each of 0.25 s, and what a busy machine adds
SOON = 5.0  # seconds for a dozen requests; each operation waits for 0.25 s at most


def timed(site, count=12):
    """Ask for pages; tell how long that took."""
    begun = time.monotonic()
    replies = [site.ask(f"/{number % 3}") for number in range(count)]
    assert time.monotonic() - begun < SOON
    return replies


@pytest.fixture
def redis_site(own_redis):
    """A site whose pages are in a server that the test may harm."""
    site = Site(pages_region(own_redis.url), policy=HTTPCachePolicy(wait=1.0))
    site.ask("/0")
    return site


def test_a_server_that_is_down(redis_site, own_redis):
    """Each page is made for who asks for it."""
    own_redis.kill()
    replies = timed(redis_site)
    assert {one.cache for one in replies} == {BYPASS}
    assert [one.code for one in replies] == [200] * 12


@pytest.mark.usefixtures("default_timeouts")
def test_a_server_that_hangs(redis_site, own_redis):
    """Costs a bounded wait, once; and is used again when it goes on."""
    own_redis.freeze()
    assert {one.cache for one in timed(redis_site)} == {BYPASS}
    own_redis.thaw()


def test_a_server_that_is_full(redis_site, own_redis):
    """What is there is served; nothing is waited for that cannot be stored."""
    own_redis.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")
    own_redis.ask("CONFIG", "SET", "maxmemory", "1")
    begun = time.monotonic()
    assert [redis_site.ask(f"/new-{number}").code for number in range(12)] == [200] * 12
    assert time.monotonic() - begun < SOON
    assert redis_site.ask("/0").text == "1"


def test_a_server_that_takes_no_changes(redis_site, own_redis):
    """A replica, say: what is there is served, the rest is made."""
    own_redis.ask("CONFIG", "SET", "min-replicas-to-write", "3")
    assert redis_site.ask("/0").text == "1"
    assert [one.code for one in timed(redis_site)] == [200] * 12


def test_a_server_that_dies_while_a_page_is_made(redis_site, own_redis):
    """The page reaches its visitor."""

    def view(environ, start_response):
        own_redis.kill()
        return page("made")(environ, start_response)

    redis_site.view = view
    assert redis_site.ask("/new").text == "made"


@pytest.mark.parametrize(
    "verb", ["read", "acquire", "commit", "release", "leased", "tick", "write"]
)
def test_a_store_that_fails_at_one_thing(pages_url, verb, monkeypatch):
    """At whatever: pages are served, and changes are carried out."""
    site = Site(pages_region(pages_url, runner="thread"),
                page(None, *STALE, ("Vary", "Accept-Language")))  # fmt: skip
    site.ask("/old")
    monkeypatch.setattr(site.middleware.region.backend, verb, broken)
    for path in ("/old", "/new", "/new"):
        for language in ("de", "en"):
            fields = {"Accept-Language": language}
            assert site.ask(path, fields=fields).code == 200
    assert site.ask("/old", method="POST").code == 200


def test_a_folder_that_is_gone(tmp_path):
    """And one that nobody may write to."""
    site = Site(pages_region(f"file://{tmp_path}/pages"))
    site.ask("/0")
    shutil.rmtree(tmp_path / "pages")
    assert [one.code for one in timed(site)] == [200] * 12


def test_a_page_that_the_store_finds_too_large(memcached_server):
    """Is served all the same, and remembered as such or not."""
    site = Site(
        pages_region(f"memcached://{memcached_server.url}"),
        page("x" * 20_000_000),
        policy=HTTPCachePolicy(most_body=100_000_000),
    )
    for _ in range(2):
        assert len(site.ask().body) == 20_000_000


class Freezing:
    """Has a Redis server hang at one step of a page's way into it.

    Args:
        server: The server.
        site: The site whose pages are in it.
        step: "body", while that is sent; or what the region's backend is asked, before
            which the server hangs.
    """

    def __init__(self, server, site, step, monkeypatch):
        self._server = server
        self._step = step
        self._lock = threading.Lock()
        self.state = "old"
        site.view = self._view
        if step != "body":
            asked = getattr(site.middleware.region.backend, step)
            monkeypatch.setattr(
                site.middleware.region.backend, step, partial(self._ask, step, asked)
            )

    def _ask(self, step, asked, *args, **kwargs):
        self._freeze(step)
        return asked(*args, **kwargs)

    def _freeze(self, step):
        with self._lock:  # it can be stopped only once
            if step == self._step:
                self._step = None
                self._server.freeze()

    def _view(self, environ, start_response):
        state = self.state
        start_response("200 OK", [("Content-Type", "text/plain"), MINUTE])

        def chunks():
            yield b"a page that is "
            self._freeze("body")
            yield state.encode()

        return chunks()


def timed_ask(site, path="/page", **request):
    """Ask for a page; give it, and how long that took."""
    begun = time.monotonic()
    return site.ask(path, **request), time.monotonic() - begun


@pytest.mark.parametrize("step", ["read", "acquire", "body", "commit"])
@pytest.mark.usefixtures("default_timeouts")
def test_a_server_that_hangs_on_a_page_s_way(redis_site, own_redis, step, monkeypatch):
    """Each visitor gets the whole page, soon; what it changed to is all that is left.

    The server may still carry out what it was asked before it hung, such as a commit.
    """
    site, others = redis_site, Site(pages_region(own_redis.url))
    freezing = Freezing(own_redis, site, step, monkeypatch)
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda _: timed_ask(site), range(4)))
    assert {reply.text for reply, _ in together} == {"a page that is old"}
    freezing.state = "new"
    post, took = timed_ask(site, method="POST")
    after = [timed_ask(site) for _ in range(4)]
    assert post.code == 200
    assert {reply.text for reply, _ in after} == {"a page that is new"}
    spans = [*(span for _, span in together), took, *(span for _, span in after)]
    assert max(spans) < HUNG
    own_redis.thaw()
    seen = []

    def is_kept():
        seen.append(site.ask("/page"))
        return seen[-1].cache.startswith("hit")

    wait_until(is_kept, "a page that is stored again")
    assert {reply.text for reply in seen} == {"a page that is new"}
    others.view = page("not asked for")
    assert others.ask("/page").text == "a page that is new"
