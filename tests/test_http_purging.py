"""Pages are removed by URL, prefix and tag, and by what changes them."""

import threading

import pytest
from http_shop import STALE, Response, Site, environ_for, page
from standins import broken
from waiting import PATIENCE

from holdover import errors

MINUTE = ("Cache-Control", "max-age=60")
SHOP = "http://shop.example"
STRANGE = pytest.mark.filterwarnings("ignore:Unknown REQUEST_METHOD")


@pytest.fixture
def site(pages_url):
    """A site whose pages tell how often they were made."""
    return Site(pages_url)


class TestByHand:
    def test_one_page(self, site):
        """With all its variants, and no other."""
        site.view = page(None, MINUTE, ("Vary", "Accept-Language"))
        asked = [("/a", "de"), ("/a", "en"), ("/a?b", "de"), ("/ab", "de")]

        def texts():
            return [site.ask(path, fields={"Accept-Language": language}).text
                    for path, language in asked]  # fmt: skip

        assert texts() == texts() == ["1", "2", "3", "4"]
        site.middleware.purge(f"{SHOP}/a")
        assert texts() == texts() == ["5", "6", "3", "4"]

    @pytest.mark.parametrize("vary", [(), [("Vary", "Accept-Language")]])
    def test_softly(self, site, vary):
        """It is stale then: served while it is made anew, if it allows that."""
        cache = ("Cache-Control", "max-age=60, stale-while-revalidate=60")
        fields = {"Accept-Language": "de"}
        site.view = page("old", cache, *vary)
        site.ask(fields=fields)
        site.ask("/other", fields=fields)
        site.view = page("new", cache, *vary)
        site.middleware.purge(f"{SHOP}/", soft=True)
        assert site.ask(fields=fields, **{"wsgi.multithread": False}).text == "old"
        assert site.ask(fields=fields).text == "new"
        assert site.ask("/other", fields=fields).text == "old"

    def test_softly_what_may_not_be_stale(self, site):
        """It is asked for before it is served."""
        site.ask()
        site.middleware.purge(f"{SHOP}/", soft=True)
        assert site.texts(2) == ["2", "2"]

    def test_a_prefix(self, site):
        """Whatever the query; other hosts and schemes stay."""
        paths = ["/a/1", "/a/2?x", "/a", "/b/1"]
        assert [site.ask(one).text for one in paths] == ["1", "2", "3", "4"]
        other = site.ask("/a/1", fields={"Host": "other.example"}).text
        site.middleware.purge_prefix(f"{SHOP}/a/")
        assert [site.ask(one).text for one in paths] == ["6", "7", "3", "4"]
        assert site.ask("/a/1", fields={"Host": "other.example"}).text == other

    def test_a_very_long_prefix(self, site):
        """Reaches a little more than it says, never less."""
        long = "/" + "x" * 1000
        site.ask(long + "1")
        site.middleware.purge_prefix(SHOP + long)
        assert site.ask(long + "1").text == "2"

    @pytest.mark.parametrize("soft", [False, True])
    def test_tags(self, site, soft):
        """Of either field, and of the application's own."""
        tagged = {"/a": ("Cache-Tag", "one, two"), "/b": ("Surrogate-Key", "two three"),
                  "/c": ("Cache-Tag", "three")}  # fmt: skip

        def view(environ, start_response):
            if environ["PATH_INFO"] == "/d":
                environ["holdover.response_cache"].tag("two")
                return page()(environ, start_response)
            named = tagged[environ["PATH_INFO"]]
            return page(None, MINUTE, named)(environ, start_response)

        site.view = view
        for path in "abcd":
            site.ask(f"/{path}")
        site.middleware.purge_tags("two", "unknown", soft=soft)
        hits = [site.ask(f"/{one}").cache.startswith("hit") for one in "abcd"]
        assert hits == [False, False, True, False]

    def test_nonsense(self, site):
        """Is told to who purges."""
        for url in ("/path", "ftp://a/b", "http://", "http://a:x/", None, 7):
            with pytest.raises(errors.InvalidArgument, match="by its URL"):
                site.middleware.purge(url)
        for tags in ((), ("",), (7,)):
            with pytest.raises(errors.InvalidArgument, match="tag"):
                site.middleware.purge_tags(*tags)

    def test_spelling(self, site):
        """Host and scheme in any case, with the port that is meant anyway."""
        for url in ("HTTP://SHOP.example:80/a?b", "http://shop.example/a?b#c"):
            before = site.ask("/a?b").text
            site.middleware.purge(url)
            assert site.ask("/a?b").text != before

    def test_an_unreachable_backend(self, site, monkeypatch):
        """Is told, or raised if that is wanted."""
        for verb in ("remove", "advance"):
            monkeypatch.setattr(site.middleware.region.backend, verb, broken)
        purges = [
            (site.middleware.purge, f"{SHOP}/"),
            (site.middleware.purge_prefix, f"{SHOP}/"),
            (site.middleware.purge_tags, "tag"),
        ]
        for purge, what in purges:
            assert purge(what).pending
            with pytest.raises(errors.BackendError):
                purge(what, strict=True)


def slow_fill(site, act, fields=(), **head):
    """Have a page be made while something happens; give what is found afterwards."""
    response = Response(site.app, environ_for("/page", fields=fields))
    next(response.chunks)
    act()
    response.whole()
    return site.ask("/page", fields=fields, **head)


class TestWhileAPageIsMade:
    """What begins before a removal and ends after it is not found."""

    @pytest.fixture(params=[(), [("Vary", "Accept-Language")]], ids=["plain", "varied"])
    def vary(self, request):
        """Whether the page varies."""
        return request.param

    @pytest.fixture
    def slow(self, site, vary):
        """A site whose page is sent in two steps."""

        def view(environ, start_response):
            cache = ("Cache-Control", "max-age=60, stale-while-revalidate=60")
            head = [cache, ("Content-Type", "text/plain"), ("Cache-Tag", "news"), *vary]
            start_response("200 OK", head)
            return iter([b"page ", str(environ["test.call"]).encode()])

        site.view = view
        return site

    @pytest.mark.parametrize("soft", [False, True])
    @pytest.mark.parametrize("by", ["url", "prefix", "tag"])
    def test_a_purge(self, slow, by, soft):
        """Of any kind, of a page that is there for the first time."""
        act = {
            "url": lambda: slow.middleware.purge(f"{SHOP}/page", soft=soft),
            "prefix": lambda: slow.middleware.purge_prefix(f"{SHOP}/", soft=soft),
            "tag": lambda: slow.middleware.purge_tags("news", soft=soft),
        }[by]
        found = slow_fill(slow, act, fields={"Accept-Language": "de"})
        assert found.text == "page 2" or (soft and found.cache.startswith("hit;ttl=-"))

    def test_a_purge_of_variants_that_are_known(self, slow, vary):
        """A new one, beside others."""
        slow.ask("/page", fields={"Accept-Language": "en"})
        fields = {"Accept-Language": "de", "Cache-Control": "max-age=0"}
        found = slow_fill(
            slow, lambda: slow.middleware.purge(f"{SHOP}/page"), fields=fields
        )
        assert found.text != "page 2"

    def test_a_purge_while_fields_are_added(self, slow, vary):
        """That the page varies by."""
        slow.ask("/page", fields={"Accept-Language": "en"})
        vary_more = [*vary, ("Vary", "Accept")]

        def view(environ, start_response):
            head = [MINUTE, ("Content-Type", "text/plain"), ("Cache-Tag", "news")]
            start_response("200 OK", [*head, *vary_more])
            return iter([b"page ", str(environ["test.call"]).encode()])

        slow.view = view
        fields = {"Accept-Language": "de", "Accept": "a", "Cache-Control": "no-cache"}
        response = Response(slow.app, environ_for("/page", fields=fields))
        next(response.chunks)
        slow.middleware.purge_tags("news")
        response.whole()
        del fields["Cache-Control"]
        assert slow.ask("/page", fields=fields).text == "page 3"

    @pytest.mark.parametrize("status", ["200 OK", "303 See Other"])
    def test_a_change(self, slow, status):
        """By an unsafe method that did not fail (RFC 9111 section 4.4)."""
        view = slow.view

        def act():
            slow.view = page("done", status=status)
            slow.ask("/page", method="POST")
            slow.view = view

        found = slow_fill(slow, act, fields={"Accept-Language": "de"})
        assert found.text == "page 3"


class TestUnsafeMethods:
    @STRANGE
    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "FROBNICATE"])
    def test_remove_the_page(self, site, method):
        """Known or not; another URL's page stays."""
        site.ask("/a")
        site.ask("/b")
        assert site.ask("/a", method=method).cache == "fwd=method"
        assert site.ask("/a").text == "4"
        assert site.ask("/b").text == "2"

    def test_that_fail_remove_nothing(self, site):
        """A client who may not change a page changes nothing."""
        site.ask()
        site.view = page("no", status="403 Forbidden")
        site.ask(method="POST")
        assert site.ask().text == "1"

    def test_remove_what_they_name(self, site):
        """By `Location`, on the same origin only."""
        for path in ("/a", "/b"):
            site.ask(path)
        site.ask("/b", fields={"Host": "other.example"})
        site.view = page("done", ("Location", "/a"), ("Content-Location",
                         "http://other.example/b"), status="303 See Other")  # fmt: skip
        site.ask("/form", method="POST")
        site.view = page()
        assert site.ask("/a").text != "1"
        assert site.ask("/b").text == "2"
        assert site.ask("/b", fields={"Host": "other.example"}).text == "3"

    def test_that_take_effect_late(self, site):
        """What was stored until the body was closed is removed, too."""
        closed = []

        class Body:
            def __iter__(self):
                return iter([b"done"])

            def close(self):
                closed.append(True)

        def post(environ, start_response):
            start_response("200 OK", [("Content-Type", "text/plain")])
            return Body()

        site.view = post
        response = Response(site.app, environ_for(method="POST"))
        site.view = page("before")
        assert site.ask().text == "before"
        response.whole()
        assert closed == [True]
        site.view = page("after")
        assert site.ask().text == "after"


@STRANGE
class TestPurgeRequests:
    def test_are_not_allowed(self, site):
        """Unless somebody is; the application does not hear of them."""
        site.ask()
        reply = site.ask(method="PURGE")
        assert (reply.code, "PURGE" in reply["Allow"]) == (405, False)
        assert (site.ask().text, site.calls) == ("1", 1)

    @pytest.mark.parametrize(
        ("address", "fields", "code"),
        [
            ("192.0.2.7", {}, 200),
            ("10.1.2.3", {}, 200),
            ("::1", {}, 200),
            ("::ffff:192.0.2.7", {}, 200),
            ("192.0.2.8", {}, 403),
            ("192.0.2.8", {"X-Forwarded-For": "192.0.2.7"}, 403),
            ("192.0.2.7", {"X-Forwarded-For": "192.0.2.7"}, 403),
            ("192.0.2.7", {"Forwarded": "for=192.0.2.7"}, 403),
            ("192.0.2.7", {"Via": "1.1 proxy"}, 403),
            ("", {}, 403),
            ("unix:", {}, 403),
            (None, {}, 403),
        ],
    )
    def test_from_whom(self, pages_url, address, fields, code):
        """Only who is connected counts; what a proxy has sent on is refused."""
        allowed = ["192.0.2.7", "10.0.0.0/8", "::1"]
        site = Site(pages_url, purge_from=allowed)
        site.ask("/a?b")
        environ = environ_for("/a?b", "PURGE", fields, REMOTE_ADDR=address)
        if address is None:
            del environ["REMOTE_ADDR"]
        reply = Response(site.app, environ).whole()
        assert reply.code == code
        assert reply["Cache-Control"] == "no-store"
        assert site.ask("/a?b").text == ("2" if code == 200 else "1")

    @pytest.mark.parametrize("name", ["Soft-Purge", "Fastly-Soft-Purge"])
    @pytest.mark.parametrize(
        ("value", "soft"), [("1", True), ("0", False), ("", False)]
    )
    def test_that_are_soft(self, pages_url, name, value, soft):
        """The page only expires: it is served while it is made anew."""
        cache = ("Cache-Control", "max-age=60, stale-while-revalidate=60")
        site = Site(pages_url, page(None, cache), purge_from=["192.0.2.0/24"])
        site.ask()
        assert site.ask(method="PURGE", fields={name: value}).code == 200
        reply = site.ask(**{"wsgi.multithread": False})
        assert (reply.text == "1") is soft
        assert site.ask().text == "2"

    def test_that_are_soft_from_anybody(self, pages_url):
        """Are refused like others."""
        site = Site(pages_url, purge_from=["10.0.0.0/8"])
        site.ask()
        fields = {"Soft-Purge": "1"}
        assert site.ask(method="PURGE", fields=fields).code == 403
        assert site.ask().cache.startswith("hit;ttl=")
        assert not site.ask().cache.startswith("hit;ttl=-")

    def test_that_cannot_be_delivered(self, pages_url, monkeypatch):
        """Are accepted; they are delivered as soon as that is possible."""
        site = Site(pages_url, purge_from=["192.0.2.0/24"])
        monkeypatch.setattr(site.middleware.region.backend, "remove", broken)
        assert site.ask(method="PURGE").code == 202

    @pytest.mark.parametrize("networks", [["shop.example"], [None], ["10.0.0.1/8"], 7])
    def test_from_nonsense(self, networks):
        """Is a configuration error."""
        with pytest.raises(errors.ConfigurationError, match="purge_from"):
            Site(purge_from=networks)


def test_purges_race_with_fills(pages_url):
    """Whatever is found after a purge was begun after it (promise 2)."""
    state, wrong = [0], []

    def view(environ, start_response):
        return page(str(state[0]), *STALE[:1])(environ, start_response)

    site = Site(pages_url, view)

    def change():
        for number in range(1, 60):
            state[0] = number
            site.middleware.purge(f"{SHOP}/")
            text = site.ask().text
            if int(text) < number:
                wrong.append((number, text))

    def read():
        while changing.is_alive():
            site.ask()

    changing = threading.Thread(target=change)
    readers = [threading.Thread(target=read) for _ in range(3)]
    changing.start()
    for one in readers:
        one.start()
    for one in (changing, *readers):
        one.join(PATIENCE * 2)
    assert wrong == []
