"""What Beaker has left is taken over once, under a new id, and never believed."""

import base64
import collections
import datetime as dt
import decimal
import functools
import hashlib
import hmac
import json
import os
import pickle
import socket
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
import sqlalchemy
from beaker.ext.sqla import SqlaNamespaceManager, make_cache_table
from beaker_tools import (
    COOKIE,
    KEYS,
    asked,
    found_by_beaker,
    left_by_beaker,
    prefixed,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from servers import free_port
from session_tools import SECRET, Browser, value_of
from standins import broken

from holdover import errors, make_region
from holdover.wsgi import (
    BeakerPickleWarning,
    BeakerSessions,
    Sessions,
    SessionUnavailable,
)
from holdover.wsgi.sessions.beaker_files import BeakerFiles
from holdover.wsgi.sessions.pickles import NotPlain, Unknown, read_plain

FIELDS = {"name": "ann", "n": 5, "roles": ["reader", {"of": None}], "naïve": "çé"}
FILE = {"type": "file", "data_dir": "/x"}
DRIVERS = {
    "postgresql": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
}
TYPES = ("file", "dbm", "ext:database", "ext:redis", "ext:memcached", "cookie")


@pytest.fixture
def places(request, tmp_path):
    """Give Beaker's options for a type, on a server of this test's if need be."""

    def options(kind, **more):
        given = {"type": kind, "data_dir": str(tmp_path / "beaker"), **more}
        given.setdefault("data_serializer", "json")
        if kind == "ext:redis":
            given["url"] = request.getfixturevalue("redis_server").url
        if kind == "ext:memcached":
            servers = request.getfixturevalue("memcached_servers")
            given["url"] = ";".join(one.url.rpartition("/")[2] for one in servers)
        if kind in {"ext:database", "ext:sqla"}:
            given["url"] = f"sqlite:///{tmp_path}/beaker.db"
        if kind == "cookie":
            given.setdefault("validate_key", "a key to sign by")
        return given

    return options


def browser_with(cookie, options, **ours):
    """Give a browser that comes with Beaker's cookie to an application of ours."""
    return Browser(Sessions({"migrate": options, **ours}), cookie)


def taken_by(browser):
    """Make a request; give what is in its session, and the cookies that are set."""
    session = browser.request()
    fields = dict(session)
    headers = browser.answer(session)
    return fields, [value for name, value in headers if name == "Set-Cookie"]


class TestTakenOver:
    @pytest.mark.parametrize("kind", TYPES)
    def test_from_where_beaker_keeps_it(self, kind, places):
        """All fields are there, under an id of ours, and the old record is gone."""
        options = places(kind, secret="beaker's")
        cookie = left_by_beaker(options, FIELDS)
        browser = browser_with(cookie, options)
        fields, (ours, removed) = taken_by(browser)
        assert fields == FIELDS
        assert value_of(ours) not in cookie
        assert removed.startswith(f"{COOKIE}=; Max-Age=0; Path=/")
        assert taken_by(browser) == (FIELDS, [])
        if kind != "cookie":
            assert found_by_beaker(options, cookie) == {}

    @pytest.mark.parametrize("kind", TYPES)
    def test_if_it_was_pickled_and_that_is_allowed(self, kind, places):
        """Tuples become lists; it is said aloud that pickles are read."""
        options = places(kind, data_serializer="pickle")
        cookie = left_by_beaker(options, {**FIELDS, "pair": (1, ("a",))})
        with pytest.warns(BeakerPickleWarning, match="remove migrate"):
            browser = browser_with(cookie, {**options, "allow_pickle": "yes"})
        assert taken_by(browser)[0] == {**FIELDS, "pair": [1, ["a"]]}

    @pytest.mark.parametrize("kind", ["file", "cookie"])
    @pytest.mark.parametrize("serializer", ["json", "pickle"])
    @pytest.mark.filterwarnings("ignore::holdover.wsgi.BeakerPickleWarning")
    def test_if_it_was_encrypted(self, kind, serializer, places):
        """With Beaker's keys; with others it cannot be read."""
        options = places(kind, data_serializer=serializer, **KEYS)
        cookie = left_by_beaker(options, FIELDS)
        options["allow_pickle"] = True
        other = {**options, "encrypt_key": "another"}
        assert taken_by(browser_with(cookie, other))[0] == {}
        assert taken_by(browser_with(cookie, options))[0] == FIELDS

    @pytest.mark.parametrize("bits", [48, 64, 128, 256])
    def test_with_nonces_of_any_length(self, bits, places):
        """As long as it is the one that Beaker was told."""
        options = places("cookie", encrypt_nonce_bits=bits, **KEYS)
        cookie = left_by_beaker(options, FIELDS)
        assert taken_by(browser_with(cookie, options))[0] == FIELDS

    def test_from_sqlalchemy_s_table(self, places, tmp_path):
        """Beaker's type ext:sqla has fewer columns, and is read alike."""
        options = places("ext:sqla")
        engine = sqlalchemy.create_engine(options["url"])
        SqlaNamespaceManager._init_dependencies()
        table = make_cache_table(sqlalchemy.MetaData(), "kept")
        table.create(engine)
        given = {**options, "bind": engine, "table": table}
        cookie = left_by_beaker(given, FIELDS)
        browser = browser_with(cookie, {**options, "table_name": "kept"})
        assert taken_by(browser)[0] == FIELDS
        engine.dispose()

    @pytest.mark.parametrize("server", ["postgres", "mariadb"])
    def test_from_a_database_server(self, server, places, request):
        """Which gives what is stored in its own types."""
        url = request.getfixturevalue(server).url
        for scheme in ("postgresql", "mysql", "mariadb"):
            url = url.replace(f"{scheme}://", f"{DRIVERS[scheme]}://")
        options = {**places("ext:database"), "url": url}
        cookie = left_by_beaker(options, FIELDS)
        assert taken_by(browser_with(cookie, options))[0] == FIELDS
        assert found_by_beaker(options, cookie) == {}

    @pytest.mark.parametrize("client", ["memcache", "bmemcached"])
    def test_from_whichever_memcached_has_it(self, client, places):
        """Each client chooses servers, and compresses, in its own way."""
        options = places("ext:memcached", memcache_module=client)
        fields = {**FIELDS, "long": "0123456789" * 500}
        for _ in range(5):
            cookie = left_by_beaker(options, fields)
            assert taken_by(browser_with(cookie, options))[0] == fields
            assert found_by_beaker(options, cookie) == {}

    def test_into_every_store(self, new_store, places):
        """Whatever keeps sessions now."""
        options = places("file")
        browser = browser_with(left_by_beaker(options, FIELDS), options, **new_store)
        assert taken_by(browser)[0] == FIELDS
        assert taken_by(browser) == (FIELDS, [])

    @pytest.fixture(params=["memory", "redis", "file", "cookie"])
    def new_store(self, request, tmp_path):
        """The options of each of some stores."""
        match request.param:
            case "redis":
                return {"store": request.getfixturevalue("redis_server").url}
            case "file":
                return {"store": f"file://{tmp_path}/ours"}
            case "cookie":
                return {"store": "cookie", "secret": SECRET}
        return {}

    def test_from_an_ini_file(self, places):
        """Beaker's lines stay as they are, but for a word in front."""
        options = places("file", secret="beaker's", timeout="900", auto="true")
        cookie = left_by_beaker(options, FIELDS)
        given = {f"session.migrate.{name}": value for name, value in options.items()}
        browser = Browser(Sessions({"session.auto": "yes", **given}), cookie)
        assert taken_by(browser)[0] == FIELDS
        assert browser.sessions.options.auto

    def test_from_beaker_s_own_mapping(self, places, tmp_path):
        """With Beaker's prefix, as it was."""
        options = places("file", lock_dir=str(tmp_path / "locks"), httponly=True)
        cookie = left_by_beaker(options, FIELDS)
        assert taken_by(browser_with(cookie, prefixed(options)))[0] == FIELDS

    def test_from_a_mapping_of_cookies(self, places):
        """Without a web server, too."""
        options = places("file")
        name, _, value = left_by_beaker(options, FIELDS).partition("=")
        sessions = Sessions({"migrate": BeakerSessions(**options)})
        assert dict(sessions.open({name: value, "other": "5"})) == FIELDS

    def test_under_the_same_name(self, places):
        """Where our cookie is called as Beaker's was, it is not taken away again."""
        options = places("file")
        cookie = left_by_beaker(options, FIELDS)
        browser = browser_with(cookie, options, cookie_name=COOKIE)
        fields, [ours] = taken_by(browser)
        assert (fields, "Max-Age=0" in ours) == (FIELDS, False)
        assert taken_by(browser) == (FIELDS, [])


class TestOnce:
    @pytest.mark.parametrize("kind", ["file", "cookie"])
    def test_an_old_cookie_leads_nowhere_a_moment_later(self, kind, places):
        """Whoever has copied it comes too late, though the record be still there."""
        options = places(kind)
        cookie = left_by_beaker(options, FIELDS)
        kept = {}
        now = [None]
        sessions = self.sessions_at(now, options)
        for path in Path(options["data_dir"]).rglob("*.cache"):
            kept[path] = path.read_bytes()
        assert dict(sessions.open(cookie)) == FIELDS
        for path, data in kept.items():
            path.write_bytes(data)
        assert dict(sessions.open(cookie)) == FIELDS
        now[0] += 31
        assert dict(sessions.open(cookie)) == {}

    def sessions_at(self, now, options, **ours):
        """Make sessions whose time of day is in *now*."""
        now[0] = time.time()
        return Sessions({"migrate": options, "now": lambda: now[0], **ours})

    def test_a_page_s_other_requests_find_the_same(self, places):
        """They set out with the old cookie, and come when the record is gone."""
        options = places("file")
        cookie = left_by_beaker(options, FIELDS)
        sessions = Sessions({"migrate": options})
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda _: sessions.open(cookie).id, range(8)))
        assert len(set(found)) == 1
        assert dict(sessions.open(cookie)) == FIELDS

    @pytest.mark.parametrize("is_before", [True, False])
    def test_a_faster_request_is_followed(self, is_before, places, monkeypatch):
        """Whether it came before the old record was read, or after."""
        options = places("file")
        cookie = left_by_beaker(options, FIELDS)
        fast, slow = (
            Sessions({"migrate": options, "store": store})
            for store in [make_region("s").configure("memory://", codec="json")] * 2
        )
        read, faster = BeakerFiles.read, []

        def read_slowly(self, session_id):
            found = None if is_before else read(self, session_id)
            monkeypatch.undo()
            faster.append(fast.open(cookie).id)
            return read(self, session_id) if is_before else found

        monkeypatch.setattr(BeakerFiles, "read", read_slowly)
        assert [slow.open(cookie).id] == faster
        assert dict(slow.open(cookie)) == FIELDS

    def test_a_process_that_dies_half_way_loses_nothing(self, places, monkeypatch):
        """What it had noted is followed, and what it had left is removed."""
        options = places("file")
        cookie = left_by_beaker(options, FIELDS)
        sessions = Sessions({"migrate": options})
        with monkeypatch.context() as patched:
            patched.setattr(BeakerFiles, "remove", interrupted)
            with pytest.raises(KeyboardInterrupt):
                dict(sessions.open(cookie))
        assert dict(sessions.open(cookie)) == FIELDS
        assert found_by_beaker(options, cookie) == {}

    def test_what_was_ended_stays_so(self, places):
        """Neither logout, nor a new id, leaves a way back."""
        options = places("cookie")
        cookie = left_by_beaker(options, FIELDS)
        sessions = Sessions({"migrate": options})
        session = sessions.open(cookie)
        session.delete()
        assert "Max-Age=0" in session.set_cookie
        assert dict(sessions.open(cookie)) == {}
        cookie = left_by_beaker(options, FIELDS)
        browser = Browser(sessions, cookie)
        session = browser.request()
        assert session.bind("ann")
        browser.answer(session)
        assert browser.fields() == FIELDS
        assert dict(sessions.open(cookie)) == {}

    def test_other_copies_of_a_cookie_are_spent_with_it(self, places):
        """Beaker writes a cookie anew with each response; it is one session."""
        options = places("cookie")
        first = left_by_beaker(options, FIELDS)
        [made] = asked(options, first, lambda session: session.update(seen=True))
        second = made.strip().partition(";")[0]
        assert first != second
        sessions = Sessions({"migrate": options})
        sessions.open(second).delete()
        assert dict(sessions.open(first)) == {}

    def test_of_a_copy_of_the_store_no_cookie_can_be_made(self, places, redis_server):
        """Neither the old id nor the new one is in it."""
        options = places("file")
        cookie = left_by_beaker(options, FIELDS)
        sessions = Sessions({"migrate": options, "store": redis_server.url})
        ours = sessions.open(cookie).id
        import redis

        with redis.Redis.from_url(redis_server.url) as client:
            held = b"".join(
                key + (client.get(key) or b"") if client.type(key) == b"string" else key
                for key in client.scan_iter()
            )
        assert b"ann" in held
        assert ours.encode() not in held
        assert cookie.partition("=")[2].encode() not in held

    def test_a_session_of_ours_comes_first(self, places):
        """Beaker's cookie is looked at only by whoever has none."""
        options = places("file")
        cookie = left_by_beaker(options, FIELDS)
        browser = browser_with("", options)
        browser.put(mine=True)
        browser.cookie = f"{cookie}; {browser.cookie}"
        assert taken_by(browser) == ({"mine": True}, [])
        assert found_by_beaker(options, cookie) == FIELDS

    def test_an_untouched_session_is_not_taken_over(self, places):
        """A request that uses no session asks no store, neither ours nor Beaker's."""
        options = places("file")
        cookie = left_by_beaker(options, FIELDS)
        browser = browser_with(cookie, options)
        assert browser.answer(browser.request()) == []
        assert found_by_beaker(options, cookie) == FIELDS


class Mine:
    """What only the application knows."""

    ran = False

    def __init__(self):
        self.n = 1

    def __setstate__(self, state):
        Mine.ran = True


class Malicious:
    """Makes a folder when it is unpickled."""

    def __init__(self, path):
        self.path = os.fspath(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def signed(text, key="a key to sign by"):
    """Sign as Beaker does."""
    return hmac.new(key.encode(), text.encode(), hashlib.sha1).hexdigest() + text


def as_json(data):
    """Write as Beaker writes JSON, whatever it is."""
    text = data if isinstance(data, bytes) else json.dumps(data).encode()
    return base64.b64encode(zlib.compress(text)).decode()


def as_pickle(data):
    """Write as Beaker writes pickles, whatever it is."""
    raw = data if isinstance(data, bytes) else pickle.dumps(data, 2)
    return base64.b64encode(raw).decode()


TIMES = {"_creation_time": 0.0, "_accessed_time": 0.0}
IN_COOKIES = {"type": "cookie", "data_serializer": "json", "validate_key": "k"}
FOREVER = {"idle_timeout": None, "absolute_timeout": None}
DEEP = b"\x80\x02" + b"]" * 50_000 + b"a" * 49_999 + b"."


def doubling(times):
    """A pickle of a few bytes that makes 2**times values."""
    steps = b"".join(b"](h%ch%ce" % (at, at) + b"q%c" % (at + 1) for at in range(times))
    return b"\x80\x02}q\xff0K\x01q\x00" + b"}X\x01\x00\x00\x00a" + steps + b"s."


class TestHostile:
    @pytest.mark.parametrize(
        "value",
        [
            "",
            "0" * 31,
            "A" * 32,
            "../" * 10 + "ab",
            "/etc/passwd",
            "0" * 32 + "/",
            "\u00e9" * 32,
            "0" * 5000,
            '"',
            "0" * 31 + "\u0660",
        ],
    )
    def test_no_store_is_asked_for_what_is_no_id(self, value, places, monkeypatch):
        """Nor with a cookie that says anything else."""
        sessions = Sessions({"migrate": places("file")})
        asked = []
        monkeypatch.setattr(
            "holdover.wsgi.sessions.beaker_files.BeakerFiles.read",
            lambda self, session_id: asked.append(session_id),
        )
        assert dict(sessions.open(f"{COOKIE}={value}")) == {}
        assert asked == []
        assert dict(sessions.open(f"{COOKIE}={'0' * 32}")) == {}
        assert asked == ["0" * 32]

    @pytest.mark.parametrize("change", ["another", None])
    def test_an_unsigned_id_finds_nothing(self, change, places):
        """If ids are signed, one that is signed by nobody, or another, is none."""
        options = places("file", secret=change)
        cookie = left_by_beaker(options, FIELDS)
        browser = browser_with(cookie, {**options, "secret": "beaker's"})
        assert taken_by(browser)[0] == {}
        assert found_by_beaker(options, cookie) == FIELDS

    @pytest.mark.parametrize("kind", ["file", "dbm", "ext:redis", "ext:database"])
    def test_no_code_runs_with_json(self, kind, places, tmp_path, caplog):
        """Beaker's stores hold pickles even then; one that does anything is refused."""
        options = places(kind)
        cookie = left_by_beaker(options, FIELDS)
        self.replace_stored(options, cookie, Malicious(tmp_path / "made"))
        assert taken_by(browser_with(cookie, options)) == ({}, [])
        assert not (tmp_path / "made").exists()
        assert "cannot be read: a pickle that does" in caplog.text

    def replace_stored(self, options, cookie, value):
        """Put another object in the place of what Beaker keeps of a session."""
        from beaker.cache import clsmap

        session_id = cookie.partition("=")[2]
        given = {name: options[name] for name in ("data_dir", "url") if name in options}
        held = clsmap[options["type"]](session_id, digest_filenames=False, **given)
        held.acquire_write_lock()
        held["session"] = value
        held.release_write_lock()

    @pytest.mark.filterwarnings("ignore::holdover.wsgi.BeakerPickleWarning")
    def test_no_code_runs_with_pickles(self, places, tmp_path, caplog):
        """What a class has made cannot be taken over, unless it may get lost."""
        options = places("file", data_serializer="pickle", allow_pickle=True)
        fields = {**FIELDS, "mine": Mine(), "evil": Malicious(tmp_path / "made")}
        cookie = left_by_beaker(options, fields)
        assert taken_by(browser_with(cookie, options)) == ({}, [])
        assert "'mine' holds no plain data" in caplog.text
        options["leave_out"] = "mine, evil"
        assert taken_by(browser_with(cookie, options))[0] == FIELDS
        assert not (tmp_path / "made").exists()
        assert not Mine.ran

    @pytest.mark.parametrize(
        "written",
        [
            "",
            "no base64!",
            as_json(b"[" * 100_000),
            as_json(b"{"),
            as_json([1]),
            as_json({**TIMES, "big": "a" * (1 << 20)}),
            as_json(b'{"a": ' + b"9" * 5000 + b"}"),
            as_json({"_creation_time": True}),
            as_json(b'{"_creation_time": NaN}'),
            as_json({"_accessed_time": "now"}),
            as_json(b'{"_accessed_time": 1' + b"0" * 400 + b"}"),
            as_json({"_creation_time": -1}),
            as_json({"a": "\ud800"}),
            base64.b64encode(zlib.compress(b"{}")[:-1]).decode(),
            base64.b64encode(zlib.compress(b" " * (2 << 20) + b"{}")).decode(),
        ],
        ids=range(15),
    )
    def test_what_is_no_session_in_json(self, written, places, caplog):
        """Rightly signed, it is none all the same."""
        sessions = Sessions({"migrate": places("cookie")})
        assert dict(sessions.open(f"{COOKIE}={signed(written)}")) == {}
        assert "a session of Beaker's" in caplog.text or not written

    @pytest.mark.parametrize(
        "written",
        [
            b"",
            b"\x80\x02",
            b"\x80\x02.",
            b"\x80\x02]q\x00h\x00as.",
            b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.",
            b"\x80\x02}X\x01\x00\x00\x00aL" + b"9" * 5000 + b"L\nss.",
            b"\x80\x02}X\x01\x00\x00\x00a\x8b\xff\x0f\x00\x00" + b"\x7f" * 4095 + b"s.",
            b"\x80\x02}" * 60_000 + b".",
            DEEP,
            doubling(28),
            pickle.dumps({(1, 2): 3}, 2),
            pickle.dumps([1], 2),
            pickle.dumps({"a": {5}}, 2),
            pickle.dumps({"a": b"bytes"}, 2),
            pickle.dumps({"a": 1 << 5000}, 2),
        ],
        ids=range(15),
    )
    @pytest.mark.filterwarnings("ignore::holdover.wsgi.BeakerPickleWarning")
    def test_what_is_no_session_in_pickles(self, written, places, caplog):
        """It takes no memory, no time, and no session."""
        options = places("file", data_serializer="pickle", allow_pickle=True)
        cookie = left_by_beaker(options, {})
        TestHostile.replace_stored(self, options, cookie, as_pickle(written))
        assert dict(browser_with(cookie, options).request()) == {}
        assert "a session of Beaker's" in caplog.text

    def test_files_that_are_none(self, places, tmp_path, caplog):
        """Links, pipes, folders and endless files are not read."""
        options = places("file")
        for at, make in enumerate(
            [
                lambda path: path.symlink_to("/dev/zero"),
                os.mkfifo,
                Path.mkdir,
                lambda path: path.write_bytes(b"\x80" * (2 << 20)),
            ]
        ):
            session_id = f"{at}" * 32
            path = Path(options["data_dir"], "container_file", f"{at}", f"{at}" * 2)
            path.mkdir(parents=True)
            make(path / f"{session_id}.cache")
            session = Sessions({"migrate": options}).open(f"{COOKIE}={session_id}")
            assert dict(session) == {}
            assert session.set_cookie is None

    def test_dbms_that_are_none(self, places, caplog):
        """Nobody waits for a pipe that stands beside one, or for a link to it."""
        options = places("dbm")
        for at, suffix in enumerate(["", ".db", ".dat", ".dir", ".pag"]):
            folder = Path(options["data_dir"], "container_dbm", f"{at}", f"{at}" * 2)
            folder.mkdir(parents=True)
            path = folder / f"{f'{at}' * 32}.dbm"
            path.write_bytes(b"something")
            beside = path.with_name(f"{path.name}{suffix}")
            beside.unlink(missing_ok=True)
            os.mkfifo(beside)
            session = Sessions({"migrate": options}).open(f"{COOKIE}={path.stem}")
            assert dict(session) == {}
        assert caplog.text.count("cannot be read: a broken dbm") == 5

    SESSIONS = Sessions({"migrate": IN_COOKIES, **FOREVER})
    VALUE = signed(as_json({**TIMES, "name": "ann"}), "k")

    @settings(max_examples=1000, deadline=None)
    @given(st.integers(0, 10_000), st.integers(1, 255))
    def test_a_changed_cookie_is_none(self, at, by):
        """Whichever character it is, whatever it becomes."""
        value = self.VALUE.encode()
        at %= len(value)
        changed = value[:at] + bytes([value[at] ^ by]) + value[at + 1 :]
        assert dict(self.SESSIONS.open(f"{COOKIE}={changed.decode('latin-1')}")) == {}

    def test_that_cookie_is_one(self):
        """Unchanged."""
        found = self.SESSIONS.open(f"{COOKIE}={self.VALUE}")
        assert dict(found) == {"name": "ann"}


class TestPickles:
    @pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
    def test_plain_data_come_back(self, protocol):
        """As they were."""
        held = {
            "a": [1, -5, 1 << 70, 2.5, None, True, "ç", (1, 2, 3, 4)],
            "b": {"c": []},
        }
        assert read_plain(pickle.dumps(held, protocol)) == held

    @pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
    def test_objects_are_nothing(self, protocol):
        """Each kind of them, however it is written, and what they hold."""
        held = [
            Mine(),
            Mine,
            os.system,
            dt.datetime.now(dt.UTC),
            decimal.Decimal(5),
            collections.OrderedDict(a=1),
            collections.deque([1]),
            functools.partial(print, 5),
        ]
        for one in held:
            data = pickle.dumps([one], protocol)
            [found] = read_plain(data, objects=True)
            assert Unknown in (found, type(found))
            with pytest.raises(NotPlain, match="a pickle that does"):
                read_plain(data)

    @pytest.mark.parametrize(
        ("before", "after"),
        [
            (b"}", b"Ns."),
            (b"}(", b"Nu."),
            (b"(", b"Nd."),
            (b"\x8f(", b"\x90."),
            (b"(", b"\x91."),
        ],
        ids=["SETITEM", "SETITEMS", "DICT", "ADDITEMS", "FROZENSET"],
    )
    @pytest.mark.parametrize("key", [b")", b"(\x91"], ids=["tuple", "frozenset"])
    def test_no_key_is_taken_apart(self, key, before, after):
        """Of tuples in tuples, few bytes would make a hash that takes years."""
        [found] = read_plain(b"\x80\x04" + before + key + after)
        assert type(found) is Unknown

    @settings(max_examples=1000, deadline=None)
    @given(st.binary(max_size=60))
    def test_anything_is_an_error_or_a_value(self, data):
        """Nothing else can come of it."""
        with suppress(NotPlain):
            read_plain(b"\x80\x04" + data + b".", objects=True)


class TestInTrouble:
    @pytest.mark.parametrize("kind", ["ext:redis", "ext:memcached", "ext:database"])
    def test_a_store_that_is_down_lets_nobody_in(self, kind, places):
        """The session is empty and read-only, and its cookie stays for later."""
        options = self.elsewhere(places(kind), free_port())
        browser = browser_with(f"{COOKIE}={'0' * 32}", options)
        session = browser.request()
        assert not session.is_available
        with pytest.raises(SessionUnavailable, match="Beaker's"):
            session["name"] = "bob"
        assert dict(browser.answer(session)).keys() == {"Vary", "Cache-Control"}
        session = browser.request()
        with pytest.raises(SessionUnavailable):
            session.delete()
        browser.answer(session)
        assert browser.cookie == ""

    def elsewhere(self, options, port):
        """Point to a port of this host."""
        urls = {
            "ext:redis": f"redis://127.0.0.1:{port}/0",
            "ext:memcached": f"127.0.0.1:{port}",
            "ext:database": f"postgresql+psycopg://ann@127.0.0.1:{port}/shop",
        }
        return {**options, "url": urls[options["type"]]}

    @pytest.mark.parametrize("kind", ["ext:redis", "ext:memcached", "ext:database"])
    def test_a_store_that_does_not_answer_is_waited_for_once(self, kind, places):
        """Not forever, and the next requests do not wait at all."""
        with socket.create_server(("127.0.0.1", 0)) as mute:
            options = self.elsewhere(places(kind), mute.getsockname()[1])
            sessions = Sessions({"migrate": options})
            for longest in (6.0, 0.5):
                started = time.monotonic()
                assert not sessions.open(f"{COOKIE}={'0' * 32}").is_available
                assert time.monotonic() - started < longest

    def test_it_is_asked_again(self, places, monkeypatch):
        """Seconds later it may be back."""
        options = places("ext:redis")
        cookie = left_by_beaker(options, FIELDS)
        down = self.elsewhere(options, free_port())
        sessions = Sessions({"migrate": down})
        assert not sessions.open(cookie).is_available
        store = sessions.terms.old.store
        store._store = Sessions({"migrate": options}).terms.old.store
        assert not sessions.open(cookie).is_available
        store._rests_until = 0.0
        assert dict(sessions.open(cookie)) == FIELDS

    def test_beaker_s_record_stays_if_ours_cannot_be_stored(self, places):
        """A failure half-way loses nothing."""
        options = places("file")
        cookie = left_by_beaker(options, FIELDS)
        region = make_region("sessions").configure("memory://", codec="json")
        sessions = Sessions({"migrate": options, "store": region})
        for step in ("set", "add"):
            kept = getattr(region, step)
            setattr(region, step, broken)
            assert not sessions.open(cookie).is_available
            setattr(region, step, kept)
        assert dict(sessions.open(cookie)) == FIELDS

    @pytest.mark.parametrize("kind", ["file", "dbm", "ext:database"])
    def test_no_message_shows_an_id(self, kind, places, monkeypatch, caplog):
        """Neither an error nor the log: who knows it is let in by Beaker."""
        options = places(kind)
        cookie = left_by_beaker(options, FIELDS)
        session_id = cookie.partition("=")[2]
        self.break_store(options, session_id)
        session = Sessions({"migrate": options}).open(cookie)
        with pytest.raises(SessionUnavailable) as caught:
            session.save()
        assert session_id not in f"{caught.value!r} {session!r} {caplog.text}"

    def break_store(self, options, session_id):
        """Have the next use of a store fail."""
        if options["type"] == "ext:database":
            engine = sqlalchemy.create_engine(options["url"])
            with engine.begin() as connection:
                connection.exec_driver_sql("ALTER TABLE beaker_cache RENAME TO gone")
            engine.dispose()
            return
        for path in Path(options["data_dir"]).rglob(f"{session_id}*"):
            folder = path.parent
        folder.rename(folder.with_name("gone"))
        folder.symlink_to(folder)  # a link to itself leads to an error

    def test_what_cannot_be_removed_is_spent_all_the_same(
        self, places, monkeypatch, caplog
    ):
        """The log tells that it stays where it was."""
        options = places("file")
        cookie = left_by_beaker(options, FIELDS)
        monkeypatch.setattr(Path, "unlink", denied)
        sessions = Sessions({"migrate": options})
        sessions.open(cookie).delete()
        assert "stays where it was" in caplog.text
        assert dict(sessions.open(cookie)) == {}
        monkeypatch.undo()
        assert found_by_beaker(options, cookie) == FIELDS

    def test_what_does_not_fit_is_not_taken_over(self, places, caplog):
        """A cookie has less room than a file."""
        options = places("file")
        cookie = left_by_beaker(options, {"text": "a" * 5000})
        browser = browser_with(cookie, options, store="cookie", secret=SECRET)
        assert taken_by(browser) == ({}, [])
        assert "not taken over: the session makes a cookie of" in caplog.text

    @pytest.mark.parametrize(
        ("theirs", "ours", "later", "is_there"),
        [
            ({"timeout": 900}, {}, 890, True),
            ({"timeout": 900}, {}, 910, False),
            ({}, {"idle_timeout": 60.0}, 70, False),
            ({}, {"absolute_timeout": 60.0}, 70, False),
            ({}, {"idle_timeout": None, "absolute_timeout": None}, 10**8, True),
        ],
    )
    def test_what_is_over_is_over(self, theirs, ours, later, is_there, places):
        """By Beaker's timeout, and by ours."""
        options = places("file", **theirs)
        cookie = left_by_beaker(options, FIELDS)
        at = time.time() + later
        session = Sessions({"migrate": options, "now": lambda: at, **ours}).open(cookie)
        assert bool(session) is is_there

    def test_its_times_are_kept(self, places):
        """It is as old as it was; stamps from the future are no way to live longer."""
        options = places("cookie")
        data = {"_creation_time": 500, "_accessed_time": 5e9, "a": 1}
        sessions = Sessions({"migrate": options, "now": lambda: 1000.0})
        session = sessions.open(f"{COOKIE}={signed(as_json(data))}")
        assert (session.created, session.last_accessed) == (500.0, 1000.0)
        session = sessions.open(f"{COOKIE}={signed(as_json({'a': 1}))}")
        assert (session.created, session.last_accessed) == (1000.0, 1000.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"type": "memory"}, "type 'memory' cannot be taken over; known: cookie"),
        ({}, "type 'memory' cannot"),
        ({"type": "file"}, "needs its data_dir, or file_dir"),
        ({"type": "dbm"}, "needs its data_dir, or dbm_dir"),
        ({"type": "ext:redis"}, "needs its url"),
        ({"type": "ext:redis", "url": "nonsense"}, "Beaker's url"),
        ({"type": "ext:memcached", "url": " ; "}, "names no server"),
        ({"type": "ext:memcached", "url": "a:b"}, "Beaker's url"),
        ({"type": "ext:database", "url": "x"}, "url must be a database's"),
        ({"type": "ext:sqla", "url": "oracle://x"}, "needs '"),
        ({"type": "cookie"}, "give its validate_key"),
        ({"type": "cookie", "validate_key": ""}, "validate_key is empty"),
        (
            {"type": "file", "data_dir": "/x", "encrypt_key": "k"},
            "its validate_key, too",
        ),
        ({"type": "file", "data_dir": "/x", "crypto_type": "pycrypto"}, "no proof"),
        (
            {"type": "file", "data_dir": "/x", "data_serializer": "pickle"},
            "allow_pickle",
        ),
        (
            {"type": "file", "data_dir": "/x", "data_serializer": "yaml"},
            "json or pickle",
        ),
        ({"tipe": "file"}, "Did you mean 'type'"),
        ({**FILE, "key": "a;b"}, "cookie_name"),
        ("file:///x", "must be a mapping of Beaker's options, got str"),
    ],
)
def test_wrong_options(options, message):
    """It says what was wanted, and never lets a password be seen."""
    if isinstance(options, dict):
        options.setdefault("data_serializer", "json")
    with pytest.raises(errors.ConfigurationError, match=message):
        Sessions({"migrate": options})


def interrupted(*args, **kwargs):
    """Stand for the end of a process."""
    raise KeyboardInterrupt


def denied(*args, **kwargs):
    """Fail as a disk does that may only be read."""
    raise PermissionError("read-only")
