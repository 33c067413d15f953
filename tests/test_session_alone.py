"""Beaker's ``Session`` and its like, without a middleware, on Beaker and on ours."""

import beaker.session
import pytest
from session_tools import pair_of
from sqlalchemy import create_engine

from holdover.errors import ConfigurationError, InvalidArgument
from holdover.wsgi import SessionUnavailable
from holdover.wsgi.beaker import session as ours

KEY = "v" * 32
SECURE = {"secure": True, "httponly": True, "key": "sid"}


@pytest.fixture(params=[beaker.session, ours], ids=["beaker", "ours"])
def module(request):
    """Beaker's module, and the one in its place."""
    return request.param


@pytest.fixture(params=["memory", "file", "dbm", "ext:redis", "ext:memcached"])
def options(request, tmp_path):
    """Beaker's options for each of its types, as its users write them."""
    given = {"type": request.param, "data_dir": str(tmp_path / "a"), **SECURE}
    if request.param == "ext:redis":
        given["url"] = request.getfixturevalue("redis_server").url
    if request.param == "ext:memcached":
        given["url"] = request.getfixturevalue("memcached_server").url
    return given


class TestSession:
    def test_is_kept_from_request_to_request(self, module, options):
        """What one saves is found by the cookie, and by the id."""
        request = {}
        session = module.Session(request, **options)
        session["user"] = "ann"
        session.save()
        assert request["set_cookie"]
        cookie = pair_of(request["cookie_out"].strip())
        for given in ({"cookie": cookie}, {"cookie": f"a=b; {cookie}"}):
            found = module.Session(given, **options)
            assert (found["user"], found.id, found.is_new) == ("ann", session.id, False)
        found = module.Session({}, id=session.id, use_cookies=False, **options)
        assert found["user"] == "ann"
        found["user"] = "bob"
        found.revert()
        assert found["user"] == "ann"

    def test_its_end_reaches_the_store_and_the_browser(self, options):
        """Nothing is left under its id; Beaker's can still be found."""
        session = ours.Session({}, **options)
        session["user"] = "ann"
        session.save()
        request = {"cookie": f"sid={session.id}"}
        ended = ours.Session(request, **options)
        ended.invalidate()
        assert (ended.is_new, ended.id != session.id) == (True, True)
        assert request["cookie_out"].startswith("sid=; Max-Age=0")
        assert dict(ours.Session({}, id=session.id, **options)) == {}

    def test_only_the_use_is_saved(self, options):
        """With ``accessed_only`` changes are given up."""
        session = ours.Session({}, **options)
        session["user"] = "ann"
        session.save()
        session["user"] = "bob"
        session.save(accessed_only=True)
        assert session["user"] == "ann"

    def test_a_rotated_id_reaches_the_request(self, options):
        """Under the new one; so does what ``bind`` makes."""
        request = {}
        session = ours.Session(request, **options)
        session["user"] = "ann"
        session.save()
        for change in (session.regenerate_id, lambda: session.bind("ann")):
            request.clear()
            assert change()
            assert pair_of(request["cookie_out"]) == f"sid={session.id}"

    def test_an_id_is_not_adopted(self):
        """Who brings an unknown one gets another; Beaker takes it."""
        session = ours.Session({}, id="a" * 43, type="memory")
        session["user"] = "ann"
        session.save()
        assert session.id != "a" * 43

    def test_no_cookie_is_read_or_given_unasked(self):
        """The program keeps the id itself."""
        session = ours.Session({}, type="memory")
        session["user"] = "ann"
        session.save()
        request = {"cookie": f"__Host-session={session.id}"}
        other = ours.Session(request, use_cookies=False, type="memory")
        assert dict(other) == {}
        other["user"] = "bob"
        other.save()
        assert request.keys() == {"cookie"}

    def test_options_are_checked(self):
        """As those of the middleware."""
        with pytest.raises(ConfigurationError, match="run code"):
            ours.Session({}, data_serializer="pickle")
        with pytest.raises(InvalidArgument, match="named by texts"):
            ours.Session({})[1] = 2

    def test_the_browser_forgets_it_though_the_backend_is_away(self, tmp_path):
        """As with the middleware: ``delete`` raises, and the cookie goes."""
        request = {"cookie": f"sid={'a' * 43}"}
        away = {"type": "ext:redis", "url": f"unix://{tmp_path}/nobody"}
        session = ours.Session(request, **away, **SECURE)
        with pytest.raises(SessionUnavailable):
            session.delete()
        assert request["cookie_out"].startswith("sid=; Max-Age=0")

    def test_is_kept_in_a_database(self, tmp_path):
        """By the engine that the application has."""
        engine = create_engine(f"sqlite:///{tmp_path}/a")
        options = {"type": "ext:sqla", "bind": engine, "table": None}
        session = ours.Session({}, **options)
        session["user"] = "ann"
        session.save()
        assert dict(ours.Session({}, id=session.id, **options)) == {"user": "ann"}
        engine.dispose()


class TestOthers:
    def test_one_of_an_environ(self, module, options):
        """``SessionObject`` is used when it is first asked, and finds others."""
        session = module.SessionObject({}, **options)
        assert not session.accessed()
        session["user"] = "ann"
        session.save()
        session.persist()
        cookie = pair_of(session.request["cookie_out"].strip())
        found = module.SessionObject({"HTTP_COOKIE": cookie}, **options)
        assert found["user"] == "ann"
        other = module.SessionObject({}, **options)
        assert other.get_by_id(session.id)["user"] == "ann"
        assert other.get_by_id("0" * 32) is None

    def test_one_in_its_cookie(self, module):
        """``CookieSession`` needs a key, and nothing else."""
        request = {}
        session = module.CookieSession(request, validate_key=KEY, **SECURE)
        session["user"] = "ann"
        session.save()
        cookie = {"cookie": pair_of(request["cookie_out"].strip())}
        assert module.CookieSession(cookie, validate_key=KEY, **SECURE)["user"] == "ann"
