"""Sessions are told what to do in Python, in files, and in Beaker's words."""

from dataclasses import fields
from datetime import timedelta
from pathlib import Path

import pytest
from session_tools import SECRET, Browser

import holdover
from holdover.errors import ConfigurationError
from holdover.regions.backends.file import FileBackend
from holdover.regions.backends.memcached import MemcachedBackend
from holdover.regions.backends.memory import MemoryBackend
from holdover.regions.backends.redis import RedisBackend
from holdover.regions.backends.sql import SqlBackend
from holdover.wsgi import (
    BeakerSecretWarning,
    BeakerSessions,
    InsecureSessionWarning,
    SessionOptions,
    Sessions,
)
from holdover.wsgi.sessions.beaker import UNSUPPORTED, WITHOUT_EFFECT

DOCS = Path(holdover.__file__).parents[1] / "docs"


def options_of(config):
    """Give what was understood."""
    return Sessions(config).options


def timeouts_of(config):
    """Give the three spans that were understood."""
    found = options_of(config).timeouts()
    return found.idle, found.absolute, found.touch_every


class TestOurNames:
    @pytest.mark.parametrize(
        ("config", "expected"),
        [
            (None, (3600.0, 86_400.0, 180.0)),
            ({}, (3600.0, 86_400.0, 180.0)),
            (SessionOptions(idle_timeout=100), (100.0, 86_400.0, 5.0)),
            ({"idle_timeout": timedelta(minutes=5)}, (300.0, 86_400.0, 15.0)),
            ({"idle_timeout": None}, (None, 86_400.0, 0.0)),
            ({"absolute_timeout": None, "touch_every": 0}, (3600.0, None, 0.0)),
            (
                {"session.idle_timeout": "60", "session.absolute_timeout": "none"},
                (60.0, None, 3.0),
            ),
            ({"beaker.session.timeout": "60"}, (60.0, 86_400.0, 3.0)),
        ],
    )
    def test_spans(self, config, expected):
        """Numbers, spans and texts are seconds; nothing lasts for ever unasked."""
        assert timeouts_of(config) == expected

    def test_flat_keys_stand_among_others(self):
        """An ini file has much that is none of ours."""
        found = options_of(
            {
                "debug": "true",
                "session.auto": "yes",
                "session.cookie_name": "sid",
                "session.cookie_expires": "3600",
                "session.beaker": "on",
            }
        )
        assert (found.auto, found.cookie_name, found.beaker) == (True, "sid", True)
        assert found.cookie_expires == 3600.0

    def test_secrets_in_a_file_have_commas_between_them(self):
        """Newest first; in Python a text is one secret, whatever is in it."""
        two = f"{SECRET}, {'t' * 32}"
        flat = {"session.store": "cookie", "session.secret": two}
        assert options_of(flat).secrets() == [SECRET, "t" * 32]
        assert options_of({"store": "cookie", "secret": two}).secrets() == [two]

    def test_applications_with_one_url_are_apart(self, tmp_path):
        """Whoever has a session in one has none in the other."""
        url = f"file://{tmp_path}/cache"
        browser = Browser(Sessions({"store": url, "app_id": "shop"}))
        browser.put(user="ann")
        assert browser.fields() == {"user": "ann"}
        browser.sessions = Sessions({"store": url, "app_id": "blog"})
        assert browser.fields() == {}

    @pytest.mark.parametrize(
        ("config", "told"),
        [
            ({"idle_timout": 5}, "'idle_timout'.*'idle_timeout'"),
            (
                {"session.idle_timout": "5"},
                "'session.idle_timout'.*session.idle_timeout",
            ),
            ({"session.idle_timeout": "soon"}, "session.idle_timeout must be"),
            ({"idle_timeout": 0}, "idle_timeout must be more than 0"),
            ({"idle_timeout": 60, "touch_every": 60}, "touch_every.*less than"),
            ({"touch_every": -1}, "touch_every must be 0 or more"),
            ({"store": "nowhere://"}, "nowhere"),
            (
                {"session.auto": "on", "beaker.session.auto": "on"},
                "twice.*session.auto.*beaker.session.auto",
            ),
            (
                {"session.timeout": "5", "session.idle_timeout": "5"},
                "idle_timeout is given twice",
            ),
            (
                {"session.migrate.type": "dbm", "beaker.session.migrate.type": "file"},
                "migrate.type is given twice",
            ),
            (
                {"session.migrate": None, "session.migrate.type": "file"},
                r"migrate is given twice.*session\.migrate\.\*",
            ),
            ({"secret": SECRET}, "has no effect"),
            ({"is_revoked": lambda *_: False}, "is_revoked has no effect"),
            ({"is_revoked": 5}, "is_revoked must be something to be called, got a int"),
            ({"on_unavailable": "503"}, "on_unavailable must be.*got a str"),
            ({"now": None}, "now must be.*got a NoneType"),
            ({"secure": None}, "secure must be True or False, got a NoneType"),
            ({"auto": "false"}, "auto must be True or False, got a str"),
            ({"app_id": None}, "app_id must be a text"),
            ({"store": "cookie", "secret": {SECRET}}, "secret must be.*got a set"),
        ],
    )
    def test_mistakes_are_named(self, config, told):
        """The message has the key as it was written, and no secret."""
        with pytest.raises(ConfigurationError, match=told) as raised:
            Sessions(config)
        assert SECRET not in str(raised.value)

    @pytest.mark.parametrize("kind", [SessionOptions, BeakerSessions])
    def test_every_option_is_explained(self, kind):
        """The docstring has a line for each, and the page of sessions has a row."""
        names = [one.name for one in fields(kind) if one.name != "now"]
        page = (DOCS / "sessions.rst").read_text()
        assert [name for name in names if f"{name}:" not in kind.__doc__] == []
        assert [name for name in names if f"``{name}``" not in page] == []


class TestBeakers:
    @pytest.mark.parametrize(
        ("config", "backend"),
        [
            ({"session.auto": "true"}, MemoryBackend),
            ({"session.type": "memory"}, MemoryBackend),
            (
                {"beaker.session.type": "file", "beaker.session.data_dir": "{}/x"},
                FileBackend,
            ),
            ({"session.type": "dbm", "session.data_dir": "{}/x"}, FileBackend),
            (
                {"session.type": "ext:memcached", "session.url": "one:11211;two:11211"},
                MemcachedBackend,
            ),
            ({"session.type": "ext:redis", "session.url": "one:6379"}, RedisBackend),
            (
                {"session.type": "ext:database", "session.url": "sqlite:///{}/a"},
                SqlBackend,
            ),
        ],
    )
    def test_types_are_backends(self, config, backend, tmp_path):
        """Each type leads to the backend that keeps such things, as JSON."""
        given = {key: held.format(tmp_path) for key, held in config.items()}
        region = options_of(given).region()
        assert isinstance(region.backend, backend)
        assert region.codec == "json"

    def test_options_are_ours(self):
        """What has a counterpart is understood."""
        found = options_of(
            {
                "beaker.session.type": "cookie",
                "beaker.session.key": "sid",
                "beaker.session.timeout": 600,
                "beaker.session.cookie_expires": "false",
                "beaker.session.cookie_domain": "example.org",
                "beaker.session.cookie_path": "/shop",
                "beaker.session.samesite": "Strict",
                "beaker.session.secure": "true",
                "beaker.session.httponly": "true",
                "beaker.session.auto": "true",
                "beaker.session.save_accessed_time": "true",
                "beaker.session.invalidate_corrupt": True,
                "beaker.session.use_cookies": True,
                "beaker.session.data_serializer": "json",
                "beaker.session.secret": SECRET,
            }
        )
        assert (found.store, found.codec, found.idle_timeout) == ("cookie", "json", 600)
        cookie = found.cookie()
        assert (cookie.name, cookie.domain, cookie.path) == (
            "sid",
            "example.org",
            "/shop",
        )
        assert (cookie.samesite, cookie.expires) == ("Strict", 34_560_000.0)

    def test_plain_http_is_loud_there_too(self):
        """Beaker's default is what we ask for by name only."""
        with pytest.warns(InsecureSessionWarning):
            assert options_of({"session.secure": "false"}).cookie().name == "session"

    @pytest.mark.parametrize("name", sorted(UNSUPPORTED))
    def test_what_has_no_counterpart_is_told_with_its_reason(self, name):
        """It is refused, unless it is as if it was not there."""
        with pytest.raises(ConfigurationError, match=UNSUPPORTED[name][:20]):
            Sessions({f"session.{name}": "1"})
        Sessions({f"session.{name}": None})

    def test_what_is_always_so_is_read_over(self):
        """Options that have nothing to do here do no harm."""
        idle = {f"session.{name}": "x" for name in WITHOUT_EFFECT}
        assert options_of(idle) == options_of({})

    @pytest.mark.parametrize(
        "place",
        [
            {"data_dir": "{}/x"},
            {"type": "file", "data_dir": "{}/y", "file_dir": "{}/x"},
            {"type": "dbm", "dbm_dir": "{}/x"},
        ],
    )
    def test_a_folder_is_enough(self, place, tmp_path):
        """Without a type it says that sessions are kept in files."""
        given = {f"session.{k}": v.format(tmp_path) for k, v in place.items()}
        assert options_of(given).region().backend._root == str(tmp_path / "x")

    def test_what_a_database_is_told(self, tmp_path):
        """Its engine is made as Beaker makes it."""
        found = options_of(
            {
                "session.type": "ext:database",
                "session.url": f"sqlite:///{tmp_path}/a",
                "session.sa.pool_recycle": "77",
                "session.table_name": "beaker_sessions",
                "session.lock_dir": str(tmp_path),
            }
        )
        browser = Browser(Sessions(found))
        browser.put(user="ann")
        assert browser.fields() == {"user": "ann"}

    @pytest.mark.parametrize(
        "keys",
        [
            {"validate_key": SECRET},
            {"validate_key": "v" * 16, "encrypt_key": "e" * 16},
        ],
    )
    def test_keys_of_cookies_are_a_secret(self, keys):
        """Whoever has only one of them cannot read or make a cookie."""
        flat = {"session.type": "cookie"}
        given = flat | {f"session.{name}": value for name, value in keys.items()}
        browser = Browser(Sessions(given))
        browser.put(user="ann, bob")
        assert browser.fields() == {"user": "ann, bob"}
        for name in keys:
            browser.sessions = Sessions(given | {f"session.{name}": "z" * 32})
            assert browser.fields() == {}

    def test_a_secret_goes_before_keys(self):
        """So that a site may change over to it."""
        given = {"session.secret": "t" * 32, "session.validate_key": "v"}
        found = options_of({"session.type": "cookie", **given})
        assert found.secrets() == ["t" * 32]

    @pytest.mark.parametrize(
        "given",
        [{"session.type": "memory"}, {"session.beaker": "true"}],
    )
    def test_a_secret_for_ids_does_no_harm_and_is_told(self, given):
        """It is no error: a site moves with it; but it protects nothing here."""
        with pytest.warns(BeakerSecretWarning, match="session.secret has no") as told:
            found = options_of({**given, "session.secret": SECRET})
        assert found.secrets() == []
        assert SECRET not in str(told[0].message)
        assert told[0].filename == __file__

    @pytest.mark.parametrize("written", ["lax", "LAX", "Lax"])
    def test_same_site_is_read_in_any_case(self, written):
        """Beaker hands it on as it is, and browsers read it in any case."""
        assert options_of({"session.samesite": written}).samesite == "Lax"

    def test_a_time_of_access_is_noted_anyway(self):
        """Beaker writes less without it; here it is written now and then only."""
        found = options_of({"session.save_accessed_time": "false"})
        assert found == options_of({})

    @pytest.mark.parametrize(
        ("config", "told"),
        [
            ({"session.data_serializer": "pickle"}, "run code"),
            ({"session.data_serializer": "object"}, "run code"),
            ({"session.httponly": "false"}, "no script"),
            ({"session.httponly": False}, "no script"),
            (
                {"session.save_accessed_time": "false", "session.timeout": "60"},
                "judged by it",
            ),
            ({"session.invalidate_corrupt": "false"}, "damaged"),
            ({"session.samesite": None}, "as a text, got None"),
            ({"session.use_cookies": "false"}, "open()"),
            ({"session.secret": SECRET}, "never adopted"),
            ({"session.type": "ext:mongodb"}, "session.type.*'ext:mongodb'"),
            ({"session.type": "file"}, "'session.data_dir' is not given"),
            ({"session.type": "ext:redis"}, "'session.url' is not given"),
            ({"session.type": "memory", "session.store": "memory://"}, "store.*twice"),
            (
                {"session.type": "cookie", "session.validate_key": "short"},
                "session.validate_key must have at least 32 bytes",
            ),
            (
                {"session.type": "memory", "session.encrypt_key": SECRET},
                "session.encrypt_key.*not be encrypted",
            ),
        ],
    )
    def test_what_is_unsafe_is_refused(self, config, told):
        """Each with its reason."""
        with pytest.raises(ConfigurationError, match=told):
            Sessions(config)
