"""An application finds its session in the environ; responses say what they must."""

import gc
import io
import logging
import subprocess
import sys
from wsgiref.util import FileWrapper, setup_testing_defaults
from wsgiref.validate import validator

import pytest
import webtest
from session_tools import SECRET, pair_of

from holdover import errors
from holdover.wsgi import (
    CacheMiddleware,
    SessionMiddleware,
    Sessions,
    SessionTooLate,
)

HTTPS = {
    "wsgi.url_scheme": "https",
    "HTTP_HOST": "localhost:443",
    "QUERY_STRING": "",
}
PLAIN = ("Content-Type", "text/plain")


def answer(start_response, text="hello", headers=(PLAIN,)):
    """Answer with a text."""
    start_response("200 OK", list(headers))
    return [text.encode()]


def counting(environ, start_response):
    """Count the visits of a browser."""
    session = environ["holdover.session"]
    session["visits"] = session.get("visits", 0) + 1
    return answer(start_response, str(session["visits"]))


def reading(environ, start_response):
    """Read the session, and say of caches what the query says."""
    environ["holdover.session"].get("visits")
    headers = [PLAIN]
    for pair in filter(None, environ["QUERY_STRING"].split("&")):
        name, _, value = pair.partition("=")
        headers.append((name, value.replace("+", " ")))
    return answer(start_response, headers=headers)


def client(app, config=None):
    """Give a browser for an application behind the middleware, over HTTPS."""
    return webtest.TestApp(SessionMiddleware(app, config), extra_environ=HTTPS)


def ask(app, cookie="", **environ):
    """Send one request; give the headers and the body."""
    asked = {**HTTPS, **environ}
    setup_testing_defaults(asked)
    if cookie:
        asked["HTTP_COOKIE"] = cookie
    got = []
    body = app(asked, lambda status, headers, *exc: got.extend(headers))
    try:
        return got, b"".join(body)
    finally:
        if hasattr(body, "close"):
            body.close()


class TestSession:
    @pytest.mark.parametrize(
        "config", [{"auto": True}, {"auto": True, "store": "cookie", "secret": SECRET}]
    )
    def test_is_kept_from_request_to_request(self, config):
        """What one request changes, the next one finds."""
        browser = client(counting, config)
        assert [browser.get("/").text for _ in range(3)] == ["1", "2", "3"]

    def test_is_shown_to_tests(self):
        """WebTest's responses have it by the name that was asked for."""
        browser = client(counting, {"auto": True, "webtest_varname": "session"})
        assert browser.get("/").session["visits"] == 1
        assert ask(SessionMiddleware(counting, {"webtest_varname": "a"}))[1] == b"1"

    def test_has_beaker_s_words_of_a_dictionary(self):
        """``has_key`` and ``copy`` are there; the last field goes first."""
        session = Sessions().open()
        session["cart"] = ["tea"]
        assert (session.has_key("cart"), session.has_key("user")) == (True, False)
        copied = session.copy()
        copied["user"] = "ann"
        assert (dict(session), type(copied)) == ({"cart": ["tea"]}, dict)
        session["user"] = "ann"
        assert [session.popitem()[0] for _ in range(2)] == ["user", "cart"]
        with pytest.raises(KeyError):
            session.popitem()

    def test_is_not_saved_unless_asked_for(self):
        """Without ``auto``, changes last for the request only."""
        browser = client(counting)
        assert [browser.get("/").text for _ in range(2)] == ["1", "1"]
        assert not browser.cookies

    def test_that_is_unused_leaves_no_trace(self):
        """No cookie, no header: the response is the application's."""
        made = SessionMiddleware(lambda environ, start: answer(start))
        assert ask(made, "__Host-session=" + "A" * 43) == ([PLAIN], b"hello")

    def test_that_is_read_and_empty_sets_no_cookie(self):
        """Whoever stores nothing needs no cookie, but caches are told."""
        response = client(reading, {"auto": True}).get("/")
        assert "Set-Cookie" not in response.headers
        assert response.headers["Vary"] == "Cookie"
        assert response.headers["Cache-Control"] == "private"

    def test_can_stand_elsewhere_in_the_environ(self):
        """Also under Beaker's names, for its users."""
        seen = {}

        def app(environ, start_response):
            seen.update(environ)
            return answer(start_response)

        made = SessionMiddleware(app, {"beaker": True}, environ_key="my.session")
        ask(made)
        assert seen["beaker.session"] is seen["my.session"]
        assert seen["beaker.get_session"]().is_new
        assert "holdover.session" not in seen

    def test_shares_sessions_that_are_given(self):
        """Two middlewares and a script see the same ones."""
        sessions = Sessions({"auto": True})
        headers, body = ask(SessionMiddleware(counting, sessions))
        cookie = pair_of(dict(headers)["Set-Cookie"])
        headers, body = ask(SessionMiddleware(counting, sessions), cookie)
        assert (body, dict(sessions.open(cookie))) == (b"2", {"visits": 2})


class TestWSGI:
    @pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
    @pytest.mark.parametrize("app", [counting, reading])
    def test_its_rules_are_kept_on_both_sides(self, method, app):
        """Validators around it and inside it find nothing wrong."""
        inside = SessionMiddleware(validator(app), {"auto": True})
        outside = CacheMiddleware(validator(inside))
        browser = webtest.TestApp(outside, extra_environ=HTTPS)
        for _ in range(2):
            assert browser.request("/", method=method).status_int == 200

    def test_streamed_bodies_are_kept_as_well(self):
        """A generator's body passes the validators, and is closed."""
        closed = []

        def app(environ, start_response):
            session = environ["holdover.session"]
            session["visits"] = 1

            def parts():
                try:
                    yield b"one"
                    session["late"] = 2
                    yield b"two"
                finally:
                    closed.append(True)

            start_response("200 OK", [PLAIN])
            return parts()

        made = SessionMiddleware(validator(app), {"auto": True})
        headers, body = ask(validator(made))
        assert (body, closed) == (b"onetwo", [True])
        cookie = pair_of(dict(headers)["Set-Cookie"])
        assert dict(made.sessions.open(cookie)) == {"visits": 1, "late": 2}

    def test_whole_bodies_and_files_are_handed_on_as_they_are(self):
        """Servers can go on to look at their length, and to send files themselves."""
        file = FileWrapper(io.BytesIO(b"hello"))
        for body in ([b"hello"], (b"hello",), file):
            made = SessionMiddleware(lambda environ, start, body=body: body)
            assert made({"wsgi.file_wrapper": FileWrapper}, None) is body

    def test_files_of_uwsgi_are_handed_on_as_they_are(self):
        """Its wrapper is a function that gives the file itself."""
        file = io.BytesIO(b"hello")
        made = SessionMiddleware(lambda environ, start: file)
        assert made({"wsgi.file_wrapper": lambda file, block=0: file}, None) is file

    def test_write_and_error_pages_work(self):
        """start_response may be called again with exc_info, and gives write()."""

        def app(environ, start_response):
            environ["holdover.session"]["visits"] = 1
            start_response("200 OK", [PLAIN])
            try:
                raise RuntimeError("broken")
            except RuntimeError:
                write = start_response("500 Oops", [PLAIN], sys.exc_info())
            write(b"sorry")
            return []

        browser = client(validator(app), {"auto": True})
        response = browser.get("/", expect_errors=True)
        assert (response.status, response.body) == ("500 Oops", b"sorry")
        assert "Set-Cookie" in response.headers

    def test_exceptions_pass_through_it(self):
        """What the application raises is what its server gets; nothing is saved."""

        def app(environ, start_response):
            environ["holdover.session"]["visits"] = 100
            raise RuntimeError("broken")

        sessions = Sessions({"auto": True})
        cookie = pair_of(
            dict(ask(SessionMiddleware(counting, sessions))[0])["Set-Cookie"]
        )
        with pytest.raises(RuntimeError, match="broken"):
            ask(SessionMiddleware(app, sessions), cookie)
        assert dict(sessions.open(cookie)) == {"visits": 1}

    def test_importing_it_loads_no_optional_library(self):
        """Sessions in a region need neither webob nor cryptography."""
        check = (
            "import sys; from holdover.wsgi import SessionMiddleware; "
            "SessionMiddleware(print); "
            "sys.exit(bool({'webob', 'django', 'cryptography', 'msgspec'}"
            " & sys.modules.keys()))"
        )
        run = subprocess.run([sys.executable, "-c", check], check=False)
        assert run.returncode == 0

    def test_without_cryptography_the_extra_is_named(self, monkeypatch):
        """A missing library becomes advice."""
        monkeypatch.delitem(sys.modules, "holdover.wsgi.sessions.sealed", raising=False)
        monkeypatch.setitem(sys.modules, "cryptography.exceptions", None)
        with pytest.raises(errors.MissingDependency, match=r"holdover\[sessions\]"):
            SessionMiddleware(reading, {"store": "cookie", "secret": SECRET})


class TestLate:
    def test_changes_of_a_stored_session_are_saved(self):
        """After the headers, a record can still be changed."""

        def app(environ, start_response):
            session = environ["holdover.session"]
            session["first"] = session.get("first", 0) + 1
            start_response("200 OK", [PLAIN])
            session["second"] = session.get("second", 0) + 1
            return [b""]

        made = SessionMiddleware(app, {"auto": True})
        cookie = pair_of(dict(ask(made)[0])["Set-Cookie"])
        ask(made, cookie)
        assert dict(made.sessions.open(cookie)) == {"first": 2, "second": 2}

    @pytest.mark.parametrize(
        "config", [{"auto": True}, {"auto": True, "store": "cookie", "secret": SECRET}]
    )
    def test_changes_of_a_new_one_are_told_lost(self, config, caplog):
        """Its cookie cannot be set any more, and that is no secret."""

        def app(environ, start_response):
            session = environ["holdover.session"]
            assert session.is_new
            start_response("200 OK", [PLAIN])
            session["late"] = 1
            return [b""]

        with caplog.at_level(logging.WARNING, "holdover"):
            headers, _ = ask(SessionMiddleware(app, config))
        assert "Set-Cookie" not in dict(headers)
        assert "last changes are lost" in caplog.text

    def test_what_a_body_has_changed_before_it_failed_is_not_saved(self):
        """Half of a change is none."""

        def app(environ, start_response):
            session = environ["holdover.session"]
            session["first"] = session.get("first", 0) + 1
            start_response("200 OK", [PLAIN])
            yield b"one"
            if session["first"] > 1:
                session["half"] = "done"
                raise ZeroDivisionError

        made = SessionMiddleware(app, {"auto": True})
        cookie = pair_of(dict(ask(made)[0])["Set-Cookie"])
        body = made({**HTTPS, "HTTP_COOKIE": cookie}, lambda *_: None)
        with pytest.raises(ZeroDivisionError):
            list(body)
        body.close()
        assert dict(made.sessions.open(cookie)) == {"first": 2}

    def test_a_body_is_closed_once(self):
        """Also one that is its own iterator, and of which nobody wants the end."""

        class Body:
            closed = 0

            def __iter__(self):
                return self

            def __next__(self):
                return b"more"

            def close(self):
                self.closed += 1

        given = Body()
        made = SessionMiddleware(lambda *_: given)
        body = made(dict(HTTPS), lambda *_: None)
        parts = iter(body)
        assert next(parts) == b"more"
        body.close()
        del parts
        gc.collect()
        assert given.closed == 1

    def test_saving_or_rotating_a_new_one_is_an_error(self):
        """Who asks for it is told at once."""
        sessions = Sessions()
        for verb in ("save", "regenerate_id", "bind"):
            session = sessions.open()
            session["a"] = 1
            session.respond([])
            with pytest.raises(SessionTooLate, match="before start_response"):
                getattr(session, verb)(*(["ann"] if verb == "bind" else []))

    def test_first_use_is_an_error(self):
        """A page for one user would have gone out without saying so to caches."""

        def app(environ, start_response):
            start_response("200 OK", [PLAIN])
            yield environ["holdover.session"].get("name", "nobody").encode()

        with pytest.raises(SessionTooLate, match="first time after the headers"):
            ask(SessionMiddleware(app))


class TestCaches:
    @pytest.mark.parametrize(
        ("said", "expected"),
        [
            ("", "private"),
            ("Cache-Control=max-age=60", "max-age=60, private"),
            ("Cache-Control=public,+max-age=60", "max-age=60, private"),
            ("Cache-Control=PUBLIC,s-maxage=9,+max-age=60", "max-age=60, private"),
            ("Cache-Control=no-store", "no-store"),
            ("Cache-Control=No-Store,+max-age=0", "No-Store, max-age=0"),
            ("Cache-Control=no-cache", "no-cache, private"),
            ("Cache-Control=private,+max-age=5", "max-age=5, private"),
            ('Cache-Control=private="x-a,+x-b",max-age=5', "max-age=5, private"),
            ('Cache-Control=no-cache="x,public",max-age=5', None),
            ("cache-control=public&Cache-Control=max-age=5", "max-age=5, private"),
            ("Cache-Control=public&cache-control=no-store", "public, no-store"),
            ("Cache-Control=", "private"),
            # A quotation without an end hides nothing, in either direction.
            ('Cache-Control=x="a,+public,+max-age=5', 'max-age=5, private, x="a'),
            ('Cache-Control=x="a,+no-store', 'no-store, x="a'),
        ],
    )
    def test_are_told_that_it_is_private(self, said, expected):
        """RFC 9111 section 5.2.2: nothing is loosened, and the floor is there."""
        expected = expected or 'no-cache="x,public", max-age=5, private'
        headers, _ = ask(SessionMiddleware(reading), QUERY_STRING=said)
        found = [held for name, held in headers if name.lower() == "cache-control"]
        assert found == [expected]

    @pytest.mark.parametrize(
        ("said", "expected"),
        [
            ("", "Cookie"),
            ("Vary=Accept", "Accept, Cookie"),
            ("Vary=Accept&vary=Origin", "Accept, Origin, Cookie"),
            ("Vary=cookie,+Accept", "cookie, Accept"),
            ("Vary=*", "*"),
        ],
    )
    def test_are_told_to_tell_cookies_apart(self, said, expected):
        """CVE-2023-30861: every response that depends on the cookie says so."""
        headers, _ = ask(SessionMiddleware(reading), QUERY_STRING=said)
        found = [held for name, held in headers if name.lower() == "vary"]
        assert found == [expected]

    def test_that_are_addressed_by_themselves_are_told_as_well(self):
        """RFC 9213: a targeted field outranks Cache-Control for its caches."""
        said = "CDN-Cache-Control=max-age=600&Cache-Control=max-age=5"
        headers, _ = ask(SessionMiddleware(reading), QUERY_STRING=said)
        told = dict(headers)
        assert told["CDN-Cache-Control"] == "max-age=600, private"
        assert told["Cache-Control"] == "max-age=5, private"

    @pytest.mark.parametrize(
        ("said", "expected"),
        [
            ("Surrogate-Control=max-age=600", "no-store"),
            ("edge-control=cache-maxage=60m", "no-store"),
            ("X-Accel-Expires=600", "0"),
        ],
    )
    def test_that_listen_to_fields_of_their_own_are_told_not_to_store(
        self, said, expected
    ):
        """What outranks Cache-Control for them has no word for private."""
        headers, _ = ask(SessionMiddleware(reading), QUERY_STRING=said)
        name = said.partition("=")[0]
        assert [held for found, held in headers if found == name] == [expected]

    def test_are_told_when_a_session_was_only_touched(self):
        """CVE-2026-35192: also when nothing but the note of its use was written."""
        config = {"auto": True, "touch_every": 0.0, "cookie_expires": 60}
        made = SessionMiddleware(counting, config)
        cookie = pair_of(dict(ask(made)[0])["Set-Cookie"])
        told = dict(ask(SessionMiddleware(reading, made.sessions), cookie)[0])
        assert "Set-Cookie" in told
        assert (told["Vary"], told["Cache-Control"]) == ("Cookie", "private")


class TestMistakes:
    def test_an_application_that_is_none_is_refused(self):
        """Swapped arguments are found at once."""
        with pytest.raises(errors.ConfigurationError, match="WSGI application"):
            SessionMiddleware({}, reading)

    @pytest.mark.parametrize("key", ["", None, 5])
    def test_a_key_that_no_environ_can_have_is_refused(self, key):
        """Keys of an environ are texts (PEP 3333)."""
        with pytest.raises(errors.ConfigurationError, match="environ_key"):
            SessionMiddleware(reading, environ_key=key)

    def test_a_configuration_that_is_none_is_refused(self):
        """It is a mapping, or sessions."""
        with pytest.raises(errors.ConfigurationError, match="mapping of options"):
            SessionMiddleware(reading, "memory://")
