"""Flask's and Pyramid's sessions behave as these frameworks' users expect."""

import flask
import pytest
import webtest
from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPFound
from pyramid.response import Response
from session_tools import SECRET
from standins import broken

from holdover import errors, make_region
from holdover.wsgi import (
    FlaskSessions,
    PyramidSessions,
    Sessions,
    SessionUnavailable,
)

HTTPS = {"wsgi.url_scheme": "https", "HTTP_HOST": "localhost:443"}
OPTIONS = [{}, {"store": "cookie", "secret": SECRET}]


@pytest.mark.parametrize("kind", [FlaskSessions, PyramidSessions])
class TestOfBoth:
    def test_saves_by_itself(self, kind):
        """Whether or not ``auto`` was said."""
        assert kind({"auto": False}).sessions.options.auto
        assert kind({"session.store": "memory://"}).sessions.options.auto

    def test_takes_sessions_that_are_there(self, kind):
        """Two applications and a script can share them, if they are saved."""
        sessions = Sessions({"auto": True})
        assert kind(sessions).sessions is sessions
        with pytest.raises(errors.ConfigurationError, match="auto=True"):
            kind(Sessions())

    def test_wrong_options_are_refused(self, kind):
        """As everywhere."""
        with pytest.raises(errors.ConfigurationError, match="stoer"):
            kind({"stoer": "memory://"})


def flask_app(options=None):
    """Make an application of Flask's."""
    app = flask.Flask(__name__)
    app.session_interface = FlaskSessions(options or {})

    @app.get("/")
    def visits():
        flask.session.setdefault("pages", []).append("/")
        return str(len(flask.session["pages"]))

    @app.get("/untouched")
    def untouched():
        return ""

    return app


def browser_of(app):
    """Give a browser that asks over HTTPS."""
    browser = app.test_client()
    browser.environ_base |= {"wsgi.url_scheme": "https"}
    return browser


def get(browser, path="/"):
    """Ask for a page over HTTPS, and close it as servers do."""
    return browser.get(path, base_url="https://localhost", buffered=True)


class TestFlask:
    @pytest.mark.parametrize("options", OPTIONS)
    def test_keeps_what_a_view_has_changed(self, options):
        """Within lists, too, without ``session.modified``."""
        browser = browser_of(flask_app(options))
        assert [get(browser).text for _ in range(3)] == ["1", "2", "3"]

    def test_headers_say_what_they_must(self):
        """A page that depends on a session is for one user; others are as they were."""
        browser = browser_of(flask_app())
        response = get(browser)
        assert response.headers["Vary"] == "Cookie"
        assert response.headers["Cache-Control"] == "private"
        assert response.headers["Set-Cookie"].startswith("__Host-session=")
        assert response.headers["Content-Type"] == "text/html; charset=utf-8"
        assert "Vary" not in get(browser, "/untouched").headers

    def test_other_cookies_stay(self):
        """What a view sets goes out as well."""
        app = flask_app()

        @app.get("/two")
        def two():
            flask.session["a"] = 1
            response = flask.make_response("")
            response.set_cookie("theme", "dark")
            response.set_cookie("size", "big")
            return response

        names = [
            one.partition("=")[0]
            for one in get(browser_of(app), "/two").headers.getlist("Set-Cookie")
        ]
        assert names == ["theme", "size", "__Host-session"]

    def test_its_attributes_are_flask_s(self):
        """Those that Flask's own sessions have."""
        app = flask_app()
        told = []

        @app.get("/told")
        def look():
            session = flask.session
            told.append((session.new, session.modified, session.permanent))
            session["a"] = 1
            session.modified = True
            session.permanent = False
            told.append((session.new, session.modified, session.permanent))
            with pytest.raises(errors.ConfigurationError, match="cookie_expires"):
                session.permanent = True
            flask.flash("hello")
            return " ".join(flask.get_flashed_messages())

        browser = browser_of(app)
        assert get(browser, "/told").text == "hello"
        assert told == [(True, False, False), (True, True, False)]

    def test_lasting_cookies_are_permanent(self):
        """Then nobody is told otherwise."""
        app = flask_app({"cookie_expires": 3600})
        with app.test_request_context("/"):
            assert flask.session.permanent
            flask.session.permanent = True

    def test_its_test_client_reaches_the_session(self):
        """As in tests of Flask's users."""
        browser = browser_of(flask_app())
        with browser.session_transaction(base_url="https://localhost") as session:
            session["pages"] = ["a", "b"]
        assert get(browser).text == "3"

    def test_a_body_may_change_it_while_it_is_sent(self):
        """Once it has its cookie, and is kept in a region."""
        app = flask_app()

        @app.get("/stream")
        def stream():
            flask.session["begun"] = True

            @flask.stream_with_context
            def body():
                yield "a"
                flask.session["pages"] = ["a", "b"]

            return body()

        browser = browser_of(app)
        assert get(browser, "/stream").text == "a"
        assert get(browser).text == "3"

    def test_what_a_body_has_changed_before_it_failed_is_not_saved(self):
        """Half of a change is none."""
        app = flask_app()

        @app.get("/stream")
        def stream():
            flask.session["pages"] = ["a"]

            @flask.stream_with_context
            def body():
                yield "a"
                flask.session["pages"] = ["a", "b"]
                raise ZeroDivisionError

            return body()

        browser = browser_of(app)
        assert get(browser).text == "1"
        with pytest.raises(ZeroDivisionError):
            get(browser, "/stream")
        assert get(browser).text == "2"

    def test_a_store_that_is_down_lets_nobody_in(self):
        """What would change the session raises what an error handler can catch."""
        region = make_region("sessions").configure("memory://", codec="json")
        app = flask_app({"store": region})
        app.register_error_handler(SessionUnavailable, lambda error: ("later", 503))
        browser = browser_of(app)
        assert get(browser).text == "1"
        hold, region.hold = region.hold, broken
        response = get(browser)
        assert (response.status_code, response.text) == (503, "later")
        region.hold = hold
        assert get(browser).text == "2"


def pyramid_app(options=None):
    """Make an application of Pyramid's."""

    def visits(request):
        request.session.setdefault("pages", []).append("/")
        return Response(str(len(request.session["pages"])))

    def untouched(request):
        return Response("")

    def flashing(request):
        request.session.flash("a")
        request.session.flash("a")
        request.session.flash("a", allow_duplicate=False)
        request.session.flash("b", "other", allow_duplicate=False)
        raise HTTPFound("/flashed")

    def flashed(request):
        peeked = request.session.peek_flash()
        other = request.session.pop_flash("other")
        return Response(f"{peeked} {request.session.pop_flash()} {other}")

    def attributes(request):
        session = request.session
        session.changed()
        assert isinstance(session.created, int)
        return Response(str(session.new))

    def protected(request):
        return Response("in")

    def streamed(request):
        request.session["begun"] = True

        def body():
            yield b"a"
            request.session["pages"] = ["a", "b"]

        return Response(app_iter=body())

    with Configurator() as config:
        config.set_session_factory(PyramidSessions(options or {}))
        views = (untouched, flashing, flashed, attributes, streamed)
        for view, path in (
            (visits, "/"),
            *((one, f"/{one.__name__}") for one in views),
        ):
            config.add_route(view.__name__, path)
            config.add_view(view, route_name=view.__name__)
        config.add_route("protected", "/protected")
        config.add_view(protected, route_name="protected", require_csrf=True)
        config.add_route("token", "/token")
        config.add_view(
            lambda request: Response(request.session.get_csrf_token()),
            route_name="token",
        )
        return webtest.TestApp(config.make_wsgi_app(), extra_environ=HTTPS)


class TestPyramid:
    @pytest.mark.parametrize("options", OPTIONS)
    def test_keeps_what_a_view_has_changed(self, options):
        """Within lists, too, without ``changed()``."""
        browser = pyramid_app(options)
        assert [browser.get("/").text for _ in range(3)] == ["1", "2", "3"]

    def test_headers_say_what_they_must(self):
        """A page that depends on a session is for one user; others are as they were."""
        browser = pyramid_app()
        response = browser.get("/")
        assert response.headers["Vary"] == "Cookie"
        assert response.headers["Cache-Control"] == "private"
        assert response.headers["Set-Cookie"].startswith("__Host-session=")
        assert "Vary" not in browser.get("/untouched").headers

    def test_flashes_messages(self):
        """Also over a redirection that was raised."""
        browser = pyramid_app()
        assert browser.get("/flashing").status_code == 302
        assert browser.get("/flashed").text == "['a', 'a'] ['a', 'a'] ['b']"
        assert browser.get("/flashed").text == "[] [] []"

    def test_keeps_the_token_of_forms(self):
        """A form without it is refused."""
        browser = pyramid_app()
        token = browser.get("/token").text
        assert browser.get("/token").text == token
        assert browser.post("/protected", {"csrf_token": token}, HTTPS_REFERER).text
        browser.post("/protected", {"csrf_token": "x"}, HTTPS_REFERER, status=400)

    def test_its_attributes_are_pyramid_s(self):
        """Those that its interface has."""
        browser = pyramid_app()
        assert browser.get("/attributes").text == "True"
        browser.get("/")
        assert browser.get("/attributes").text == "False"

    def test_a_body_may_change_it_while_it_is_sent(self):
        """Once it has its cookie, and is kept in a region."""
        browser = pyramid_app()
        assert browser.get("/streamed").text == "a"
        assert browser.get("/").text == "3"


HTTPS_REFERER = {"Referer": "https://localhost/"}
