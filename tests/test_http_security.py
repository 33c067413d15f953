"""What the HTTP response cache must never give to somebody else: attacks by name."""

import itertools
import json

import pytest
from http_shop import Response, Site, ask, environ_for, page, pages_region

from holdover import errors
from holdover.wsgi import (
    HTTPCacheMiddleware,
    HTTPCachePolicy,
    PageCodec,
    SessionMiddleware,
    SessionOptions,
)
from holdover.wsgi.http.fields import Headers
from holdover.wsgi.http.messages import Response as Head
from holdover.wsgi.http.messages import Stored
from holdover.wsgi.http.variants import Passed, Variants

MINUTE = ("Cache-Control", "max-age=60")
PLAIN = ("Content-Type", "text/plain")


@pytest.fixture
def site(pages_url):
    """A site that tells each of its visitors apart."""
    return Site(pages_url)


def is_shared(site, *head, fields=(), **request):
    """Say whether a page with such a head reaches a second visitor."""
    site.view = page(None, *head)
    first = site.ask(fields=fields, **request).text
    return site.ask(**request).text == first


class TestAnswersForOne:
    """What was made for one visitor is not given to another."""

    @pytest.mark.parametrize(
        "cache",
        ["private", "Private", "PRIVATE, max-age=60", "max-age=60,private", "no-store",
         'max-age=60, Private="x', "NO-STORE", "s-maxage=60, private",
         "max-age=60, no-store, must-understand-not"],
    )  # fmt: skip
    def test_cve_2026_8404_directives_in_any_case(self, site, cache):
        """And over several lines, quoted or not."""
        assert not is_shared(site, ("Cache-Control", cache))
        assert not is_shared(site, MINUTE, ("Cache-Control", cache))
        assert not is_shared(
            site, ("cache-control", cache), ("CACHE-CONTROL", "public")
        )

    def test_cve_2026_48588_set_cookie(self, site):
        """Whatever cookies the request had."""
        cookie = ("Set-Cookie", "id=7")
        assert not is_shared(site, MINUTE, cookie)
        assert not is_shared(site, MINUTE, cookie, fields={"Cookie": "other=1"})
        assert not is_shared(site, MINUTE, ("set-cookie", "id=7"))
        assert not is_shared(site, ("Cache-Control", "public, max-age=60"), cookie)

    def test_set_cookie_that_is_dropped_by_choice(self, pages_url):
        """The first visitor gets it; it is not stored."""
        policy = HTTPCachePolicy(strip_set_cookie=True)
        site = Site(pages_url, page("a", MINUTE, ("Set-Cookie", "id=7")), policy=policy)
        assert [site.ask()["Set-Cookie"] for _ in range(3)] == ["id=7", None, None]

    @pytest.mark.parametrize(
        ("cache", "shared"),
        [("max-age=60", False), ("public, max-age=60", True), ("s-maxage=60", True),
         ("must-revalidate, max-age=60", True), ("private, public", False)],
    )  # fmt: skip
    def test_cve_2026_35193_authorization(self, site, cache, shared):
        """Only what says that it may be (RFC 9111 section 3.5)."""
        fields = {"Authorization": "Basic x"}
        assert is_shared(site, ("Cache-Control", cache), fields=fields) is shared

    @pytest.mark.parametrize("name", ["REMOTE_USER", "SSL_CLIENT_S_DN", "HTTPS_DN"])
    @pytest.mark.parametrize("is_inside", [True, False])
    def test_users_that_a_server_or_middleware_names(self, pages_url, name, is_inside):
        """As with Authorization, which Apache httpd keeps to itself."""

        def naming(app):
            return lambda environ, start: app({**environ, name: "eve"}, start)

        def noting(app):
            def noted(environ, start):
                environ[name] = "eve"
                return app(environ, start)

            return noted

        for cache, shared in (("max-age=60", False), ("public, max-age=60", True)):
            view = page(None, ("Cache-Control", cache))
            site = Site(pages_url, view, inside=noting if is_inside else lambda a: a)
            if not is_inside:
                site.app = naming(site.app)
            assert len(set(site.texts(2))) == (1 if shared else 2)

    @pytest.mark.parametrize("vary", ["*", "Accept, *", " * ", "accept-language,*"])
    def test_cve_2026_6907_vary_star(self, site, vary):
        """It never matches."""
        assert not is_shared(site, MINUTE, ("Vary", vary))
        assert not is_shared(site, MINUTE, ("Vary", "Accept"), ("Vary", vary))

    def test_vary_cookie(self, site):
        """Each cookie has its own page."""
        site.view = page(None, MINUTE, ("Vary", "Cookie"))
        texts = [site.ask(fields={"Cookie": f"id={one}"}).text for one in (1, 2, 1, 2)]
        assert texts == ["1", "2", "1", "2"]
        assert site.ask().text == "3"


def visits(environ, start_response):
    """Count a session's visits, and say that anybody may have the page."""
    session = environ["holdover.session"]
    session["visits"] = session.get("visits", 0) + 1
    start_response("200 OK", [PLAIN, MINUTE])
    return [f"visit {session['visits']}".encode()]


def looks(environ, start_response):
    """Only look into the session."""
    environ["holdover.session"].get("user")
    start_response("200 OK", [PLAIN, MINUTE])
    return [b"looked"]


def looks_late(environ, start_response):
    """Look into it while the body is sent, having looked before."""
    start_response("200 OK", [PLAIN, MINUTE])

    def body():
        yield b"looked "
        if environ["holdover.session"].accessed() is False:
            environ["holdover.session"]._accessed = True
        yield b"late"

    return body()


def leaves_it(environ, start_response):
    """Do not touch the session."""
    start_response("200 OK", [PLAIN, MINUTE])
    return [b"for all"]


class TestSessions:
    """CVE-2023-30861, 2026-27205, 2026-35192: what has used a session is its own."""

    @staticmethod
    def sessions(app, **options):
        """Give an application sessions."""
        store = pages_sessions(**options)
        return SessionMiddleware(app, store)

    @pytest.mark.parametrize("view", [visits, looks, looks_late])
    @pytest.mark.parametrize("is_outside", [False, True], ids=["inside", "outside"])
    def test_that_are_used(self, pages_url, view, is_outside):
        """Wherever the session middleware stands, also if it was only looked at."""
        if is_outside:
            app = self.sessions(HTTPCacheMiddleware(view, pages_url))
        elif view is looks_late:
            app = HTTPCacheMiddleware(self.sessions(looks), pages_url)
        else:
            app = HTTPCacheMiddleware(self.sessions(view), pages_url)
        replies = [ask(app, **{"wsgi.url_scheme": "https"}) for _ in range(3)]
        assert not any("hit" in one["Cache-Status"] for one in replies)
        assert {one.text for one in replies} <= {"visit 1", "looked", "looked late"}

    def test_that_are_touched_by_every_request(self, pages_url):
        """``touch_every=0`` saves them without a change (CVE-2026-35192)."""
        options = {"idle_timeout": 60, "touch_every": 0}
        app = HTTPCacheMiddleware(self.sessions(visits, **options), pages_url)
        first = ask(app, **{"wsgi.url_scheme": "https"})
        cookie = first["Set-Cookie"].partition(";")[0]
        second = ask(app, fields={"Cookie": cookie}, **{"wsgi.url_scheme": "https"})
        assert second.text == "visit 2"
        assert "hit" not in second["Cache-Status"]
        assert ask(app, **{"wsgi.url_scheme": "https"}).text == "visit 1"

    @pytest.mark.parametrize("is_outside", [False, True], ids=["inside", "outside"])
    def test_that_are_not_used(self, pages_url, is_outside):
        """Do not keep a page from being shared."""
        if is_outside:
            app = self.sessions(HTTPCacheMiddleware(leaves_it, pages_url))
        else:
            app = HTTPCacheMiddleware(self.sessions(leaves_it), pages_url)
        replies = [ask(app) for _ in range(2)]
        assert "hit" in replies[1]["Cache-Status"]

    def test_of_beaker(self, pages_url):
        """Its own, outside of the cache, are seen too."""

        class BeakerSession:
            def accessed(self):
                return True

        app = HTTPCacheMiddleware(leaves_it, pages_url)
        for _ in range(2):
            reply = ask(app, **{"beaker.session": BeakerSession()})
            assert 'detail="session"' in reply["Cache-Status"]


def pages_sessions(**options):
    """Give options for sessions in memory."""
    return SessionOptions(store="memory://", auto=True, **options)


class TestPoisoning:
    """Nothing that is not in the key decides what is stored."""

    @staticmethod
    def reflecting(*names):
        """Make a view that says what it was asked by."""

        def view(environ, start_response):
            length = int(environ.get("CONTENT_LENGTH") or 0)
            told = [environ.get("HTTP_" + one.upper().replace("-", "_"), "-")
                    for one in names]  # fmt: skip
            told.append(environ["wsgi.input"].read(length).decode())
            start_response("200 OK", [PLAIN, MINUTE])
            return [" ".join(told).encode()]

        return view

    def test_fat_get(self, site):
        """A GET with a body is the application's alone."""
        site.view = self.reflecting()
        assert site.ask(body=b"evil").text.endswith("evil")
        assert site.ask().text == ""
        assert site.ask(body=b"evil").text.endswith("evil")
        chunked = site.ask(fields={"Transfer-Encoding": "chunked"})
        assert chunked.cache.startswith("fwd=bypass")

    @pytest.mark.parametrize(
        "name",
        ["X-Original-URL", "X-Rewrite-URL", "X-HTTP-Method-Override", "X-HTTP-Method",
         "X-Method-Override", "X-Forwarded-Prefix", "X-Forwarded-Host",
         "X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-Scheme", "X-Scheme",
         "X-Host", "X-Original-Host", "X-HTTP-Host-Override",
         "X-Script-Name", "Script-Name"],
    )  # fmt: skip
    def test_unkeyed_fields(self, site, name):
        """An application may go by them; so neither stored nor found."""
        site.view = self.reflecting(name)
        evil = site.ask(fields={name: "evil.example"})
        assert evil.text == "evil.example "
        assert evil.cache == 'fwd=bypass;detail="unkeyed"'
        assert site.ask().text == "- "
        assert site.ask(fields={name: "evil.example"}).text == "evil.example "
        assert site.ask().text == "- "

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("Forwarded", "for=192.0.2.7;host=evil.example"),
            ("Forwarded", 'host=shop.example, HOST = "evil.example"'),
            ("Forwarded", "proto=https"),
            ("X-Forwarded-Ssl", "on"),
            ("X-Forwarded-Port", "8080"),
            ("X-Forwarded-Host", "shop.example, evil.example"),
        ],
    )
    def test_unkeyed_values(self, site, name, value):
        """Say something else than the request does."""
        site.view = self.reflecting(name)
        assert site.ask(fields={name: value}).cache == 'fwd=bypass;detail="unkeyed"'
        assert site.ask().text == "- "

    @pytest.mark.parametrize("server", ["RAW_URI", "REQUEST_URI"])
    @pytest.mark.parametrize("raw", ["/#<evil>", "/?a#b", "http://evil.example/"])
    def test_unkeyed_first_lines(self, site, server, raw):
        """An application may look at all that its client has sent."""

        def view(environ, start_response):
            start_response("200 OK", [PLAIN, MINUTE])
            return [environ[server].encode()]

        site.view = view
        evil = site.ask(**{server: raw})
        assert (evil.text, evil.cache) == (raw, 'fwd=bypass;detail="unkeyed"')
        assert site.ask(**{server: "/"}).text == "/"

    @pytest.mark.parametrize("sign", ["\xa0", "\x85", "\x0b", "\x1c"])
    @pytest.mark.parametrize("name", ["X-Tenant", "Accept-Language", "Accept-Encoding"])
    def test_white_space_that_is_none(self, site, name, sign):
        """What only Python takes for some is part of a value, and of its variant."""
        reflecting = self.reflecting(name)

        def view(environ, start_response):
            def start(status, headers):
                return start_response(status, [*headers, ("Vary", name)])

            return reflecting(environ, start)

        site.view = view
        told = [site.ask(fields={name: f"a{one}"}) for one in (sign, "", " \t", sign)]
        assert [one.text for one in told] == [f"a{sign} ", "a ", "a ", f"a{sign} "]
        assert site.calls == 2

    def test_forwarded_fields_that_agree(self, site):
        """Are what honest proxies send."""
        fields = {"X-Forwarded-Host": "shop.example", "X-Forwarded-Proto": "http",
                  "X-Forwarded-Port": "80", "X-Forwarded-Ssl": "off",
                  "Forwarded": "for=_x;proto=http;host=Shop.example:80"}  # fmt: skip
        assert site.texts(2, fields=fields) == ["1", "1"]
        assert site.ask().text == "1"

    def test_forwarded_fields_of_a_trusted_proxy(self, pages_url):
        """Are in the key."""
        policy = HTTPCachePolicy(trust_forwarded=True)
        site = Site(pages_url, self.reflecting("X-Forwarded-Host"), policy=policy)
        for _ in range(2):
            for host in ("one.example", "two.example"):
                fields = {"X-Forwarded-Host": host, "X-Forwarded-Proto": "https"}
                assert site.ask(fields=fields).text == f"{host} "
        assert site.calls == 2
        fields["X-Forwarded-Host"] = "two.example, evil.example"
        assert site.ask(fields=fields).cache == 'fwd=bypass;detail="unkeyed"'

    def test_cve_2011_4139_hosts(self, pages_url):
        """Each has its own pages; with a list, no other is stored."""
        site = Site(pages_url, self.reflecting("Host"))
        for _ in range(2):
            for host in ("shop.example", "evil.example", "shop.example:8080"):
                assert site.ask(fields={"Host": host}).text == f"{host} "
        assert site.calls == 3
        policy = HTTPCachePolicy(hosts={"shop.example"})
        listed = Site(pages_url, self.reflecting("Host"), policy=policy)
        listed.ask("/listed")
        assert listed.ask("/listed").cache.startswith("hit")
        for host in ("evil.example", "shop.example:8080", "shop.example.evil.example"):
            replies = [listed.ask("/listed", fields={"Host": host}) for _ in range(2)]
            assert {one.cache for one in replies} == {'fwd=bypass;detail="host"'}

    @pytest.mark.parametrize(
        "host",
        ["", "a b", "a,b", "a@b", "a/b", "a\\b", "a?b", "a#b", "ä", 'a"b', "a<b>"],
    )
    def test_nonsense_hosts(self, site, host):
        """Are passed by."""
        assert site.ask(fields={"Host": host}).cache == 'fwd=bypass;detail="host"'

    def test_cve_2021_23336_parameter_cloaking(self, site):
        """The query is not parsed: whatever differs, differs."""
        queries = ["a=1&b=2", "b=2&a=1", "a=1;b=2", "a=1&b=2&utm=x", "a=1%26b=2", ""]
        texts = [site.ask("/?" + one).text for one in queries]
        assert len(set(texts)) == len(queries)

    @pytest.mark.parametrize("server", ["RAW_URI", "REQUEST_URI"])
    def test_encoded_paths(self, site, server):
        """Are as many pages as the client has spelled."""
        spelled = {
            "/a/b": "/a/b",
            "/a%2fb": "/a/b",
            "/a%2Fb": "/a/b",
            "/%61/b": "/a/b",
            "//a/b": "//a/b",
            "/./a/b": "/./a/b",
            "/a;b": "/a;b",
            "/a%3bb": "/a;b",
            "/a%00": "/a\0",
            "/a%23b": "/a#b",
        }
        texts = {}
        for raw, path in spelled.items():
            environ = environ_for(**{server: raw + "?x"})
            environ["PATH_INFO"] = path
            texts[raw] = Response(site.app, environ).whole().text
        assert len(set(texts.values())) == len(spelled)

    def test_paths_without_the_server_s_help(self, site):
        """What the application cannot tell apart is one page; no more."""
        paths = [
            "/a/b",
            "/a;b",
            "/a\0",
            "/a#b",
            "/a%2fb",
            "/a?b",
            "/a b",
            "/a+b",
            "/\xe4",
        ]
        texts = []
        for path in paths:
            environ = environ_for()
            environ["PATH_INFO"] = path
            texts.append(Response(site.app, environ).whole().text)
        assert len(set(texts)) == len(paths)

    def test_paths_that_somebody_rewrites(self, site):
        """A middleware outside may; then what the application gets counts."""
        for path in ("/public", "/admin"):
            environ = environ_for(path, RAW_URI="/public")
            assert Response(site.app, environ).whole().text == str(site.calls)
        assert site.calls == 2

    def test_cache_deception(self, site):
        """A page at a made-up path of a static file is not stored."""
        page_of = page("my account", MINUTE)

        def view(environ, start_response):
            def start(status, headers):
                kind = ("Content-Type", "Text/HTML; charset=utf-8")
                return start_response(status, [kind, *headers[1:]])

            return page_of(environ, start)

        site.view = view
        for path in ("/account/x.css", "/account.JPG", "/account/%2e%2e/x.js"):
            replies = [site.ask(path) for _ in range(2)]
            assert {one.cache for one in replies} == {
                'fwd=uri-miss;detail="static-suffix"'
            }
        assert site.ask("/account").cache.endswith("stored")

    def test_an_extension_alone_stores_nothing(self, site):
        """Only what the response says counts."""
        site.view = page(None, ("X-Nothing", "1"))
        assert site.texts(2, "/style.css") == ["1", "2"]

    @pytest.mark.parametrize(
        "value", ["a\r\nSet-Cookie: id=evil", "a\nb", "a\rb", "a\0"]
    )
    def test_fields_of_two_lines(self, pages_url, value):
        """Are never stored."""
        middleware = HTTPCacheMiddleware(page("x", MINUTE, ("X-A", value)), pages_url)
        environ = {"test.call": 1}
        for _ in range(2):
            assert 'detail="nonsense"' in ask(middleware, **environ)["Cache-Status"]


class TestAmounts:
    @pytest.mark.parametrize("status", ["200 OK\r\nX-A: a", "200 \u20ac"])
    def test_statuses_of_two_lines(self, pages_url, status):
        """Are the server's to refuse, and not stored."""
        site = Site(pages_url, page(status=status))
        for _ in range(2):
            reply = Response(site.middleware, environ_for()).whole()
            assert reply.cache.endswith('detail="nonsense"')

    def test_variants_by_what_has_no_prefix(self, site):
        """PEP 3333 names the content type of a request in its own way."""

        def view(environ, start_response):
            start_response("200 OK", [PLAIN, MINUTE, ("Vary", "Content-Type")])
            return [environ["CONTENT_TYPE"].encode()]

        site.view = view
        for kind in ("text/plain", "text/html") * 2:
            assert site.ask(CONTENT_TYPE=kind).text == kind
        assert site.calls == 2

    def test_variants_have_a_bound(self, pages_url):
        """The oldest go; who is thrown out is made again."""
        policy = HTTPCachePolicy(most_variants=4)
        site = Site(pages_url, page(None, MINUTE, ("Vary", "X-A")), policy=policy)
        for number in range(20):
            site.ask(fields={"X-A": str(number)})
        kept = [site.ask(fields={"X-A": str(number)}).cache[:3]
                for number in (16, 17, 18, 19)]  # fmt: skip
        assert kept == ["hit"] * 4
        assert site.ask(fields={"X-A": "0"}).cache == "fwd=vary-miss;stored"

    def test_codings_are_summed_up(self, site):
        """In whatever order, case and spacing browsers write them."""
        site.view = page(None, MINUTE, ("Vary", "Accept-Encoding"))
        spelled = ["gzip, br;q=1.0", "br;q=1.0,gzip", "GZIP ,BR; q=1.0"]
        texts = {site.ask(fields={"Accept-Encoding": one}).text for one in spelled}
        assert texts == {"1"}

    def test_tags_have_a_bound(self, site):
        """What has more cannot be purged by each of them, and is not stored."""
        for count, shared in ((64, True), (65, False), (5000, False)):
            tags = ",".join(f"tag-{number:05}" for number in range(count))
            assert is_shared(site, MINUTE, ("Cache-Tag", tags)) is shared
            site.middleware.purge("http://shop.example/")


class TestAPoisonedStore:
    """Whoever writes to the store can write anything; not all of it is read."""

    @staticmethod
    def good(**changed):
        """Give a response as it is stored."""
        head = Head(200, "OK", Headers([PLAIN]), 1.0, 1.0)
        parts = {"lifetime": 60.0, "initial_age": 0.0, **changed}
        return Stored(response=head, body=b"x", **parts)

    @staticmethod
    def forged(**changed):
        """Give a stored response with something else in its head."""
        written = PageCodec().dumps(TestAPoisonedStore.good())
        length = int.from_bytes(written[:4], "big")
        head = {**json.loads(written[4 : 4 + length]), **changed}
        told = json.dumps(head).encode()
        return memoryview(len(told).to_bytes(4, "big") + told + b"x")

    def test_what_is_written_is_read(self):
        """Of all three kinds."""
        for value in (
            self.good(),
            self.good(no_stale=True, needs_validation=True, tags=("a", "b")),
            Variants(("accept",), "f00", ("a", "b")),
            Passed("private"),
        ):
            codec = PageCodec()
            assert codec.loads(memoryview(codec.dumps(value))) == value

    @pytest.mark.parametrize(
        "changed",
        [
            {"headers": [["X-A", "a\r\nSet-Cookie: id=evil"]]},
            {"headers": [["X-A\r\nX", "a"]]},
            {"headers": [["", "a"]]},
            {"headers": [["X-A", "a\0"]]},
            {"headers": [["X-A", "\u20ac"]]},
            {"headers": [["X-A"]]},
            {"headers": [["X-A", 7]]},
            {"headers": "ab"},
            {"headers": None},
            {"headers": [["Content-Length", "0"]]},
            {"headers": [["Content-Length", "1"], ["Content-Length", "2"]]},
            {"headers": [["Transfer-Encoding", "chunked"]]},
            {"reason": "OK\r\nX-A: a"},
            {"status": 100},
            {"status": "200"},
            {"status": True},
            {"status": 10**9},
            {"at": [1.0]},
            {"at": ["1", 1]},
            {"spans": [1, 1, 1, float("nan")]},
            {"spans": [1, 1, 1, float("inf")]},
            {"spans": [-1, 1, 1, 1]},
            {"spans": [True, 1, 1, 1]},
            {"spans": [1e12, 1, 1, 1]},
            {"tags": "abc"},
            {"tags": [1]},
            {"passed": 7},
            {"passed": "a\r\nX-A: a"},
            {"varied": "a", "generation": "b", "known": []},
        ],
        ids=str,
    )
    def test_what_is_forged_is_refused(self, changed):
        """Above all header fields that would part into two."""
        with pytest.raises((ValueError, TypeError, KeyError)):
            PageCodec().loads(self.forged(**changed))

    @pytest.mark.parametrize("text", [b"", b"\0\0\0\1", b"\0\0\0\2[]", b"\xff" * 99])
    def test_what_is_no_page_is_refused(self, text):
        """Whatever it is."""
        with pytest.raises((ValueError, TypeError, KeyError)):
            PageCodec().loads(memoryview(text))

    def test_a_miss_comes_of_it(self, tmp_path):
        """And the application answers."""
        region = pages_region(f"file://{tmp_path}/pages")
        site = Site(region)
        site.ask()
        for file in (tmp_path / "pages").rglob("*"):
            if file.is_file() and b"max-age=60" in (text := file.read_bytes()):
                file.write_bytes(text.replace(b"max-age=60", b'\\r\\nX: y"'))
        assert site.ask().text == "2"
        assert site.texts(2) == ["2", "2"]

    def test_a_page_of_another_key(self, tmp_path):
        """Is not taken: what is stored says where it belongs."""
        region = pages_region(f"file://{tmp_path}/pages")
        site = Site(region)
        site.ask("/a")
        site.ask("/b")
        files = [file for file in (tmp_path / "pages").rglob("*")
                 if file.is_file() and b"max-age=60" in file.read_bytes()]  # fmt: skip
        assert len(files) == 2
        for one, other in itertools.permutations(files, 2):
            text = one.read_bytes()
            other.write_bytes(text)
        assert {site.ask("/a").text, site.ask("/b").text} & {"3"}

    def test_pickles_are_refused(self, tmp_path):
        """A region of pickles is none for pages."""
        region = pages_region(f"file://{tmp_path}/pages", codec="pickle")
        with pytest.raises(errors.ConfigurationError, match="PageCodec"):
            HTTPCacheMiddleware(page(), region)
