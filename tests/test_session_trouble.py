"""While a backend fails, nobody is let in, and nothing that is stored gets lost."""

import json
import subprocess
import sys

import pytest
from session_tools import SECRET, Browser, in_cookies, pair_of
from standins import broken
from troubles import RedisTroubles
from waiting import wait_until

from holdover import make_region
from holdover.wsgi import (
    SessionMiddleware,
    Sessions,
    SessionUnavailable,
    service_unavailable,
)


def sessions_on(server, **options):
    """Make sessions in a Redis server, which is given a moment on a busy machine."""
    arguments = {
        "url": server.url,
        "socket_timeout": 1.0,
        "socket_connect_timeout": 1.0,
    }
    region = make_region("sessions")
    region.configure("holdover.redis", None, arguments, codec="json")
    return Sessions({"store": region, **options})


@pytest.fixture
def browser(own_redis):
    """A browser with a stored session, on a server that the test may kill."""
    browser = Browser(sessions_on(own_redis))
    session = browser.request()
    session["secret"] = "ann's"
    session.bind("ann")
    browser.answer(session)
    return browser


def whoever_asks(environ, start_response):
    """Say who has logged in."""
    user = environ["holdover.session"].user or "nobody"
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [user.encode()]


def statuses_of(app, cookie):
    """Send a request; give the status and the body."""
    got = []
    body = app(
        {"HTTP_COOKIE": cookie},
        lambda status, headers, *exc_info: got.append(status),
    )
    return got, b"".join(body)


class TestDown:
    def test_it_is_empty_and_read_only(self, browser, own_redis):
        """Nobody is logged in, nothing is shown, and nothing can be changed."""
        with RedisTroubles(own_redis).down():
            session = browser.request()
            assert not session.is_available
            assert (dict(session), session.user) == ({}, None)
            assert repr(session) == "<Session, not available>"
            for change in (
                lambda: session.update(name="bob"),
                session.save,
                session.regenerate_id,
                lambda: session.bind("bob"),
            ):
                with pytest.raises(SessionUnavailable, match="cannot be reached"):
                    change()
            headers = dict(browser.answer(session))
            assert headers == {"Vary": "Cookie", "Cache-Control": "private"}

    def test_its_record_is_not_overwritten(self, own_redis):
        """A request that began in the trouble and ends after it stores nothing."""
        sessions = sessions_on(own_redis, auto=True)
        browser = Browser(sessions)
        browser.put(secret="ann's")
        region = sessions.options.store
        read, region.backend.read = region.backend.read, broken
        session = browser.request()
        assert not session.is_available
        region.backend.read = read
        with pytest.raises(SessionUnavailable):
            session["name"] = "bob"
        assert browser.answer(session)
        session.finish()
        assert wait_until(browser.fields) == {"secret": "ann's"}

    def test_a_save_in_the_trouble_is_an_error(self, browser, own_redis):
        """What could not be stored is not taken for stored."""
        session = browser.request()
        session["name"] = "ann"
        with RedisTroubles(own_redis).down(), pytest.raises(SessionUnavailable):
            session.save()
        assert session.dirty()

    def test_a_rotation_in_the_trouble_leaves_no_second_session(
        self, browser, monkeypatch
    ):
        """What was stored under an id that nobody got is not listed for ever."""
        session = browser.request()
        assert session.user == "ann"
        with monkeypatch.context() as patched:
            patched.setattr("holdover.Held.replace", broken)
            with pytest.raises(SessionUnavailable):
                session.regenerate_id()
        assert len(browser.sessions.of_user("ann")) == 1
        assert browser.request().user == "ann"

    def test_a_new_session_in_the_trouble_is_an_error(self, own_redis):
        """A browser never gets the cookie of a session that is not stored."""
        sessions = sessions_on(own_redis)
        with RedisTroubles(own_redis).down():
            session = sessions.open()
            session["name"] = "ann"
            with pytest.raises(SessionUnavailable):
                session.save()
            assert session.set_cookie is None

    def test_a_full_store_is_an_error(self, browser, own_redis):
        """Reading goes on, and what cannot be stored is told."""
        with RedisTroubles(own_redis).full():
            session = browser.request()
            assert session["secret"] == "ann's"
            session["more"] = 1
            with pytest.raises(SessionUnavailable):
                session.save()

    def test_a_touch_in_the_trouble_is_no_error(self, own_redis):
        """Who only reads is answered, even if the use cannot be noted."""
        browser = Browser(sessions_on(own_redis, touch_every=0.0))
        browser.put(name="ann")
        session = browser.request()
        assert session["name"] == "ann"
        with RedisTroubles(own_redis).readonly():
            assert dict(browser.answer(session))["Vary"] == "Cookie"

    def test_a_logout_in_the_trouble_is_an_error_and_forgets_the_cookie(
        self, browser, own_redis
    ):
        """The browser cannot send it any more; the application knows of the rest."""
        with RedisTroubles(own_redis).down():
            session = browser.request()
            with pytest.raises(SessionUnavailable):
                session.delete()
            assert "Max-Age=0" in session.set_cookie

    def test_a_logout_in_the_trouble_is_made_up_for(self, own_redis):
        """This process goes on trying, and shows the session to nobody meanwhile."""
        sessions = sessions_on(own_redis)
        browser = Browser(sessions)
        browser.put(user="ann")
        old = browser.cookie
        backend = sessions.options.store.backend
        remove, backend.remove = backend.remove, broken
        session = browser.request()
        with pytest.raises(SessionUnavailable):
            session.delete()
        assert not dict(sessions.open(old))
        backend.remove = remove
        others = sessions_on(own_redis)
        wait_until(lambda: others.open(old).is_new, "the delivery")

    def test_ending_all_in_the_trouble_is_an_error(self, browser, own_redis):
        """It is not taken for done."""
        with RedisTroubles(own_redis).down(), pytest.raises(SessionUnavailable):
            browser.sessions.end_all("ann")


class TestOnUnavailable:
    def test_an_application_answers_instead(self, browser, own_redis):
        """A page that would have shown nobody's session is a 503."""
        sessions = sessions_on(own_redis, on_unavailable=service_unavailable)
        app = SessionMiddleware(whoever_asks, sessions)
        assert statuses_of(app, browser.cookie) == (["200 OK"], b"ann")
        with RedisTroubles(own_redis).down():
            statuses, body = statuses_of(app, browser.cookie)
            assert statuses == ["503 Service Unavailable"]
            assert b"not available" in body
            # Without a cookie nobody has to be asked.
            assert statuses_of(app, "") == (["200 OK"], b"nobody")

    def test_without_one_the_session_is_empty(self, browser, own_redis):
        """The application decides; nobody is logged in."""
        app = SessionMiddleware(whoever_asks, sessions_on(own_redis))
        with RedisTroubles(own_redis).down():
            assert statuses_of(app, browser.cookie) == (["200 OK"], b"nobody")

    def test_it_answers_for_a_save_before_the_headers(self, own_redis):
        """What ``auto`` cannot save is no success."""

        def app(environ, start_response):
            environ["holdover.session"]["name"] = "ann"
            start_response("200 OK", [])
            return []

        options = {"auto": True, "on_unavailable": service_unavailable}
        made = SessionMiddleware(app, sessions_on(own_redis, **options))
        with RedisTroubles(own_redis).down():
            statuses, _ = statuses_of(made, "")
        assert statuses == ["503 Service Unavailable"]

    def test_asking_again_raises_again(self, browser, own_redis):
        """Who has caught the error does not find an empty session then."""
        sessions = sessions_on(own_redis, on_unavailable=service_unavailable)
        with RedisTroubles(own_redis).down():
            session = sessions.open(browser.cookie)
            for _ in range(2):
                with pytest.raises(SessionUnavailable):
                    session.get("secret")

    def test_what_decides_on_revocation_may_fail(self, clock):
        """Sessions in cookies fail closed, too: nobody is let in unchecked."""

        def is_revoked(session_id, user, created_at):
            raise SessionUnavailable("the list is away")

        browser = Browser(in_cookies(clock, is_revoked=is_revoked))
        session = browser.request()
        session["user"] = "ann"
        assert session.save()
        browser.answer(session)
        assert not browser.request().is_available
        assert browser.fields() == {}


class TestGarbage:
    @pytest.mark.parametrize(
        "data",
        [
            None,
            "text",
            [],
            {"user": "ann"},
            [2, 1.0, 1.0, None, {}],
            [1, 1.0, 1.0, None, []],
            [1, "now", 1.0, None, {}],
            [1, 1.0, None, None, {}],
            [1, 1.0, 1.0, 5, {}],
            [1, 1.0, 1.0, None, {}, 6],
        ],
    )
    def test_in_a_record_is_no_session(self, data):
        """What is no record of ours names nobody."""
        sessions = Sessions(
            {"store": make_region("s").configure("holdover.memory", codec="json")}
        )
        session = Browser(sessions).put(user="ann")
        region = sessions.options.store
        region.set(session._kept.key, data)
        assert sessions.open(pair_of(session.set_cookie)).is_new
        assert not session.save()

    def test_in_the_store_is_no_session(self, tmp_path):
        """Damaged files are nobody's session, and no error."""
        sessions = Sessions({"store": f"file://{tmp_path}/cache"})
        browser = Browser(sessions)
        browser.put(user="ann")
        for path in (tmp_path / "cache").rglob("*"):
            if path.is_file() and b"ann" in path.read_bytes():
                raw = path.read_bytes()
                path.write_bytes(raw.replace(b"ann", b"bob"))
        assert browser.fields() == {}


WORKER = """
import json, sys
from holdover import make_region
from holdover.wsgi import Sessions

backend, arguments, cookie, number, turns = json.loads(sys.argv[1])
region = make_region("region").configure(backend, None, arguments, codec="json")
sessions = Sessions({"store": region})
sys.stdin.readline()
for turn in range(turns):
    session = sessions.open(cookie)
    session[f"field{number}"] = turn
    assert session.save()
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["file", "redis", "memcached", "sql"])
def test_processes_that_write_different_fields_all_survive(kind, tmp_path, request):
    """Eight processes save into one session at once, and no field is lost."""
    arguments = {"path": str(tmp_path / "cache")}
    if kind == "redis":
        arguments = {"url": request.getfixturevalue("redis_server").url}
        arguments["socket_timeout"] = 20.0
    if kind == "memcached":
        server = request.getfixturevalue("memcached_server")
        arguments = {"url": server.url, "socket_timeout": 20.0}
    if kind == "sql":
        arguments = {"url": f"sqlite:///{tmp_path}/cache.db", "operation_timeout": 20.0}
    backend = f"holdover.{kind}"
    region = make_region("region").configure(backend, None, arguments, codec="json")
    browser = Browser(Sessions({"store": region}))
    browser.put(start=0)
    workers = [
        subprocess.Popen(
            [
                sys.executable,
                "-c",
                WORKER,
                json.dumps([backend, arguments, browser.cookie, number, 20]),
            ],
            stdin=subprocess.PIPE,
        )
        for number in range(8)
    ]
    for worker in workers:
        worker.communicate(b"\n", timeout=100)
    assert [worker.returncode for worker in workers] == [0] * 8
    expected = {f"field{number}": 19 for number in range(8)}
    assert browser.fields() == {"start": 0, **expected}


def test_a_secret_is_not_shown():
    """Neither by the options nor by the sessions."""
    sessions = Sessions({"store": "cookie", "secret": SECRET})
    assert SECRET not in repr(sessions.options)
    old = {"type": "file", "data_dir": "old", "secret": SECRET}
    old["data_serializer"] = "json"
    assert SECRET not in repr(Sessions({"migrate": old}).options)
    assert "hidden" not in repr(
        Sessions({"store": "redis://me:hidden@127.0.0.1:1/0"}).options
    )
