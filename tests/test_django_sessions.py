"""Django's sessions in a cache are strict, even if all of it is served stale."""

import asyncio
from importlib import import_module

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.backends.base import UpdateError
from django.core.cache import caches
from django.test import Client
from django_caches import in_threads
from django_stale import StaleTests, elsewhere

ENGINES = ["cache", "cached_db"]


class SessionTests(StaleTests):
    """Tests that have sessions in a cache, all of which may be served stale."""

    @pytest.fixture
    def cache(self, new_cache, settings, monkeypatch):
        """The cache, in which sessions are."""
        location = f"region://{new_cache().region.name}"
        backend = "holdover.contrib_django.RegionCache"
        options = {"STALE_WHILE_REVALIDATE": 3600, "STALE_KEYS": [""]}
        settings.CACHES = {
            "default": {"BACKEND": backend, "LOCATION": location, "OPTIONS": options}
        }
        return caches["default"]

    @pytest.fixture(params=ENGINES)
    def new_session(self, request, cache, settings):
        """Open a session, as a request does."""
        settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{request.param}"
        return import_module(settings.SESSION_ENGINE).SessionStore


@pytest.mark.django_db
class TestSession(SessionTests):
    def test_is_kept(self, new_session):
        """What one request has saved, the next one reads."""
        session = new_session()
        session["user"] = "ada"
        session.create()
        session.save()
        later = new_session(session.session_key)
        assert later["user"] == "ada"
        assert later.exists(session.session_key)
        assert not later.exists("another")

    def test_that_is_unknown_is_empty(self, new_session):
        """An id that somebody made up is never adopted."""
        session = new_session("0" * 32)
        assert dict(session.items()) == {}
        assert session.session_key is None

    def test_gets_another_key(self, new_session):
        """As on login; the old key is worth nothing."""
        session = new_session()
        session["user"] = "ada"
        session.save()
        old = session.session_key
        session.cycle_key()
        assert session.session_key != old
        assert new_session(session.session_key)["user"] == "ada"
        assert new_session(old).get("user") is None

    def test_is_flushed(self, new_session):
        """As on logout; and who still has it cannot bring it back."""
        session = new_session()
        session["user"] = "ada"
        session.save()
        other = new_session(session.session_key)
        assert other["user"] == "ada"
        session.flush()
        assert new_session(other.session_key).get("user") is None
        with pytest.raises(UpdateError):
            other.save()
        assert new_session(other.session_key).get("user") is None

    def test_is_created_once(self, new_session):
        """A key that is taken is not given away twice."""
        session = new_session()
        session.create()
        other = new_session(session.session_key)
        other["user"] = "eve"
        other.create()
        assert other.session_key != session.session_key

    def test_is_asynchronous_too(self, new_session):
        """Every step has a twin."""

        async def use():
            session = new_session()
            await session.aset("user", "ada")
            await session.asave()
            later = new_session(session.session_key)
            assert await later.aget("user") == "ada"
            await later.acycle_key()
            assert await new_session(later.session_key).aget("user") == "ada"
            assert await new_session(session.session_key).aget("user") is None
            await later.aflush()
            return later.session_key

        assert asyncio.run(use()) is None


class TestExpiry(SessionTests):
    @pytest.fixture
    def new_session(self, cache, settings):
        """Open a session that is in the cache only."""
        settings.SESSION_ENGINE = "django.contrib.sessions.backends.cache"
        return import_module(settings.SESSION_ENGINE).SessionStore

    def test_is_the_end(self, new_session, clock):
        """For everyone, be he the first or the second to ask."""
        session = new_session()
        session.set_expiry(10)
        session["user"] = "ada"
        session.save()
        clock.advance(9)
        assert new_session(session.session_key)["user"] == "ada"
        clock.advance(2)
        for _ in range(2):
            assert (
                elsewhere(lambda: new_session(session.session_key).get("user")) is None
            )
        assert not session.exists(session.session_key)
        with pytest.raises(UpdateError):
            session.save()

    def test_of_what_is_read_and_saved_again_and_again(self, new_session, clock):
        """No write is lost, as a late one would be by a lease."""
        session = new_session()
        session["count"] = 0
        session.save()
        for number in range(5):
            one = new_session(session.session_key)
            assert one["count"] == number
            one["count"] += 1
            one.save()
            clock.advance(3)
        assert new_session(session.session_key)["count"] == 5

    def test_in_threads(self, new_session):
        """Whoever saves last has saved; nobody gets another's session."""
        keys = []

        def use(number):
            session = new_session()
            session["user"] = number
            session.save()
            keys.append(session.session_key)
            assert new_session(session.session_key)["user"] == number

        in_threads(use)
        assert len(set(keys)) == len(keys)


@pytest.mark.django_db
@pytest.mark.parametrize("engine", ENGINES)
class TestLogin(SessionTests):
    def test_and_logout(self, cache, settings, engine, clock):
        """A cookie from before is nobody any more, at once."""
        settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"
        user = User.objects.create_superuser("ada", password="secret")
        client = Client()
        client.force_login(user)
        stolen = Client()
        stolen.cookies.update(client.cookies)
        assert stolen.get("/admin/").status_code == 200
        client.post("/admin/logout/")
        assert stolen.get("/admin/").status_code == 302
