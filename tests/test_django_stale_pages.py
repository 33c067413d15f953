"""Django's own page and fragment caching, over a cache that serves stale values."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from asgiref.testing import ApplicationCommunicator
from django.core.asgi import get_asgi_application
from django.test import AsyncClient, AsyncRequestFactory, Client, RequestFactory
from django.utils.cache import get_cache_key
from django_caches import unused_name
from django_project import stale_pages
from django_stale import elsewhere
from waiting import wait_until

from holdover import LeaseTerms, Region, registry
from holdover.testing import FakeClock

VISITORS = 20
WINDOW = 60
PER_SITE = [
    "django.middleware.cache.UpdateCacheMiddleware",
    "django.middleware.cache.FetchFromCacheMiddleware",
]


@pytest.fixture
def kitchen(monkeypatch):
    """Where the pages are made; nothing has been yet."""
    kitchen = stale_pages.Kitchen()
    monkeypatch.setattr(stale_pages, "kitchen", kitchen)
    return kitchen


@pytest.fixture
def clock():
    """The caches' clock."""
    return FakeClock()


@pytest.fixture
def set_up(settings, monkeypatch, clock):
    """Have the project use a cache with OPTIONS."""
    region = Region(unused_name(), time_source=clock)
    arguments = {"time_source": clock}
    region.configure(
        "holdover.memory", None, arguments, codec="pickle", lease=LeaseTerms(ttl=600)
    )
    monkeypatch.setitem(registry._regions, region.name, region)
    settings.ROOT_URLCONF = "django_project.stale_pages"

    def use(**options):
        settings.CACHES = {
            "default": {
                "BACKEND": "holdover.contrib_django.RegionCache",
                "LOCATION": f"region://{region.name}",
                "OPTIONS": options,
            }
        }
        return region

    return use


@pytest.fixture
def site(set_up, kitchen):
    """The project, serving stale pages, and what asks it for one."""
    set_up(STALE_WHILE_REVALIDATE=WINDOW)
    return ask


def ask(url, **headers):
    """Give a page as a browser gets it."""
    return Client().get(url, headers=headers).content.decode()


class Held:
    """Holds a maker up while it makes a page in a thread of its own.

    Args:
        kitchen: Where.
        url: The page.
        **headers: Of the request.
    """

    def __init__(self, kitchen, url, **headers):
        self._begun, self._go_on = threading.Event(), threading.Event()
        self._kitchen = kitchen
        self._thread = threading.Thread(target=ask, args=(url,), kwargs=headers)

    def _wait(self):
        self._begun.set()
        assert self._go_on.wait(20)

    def __enter__(self):
        self._kitchen.before = self._wait
        self._thread.start()
        assert self._begun.wait(20)
        self._kitchen.before = lambda: None

    def __exit__(self, *_):
        self._go_on.set()
        self._thread.join(20)


class TestCachePage:
    def test_is_served_while_one_renders(self, site, kitchen, clock):
        """The first visitor after the timeout renders, and the others do not wait."""
        assert site("/page") == site("/page") == "page 1"
        clock.advance(11)
        with Held(kitchen, "/page"):
            assert [site("/page") for _ in range(3)] == ["page 1"] * 3
        assert site("/page") == "page 2"
        clock.advance(11)
        assert site("/page") == "page 3"
        assert kitchen.renders == 3

    def test_is_gone_after_the_window(self, site, kitchen, clock):
        """Then it is as if there had never been a page."""
        site("/page")
        clock.advance(10 + WINDOW)
        with Held(kitchen, "/page"):
            assert site("/page") == "page 3"

    def test_failure_to_render_leaves_the_old_page(self, site, kitchen, clock):
        """It is not stored, and the next visitor renders."""
        site("/failing")
        clock.advance(11)
        assert Client().get("/failing").status_code == 500
        assert site("/failing") == "failed"
        assert kitchen.renders == 3
        site("/failing")
        assert kitchen.renders == 3

    def test_exception_leaves_the_old_page(self, site, kitchen, clock):
        """So does one that nobody handles."""
        site("/page")
        clock.advance(11)
        kitchen.before = lambda: 1 / 0
        with pytest.raises(ZeroDivisionError):
            site("/page")
        kitchen.before = lambda: None
        wait_until(lambda: elsewhere(site, "/page") == "page 3")

    def test_head_leaves_the_page_to_others(self, site, kitchen, clock):
        """It makes an answer of its own; the page's lease ends with it."""
        site("/page")
        clock.advance(11)
        assert Client().head("/page").status_code == 200
        assert site("/page") == "page 3"

    def test_of_a_template_that_renders_late(self, site, kitchen, clock):
        """The page is stored once the response is rendered."""
        assert site("/late") == site("/late") == "late 1"
        clock.advance(11)
        with Held(kitchen, "/late"):
            assert site("/late") == "late 1"
        assert site("/late") == "late 2"


class TestVary:
    def test_holds_for_stale_pages(self, site, kitchen, clock):
        """Each gets his own, and each has one who renders it."""
        for taste in ("sweet", "sour"):
            site("/varied", x_taste=taste)
        clock.advance(11)
        with Held(kitchen, "/varied", x_taste="sweet"):
            assert site("/varied", x_taste="sweet") == "sweet 1"
            assert site("/varied", x_taste="sour") == "sour 4"
            assert site("/varied", x_taste="bitter") == "bitter 5"
        assert site("/varied", x_taste="sweet") == "sweet 3"
        assert site("/varied", x_taste="sour") == "sour 4"

    def test_list_lives_as_long_as_its_page(self, site, kitchen, clock):
        """Without it Django would not look for the page, and everybody would render."""
        site("/varied", x_taste="sweet")
        clock.advance(9 + WINDOW)
        assert is_list_kept("/varied")
        with Held(kitchen, "/varied", x_taste="sweet"):
            assert site("/varied", x_taste="sweet") == "sweet 1"
        clock.advance(10 + WINDOW)
        assert not is_list_kept("/varied")

    def test_that_begins_is_seen_at_once(self, site, kitchen, clock):
        """A page that turns out to be one for each is not served to others any more."""
        assert site("/changing", x_taste="sweet") == "sweet 1"
        clock.advance(11)
        assert site("/changing", x_taste="sour") == "sour 2"
        assert site("/changing", x_taste="sweet") == "sweet 3"
        assert site("/changing", x_taste="sour") == "sour 2"
        assert site("/changing", x_taste="sweet") == "sweet 3"

    def test_is_never_stale_by_a_users_own_prefix(self, set_up, kitchen, clock):
        """Lists of headers last longer, and are never served after that."""
        set_up(STALE_WHILE_REVALIDATE=WINDOW, STALE_KEYS=["views."])
        ask("/varied", x_taste="sweet")
        clock.advance(11)
        with Held(kitchen, "/varied", x_taste="sweet"):
            assert ask("/varied", x_taste="sweet") == "sweet 1"
        clock.advance(10 + WINDOW)
        assert ask("/varied", x_taste="sweet") == "sweet 3"


class TestFragment:
    def test_is_served_while_one_renders(self, site, kitchen, clock):
        """As pages are, each for itself."""
        assert site("/fragment?user=ada") == "1 ada"
        assert site("/fragment?user=bob") == "2 bob"
        clock.advance(11)
        with Held(kitchen, "/fragment?user=ada"):
            assert site("/fragment?user=ada") == "1 ada"
            assert site("/fragment?user=bob") == "4 bob"
        assert site("/fragment?user=ada") == "3 ada"


class TestPerSite:
    @pytest.fixture
    def site(self, set_up, kitchen, settings):
        """The project, with Django's middleware for all its pages."""
        settings.MIDDLEWARE = PER_SITE
        settings.CACHE_MIDDLEWARE_SECONDS = 10
        set_up(STALE_WHILE_REVALIDATE=WINDOW)
        return ask

    @pytest.mark.parametrize("url", ["/plain", "/plain-async"])
    def test_is_served_while_one_renders(self, site, kitchen, clock, url):
        """Whatever makes the page."""
        assert site(url) == "plain 1"
        clock.advance(11)
        with Held(kitchen, url):
            assert site(url) == "plain 1"
        assert site(url) == "plain 2"

    @pytest.mark.parametrize("url", ["/plain", "/plain-async"])
    def test_is_served_to_asynchronous_requests(self, site, kitchen, clock, url):
        """Each is a task; the one that missed stores what it has made.

        Those that ask only after that get the new page.
        """

        async def ask_many(count):
            clients = [AsyncClient() for _ in range(count)]
            got = await asyncio.gather(*(client.get(url) for client in clients))
            return sorted(response.content.decode() for response in got)

        assert asyncio.run(ask_many(1)) == ["plain 1"]
        clock.advance(11)
        *others, last = asyncio.run(ask_many(5))
        assert last == "plain 2"
        assert {*others} <= {"plain 1", "plain 2"}
        assert asyncio.run(ask_many(2)) == ["plain 2"] * 2
        assert kitchen.renders == 2


class TestASGI:
    def test_failure_to_render_leaves_the_old_page(self, site, kitchen, clock):
        """As an asynchronous server's request ends, so does its lease."""
        site("/failing")
        clock.advance(11)

        async def serve():
            scope = AsyncRequestFactory().get("/failing").scope
            server = ApplicationCommunicator(get_asgi_application(), scope)
            await server.send_input({"type": "http.request"})
            begun = await server.receive_output(20)
            await server.receive_output(20)
            await server.wait(20)
            return begun["status"]

        async def serve_until_made():
            yield await serve()
            # A thread may keep what the request's context held for a moment more.
            while kitchen.renders < 3:
                yield await serve()
                await asyncio.sleep(0.01)

        async def statuses():
            async with asyncio.timeout(10):
                return [status async for status in serve_until_made()]

        first, *others = asyncio.run(statuses())
        assert first == 500
        assert {*others} == {200}


class TestLoad:
    """Twenty visitors who come when a page has just expired."""

    def test_without_staleness_everybody_renders(self, set_up, kitchen, clock):
        """This is what Django's pages are by themselves: a stampede."""
        set_up()
        assert visit_at_once(kitchen, clock, renders=VISITORS) == VISITORS

    def test_with_staleness_one_renders(self, set_up, kitchen, clock):
        """And nobody else waits."""
        set_up(STALE_WHILE_REVALIDATE=WINDOW)
        assert visit_at_once(kitchen, clock, renders=1) == 1


def visit_at_once(kitchen, clock, renders):
    """Let visitors come; give how many pages are made before one of them is done."""
    ask("/page")
    clock.advance(11)
    kitchen.renders = 0
    go_on = threading.Event()
    kitchen.before = lambda: go_on.wait(20)
    with ThreadPoolExecutor(VISITORS) as pool:
        visits = [pool.submit(ask, "/page") for _ in range(VISITORS)]

        def is_quiet():
            served = sum(visit.done() for visit in visits)
            return served + kitchen.renders == VISITORS

        try:
            wait_until(is_quiet)
            made = kitchen.renders
        finally:
            go_on.set()
        assert sum(visit.result(20) == "page 1" for visit in visits) == VISITORS - made
    return made


def is_list_kept(url):
    """Say whether it is known by which headers a page varies."""
    return get_cache_key(RequestFactory().get(url)) is not None
