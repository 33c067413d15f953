"""Pages are made anew by a request that nobody sent, here or in a worker."""

import pytest
from django.http import HttpResponse
from django_pages import PAGES, SESSION, PageTests, numbered
from standins import UnservedQueue
from waiting import PATIENCE, wait_until

from holdover.contrib_django.pages.regenerating import NotRegenerated, regenerate
from holdover.regions.worker import CATALOGUE, carry_out

AUTH = "django.contrib.auth.middleware.AuthenticationMiddleware"
LOCALE = "django.middleware.locale.LocaleMiddleware"
SIGNED = "django.contrib.sessions.backends.signed_cookies"


class Noting:
    """A view that notes what it was asked.

    Attributes:
        asked: The requests.
        headers: Those of its responses.
    """

    def __init__(self, **headers):
        self.asked = []
        self.headers = headers

    def __call__(self, request):
        self.asked.append(request)
        return HttpResponse(str(len(self.asked)), headers=self.headers)


class TestRequest(PageTests):
    def test_is_nobody_s(self, site, clock):
        """It has the URL, the fields that the page varies by, and nothing else."""
        view = Noting(Vary="X-Side")
        site.show(view, stale_while_revalidate=20)
        asked = {
            "X-Side": "left",
            "X-Other": "mine",
            "Cookie": "id=7",
            "Host": "shop.example:8000",
            "User-Agent": "me",
        }
        site.text("/page/?a=1&b=%2F%20", **asked)
        clock.advance(10)
        assert site.text("/page/?a=1&b=%2F%20", **asked) == "1"
        wait_until(lambda: len(view.asked) == 2)
        first, second = view.asked
        assert second.build_absolute_uri() == first.build_absolute_uri()
        assert second.get_host() == "shop.example:8000"
        assert (second.method, second.GET) == ("GET", first.GET)
        assert set(second.headers) == {"Host", "X-Side", "Accept-Language"}
        assert second.headers["X-Side"] == "left"
        assert second.COOKIES == {}
        site.becomes("2", "/page/?a=1&b=%2F%20", **asked)

    def test_comes_through_the_middleware(self, site, clock):
        """So that there is a user, whom nobody is."""
        site.settings.SESSION_ENGINE = SIGNED
        site.use(SESSION, AUTH)
        view = Noting()
        site.show(view, stale_while_revalidate=20)
        site.text()
        clock.advance(10)
        site.text()
        wait_until(lambda: len(view.asked) == 2)
        assert view.asked[1].user.is_anonymous

    def test_passes_by_a_cache_further_in(self, site, clock):
        """A site's page is not made anew of an old page of its view."""
        site.settings.HOLDOVER_PAGES = {"STALE_WHILE_REVALIDATE": 100}
        site.use(PAGES)
        site.show(numbered(), key_prefix="inner")
        site.text()
        clock.advance(12)
        assert site.text() == "1"
        site.becomes("2")

    def test_passes_by_a_cache_further_out(self, site, clock):
        """A view's page is made anew by its view, whatever the site has kept."""
        site.use(PAGES)
        site.show(numbered(), key_prefix="inner", stale_while_revalidate=50)
        site.text()
        clock.advance(12)
        assert site.text() == "1"
        assert site.refreshed.get(timeout=PATIENCE)
        site.use()
        assert site.text() == "2"

    def test_has_a_path_as_it_was_sent(self, site, clock):
        """Characters and all."""
        from django_project import pages

        site.settings.CACHE_MIDDLEWARE_SECONDS = 10
        site.settings.HOLDOVER_PAGES = {"STALE_WHILE_REVALIDATE": 20}
        site.use(PAGES)
        view = Noting()
        pages.shown["view"] = view
        path = "/page/?käse=ü"
        site.text(path)
        clock.advance(10)
        site.text(path)
        site.becomes("2", path)

    @pytest.mark.parametrize("language", ["de", "fr"])
    def test_is_in_the_page_s_language(self, site, clock, language):
        """Though only its key tells."""
        from django_project import pages

        site.settings.CACHE_MIDDLEWARE_SECONDS = 10
        site.settings.HOLDOVER_PAGES = {"STALE_WHILE_REVALIDATE": 20}
        site.use(LOCALE, PAGES)
        numbers = iter("12345")
        pages.shown["view"] = lambda request: HttpResponse(
            f"{request.LANGUAGE_CODE} {next(numbers)}"
        )
        asked = {"Accept-Language": f"{language};q=0.9"}
        assert site.text(**asked) == f"{language} 1"
        clock.advance(10)
        assert site.text(**asked) == f"{language} 1"
        site.becomes(f"{language} 2", **asked)

    def test_that_would_be_another_s(self, site, clock):
        """A language that a cookie chose: who asks for the page makes it anew."""
        from django_project import pages

        site.settings.CACHE_MIDDLEWARE_SECONDS = 10
        site.settings.HOLDOVER_PAGES = {"STALE_WHILE_REVALIDATE": 2000}
        site.use(f"{__name__}.by_cookie", PAGES)
        view = Noting()
        pages.shown["view"] = view
        asked = {"Cookie": "zone=Europe/Zurich"}
        site.text(**asked)
        clock.advance(10)
        site.text(**asked)
        wait_until(lambda: len(view.asked) == 2)
        assert view.asked[1].COOKIES == {}
        clock.advance(1000)  # the failure is forgotten
        site.becomes("3", **asked)
        assert view.asked[2].COOKIES == {"zone": "Europe/Zurich"}
        assert site.text(**asked) == "3"


def by_cookie(get_response):
    """Choose the time zone by a cookie."""
    from django.utils import timezone

    def middleware(request):
        with timezone.override(request.COOKIES.get("zone")):
            return get_response(request)

    return middleware


class TestPrivatePages(PageTests):
    @pytest.fixture
    def queue(self):
        """A queue that nobody serves."""
        return UnservedQueue(leaves_process=True)

    @pytest.fixture
    def options(self, queue):
        """A cache whose region has that queue."""
        return {"runner": queue}

    @pytest.fixture
    def location(self, tmp_path):
        """In files, since a queue's worker is another process."""
        return str(tmp_path / "cache")

    @pytest.fixture
    def order(self, site, clock, queue):
        """An order for a page."""
        site.show(numbered(Vary="X-Side"), stale_while_revalidate=20)
        asked = {"X-Side": "left", "Cookie": "id=7"}
        site.text("/page/?a", **asked)
        clock.advance(10)
        assert site.text("/page/?a", **asked) == "1"
        assert queue.arrived.wait(PATIENCE)
        return queue.messages[0]

    @pytest.mark.parametrize("name", ["Cookie", "Authorization"])
    def test_stay_in_this_process(self, site, clock, queue, name):
        """A thread makes them anew, with what they are keyed by."""
        view = Noting(Vary=name)
        site.show(view, stale_while_revalidate=20)
        site.text(**{name: "secret=7"})
        clock.advance(10)
        assert site.text(**{name: "secret=7"}) == "1"
        site.becomes("2", **{name: "secret=7"})
        assert view.asked[1].headers[name] == "secret=7"
        assert queue.messages == []

    def test_others_travel(self, order):
        """And say which page, and nothing of the visitor."""
        [wanted] = order["args"]
        assert {name: wanted[name] for name in ("host", "path", "query", "fields")} == {
            "host": "testserver",
            "path": "/page/",
            "query": "a",
            "fields": {"x-side": "left"},
        }
        assert CATALOGUE.registered(order["region"], order["function"]) is not None

    @pytest.mark.django_db  # whose connections are looked at, if there are any
    def test_are_carried_out(self, order, site):
        """Once."""
        assert carry_out(order).done
        assert not carry_out(order).done
        assert site.text("/page/?a", **{"X-Side": "left"}) == "2"

    @pytest.mark.django_db
    @pytest.mark.parametrize(
        "forged",
        [
            {"path": "/other/"},
            {"host": "evil.example"},
            {"fields": {"x-side": "right"}},
            {"fields": {"x-side": 7}},
            {"method": "POST"},
            {"query": "a\r\nb"},
            {"more": "b"},
            {"generation": "0"},
        ],
        ids=str,
    )
    def test_forged_ones_are_not(self, order, site, forged):
        """What they have rendered is served nowhere else."""
        order["args"][0].update(forged)
        assert not carry_out(order).done
        # A page whose order came to another is made by its visitors from now on.
        made = "3" if "path" in forged or "host" in forged else "1"
        assert site.text("/page/?a", **{"X-Side": "left"}) == made

    @pytest.mark.parametrize("args", [[], [None], [[]], ["x"], [{}], [{}, {}]], ids=str)
    def test_nonsense_is_not(self, order, args):
        """It is dropped."""
        assert not carry_out({**order, "args": args}).done


class TestTrouble(PageTests):
    def test_a_page_that_is_not_there(self, site, clock):
        """What answers in its place is told from what was wanted."""
        site.show(numbered(), stale_while_revalidate=20)
        site.text()
        with pytest.raises(TypeError):
            regenerate({"primary": "x"})
        with pytest.raises(TypeError):
            regenerate(None)

    def test_a_view_that_is_not_kept_any_more(self, site, clock):
        """The order comes to nothing, and visitors make the page."""
        from django_project import pages

        site.show(numbered(), stale_while_revalidate=20)
        site.text()
        asked = []
        site.region.listen(asked.append)
        kept = pages.shown["view"]
        pages.shown["view"] = lambda request: (
            HttpResponse("bare") if not request.headers.get("X-Me") else kept(request)
        )
        clock.advance(10)
        assert site.text(**{"X-Me": "1"}) == "1"
        wait_until(lambda: NotRegenerated.__name__ in repr(asked))
        assert site.text(**{"X-Me": "1"}) in ("1", "2")

    def test_database_connections_are_closed(self, site, clock):
        """Those of the thread that has made the page."""
        from django.core.signals import request_finished

        threads = []

        def finished(**_):
            import threading

            threads.append(threading.current_thread().name)

        request_finished.connect(finished)
        try:
            site.show(numbered(), stale_while_revalidate=20)
            site.text()
            clock.advance(10)
            site.text()
            wait_until(lambda: any(n.startswith("holdover-refresh") for n in threads))
        finally:
            request_finished.disconnect(finished)
