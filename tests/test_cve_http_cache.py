"""Replays: what a shared cache keeps is fit for all to whom it gives it."""

import re

import pytest
from cve_catalogue import replay
from cve_http import Page, by_django, by_wsgi, counted, naive
from django_pages import PageTests

MINUTE = {"Cache_Control": "max-age=60"}


def varied(page):
    """Give the names in a page's Vary, read as carelessly as can be."""
    return page["Vary"].split(",") if page and page["Vary"] else []


def by_vary(asked, path, page):
    """Tell pages apart by the URL and by the fields that Vary names."""
    names = [f"HTTP_{one.strip().upper().replace('-', '_')}" for one in varied(page)]
    return path, *(asked.get(name, "") for name in names)


def is_shared(door, view, asked, again):
    """Say whether the page of one request is given to another."""
    ask = door(view)
    return ask(**asked).text == ask(**again).text


class TestReplays(PageTests):
    """Each by both caches of Holdover that keep whole pages."""

    @pytest.fixture
    def doors(self, site):
        """Our caches; a page that is fit for all is shared by each of them."""
        ours = [by_wsgi, by_django(site)]
        for door in ours:
            assert is_shared(door, counted(**MINUTE), {}, {})
        return ours

    @replay(
        "CVE-2026-48588",
        where="Django",
        fault="A response that sets a cookie is kept if the request has brought some "
        "other cookie.",
        ours="What sets a cookie is not kept, whatever the request has brought.",
    )
    def test_cookies_beside_other_cookies(self, doors):
        """Nobody gets a cookie that was set for another."""
        fields = {"Set_Cookie": "id=7", "Vary": "Cookie", **MINUTE}
        dark = {"Cookie": "theme=dark"}

        def may_keep(asked, page):
            sets_first = page["Set-Cookie"] and not asked.get("HTTP_COOKIE")
            return not (sets_first and "Cookie" in page["Vary"])

        careless = naive(may_keep=may_keep, key=by_vary)
        assert is_shared(careless, counted(**fields), dark, dark)
        for door in doors:
            assert not is_shared(door, counted(**fields), dark, dark)

    @replay(
        "CVE-2026-35193",
        where="Django",
        fault="What was asked for with ``Authorization`` is kept, and given to those "
        "who have none.",
        ours="It is kept only if the response says that it may be (RFC 9111 section "
        "3.5); Django's pages are kept for this ``Authorization`` alone.",
    )
    def test_authorization(self, doors):
        """Who has no password gets no page of who has one."""
        ann, eve = {"Authorization": "Basic YW5u"}, {"Authorization": "Basic ZXZl"}
        assert is_shared(naive(), counted(**MINUTE), ann, {})
        for door in doors:
            for other in ({}, eve):
                assert not is_shared(door, counted(**MINUTE), ann, other)

    @replay(
        "CVE-2026-6907",
        where="Django",
        fault="``Vary: *`` is taken for the name of a field, which no request has.",
        ours="What varies by everything is not kept.",
    )
    @pytest.mark.parametrize("vary", ["*", "Accept, *", "*, Accept"])
    def test_vary_star(self, doors, vary):
        """No two requests are alike."""
        fields = {"Vary": vary, **MINUTE}
        assert is_shared(naive(key=by_vary), counted(**fields), {}, {})
        for door in doors:
            assert not is_shared(door, counted(**fields), {}, {})

    @replay(
        "CVE-2026-48587",
        where="Django",
        fault="``Vary`` is compared with the white space that stands around its names.",
        ours="Names in lists are read without it.",
    )
    @pytest.mark.parametrize("vary", [" *", "* ", "Accept,\t* ", " cookie "])
    def test_white_space_in_vary(self, doors, vary):
        """A blank does not make another name of it."""

        def may_keep(asked, page):
            return "*" not in varied(page) and "cookie" not in varied(page)

        fields = {"Vary": vary, **MINUTE}
        ann, eve = {"Cookie": "id=ann"}, {"Cookie": "id=eve"}
        assert is_shared(naive(may_keep=may_keep), counted(**fields), ann, eve)
        for door in doors:
            assert not is_shared(door, counted(**fields), ann, eve)

    @replay(
        "CVE-2026-8404",
        where="Django",
        fault="Directives are looked for in lower case only: ``Private`` is not seen.",
        ours="Directives are read in any case, quoted or not, over all lines.",
    )
    @pytest.mark.parametrize("said", ["Private", "max-age=60, PRIVATE", "No-Store"])
    def test_directives_in_capitals(self, doors, said):
        """A private page stays private."""

        def may_keep(asked, page):
            words = re.split(r"\s*,\s*", page["Cache-Control"])
            return not {"private", "no-store"} & set(words)

        fields = {"Cache_Control": said}
        assert is_shared(naive(may_keep=may_keep), counted(**fields), {}, {})
        for door in doors:
            assert not is_shared(door, counted(**fields), {}, {})

    @replay(
        "CVE-2026-113593",
        where="Django",
        fault="A request without a field that the response varies by, and one where it "
        "is empty, have the same key.",
        ours="A field that is not there differs from an empty one.",
    )
    def test_fields_that_are_empty(self, doors):
        """Who sends nothing and who sends an empty field are two visitors."""
        fields = {"Vary": "X-Tenant", **MINUTE}
        asked = {}, {"X_Tenant": ""}
        for first, then in (asked, asked[::-1]):
            assert is_shared(naive(key=by_vary), counted(**fields), first, then)
            for door in doors:
                assert not is_shared(door, counted(**fields), first, then)
                assert is_shared(door, counted(**fields), first, first)

    @replay(
        "CVE-2011-4139",
        where="Django",
        fault="Links are made of the ``Host`` that a visitor sends, and the page is "
        "kept for all.",
        ours="The host is in the key; those that are not on the site's list are not "
        "looked up nor kept.",
    )
    def test_hosts(self, doors):
        """Nobody is sent to the host that somebody else has named."""

        def view(asked, path):
            host = asked.get("HTTP_HOST", "shop.example")
            return Page(f"https://{host}/reset", {"Cache-Control": "max-age=60"})

        evil, good = {"Host": "evil.example"}, {"Host": "shop.example"}
        assert is_shared(naive(), view, evil, good)
        for door in doors:
            assert not is_shared(door, view, evil, good)
            assert is_shared(door, view, good, good)

    @replay(
        "CVE-2021-23336",
        where="Python's query parser",
        fault="Cache and application part a query differently: what one leaves out of "
        "the key is a parameter for the other.",
        ours="The query is in the key as it was sent; nobody parses it.",
    )
    def test_parameters_that_hide(self, doors):
        """Nobody gets the page of another's parameters."""

        def view(asked, path):
            pairs = re.split("[&;]", path.partition("?")[2])
            told = dict(one.split("=") for one in pairs)
            return Page(f"results for {told['q']}", {"Cache-Control": "max-age=60"})

        def key(asked, path, page):
            pairs = path.partition("?")[2].split("&")
            return "&".join(one for one in pairs if not one.startswith("utm_"))

        def is_poisoned(door):
            ask = door(view)
            ask("/page/?q=tea&utm_content=1;q=poison")
            return ask("/page/?q=tea").text != "results for tea"

        assert is_poisoned(naive(key=key))
        assert not any(map(is_poisoned, doors))
