"""Looking at pages and fragments changes nothing, and tells the truth."""

import pytest
from django.template import Context, Template
from django.test import RequestFactory
from django_pages import PAGES, PageTests, numbered
from django_project import pages

from holdover import Freshness
from holdover.contrib_django import inspect_fragment, inspect_page
from holdover.errors import InvalidArgument

URL = "http://testserver/page/"


class TestPages(PageTests):
    """inspect_page."""

    def test_a_page_is_fresh_then_stale_then_gone(self, site, clock):
        """It has an age and tags, and nobody renders it for being looked at."""
        site.show(numbered(), 10, stale_while_revalidate=50, tags=["news"])
        assert inspect_page(URL).freshness is Freshness.GONE
        assert site.text() == "1"
        clock.advance(4)
        told = inspect_page(URL)
        assert (told.freshness, told.age, told.expires_in) == (Freshness.FRESH, 4, 6)
        assert told.tags == ("news",)
        clock.advance(10)
        assert inspect_page(URL).freshness is Freshness.STALE
        site.region.invalidate(tags=["news"])
        assert inspect_page(URL).freshness is Freshness.GONE
        assert site.text() == "2"

    def test_a_page_of_the_site(self, site):
        """What the middleware keeps is found, too."""
        pages.shown["view"] = numbered()
        site.use(PAGES)
        site.settings.CACHE_MIDDLEWARE_SECONDS = 10
        site.get()
        assert inspect_page(URL).freshness is Freshness.FRESH

    def test_a_request_has_its_own_variant(self, site):
        """A URL means those who send none of the fields that pages vary by."""
        site.show(numbered(Vary="X-Shoe"))
        site.get(**{"X-Shoe": "left"})
        left = RequestFactory().get("/page/", headers={"X-Shoe": "left"})
        assert inspect_page(left).freshness is Freshness.FRESH
        assert inspect_page(URL).freshness is Freshness.GONE

    def test_what_is_not_kept_is_gone(self, site):
        """The note that stands in its place is no page."""
        site.show(numbered(**{"Cache-Control": "private"}))
        site.get()
        told = inspect_page(URL)
        assert told.freshness is Freshness.GONE
        assert "private" in told.last_error

    def test_a_path_is_refused(self, site):
        """Nobody knows whose page it is."""
        with pytest.raises(InvalidArgument, match=r"whole URL.*'/page/'"):
            inspect_page("/page/")


class TestFragments(PageTests):
    """inspect_fragment."""

    def test_a_fragment_ages(self, site, clock):
        """One fragment for each list of values."""
        text = '{% load holdover %}{% cached 10 "side" who stale=50 %}x{% endcached %}'
        Template(text).render(Context({"who": 7}))
        clock.advance(11)
        told = inspect_fragment("side", 7)
        assert (told.freshness, told.age) == (Freshness.STALE, 11)
        assert inspect_fragment("side", 8).freshness is Freshness.GONE
