"""What may be kept, and for whom: each rule is one that somebody's cache has broken."""

import pytest
from django.contrib import messages
from django.http import HttpResponse, StreamingHttpResponse
from django.middleware.csrf import get_token
from django.utils import timezone, translation
from django.utils.cache import patch_vary_headers
from django_pages import PAGES, SESSION, PageTests, numbered

CSRF = "django.middleware.csrf.CsrfViewMiddleware"
LOCALE = "django.middleware.locale.LocaleMiddleware"
MESSAGES = "django.contrib.messages.middleware.MessageMiddleware"
SIGNED = "django.contrib.sessions.backends.signed_cookies"


def changes(**fields):
    """Give a view whose responses have these fields."""
    return numbered(**{name.replace("_", "-"): text for name, text in fields.items()})


class TestWhatIsNotKept(PageTests):
    @pytest.mark.parametrize(
        "said",
        [
            "private",
            "Private",  # CVE-2026-8404
            "no-store",
            "max-age=60, NO-CACHE",
            'no-cache="Set-Cookie"',
        ],
    )
    def test_what_cache_control_forbids(self, site, said):
        """In whatever case it is written."""
        site.show(changes(Cache_Control=said))
        assert [site.text(), site.text()] == ["1", "2"]

    @pytest.mark.parametrize("said", ["*", "Accept, *", " *", "*\t", "Accept , * "])
    def test_what_varies_by_everything(self, site, said):
        """CVE-2026-6907, and 2026-48587 whatever release of Django there is."""
        site.show(changes(Vary=said))
        assert [site.text(), site.text()] == ["1", "2"]

    @pytest.mark.parametrize("cookies", [{}, {"Cookie": "other=1"}])
    @pytest.mark.parametrize("varies", [False, True])
    def test_what_sets_a_cookie(self, site, cookies, varies):
        """Whatever cookies the visitor has already (CVE-2026-48588)."""

        def change(_request, response):
            response.set_cookie("key", "secret")
            if varies:
                patch_vary_headers(response, ["Cookie"])

        site.show(numbered(change))
        assert [site.text(**cookies), site.text(**cookies)] == ["1", "2"]
        assert "key" in site.get(**cookies).cookies

    @pytest.mark.parametrize("status", [201, 206, 301, 304, 404, 500])
    def test_other_statuses(self, site, status):
        """Only what is 200 is a page."""

        def change(_request, response):
            response.status_code = status

        site.show(numbered(change))
        site.get()
        assert "Age" not in site.get()

    def test_what_is_streamed(self, site):
        """It can be read only once."""
        numbers = iter("12")
        site.show(lambda _: StreamingHttpResponse([next(numbers)]))
        assert [b"".join(site.get()) for _ in "12"] == [b"1", b"2"]

    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
    def test_other_methods(self, site, method):
        """They come to the view, and leave what is kept as it is."""
        site.show(numbered())
        assert site.text() == "1"
        assert site.get(method=method).content == b"2"
        assert site.text() == "1"

    def test_a_get_with_a_body(self, site):
        """No key tells what is in there."""
        site.show(numbered())
        from django.test import Client

        for number in (b"1", b"2"):
            sent = Client().generic("GET", "/page/", b"cloaked")
            assert sent.content == number
        assert site.text() == "3"


class TestWhoseItIs(PageTests):
    def test_varies_by_fields(self, site):
        """A field that is not there is not one that is empty."""
        site.show(changes(Vary="X-Side, Accept"))
        asked = [{}, {"X-Side": ""}, {"X-Side": "a"}, {"Accept": "a"}]
        first = [site.text(**one) for one in asked]
        assert first == ["1", "2", "3", "4"]
        assert [site.text(**one) for one in asked] == first
        assert site.text(**{"X-Side": "a", "X-Other": "b"}) == "3"

    def test_varies_by_more_later(self, site):
        """What was kept before anybody knew is not served any more."""
        said = [{}, {"Vary": "X-Side"}]

        def change(_request, response):
            for name, text in said[min(1, int(response.content) - 1)].items():
                response[name] = text

        site.show(numbered(change), timeout=100)
        assert site.text("/page/", **{"X-Side": "a"}) == "1"
        site.region.invalidate()
        assert site.text(**{"X-Side": "a"}) == "2"
        assert site.text(**{"X-Side": "b"}) == "3"
        assert site.text(**{"X-Side": "a"}) == "2"

    def test_varies_by_more_under_a_lease(self, site, clock):
        """The index is replaced, and the next request keeps its page."""
        vary = []

        def change(_request, response):
            if vary:
                response["Vary"] = vary[0]

        site.show(numbered(change), timeout=10)
        assert site.text() == "1"
        clock.advance(10)
        vary.append("X-Side")
        assert [site.text(), site.text(), site.text()] == ["2", "3", "3"]
        assert site.text(**{"X-Side": "b"}) == "4"

    def test_has_so_many_variants(self, site, clock):
        """Strangers' fields fill no store, and drive out nothing that is fresh."""
        site.settings.HOLDOVER_PAGES = {"MOST_VARIANTS": 3}
        site.show(numbered(Vary="Accept"), timeout=10)
        kept = {one: site.text(Accept=one) for one in "abc"}
        floods = {site.text(Accept=f"flood {number}") for number in range(5)}
        assert {one: site.text(Accept=one) for one in "abc"} == kept
        assert not floods & {site.text(Accept=f"flood {number}") for number in range(5)}
        clock.advance(11)
        late = site.text(Accept="late")
        assert site.text(Accept="late") == late
        again = {one: site.text(Accept=one) for one in "abc"}
        assert sum(site.text(Accept=one) == again[one] for one in "abc") == 2

    def test_authorization(self, site):
        """CVE-2026-35193: everybody has his own, unless the view says "public"."""
        site.show(numbered())
        alice, bob = {"Authorization": "Basic a"}, {"Authorization": "Basic b"}
        assert [site.text(**alice), site.text(**bob), site.text()] == ["1", "2", "3"]
        assert [site.text(**alice), site.text(**bob), site.text()] == ["1", "2", "3"]
        site.show(changes(Cache_Control="public"))
        assert site.text("/other/", **alice) == site.text("/other/", **bob) == "1"

    def test_keys_are_not_readable(self, site):
        """What tells who somebody is does not stand in them."""
        site.show(numbered())
        site.text(Authorization="Basic secret")
        assert site.told
        assert "secret" not in repr(site.told)

    def test_the_session_of_a_view(self, site):
        """Its page is that of the cookie, though Django says so only afterwards."""
        site.settings.SESSION_ENGINE = SIGNED
        site.use(SESSION)
        site.show(numbered(lambda request, _: request.session.get("name")))
        assert site.text(Cookie="sessionid=alice") == "1"
        assert site.text(Cookie="sessionid=bob") == "2"
        assert site.text(Cookie="sessionid=alice") == "1"
        assert "Cookie" in site.get(Cookie="sessionid=alice")["Vary"]

    def test_a_session_that_changes(self, site):
        """Its cookie is set behind the view's decorator (CVE-2026-35192)."""
        site.settings.SESSION_ENGINE = SIGNED
        site.use(SESSION)
        site.show(numbered(lambda request, _: request.session.update({"name": 1})))
        assert [site.text(), site.text()] == ["1", "2"]
        assert "sessionid" in site.get().cookies

    def test_a_session_that_is_saved_every_time(self, site):
        """Each visitor gets his own cookie, and never that of a page that is kept."""
        site.settings.SESSION_ENGINE = SIGNED
        site.settings.SESSION_SAVE_EVERY_REQUEST = True
        site.use(PAGES, SESSION)
        from django_project import pages

        pages.shown["view"] = numbered(
            lambda request, _: request.session.update({"a": 1})
        )
        assert [site.text(), site.text()] == ["1", "2"]

    @pytest.mark.parametrize("middleware", [(), (CSRF,)])
    @pytest.mark.parametrize("cookie", [{}, {"Cookie": "csrftoken=" + "a" * 32}])
    def test_csrf_tokens(self, site, middleware, cookie):
        """A page with somebody's token is nobody else's."""
        site.use(*middleware)
        site.show(numbered(lambda request, _: get_token(request)))
        assert [site.text(**cookie), site.text(**cookie)] == ["1", "2"]

    def test_messages(self, site):
        """They are shown once, to one visitor."""
        site.settings.MESSAGE_STORAGE = (
            "django.contrib.messages.storage.cookie.CookieStorage"
        )
        site.use(SESSION, MESSAGES)
        site.show(numbered(lambda request, _: messages.info(request, "done")))
        assert [site.text(), site.text()] == ["1", "2"]

    def test_languages(self, site):
        """Each has its own, though Vary says no more than the language's key."""
        site.use(LOCALE, PAGES)
        from django_project import pages

        def view(request):
            return HttpResponse(f"{request.LANGUAGE_CODE} {view.renders.pop()}")

        view.renders = [4, 3, 2, 1]
        pages.shown["view"] = view
        german = {"Accept-Language": "de"}
        assert [site.text(), site.text(**german)] == ["en 1", "de 2"]
        assert [site.text(), site.text(**german)] == ["en 1", "de 2"]
        assert site.get(**german)["Content-Language"] == "de"

    def test_languages_that_are_chosen_too_late(self, site):
        """Nobody knows them when the next request is looked up."""
        site.use(PAGES, LOCALE)
        from django_project import pages

        pages.shown["view"] = lambda request: HttpResponse(request.LANGUAGE_CODE)
        for language in ("de", "fr", "de", "en"):
            with translation.override("en-us"):  # as each thread begins
                assert site.text(**{"Accept-Language": language}) == language

    def test_time_zones(self, site):
        """Each has its own."""
        site.show(numbered())
        with timezone.override("Europe/Zurich"):
            assert site.text() == "1"
        assert site.text() == "2"
        with timezone.override("Europe/Zurich"):
            assert site.text() == "1"

    def test_hosts_and_schemes(self, site):
        """Each has its own."""
        site.show(numbered())
        assert site.text() == "1"
        assert site.text(Host="elsewhere") == "2"
        assert site.text() == "1"

    @pytest.mark.parametrize("dots", ["..", "./..", "one/../.."])
    def test_paths_with_dots(self, site, dots):
        """No browser sends them; who wants another page shown to everybody does."""
        site.show(numbered())
        assert site.text(f"/below/{dots}/page/") == "1"
        assert site.text("/page/") == "2"
        assert site.text(f"/below/{dots}/page/") == "1"


class TestConditions(PageTests):
    def test_who_has_the_page_already(self, site):
        """It is rendered in full for all others."""

        def change(request, response):
            assert "If-None-Match" not in request.headers
            assert "HTTP_RANGE" not in request.META
            response["ETag"] = '"one"'

        site.show(numbered(change))
        asked = {"If-None-Match": '"one"', "Range": "bytes=0-0"}
        assert site.get(**asked).status_code == 304
        assert site.get(**asked).status_code == 304
        assert site.text() == "1"
        assert site.get(**{"If-None-Match": '"two"'}).content == b"1"

    def test_the_view_s_request_is_left_as_it_was(self, site):
        """Whoever comes afterwards finds what the client has sent."""
        from django.test import RequestFactory

        from holdover.contrib_django import cache_page

        request = RequestFactory().get("/", headers={"If-None-Match": '"x"'})
        cache_page(10)(numbered())(request)
        assert request.headers["If-None-Match"] == '"x"'
