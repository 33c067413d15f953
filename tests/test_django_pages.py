"""Pages with real regeneration: what visitors get, who renders, and who waits."""

import threading
import time

import pytest
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.http import Http404, HttpResponse
from django.template import engines
from django.template.response import TemplateResponse
from django.test import RequestFactory
from django_caches import THREADS, in_threads
from django_pages import PAGES, PageTests, numbered
from waiting import wait_until

from holdover.contrib_django import cache_page, invalidate_page
from holdover.contrib_django.pages.policy import site_count, site_seconds, site_setting
from holdover.errors import BackendError, InvalidArgument, InvalidLifetime


class TestFresh(PageTests):
    def test_is_rendered_once(self, site, clock):
        """For as long as the view says; every URL has a page of its own."""
        site.show(numbered(), timeout=10)
        assert [site.text(), site.text()] == ["1", "1"]
        assert site.text("/page/?q=1") == "2"
        assert site.text("/other/") == "3"
        clock.advance(10)
        assert site.text() == "4"

    def test_is_the_same_response(self, site):
        """Its fields and its reason are kept, and it tells its age."""

        def change(_request, response):
            response["X-Made"] = "here"
            response.reason_phrase = "Fine"

        site.show(numbered(change, **{"Content-Type": "text/x; charset=latin-1"}))
        made, kept = site.get(), site.get()
        assert "Age" not in made
        assert kept["Age"] == "0"
        del kept["Age"]
        assert dict(made.items()) == dict(kept.items())
        assert kept.reason_phrase == "Fine"
        assert "max-age=10" in kept["Cache-Control"]
        assert "Expires" in kept

    def test_of_a_class(self, site):
        """method_decorator takes it as it takes Django's."""
        from django_project import pages

        pages.shown["view"] = numbered()
        assert [site.text("/class/"), site.text("/class/")] == ["1", "1"]

    def test_of_a_template_response(self, site):
        """It is kept as soon as it is rendered, after all callbacks."""
        numbers = iter("123")
        template = engines["django"].from_string("{{ number }}")

        def view(request):
            return TemplateResponse(request, template, {"number": next(numbers)})

        site.show(view)
        assert [site.text(), site.text()] == ["1", "1"]

    def test_a_template_that_fails_keeps_nobody_waiting(self, site):
        """The next request has its turn."""
        broken = engines["django"].from_string("{% include nothing %}")
        fine = engines["django"].from_string("fine")
        templates = [broken, fine, fine]

        def view(request):
            return TemplateResponse(request, templates.pop(0))

        site.show(view)
        assert site.get().status_code == 500
        begun = time.monotonic()
        assert [site.text(), site.text()] == ["fine", "fine"]
        assert time.monotonic() - begun < 5

    def test_a_template_that_fails_leaves_the_old_page(self, site, clock):
        """It fails when Django renders it, after the view has returned."""
        broken = engines["django"].from_string("{% include nothing %}")
        templates = [engines["django"].from_string("fine"), broken]
        site.show(
            lambda request: TemplateResponse(request, templates.pop(0)),
            stale_if_error=20,
        )
        assert site.text() == "fine"
        clock.advance(10)
        assert [site.text(), site.text()] == ["fine", "fine"]

    def test_of_a_head(self, site):
        """A GET's page answers it; and its own, if there is none."""
        view = numbered()
        site.show(view)
        assert site.get(method="HEAD").status_code == 200
        assert site.get(method="HEAD")["Age"] == "0"
        assert site.text() == "2"  # what a HEAD was answered is no page
        assert site.get(method="HEAD")["Age"] == "0"
        assert view(None).content == b"3"

    def test_timeout_0_keeps_nothing(self, site):
        """Other caches are told so."""
        site.show(numbered(), timeout=0)
        assert [site.text(), site.text()] == ["1", "2"]
        assert "max-age=0" in site.get()["Cache-Control"]

    def test_timeout_none_is_the_page_s_own(self, site, clock):
        """Its max-age, or CACHE_MIDDLEWARE_SECONDS."""
        site.settings.CACHE_MIDDLEWARE_SECONDS = 20
        site.show(numbered(**{"Cache-Control": "max-age=5"}), timeout=None)
        assert [site.text(), site.text()] == ["1", "1"]
        clock.advance(5)
        assert site.text() == "2"
        site.show(numbered(**{"Cache-Control": "max-age=0"}), timeout=None)
        assert [site.text("/other/"), site.text("/other/")] == ["1", "2"]
        site.show(numbered(), timeout=None)
        clock.advance(20)
        assert "max-age=20" in site.get()["Cache-Control"]

    def test_prefixes_part_pages(self, site):
        """As in Django."""
        view = numbered()
        site.show(view, key_prefix="a")
        assert site.text() == "1"
        site.show(view, key_prefix="b")
        assert site.text() == "2"

    def test_a_view_that_is_decorated_twice(self, site):
        """It does not wait for itself."""
        site.show(cache_page(10)(numbered()))
        assert [site.text(), site.text()] == ["1", "1"]


class TestStale(PageTests):
    def test_is_served_while_it_is_made_anew(self, site, clock):
        """Nobody waits, and nobody but the region's thread renders."""
        renderers = []
        view = numbered(lambda *_: renderers.append(threading.current_thread().name))
        site.show(view, timeout=10, stale_while_revalidate=20)
        site.text()
        clock.advance(10)
        assert site.text() == "1"
        site.becomes("2")
        assert len(renderers) == 2
        assert renderers[1].startswith("holdover-refresh")

    def test_is_rendered_when_it_is_too_old(self, site, clock):
        """Past its window it is gone."""
        site.show(numbered(), timeout=10, stale_while_revalidate=20)
        site.text()
        clock.advance(30)
        assert site.text() == "2"

    def test_is_made_anew_once(self, site, clock):
        """However many find it stale meanwhile."""
        may_end, renders = threading.Event(), []

        def view(_request):
            renders.append(1)
            if len(renders) > 1:
                assert may_end.wait(20)
            return HttpResponse(str(len(renders)))

        site.show(view, timeout=10, stale_while_revalidate=20)
        site.text()
        clock.advance(10)
        assert in_threads(lambda _: site.text()) == ["1"] * THREADS
        wait_until(lambda: len(renders) == 2)
        assert site.text() == "1"
        may_end.set()
        site.becomes("2")
        assert len(renders) == 2

    @pytest.mark.parametrize("failing", ["raises", "answers"])
    def test_a_failing_render_keeps_the_page(self, site, clock, failing):
        """It is left alone for a while, by all who share the backend."""
        renders = []

        def view(_request):
            renders.append(1)
            if len(renders) == 1:
                return HttpResponse("1")
            if failing == "raises":
                raise ValueError("broken")
            return HttpResponse("broken", status=503)

        site.show(view, timeout=10, stale_while_revalidate=100)
        site.text()
        clock.advance(10)
        assert site.text() == "1"
        wait_until(lambda: len(renders) == 2)
        assert [site.text() for _ in range(5)] == ["1"] * 5
        assert len(renders) == 2

    def test_a_page_that_is_no_more(self, site, clock):
        """What takes its place is seen by the next visitor."""
        answers = [HttpResponse("1")]

        def view(_request):
            if not answers:
                raise Http404
            return answers.pop()

        site.show(view, timeout=10, stale_while_revalidate=100)
        site.text()
        clock.advance(10)
        assert site.get().status_code == 200
        wait_until(lambda: site.get().status_code == 404)

    def test_a_page_that_must_be_revalidated(self, site, clock):
        """Is never served stale, whatever the view's decorator says (RFC 5861)."""
        view = numbered(**{"Cache-Control": "must-revalidate"})
        site.show(view, stale_while_revalidate=20, stale_if_error=20)
        site.text()
        clock.advance(10)
        assert site.text() == "2"

    def test_as_the_page_or_the_site_says(self, site, clock):
        """By Cache-Control (RFC 5861), or HOLDOVER_PAGES."""
        own = "max-age=10, stale-while-revalidate=20"
        site.show(numbered(**{"Cache-Control": own}))
        assert site.text() == "1"
        site.settings.HOLDOVER_PAGES = {"STALE_WHILE_REVALIDATE": 5}
        site.show(numbered())
        assert site.text("/other/") == "1"
        clock.advance(12)
        assert (site.text(), site.text("/other/")) == ("1", "1")
        clock.advance(60)
        assert "1" not in (site.text(), site.text("/other/"))

    @pytest.mark.parametrize("options", [{"runner": None}])
    def test_without_a_runner(self, site, clock):
        """Who finds it stale first renders the next with his own request."""
        site.show(numbered(), timeout=10, stale_while_revalidate=20)
        site.text()
        clock.advance(10)
        assert site.text() == "2"


class TestIfError(PageTests):
    @pytest.fixture
    def broken(self, site):
        """A view that works once; then it does what it is told."""
        answers = [lambda: HttpResponse("1")]

        def view(_request):
            return answers[min(len(answers) - 1, view.renders.append(1) or 0)]()

        view.renders, view.answers = [], answers
        view.then = lambda answer: answers.__setitem__(0, answer)
        site.show(view, timeout=10, stale_if_error=20)
        site.text()
        return view

    @pytest.mark.parametrize("failing", ["raises", "answers"])
    def test_the_old_page_is_served(self, site, clock, broken, failing):
        """In place of an error, and for a while without trying again."""

        def fail():
            if failing == "raises":
                raise ValueError("broken")
            return HttpResponse("broken", status=500)

        broken.then(fail)
        clock.advance(10)
        assert [site.text(), site.text()] == ["1", "1"]
        assert len(broken.renders) == 2
        clock.advance(20)
        assert site.get().status_code == 500

    @pytest.mark.parametrize("error", [Http404, PermissionDenied])
    def test_what_a_view_says_of_a_request_is_no_failure(
        self, site, clock, broken, error
    ):
        """The visitor hears it."""

        def refuse():
            raise error

        broken.then(refuse)
        clock.advance(10)
        assert site.get().status_code in (403, 404)


class TestCold(PageTests):
    def test_one_renders_for_all(self, site):
        """The others wait for his page."""
        renders = []

        def view(_request):
            renders.append(1)
            time.sleep(0.2)
            return HttpResponse(str(len(renders)))

        site.show(view)
        assert in_threads(lambda _: site.text()) == ["1"] * THREADS

    def test_each_variant_is_rendered_once(self, site):
        """Though at first nobody knows by what they differ."""
        renders = []

        def view(request):
            renders.append(1)
            time.sleep(0.1)
            said = request.headers["X-Side"]
            return HttpResponse(said, headers={"Vary": "X-Side"})

        site.show(view)
        sides = ["left", "right"] * (THREADS // 2)
        texts = in_threads(lambda n: site.text(**{"X-Side": sides[n]}))
        assert texts == sides
        assert len(renders) == 2

    @pytest.mark.parametrize(
        "answer",
        [
            lambda: HttpResponse("mine", headers={"Cache-Control": "private"}),
            lambda: HttpResponse("broken", status=500),
        ],
    )
    def test_private_pages_are_not_serialised(self, site, answer):
        """Who waits is released by the first answer, and for a while nobody waits."""
        at_once, most, lock = [], [], threading.Lock()

        def view(_request):
            with lock:
                at_once.append(1)
                most.append(len(at_once))
            time.sleep(0.4)
            with lock:
                at_once.pop()
            return answer()

        site.show(view)
        begun = time.monotonic()
        in_threads(lambda _: site.text())
        assert time.monotonic() - begun < 0.4 * (THREADS - 1)
        assert max(most) > 1
        assert len(most) == THREADS

    def test_passing_ends(self, site, clock):
        """Then one request tries again, and the page is kept."""
        said = [{"Cache-Control": "private"}, {"Cache-Control": "private"}, {}]
        numbers = iter("1234")
        site.show(lambda _: HttpResponse(next(numbers), headers=said.pop(0)))
        site.settings.HOLDOVER_PAGES = {"PASS_FOR": 10}
        assert [site.text(), site.text()] == ["1", "2"]
        clock.advance(10)
        assert [site.text(), site.text()] == ["3", "3"]

    def test_waiting_has_a_bound(self, site):
        """Whoever has waited for too long renders for himself."""
        site.settings.HOLDOVER_PAGES = {"WAIT": 0.1}
        begun, may_end, renders = threading.Event(), threading.Event(), []

        def view(_request):
            renders.append(1)
            if len(renders) == 1:
                begun.set()
                assert may_end.wait(20)
            return HttpResponse(str(len(renders)))

        site.show(view)
        slow = threading.Thread(target=site.text)
        slow.start()
        assert begun.wait(20)
        assert site.text() == "2"
        assert site.text() == "3"  # without waiting again
        may_end.set()
        slow.join()

    def test_invalidated_while_it_is_rendered(self, site):
        """What began before an invalidation is not served after it."""
        numbers = iter("12")

        def view(_request):
            number = next(numbers)
            if number == "1":
                site.region.invalidate(tags=["news"])
            return HttpResponse(number)

        site.show(view, tags=["news"])
        assert [site.text(), site.text(), site.text()] == ["1", "2", "2"]

    def test_a_backend_that_is_away(self, site, monkeypatch):
        """Visitors get their pages all the same."""

        def away(*_, **__):
            raise BackendError("away")

        site.show(numbered())
        monkeypatch.setattr(site.region, "hold", away)
        assert [site.text(), site.text()] == ["1", "2"]

    def test_a_backend_that_takes_nothing(self, site, monkeypatch):
        """Nor does it matter when that shows only afterwards."""

        def away(*_, **__):
            raise BackendError("away")

        site.show(numbered())
        monkeypatch.setattr(site.region, "set", away)
        assert [site.text(), site.text()] == ["1", "2"]


class TestInvalidating(PageTests):
    @pytest.mark.parametrize(
        "what",
        [
            RequestFactory().get("/page/"),
            "http://testserver/page/",
        ],
    )
    def test_by_url(self, site, what):
        """All its variants are gone, and no other page is."""
        view = numbered(Vary="X-Side")
        site.show(view)
        first = [site.text(**{"X-Side": "a"}), site.text(**{"X-Side": "b"})]
        other = site.text("/other/")
        assert invalidate_page(what).pending is False
        second = [site.text(**{"X-Side": "a"}), site.text(**{"X-Side": "b"})]
        assert (first, second) == (["1", "2"], ["4", "5"])
        assert site.text("/other/") == other

    def test_by_path(self, site):
        """Of one host, or of all that there are."""
        site.show(numbered())
        site.text()
        invalidate_page("/page/", host="elsewhere")
        assert site.text() == "1"
        invalidate_page("/page/", host="testserver")
        assert site.text() == "2"
        site.settings.ALLOWED_HOSTS = ["testserver"]
        invalidate_page("/page/")
        assert site.text() == "3"
        site.settings.ALLOWED_HOSTS = ["*"]
        with pytest.raises(ImproperlyConfigured, match="host="):
            invalidate_page("/page/")

    def test_by_tag(self, site):
        """Softly, if old pages are to be served meanwhile."""
        site.show(
            numbered(),
            stale_while_revalidate=100,
            tags=lambda request, response: [request.path, str(response.status_code)],
        )
        assert [site.text(), site.text("/other/")] == ["1", "2"]
        site.region.invalidate(tags=["/page/"])
        assert [site.text(), site.text("/other/")] == ["3", "2"]
        site.region.invalidate(hard=False, tags=["200"])
        assert site.text() == "3"
        wait_until(lambda: site.text() > "3")

    def test_clear(self, site):
        """The cache's own."""
        from django.core.cache import cache

        site.show(numbered())
        site.text()
        cache.clear()
        assert site.text() == "2"


class TestSite(PageTests):
    def test_keeps_all_pages(self, site):
        """By Django's settings; and a view's own cache goes on behind it."""
        from django_project import pages

        site.settings.CACHE_MIDDLEWARE_SECONDS = 20
        site.use(PAGES)
        pages.shown["view"] = numbered()
        assert [site.text(), site.text()] == ["1", "1"]
        assert "max-age=20" in site.get()["Cache-Control"]
        assert [site.text("/class/"), site.text("/class/")] == ["2", "2"]
        invalidate_page("http://testserver/class/")
        assert site.text("/class/") == "3"

    def test_makes_them_anew(self, site, clock):
        """Behind its visitors' backs."""
        from django_project import pages

        site.settings.CACHE_MIDDLEWARE_SECONDS = 10
        site.settings.HOLDOVER_PAGES = {"STALE_WHILE_REVALIDATE": 20}
        site.use(PAGES)
        pages.shown["view"] = numbered()
        site.text()
        clock.advance(10)
        assert site.text() == "1"
        site.becomes("2")

    def test_has_a_prefix_and_an_alias(self, site):
        """CACHE_MIDDLEWARE_KEY_PREFIX and CACHE_MIDDLEWARE_ALIAS."""
        from django_project import pages

        site.use(PAGES)
        pages.shown["view"] = numbered()
        assert site.text() == "1"
        site.settings.CACHE_MIDDLEWARE_KEY_PREFIX = "other"
        assert site.text() == "2"
        site.settings.CACHES = {
            **site.settings.CACHES,
            "dummy": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"},
        }
        site.settings.CACHE_MIDDLEWARE_ALIAS = "dummy"
        with pytest.raises(ImproperlyConfigured, match="DummyCache"):
            invalidate_page("http://testserver/page/")


class TestTelling(PageTests):
    def test_cache_status(self, site, clock):
        """RFC 9211, if the site wants it."""
        site.show(numbered(), stale_while_revalidate=10)
        assert "Cache-Status" not in site.get()
        site.settings.HOLDOVER_PAGES = {"CACHE_STATUS": True}
        assert site.get()["Cache-Status"].startswith("Holdover;hit;ttl=")
        assert site.get("/other/")["Cache-Status"] == "Holdover;fwd=miss;stored"
        assert site.get(method="POST")["Cache-Status"] == "Holdover;fwd=method"
        site.show(numbered(**{"Cache-Control": "private"}))
        said = site.get("/other/?private")["Cache-Status"]
        assert said == 'Holdover;fwd=miss;detail="is private"'

    def test_settings_are_checked(self, site):
        """A name or a span that is none is told."""
        site.show(numbered())
        site.settings.HOLDOVER_PAGES = {"STALE": 1}
        assert site.get().status_code == 500
        site.settings.HOLDOVER_PAGES = {"MOST_VARIANTS": 0}
        with pytest.raises(ImproperlyConfigured, match="above 0, got 0"):
            site_count("MOST_VARIANTS")
        for wait in ("long", 1e30):
            site.settings.HOLDOVER_PAGES = {"WAIT": wait}
            with pytest.raises(ImproperlyConfigured, match=r"WAIT.* must be"):
                site_seconds("WAIT")
            assert site.get().status_code == 500
        for given in (None, ["WAIT"], {5: 5}):
            site.settings.HOLDOVER_PAGES = given
            with pytest.raises(
                ImproperlyConfigured, match=r"HOLDOVER_PAGES .*(dict|5)"
            ):
                site_setting("WAIT")

    def test_arguments_are_checked(self):
        """Where they are written."""
        with pytest.raises(InvalidLifetime):
            cache_page(1, stale_while_revalidate=-1)
        with pytest.raises(InvalidArgument):
            cache_page(1, tags="news")
        with pytest.raises(TypeError, match="method_decorator"):
            cache_page(1)(numbered())(object())
