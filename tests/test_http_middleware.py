"""The HTTP response cache before a WSGI application: what passes, what is kept."""

import re
import sys
import time
from datetime import timedelta
from wsgiref.util import FileWrapper
from wsgiref.validate import validator

import bottle
import flask
import pytest
import webob
import webob.dec
import webtest
from http_shop import STALE, Response, Site, ask, environ_for, page, pages_region

from holdover import errors, make_region, wsgi
from holdover.wsgi import (
    HTTPCacheMiddleware,
    HTTPCachePolicy,
    PageCodec,
    ResponseCache,
    response_cache,
)

MINUTE = ("Cache-Control", "max-age=60")


@pytest.fixture
def site(pages_url):
    """An application behind a cache on each kind of backend."""
    return Site(pages_url)


class TestTheUsualWay:
    def test_a_page_is_made_once(self, site):
        """Until it expires, and each URL for itself."""
        assert site.texts(3, "/a?x=1") == ["1", "1", "1"]
        assert site.texts(2, "/a?x=2") == ["2", "2"]
        assert site.texts(2, "/a?x=1") == ["1", "1"]

    def test_it_says_what_it_did(self, site):
        """`Cache-Status` and `Age` (RFC 9211, RFC 9111 section 5.1)."""
        assert site.ask().cache == "fwd=uri-miss;stored"
        hit = site.ask()
        assert re.fullmatch(r"hit;ttl=(59|60)", hit.cache)
        assert hit["Age"] == "0"

    def test_it_can_be_called_otherwise(self):
        """The policy names the cache."""
        named = Site(policy=HTTPCachePolicy(name="shop-cache"))
        assert named.ask()["Cache-Status"].strip('"').startswith("shop-cache")

    def test_variants(self, site):
        """One of each value of what the page varies by."""

        def view(environ, start_response):
            start_response(
                "200 OK",
                [MINUTE, ("Vary", "Accept-Language"), ("Content-Type", "text/plain")],
            )
            return [environ["HTTP_ACCEPT_LANGUAGE"].encode()]

        site.view = view
        for language in ("de", "en", "de", "en"):
            reply = site.ask(fields={"Accept-Language": language})
            assert reply.text == language
        assert site.calls == 2

    def test_fields_that_are_named_now_and_then(self, site):
        """Who varies by something once is asked by it from then on."""

        def view(environ, start_response):
            vary = environ.get("HTTP_ACCEPT_ENCODING") or ""
            more = [("Vary", "Accept-Encoding")] if vary else []
            start_response("200 OK", [MINUTE, ("Content-Type", "text/plain"), *more])
            return [vary.encode() or b"plain"]

        site.view = view
        for _ in range(2):
            assert site.ask().text == "plain"
            assert site.ask(fields={"Accept-Encoding": "gzip"}).text == "plain"
        site.middleware.purge("http://shop.example/")
        assert site.ask(fields={"Accept-Encoding": "gzip"}).text == "gzip"
        for _ in range(2):
            assert site.ask().text == "plain"
            assert site.ask(fields={"Accept-Encoding": "gzip"}).text == "gzip"
        assert site.calls == 3

    def test_fields_that_are_named_later(self, site):
        """Variants of before are not found any more, and nothing is mistaken."""
        vary = ["A"]

        def view(environ, start_response):
            head = [MINUTE, ("Vary", ", ".join(vary)), ("Content-Type", "text/plain")]
            start_response("200 OK", head)
            return [(environ["HTTP_A"] + environ["HTTP_B"]).encode()]

        def get(a, b):
            return site.ask(fields={"A": a, "B": b}).text

        site.view = view
        assert [get("1", "1"), get("1", "2")] == ["11", "11"]
        vary.append("B")
        assert [get("2", "1"), get("2", "2"), get("2", "1")] == ["21", "22", "21"]
        assert [get("1", "2"), get("1", "1"), get("1", "2")] == ["12", "11", "12"]
        vary[:] = ["B"]  # those of both are kept
        assert [get("3", "1"), get("4", "1"), get("1", "2")] == ["31", "41", "12"]
        assert site.calls == 7

    def test_head_is_answered_from_get(self, site):
        """With its length, and without a body."""
        site.ask()
        reply = site.ask(method="HEAD")
        assert (reply.code, reply.body, reply["Content-Length"]) == (200, b"", "1")
        assert site.calls == 1

    def test_head_without_validators_renews_nothing(self, site):
        """Or anybody could keep an old page for ever."""
        site.view = page("old")
        site.ask()
        site.view = page("new")
        site.middleware.purge("http://shop.example/", soft=True)
        for fields in ({}, {"Cache-Control": "no-cache"}):
            site.ask(method="HEAD", fields=fields)
        assert site.ask().text == "new"

    def test_head_alone_stores_nothing(self, site):
        """It has nothing that a GET could be answered with."""

        def view(environ, start_response):
            start_response("200 OK", [MINUTE, ("Content-Type", "text/plain")])
            return [] if environ["REQUEST_METHOD"] == "HEAD" else [b"body"]

        site.view = view
        assert site.ask(method="HEAD").body == b""
        assert site.ask().body == b"body"
        assert site.calls == 2

    @pytest.mark.parametrize("status", ["204 No Content", "410 Gone", "299 Whatever"])
    def test_other_statuses(self, site, status):
        """Kept as they are, with or without a body."""

        def view(environ, start_response):
            kind = [] if status.startswith("204") else [("Content-Type", "text/plain")]
            start_response(status, [MINUTE, *kind])
            return []

        site.view = view
        assert [site.ask().status for _ in range(2)] == [status, status]
        assert site.calls == 1

    def test_conditions_and_parts(self, site):
        """A stored page answers both, the application is not asked."""
        site.view = page("0123456789", MINUTE, ("ETag", '"one"'))
        site.ask()
        same = site.ask(fields={"If-None-Match": '"one"'})
        assert (same.code, same.body, same["ETag"]) == (304, b"", '"one"')
        part = site.ask(fields={"Range": "bytes=2-4"})
        assert (part.code, part.text, part["Content-Range"]) == (
            206, "234", "bytes 2-4/10",
        )  # fmt: skip
        assert site.calls == 1

    def test_only_if_cached(self, site):
        """Nothing is stored: 504, and the application sleeps on."""
        fields = {"Cache-Control": "only-if-cached"}
        assert site.ask(fields=fields).code == 504
        site.ask()
        assert site.ask(fields=fields).text == "1"

    def test_a_page_that_holds_is_not_made_again(self, site):
        """An old one is asked about; 304 makes it new (RFC 9111 section 4.3)."""

        def not_modified(environ, start_response):
            start_response("304 Not Modified", [MINUTE, ("ETag", '"1"')])
            return []

        old = ("Cache-Control", "max-age=10"), ("Age", "11"), ("ETag", '"1"')
        site.view = page("old", *old)
        assert site.ask().text == "old"
        site.view = not_modified
        again = site.ask(fields={"If-None-Match": '"other"'})
        assert (again.code, again.text) == (200, "old")
        assert again.cache == "fwd=stale;fwd-status=304;ttl=59"
        assert site.asked[-1]["HTTP_IF_NONE_MATCH"] == '"1"'
        assert re.match("hit", site.ask().cache)

    def test_an_old_page_stands_in_for_an_error(self, site):
        """`stale-if-error` (RFC 5861 section 4), for a 503 and for an exception."""

        def view(environ, start_response):
            raise RuntimeError("no database")

        cache = ("Cache-Control", "max-age=10, stale-if-error=600")
        site.view = page("old", cache, ("Age", "11"), ("ETag", '"1"'))
        site.ask()
        site.view = page("sorry", status="503 Service Unavailable")
        reply = site.ask()
        assert (reply.text, reply.cache) == ("old", "fwd=stale;fwd-status=503;ttl=-2")
        site.view = view
        assert site.ask().text == "old"

    def test_through_webtest(self, site):
        """Whose own lint finds nothing wrong either."""
        client = webtest.TestApp(site.app)
        assert [client.get("/").text for _ in range(2)] == ["1", "1"]


class Body:
    """A body that is made while it is sent.

    Args:
        chunks: What it gives; exceptions are raised.
        on_close: Raised when it is closed.
    """

    def __init__(self, *chunks, on_close=None):
        self._chunks = chunks
        self._on_close = on_close
        self.closed = 0
        self.given = 0

    def __iter__(self):
        for chunk in self._chunks:
            if isinstance(chunk, Exception):
                raise chunk
            self.given += 1
            yield chunk

    def close(self):
        self.closed += 1
        if self._on_close is not None:
            raise self._on_close


def serving(body, *fields, status="200 OK"):
    """Make a view that gives *body*."""

    def view(environ, start_response):
        head = [("Content-Type", "text/plain"), *(fields or [MINUTE])]
        start_response(status, head)
        return body

    return view


class TestBodies:
    def test_pass_at_once(self, site):
        """Each chunk before the next is made; stored at the end."""
        body = Body(b"one", b"two")
        site.view = serving(body)
        response = Response(site.app, environ_for())
        assert (next(response.chunks), body.given) == (b"one", 1)
        assert response.whole().body == b"two"
        assert body.closed == 1
        assert site.ask().text == "onetwo"
        assert site.calls == 1

    def test_are_stored_whole_only(self, site):
        """A visitor who goes takes his page along; the application's is closed."""
        body = Body(b"one", b"two")
        site.view = serving(body)
        response = Response(site.app, environ_for())
        next(response.chunks)
        response.close()
        assert body.closed == 1
        site.view = page("next")
        assert site.ask().text == "next"

    def test_are_not_stored_if_the_application_raises(self, site):
        """In the middle."""
        body = Body(b"one", RuntimeError("no more"))
        site.view = serving(body)
        with pytest.raises(RuntimeError, match="no more"):
            site.ask()
        assert body.closed == 1
        site.view = page("next")
        assert site.ask().text == "next"

    def test_are_not_stored_if_closing_raises(self, site):
        """Who knows what was wrong; the server hears of it."""
        body = Body(b"one", on_close=RuntimeError("not so"))
        site.view = serving(body)
        with pytest.raises(RuntimeError, match="not so"):
            site.ask()
        assert body.closed == 1
        site.view = page("next")
        assert site.ask().text == "next"

    @pytest.mark.parametrize("length", ["2", "4", "x", "-1"])
    def test_have_the_length_that_they_say(self, pages_url, length):
        """Otherwise they are not stored."""
        middleware = HTTPCacheMiddleware(
            serving(Body(b"one"), MINUTE, ("Content-Length", length)), pages_url
        )
        for _ in range(2):
            assert ask(middleware)["Cache-Status"].endswith("stored")

    def test_are_closed_once(self):
        """Whoever closes twice."""
        body = Body(b"one")
        response = Response(HTTPCacheMiddleware(serving(body), "memory://"),
                            environ_for())  # fmt: skip
        response.whole()
        response.close()
        assert body.closed == 1

    def test_that_are_too_large_are_not_stored(self, pages_url):
        """Said or not; they are passed on all the same."""
        policy = HTTPCachePolicy(most_body=5)
        said = Site(pages_url, page("123456"), policy=policy)
        assert said.ask().cache == 'fwd=uri-miss;detail="too-large"'
        unsaid = Site(pages_url, policy=policy)
        unsaid.view = serving(Body(b"123", b"456"))
        assert unsaid.texts(2, "/unsaid") == ["123456", "123456"]
        assert unsaid.calls == 2
        small = Site(pages_url, page("12345"), policy=policy)
        small.texts(2, "/small")
        assert small.calls == 1

    def test_that_are_lists_are_stored_before_they_are_sent(self, pages_url):
        """Whoever fetches slowly keeps nobody waiting."""
        app = HTTPCacheMiddleware(serving([b"one", b"two"]), pages_url)
        first = Response(app, environ_for())
        assert type(first.body) is list
        assert ask(app).cache.startswith("hit")
        assert first.whole().text == "onetwo"

    def test_that_begin_before_their_head(self, site):
        """A generator starts its response when it is first asked."""

        def view(environ, start_response):
            yield b""
            start_response("200 OK", [MINUTE, ("Content-Type", "text/plain")])
            yield b"late"

        site.view = view
        # The validator would have it that nothing is asked for before the head.
        app = HTTPCacheMiddleware(view, site.middleware.region, name="late")
        assert [ask(app).text for _ in range(2)] == ["late", "late"]
        assert ask(app).cache.startswith("hit")

    def test_that_never_have_a_head(self, pages_url):
        """Are an error, and closed."""
        body = Body(b"one")
        middleware = HTTPCacheMiddleware(lambda *_: body, pages_url)
        with pytest.raises(AssertionError, match=r"did not call start_response"):
            ask(middleware)
        assert body.closed == 1

    def test_are_files_if_they_are_not_stored(self, pages_url, tmp_path):
        """The server sends them by itself; what is stored is read."""
        (tmp_path / "file").write_bytes(b"content")

        def app(environ, start_response):
            cache = "no-store" if environ["PATH_INFO"] == "/no" else "max-age=60"
            start_response("200 OK", [("Cache-Control", cache)])
            return environ["wsgi.file_wrapper"]((tmp_path / "file").open("rb"))

        middleware = HTTPCacheMiddleware(app, pages_url)
        for method in ("GET", "POST"):
            environ = environ_for("/no", method, **{"wsgi.file_wrapper": FileWrapper})
            response = Response(middleware, environ)
            assert type(response.body) is FileWrapper
            assert response.whole().body == b"content"
        for _ in range(2):
            kept = ask(middleware, "/yes", **{"wsgi.file_wrapper": FileWrapper})
            assert kept.body == b"content"
        assert kept.cache.startswith("hit")


class TestWriting:
    def test_goes_out_at_once(self, pages_url):
        """What is written is sent before the application returns, and stored."""
        sent = []

        def app(environ, start_response):
            write = start_response("200 OK", [MINUTE, ("Content-Type", "text/plain")])
            for text in (b"a", b"b"):
                write(text)
                sent.append(b"".join(arrived))
            return [b"c"]

        arrived = []

        def start_response(status, headers, exc_info=None):
            return arrived.append

        middleware = HTTPCacheMiddleware(app, pages_url)
        body = middleware(environ_for(), start_response)
        assert sent == [b"a", b"ab"]
        assert b"".join(body) == b"c"
        body.close()
        assert ask(middleware).text == "abc"
        assert ask(middleware).cache.startswith("hit")

    @pytest.mark.parametrize("cache", ["no-store", "max-age=60"])
    def test_keeps_the_rules(self, pages_url, cache):
        """Validators on both sides; stored or not."""

        def view(environ, start_response):
            kind = ("Content-Type", "text/plain")
            write = start_response("200 OK", [("Cache-Control", cache), kind])
            write(b"a")
            return iter([b"b"])

        site = Site(pages_url, view)
        assert site.texts(2) == ["ab", "ab"]
        assert site.calls == (1 if cache != "no-store" else 2)

    def test_in_answer_to_a_validation(self, site):
        """Is held back until it is known what becomes of it."""
        site.view = page("old", ("Cache-Control", "max-age=1"), ("Age", "2"),
                         ("ETag", '"1"'))  # fmt: skip
        site.ask()

        def view(environ, start_response):
            kind = ("Content-Type", "text/plain")
            start_response("200 OK", [MINUTE, kind])(b"written ")
            return [b"and given"]

        site.view = view
        assert site.texts(2) == ["written and given"] * 2
        assert site.calls == 2


class TestErrorsOfTheApplication:
    def test_before_the_head_is_sent(self, site):
        """Another head may take its place, and counts."""

        def view(environ, start_response):
            kind = ("Content-Type", "text/plain")
            start_response("200 OK", [MINUTE, kind])
            try:
                raise RuntimeError
            except RuntimeError:
                start_response("500 Error", [kind], sys.exc_info())
            return [b"sorry"]

        site.view = view
        assert [site.ask().code for _ in range(2)] == [500, 500]
        assert site.calls == 2

    def test_after_the_head_was_sent(self, site):
        """Nothing is stored, whatever the server makes of it."""

        def view(environ, start_response):
            kind = ("Content-Type", "text/plain")
            start_response("200 OK", [MINUTE, kind])

            def body():
                yield b""
                try:
                    raise RuntimeError
                except RuntimeError:
                    start_response("500 Error", [kind], sys.exc_info())
                yield b"sorry"

            return body()

        site.view = view
        replies = [site.ask() for _ in range(2)]
        assert [(one.code, one.cache) for one in replies] == [(500, "fwd=uri-miss")] * 2
        assert site.calls == 2

    def test_a_second_head_without_an_error(self, pages_url):
        """Is one (PEP 3333)."""

        def app(environ, start_response):
            start_response("200 OK", [MINUTE])
            start_response("200 OK", [MINUTE])

        with pytest.raises(AssertionError, match="without exc_info"):
            ask(HTTPCacheMiddleware(app, pages_url))

    @pytest.mark.parametrize(
        "status", ["", "nonsense", "99 Low", "1000 High", "200", "٢٠٠ OK", "-200 OK"]
    )
    def test_nonsense_for_a_status(self, pages_url, status):
        """Is the server's business; it is not stored unless it can be read."""

        def app(environ, start_response):
            start_response(status, [MINUTE])
            return [b"body"]

        middleware = HTTPCacheMiddleware(app, pages_url)
        replies = [ask(middleware) for _ in range(2)]
        assert [one.body for one in replies] == [b"body", b"body"]
        assert ("hit" in replies[1].cache) is (status == "200")

    def test_raised_at_once(self, site):
        """Reaches the server; the next one may do better."""

        def view(environ, start_response):
            raise RuntimeError("no")

        site.view = view
        with pytest.raises(RuntimeError, match="no"):
            site.ask()
        site.view = page("better")
        assert site.texts(2) == ["better", "better"]
        assert site.calls == 2


class TestSteering:
    def test_by_the_environ(self, site):
        """A view decides what its fields do not say."""

        def view(environ, start_response):
            steering = environ["holdover.response_cache"]
            assert isinstance(steering, ResponseCache)
            steering.expiration_time = timedelta(minutes=5)
            steering.tag("prices")
            start_response("200 OK", [("Content-Type", "text/plain")])
            return [b"text"]

        site.view = view
        site.ask()
        assert re.fullmatch("hit;ttl=(299|300)", site.ask().cache)
        site.middleware.purge_tags("prices")
        assert site.ask().cache == "fwd=uri-miss;stored"

    def test_not_to_store_after_all(self, site):
        """What fails or turns out private amid its body is not stored either."""

        def view(environ, start_response):
            head = [("Cache-Control", "max-age=60"), ("Content-Type", "text/plain")]
            start_response("200 OK", head)
            yield b"half"
            environ["holdover.response_cache"].store = False
            yield str(environ["test.call"]).encode()

        site.view = view
        assert site.texts(2) == ["half1", "half2"]

    def test_not_to_store(self, site):
        """Whatever the fields say."""

        def view(environ, start_response):
            environ["holdover.response_cache"].store = False
            return page()(environ, start_response)

        site.view = view
        assert site.texts(2) == ["1", "2"]

    @pytest.mark.parametrize("span", ["60", -1, float("nan")])
    def test_by_nonsense(self, span):
        """Is an error where it is written."""
        with pytest.raises(errors.InvalidLifetime, match="expiration_time"):
            ResponseCache().expiration_time = span
        with pytest.raises(errors.InvalidLifetime, match="stale_if_error"):
            response_cache(stale_if_error=span)
        for tags in ("prices", [""], [7]):
            with pytest.raises(errors.InvalidArgument):
                response_cache(tags=tags)

    def test_by_a_decorator(self, site):
        """Of a plain application; what it says itself goes before."""

        @response_cache(expiration_time=600, stale_while_revalidate=5, tags=["a"])
        def view(environ, start_response):
            environ["holdover.response_cache"].expiration_time = 300
            start_response("200 OK", [("Content-Type", "text/plain")])
            return [b"text"]

        site.view = view
        site.ask()
        assert re.fullmatch("hit;ttl=(299|300)", site.ask().cache)
        site.middleware.purge_tags("a")
        assert site.ask().cache == "fwd=uri-miss;stored"

    def test_by_a_decorator_of_webob_s(self, pages_url):
        """Above and below `wsgify`, and of a method."""

        class Views:
            @response_cache(expiration_time=60)
            def view(self, request):
                return webob.Response("method")

        @response_cache(expiration_time=60)
        @webob.dec.wsgify
        def above(request):
            return "above"

        @webob.dec.wsgify
        @response_cache(expiration_time=60)
        def below(request):
            return "below"

        method = webob.dec.wsgify(Views().view)
        for number, app in enumerate((above, below, method)):
            cached = HTTPCacheMiddleware(app, pages_url, name=f"site-{number}")
            ask(cached, f"/{number}")
            assert ask(cached, f"/{number}").cache.startswith("hit")

    def test_without_a_cache(self):
        """The decorator changes nothing."""
        view = response_cache(expiration_time=60)(page("text"))
        assert ask(view, **{"test.call": 1}).text == "text"

    def test_of_what_has_no_environ(self):
        """Outside of all requests, nothing changes."""
        assert response_cache()(lambda number: number)(5) == 5

    def test_of_views_that_get_no_environ(self, pages_url):
        """They run while the application is called: Flask's and Bottle's."""
        for number, framework in enumerate((flask.Flask("shop"), bottle.Bottle())):

            @framework.route("/<name>")
            @response_cache(expiration_time=60)
            def view(name):
                return f"{name} at {time.time()}"

            cached = HTTPCacheMiddleware(framework, pages_url, name=f"views-{number}")
            path = f"/{framework.__class__.__name__}"
            assert ask(cached, path).cache == "fwd=uri-miss;stored"
            assert ask(cached, path).cache.startswith("hit")


class TestOptions:
    def test_names(self):
        """All are in `holdover.wsgi`."""
        for name in ("HTTPCacheMiddleware", "HTTPCachePolicy", "PageCodec",
                     "ResponseCache", "response_cache"):  # fmt: skip
            assert name in dir(wsgi)
            assert getattr(wsgi, name).__doc__

    def test_a_url_makes_a_region(self, pages_url):
        """With the codec of pages, and threads that make them anew."""
        region = HTTPCacheMiddleware(page(), pages_url).region
        assert region.codec == (None if pages_url == "memory://" else "http")
        assert [runner.name for runner in region.runners] == ["thread"]

    def test_a_region_that_is_configured_later(self, tmp_path):
        """Is looked at by the first request."""
        region = make_region("later")
        app = HTTPCacheMiddleware(page("text"), region)
        region.configure(f"file://{tmp_path}/pages", codec=PageCodec())
        assert ask(app).cache == "fwd=uri-miss;stored"
        wrong = make_region("later-too")
        app = HTTPCacheMiddleware(page("text"), wrong)
        wrong.configure(f"file://{tmp_path}/pickles")
        with pytest.raises(errors.ConfigurationError, match="PageCodec"):
            ask(app)

    @pytest.mark.parametrize(
        ("region", "message"),
        [
            (None, "a holdover.Region or a URL, got None"),
            (make_region("j").configure("holdover.dbm", 60, {"filename": "/tmp/x/y"},
                                        codec="json"), "codec 'json'"),
            (make_region("d").configure("dogpile.cache.memory"), "backend of Holdover"),
            ("nonsense", "nonsense"),
            ("gopher://x", "gopher"),
        ],
    )  # fmt: skip
    def test_a_region_that_will_not_do(self, region, message):
        """It is said what is wanted."""
        with pytest.raises((errors.ConfigurationError, errors.UnknownName),
                           match=message):  # fmt: skip
            HTTPCacheMiddleware(page(), region)

    @pytest.mark.parametrize(
        "options",
        [
            {"wait": -1}, {"wait": "5"}, {"pass_for": float("nan")},
            {"stale_if_error": None}, {"most_variants": 0}, {"most_body": -1},
            {"most_body": 1.5}, {"most_variants": True}, {"heuristic_fraction": 1.1},
            {"heuristic_most": -1}, {"hosts": "shop.example"}, {"hosts": {"Shop"}},
            {"targets": [b"x"]}, {"override": "x"},
        ],
    )  # fmt: skip
    def test_a_policy_that_will_not_do(self, options):
        """The message names the option."""
        [name] = options
        with pytest.raises(errors.ConfigurationError, match=name):
            HTTPCachePolicy(**options)

    def test_spans_of_a_policy(self):
        """Are seconds, or `timedelta`."""
        assert HTTPCachePolicy(wait=timedelta(seconds=3)).wait == 3.0

    @pytest.mark.parametrize("app", [None, "shop", "shop.wsgi", "a b:c", ":x", "x:"])
    def test_no_application(self, app):
        """Is told at once."""
        with pytest.raises(errors.ConfigurationError, match="app must be"):
            HTTPCacheMiddleware(app, "memory://")

    def test_an_application_by_its_name(self, pages_url):
        """Is imported when it is first called."""
        app = HTTPCacheMiddleware("wsgiref.simple_server:demo_app", pages_url)
        assert "Hello world" in ask(app).text
        missing = HTTPCacheMiddleware("wsgiref.simple_server:nothing", pages_url)
        with pytest.raises(errors.ConfigurationError, match="names no WSGI appl"):
            ask(missing)

    def test_all_that_the_codec_keeps(self):
        """Nothing else goes into a region of pages."""
        with pytest.raises(errors.UncacheableValue, match="HTTPCacheMiddleware"):
            PageCodec().dumps({"a": 1})

    def test_validators_all_the_way(self):
        """Two caches, one inside the other."""
        inner = HTTPCacheMiddleware(validator(page("text")), pages_region("memory://"))
        outer = validator(
            HTTPCacheMiddleware(validator(inner), pages_region("memory://"))
        )
        for _ in range(2):
            reply = ask(outer, **{"test.call": 1})
        assert "hit" in reply["Cache-Status"]
        assert STALE
