"""Configuration from mappings, ini files, the environment and URLs."""

import traceback
from collections.abc import Sequence
from dataclasses import fields
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdover import LeaseTerms, Lifetime, Region, Registry, errors, make_region
from holdover.regions import plugins
from holdover.regions.backends.memory import MemoryBackend
from holdover.regions.beaker import WITHOUT_EFFECT
from holdover.regions.blaming import blamed_on
from holdover.regions.options import Written, setting_types
from holdover.regions.spelling import read_flat
from holdover.regions.texts import masked, read_text

PASSWORD = "hunter2"
SERVER = f"redis://me:{PASSWORD}@cache.example:6379/0"


class Remote(MemoryBackend):
    """A backend with a URL, as those of servers are."""

    known_arguments = MappingProxyType(
        {
            "url": str,
            "db": int,
            "patience": float,
            "client": str,
            "create_table": bool,
            "table": str,
        }
    )

    def __init__(self, arguments):
        super().__init__(arguments)
        self.arguments = dict(arguments)
        if "unreachable" in str(arguments["url"]):
            raise errors.ConfigurationError(f"cannot use url {arguments['url']!r}")

    @property
    def _max_entries(self):
        return 100

    @_max_entries.setter
    def _max_entries(self, value):
        """The size is a server's own."""


@pytest.fixture
def remote(monkeypatch):
    """Let some names stand for the backend of a server."""
    for name in ("redis", "memcached", "sql"):
        monkeypatch.setitem(
            plugins.BACKENDS, f"holdover.{name}", plugins.Plugin(f"{__name__}:Remote")
        )


def told(function, *args, **kwargs):
    """Call, and give what the configuration error says."""
    with pytest.raises(errors.ConfigurationError) as caught:
        function(*args, **kwargs)
    return str(caught.value)


def by_url(url, **options):
    """Configure a region by a URL."""
    return make_region("prices").configure(url, **options)


def flat(mapping, prefix="cache."):
    """Configure a registry with flat keys."""
    made = Registry()
    made.configure_from_config(mapping, prefix)
    return made


def env(**variables):
    """Configure a registry with environment variables."""
    made = Registry()
    made.configure_from_env(variables)
    return made


class TestTexts:
    @pytest.mark.parametrize(
        ("text", "wanted", "value"),
        [
            ("300", float, 300.0),
            (" 0.5 ", float | None, 0.5),
            ("1e3", float, 1000.0),
            ("None", float | None, None),
            ("none", str | None, None),
            ("300", str, "300"),
            ("5", int | float, 5),
            ("5.0", int | float, 5.0),
            ("Yes", bool, True),
            ("0", bool, False),
            ("off", bool | str, False),
            ("1", bool | float, 1.0),
            ("true", bool | float, True),
            ("a, b", list[str], ["a", "b"]),
            ("a", list[str], ["a"]),
            ("\n a\n b\n", tuple[str, ...], ("a", "b")),
            ("1, 2", list[int] | None, [1, 2]),
            ("a", str | list[str], "a"),
            ("a,b", str | list[str], ["a", "b"]),
            ("celery, thread", object, ["celery", "thread"]),
            ("new, old", str | bytes | Sequence[str | bytes] | None, ["new", "old"]),
            ("zstd", bool | str | LeaseTerms | None, "zstd"),
            ("true", bool | str | LeaseTerms | None, True),
            ("thread", Any, "thread"),
            ("none", object, None),
            ("true", object, True),
            ("1", object, "1"),
            ("raise", Literal["create", "raise"], "raise"),
        ],
    )
    def test_are_read_as_their_option_wants(self, text, wanted, value):
        """The type decides, not what the text looks like."""
        read = read_text(text, wanted, "key")
        assert (type(read), read) == (type(value), value)

    @pytest.mark.parametrize(
        ("text", "wanted", "words"),
        [
            ("5m", float, "a number without a unit"),
            ("", float | None, "'none'"),
            ("1_000", int, "a whole number"),
            ("٣", int, "a whole number"),
            ("1.5", int, "a whole number"),
            ("9" * 5000, int, "a whole number"),
            ("maybe", bool, "true or false"),
            ("1, x", list[int], "a whole number"),
            ("x", LeaseTerms, "in Python"),
        ],
    )
    def test_that_do_not_fit_are_told(self, text, wanted, words):
        """The error names key and wish, and shows what was found."""
        message = told(read_text, text, wanted, "cache.x.key")
        assert "cache.x.key" in message
        assert words in message
        assert wanted is LeaseTerms or repr(text)[-2:] in message

    @given(st.text(), st.sampled_from([float, int, bool, float | None, list[str], str]))
    def test_any_text_is_read_or_refused(self, text, wanted):
        """No text does anything but give a value or a configuration error."""
        try:
            value = read_text(text, wanted, "key")
        except errors.ConfigurationError as error:
            assert "key must be" in str(error)  # noqa: PT017 - either is right
        else:
            assert (
                value is None
                or wanted not in (float, int, bool)
                or (type(value) is wanted)
            )

    @given(st.floats(allow_nan=False))
    def test_numbers_keep_their_value(self, number):
        """What Python writes for a number is read as that number."""
        assert read_text(repr(number), float, "key") == number

    @given(st.integers())
    def test_whole_numbers_keep_their_value(self, number):
        """So are whole numbers, however large."""
        assert read_text(str(number), int, "key") == number

    @given(st.text(min_size=1))
    def test_passwords_are_masked(self, password):
        """Whatever a password is made of, it is not shown."""
        assert (
            masked(f"got 'redis://me:{password}@host/0'") == "got 'redis://***@host/0'"
        )


class TestOptions:
    def test_are_those_of_the_dataclasses(self):
        """Every setting can be written, without a list of them of our own."""
        known = setting_types()
        assert {one.name for one in fields(Lifetime)} <= known.keys()
        assert {f"lease.{one.name}" for one in fields(LeaseTerms)} <= known.keys()
        assert {"codec", "runner", "on_miss", "on_timeout"} <= known.keys()
        assert "lifetime" not in known

    def test_are_blamed_by_their_value_too(self):
        """An error that shows a value, but no name, is about what has that value."""
        options = {"codec": Written("a.codec", "jsn", is_text=True)}
        said = pytest.raises(errors.UnknownName, match=r"^a\.codec: no 'jsn'$")
        with said, blamed_on(options):
            raise errors.UnknownName("no 'jsn'")

    def test_are_blamed_by_their_whole_name(self):
        """An argument's part is found in an error, and no other that it lists."""
        options = {
            "arguments.url": Written("a.arguments.url", "x", is_text=True),
            "arguments.b.ssl": Written("a.arguments.b.ssl", "x", is_text=True),
        }
        said = pytest.raises(errors.ConfigurationError, match=r"^a\.arguments\.b\.ssl:")
        with said, blamed_on(options):
            raise errors.ConfigurationError("there is no 'b.ssl'. Known: ssl, url")


class TestURLs:
    def test_name_backend_arguments_and_settings(self):
        """The query's settings are the region's, the rest is the backend's."""
        region = by_url(
            "memory://?max_entries=500&expiration_time=300&stale_while_revalidate=3600"
            "&lease.ttl=10&keep_for=none&codec=json"
        )
        assert isinstance(region.backend, MemoryBackend)
        assert region.backend._max_entries == 500
        assert region.lifetime == Lifetime(
            expiration_time=300, stale_while_revalidate=3600, keep_for=None
        )
        assert region._rules.lease == LeaseTerms(ttl=10)
        assert region._rules.codec == "json"

    def test_never_is_for_expiration_only(self):
        """A value may never expire; of other spans "never" would mean nothing sure."""
        assert by_url("memory://?expiration_time=never").expiration_time is None
        message = told(by_url, "memory://?stale_while_revalidate=never")
        assert "stale_while_revalidate in the URL must be" in message

    @pytest.mark.parametrize("host", ["", "localhost"])
    def test_of_files_have_a_path(self, tmp_path, host):
        """The path is decoded, and may hold any sign."""
        url = f"file://{host}{tmp_path}/a%20b?max_bytes=1000&lock_timeout=.5"
        region = by_url(url)
        region.set("k", 1)
        assert region.get("k") == 1
        assert (tmp_path / "a b").is_dir()

    @pytest.mark.parametrize("scheme", ["redis", "rediss", "unix", "REDIS"])
    def test_of_servers_stay_whole_but_for_what_is_ours(self, remote, scheme):
        """A client reads its own parameters, as they were written."""
        place = f"{scheme}://me:p%40ss@cache.example/0"
        region = by_url(
            f"{place}?db=2&timeout=0.5&expiration_time=5&patience=2&client_name=a%2Bb"
        )
        assert region.backend.arguments == {
            "url": f"{place}?db=2&timeout=0.5&client_name=a%2Bb",
            "patience": 2.0,
        }
        assert region.expiration_time == 5

    def test_of_other_servers(self, remote):
        """Hosts become a list; a database keeps all that is its driver's."""
        hosts = by_url("memcached://one:11211,two?expiration_time=5").backend
        assert hosts.arguments == {"url": ["one:11211", "two"]}
        place = "postgresql+psycopg://me@db/shop?sslmode=require"
        assert by_url(f"{place}&codec=json").backend.arguments == {"url": place}
        assert by_url("sqlite:///x.db").backend.arguments == {"url": "sqlite:///x.db"}

    @pytest.mark.parametrize("family", ["redis", "valkey"])
    def test_of_groups_of_servers(self, family):
        """Hosts are a list; who asks, and what for, stands where URLs have it."""
        url = f"{family}-sentinel://me:p%40ss@one:1,two/prices?db=2&codec=json"
        held = by_url(url).backend
        assert held.sentinels == [("one", 1), ("two", 26379)]
        assert (held.service_name, held.db) == ("prices", 2)
        assert (held.username, held.password) == ("me", "p@ss")
        assert by_url(f"{family}-sentinel://one?codec=json").backend.service_name
        held = by_url(f"{family}-cluster://one:1,two?codec=json&socket_timeout=2")
        assert held.backend.startup_nodes == ["one:1", "two"]
        assert held.backend.socket_timeout == 2.0

    def test_give_the_parts_of_a_mapping(self):
        """What only redis-py's connections know can be said in a URL, too."""
        held = by_url(
            "redis-sentinel://one?codec=json&ssl=true"
            "&connection_kwargs.ssl_ca_certs=/ca.pem"
            "&connection_kwargs.health_check_interval=5"
        )
        told = held.backend.connection_kwargs
        assert told["ssl_ca_certs"] == "/ca.pem"
        assert told["health_check_interval"] == 5

    def test_settings_may_stand_beside(self):
        """What the URL leaves open, the call says."""
        region = by_url(
            "memory://?expiration_time=5",
            lease={"ttl": 9},
            keep_for=timedelta(hours=1),
            arguments={"max_entries": 7},
        )
        assert region.lifetime == Lifetime(expiration_time=5, keep_for=3600)
        assert region._rules.lease == LeaseTerms(ttl=9)
        assert region.backend._max_entries == 7

    @pytest.mark.parametrize(
        ("url", "words"),
        [
            ("memroy://", ["'memroy'", "Did you mean 'memory'?"]),
            ("://", ["''", "Known: dbm, file"]),
            ("valkey://localhost?max_bytez=5", ["Did you mean 'max_bytes'?"]),
            ("memory://prices", ["names a place"]),
            ("memory://?expiration_tim=5", ["Did you mean 'expiration_time'?"]),
            ("memory://?max_entriez=5", ["Did you mean 'max_entries'?"]),
            ("memory://?max_entries=many", ["max_entries", "whole number", "'many'"]),
            ("memory://?max_entries=0", ["max_entries in the URL", "above 0"]),
            ("memory://?max_entries=1&max_entries=1", ["'max_entries' twice"]),
            ("memory://?expiration_time=-5", ["expiration_time in the URL", "-5"]),
            ("memory://?expiration_time=nan", ["must be finite"]),
            ("memory://?expiration_time", ["a number", "''"]),
            ("memory://?lease.tll=5", ["'lease.tll'", "'lease.ttl'"]),
            ("memory://?lease.ttl=0", ["lease.ttl in the URL", "more than 0"]),
            ("memory://?codec=jsn", ["codec in the URL", "'json'"]),
            ("memory://?time_source=x", ["cannot be written as text"]),
            ("memory://?replace_existing_backend=1", ["'replace_existing_backend'"]),
            ("file://var/cache", ["three slashes"]),
            ("file:///", ["names no directory"]),
            ("null://place", ["names a place", "write 'null://'"]),
            ("file:///a?path=/b", ["arguments.path is given twice"]),
            ("redis+sentinel://one/a", ["'redis+sentinel'", "'redis-sentinel'"]),
            ("redis-sentinel:///cache", ["names no host"]),
            ("redis-sentinel://one:port/cache", ["sentinels: a server must be"]),
            (f"redis-sentinel://me:{PASSWORD}/a@one/x", ["%2F"]),
            ("redis-cluster://one/2", ["hosts only, as 'redis-cluster://one"]),
            ("redis-cluster://one?expiration_tim=5", ["'expiration_time'?"]),
            ("redis-cluster://one?ssl.x=5", ["'ssl.x'"]),
            ("dbm:///", ["names no file"]),
            ("dbm://host/x", ["'dbm:///"]),
            ("file:///a#b", ["%23"]),
            ("http://[x", ["cannot be read"]),
        ],
    )
    def test_that_are_wrong_are_told(self, url, words):
        """The error names the parameter and the nearest right one."""
        message = told(by_url, url)
        assert all(word in message for word in words), message
        assert PASSWORD not in message

    @pytest.mark.parametrize(
        "url",
        [
            "redis://me:pw@host?expiration_tim=5",
            "redis://me:pw@host:port/0",
            "memcached://me@host",
            "memcached:///x",
            "memcached://",
        ],
    )
    def test_of_servers_that_are_wrong(self, remote, url):
        """What no client would understand is told before one connects."""
        told(by_url, url)

    def test_say_nothing_twice(self):
        """A setting in the URL and beside it is a contradiction, even if they agree."""
        for beside in ({"expiration_time": 5}, {"keep_for": 5}, {"lease": {"ttl": 5}}):
            name = next(iter(beside))
            query = f"{name}=5" if name != "lease" else "lease.ttl=5"
            message = told(by_url, f"memory://?{query}", **beside)
            assert "given twice" in message
            assert name in message
        arguments = {"max_entries": 5}
        message = told(by_url, "memory://?max_entries=5", arguments=arguments)
        assert "arguments.max_entries is given twice" in message

    def test_replace_when_told_so(self):
        """A configured region is not configured again by chance."""
        region = by_url("memory://")
        with pytest.raises(errors.RegionAlreadyConfigured):
            region.configure("memory://?expiration_time=5")
        region.configure("memory://?expiration_time=5", replace_existing_backend=True)
        assert region.expiration_time == 5


class TestSecrets:
    @pytest.mark.parametrize(
        "url",
        [
            f"{SERVER}?expiration_tim=5",
            f"{SERVER}?expiration_time=5m",
            f"{SERVER}?expiration_time=1&expiration_time=1",
            f"{SERVER}#x",
            f"reddis://me:{PASSWORD}@host",
            f"redis://me:a/{PASSWORD}@host",
            f"redis://me:a#{PASSWORD}@host",
            f"redis://me:a?{PASSWORD}@host",
            f"redis://me:{PASSWORD}?a@host",
            f"redis://me:{PASSWORD}#a?b@host",
            f"redis://me:a@{PASSWORD}@[host",
            f"redis://:{PASSWORD}@host:port",
            f"redis://unreachable:{PASSWORD}@host",
            f"redis://host?password={PASSWORD}&db=0&db=0",
            f"memory://me:{PASSWORD}@host",
            f"memcached://me:{PASSWORD}@host",
            f"file://me:{PASSWORD}@host/x",
        ],
    )
    def test_of_urls_are_in_no_error(self, remote, url):
        """Neither message nor traceback shows a password, wherever the URL stood."""
        ways = [
            lambda: Registry().configure({"prices": {"backend": url}}),
            lambda: Registry().configure({"prices": url}),
            lambda: flat({"cache.prices.backend": url}),
            lambda: flat({"cache.defaults.url": url, "cache.prices.codec": "json"}),
            lambda: env(HOLDOVER_PRICES_URL=url),
            lambda: make_region("prices").configure(url),
            lambda: make_region().configure_from_config({"a.backend": url}, "a."),
        ]
        for way in ways:
            with pytest.raises(errors.ConfigurationError) as caught:
                way()
            assert PASSWORD not in str(caught.value)
            assert PASSWORD not in "".join(traceback.format_exception(caught.value))

    def test_of_ini_files_are_in_no_error(self, tmp_path):
        """A line that cannot be read is told by its number."""
        for text in (
            f"secret {PASSWORD}",
            f"[holdover]\nprices.secret {PASSWORD}",
            f"[holdover]\nsecret = {PASSWORD}\nsecret = {PASSWORD}",
        ):
            path = tmp_path / "x.ini"
            path.write_text(text)
            message = told(Registry().configure_from_ini, path)
            assert f"line {text.count(chr(10)) + 1}" in message
            assert PASSWORD not in message


class TestOneRegion:
    def test_takes_dogpiles_keys_and_ours(self, tmp_path):
        """Texts are read as their options want, values are taken as they are."""
        region = make_region("prices").configure_from_config(
            {
                "cache.backend": " holdover.file ",
                "cache.expiration_time": "300",
                "cache.arguments.path": str(tmp_path / "x"),
                "cache.arguments.max_bytes": "100000",
                "cache.replace_existing_backend": "false",
                "cache.wrap": None,
                "cache.stale_while_revalidate": timedelta(minutes=1),
                "cache.lease.ttl": "7",
                "cache.runner": "thread, inline",
                "cached.backend": "of another",
                "other": "x",
                5: "x",
            },
            "cache.",
        )
        assert region.lifetime == Lifetime(
            expiration_time=300, stale_while_revalidate=60
        )
        assert region.backend.max_bytes == 100_000
        assert region._rules.lease.ttl == 7
        assert region._rules.runner == ["thread", "inline"]

    def test_takes_the_parts_of_a_mapping(self):
        """Each is read by what it looks like; a password stays what it is."""
        region = make_region("x")
        region.configure_from_config(
            {
                "a.backend": "holdover.redis_sentinel",
                "a.codec": "json",
                "a.arguments.sentinels": "one, two:2",
                "a.arguments.connection_kwargs.health_check_interval": "5",
                "a.arguments.sentinel_kwargs.ssl": "true",
                "a.arguments.sentinel_kwargs.password": "007",
            },
            "a.",
        )
        held = region.backend
        assert held.sentinels == [("one", 26379), ("two", 2)]
        assert held.connection_kwargs["health_check_interval"] == 5
        assert held.sentinel_kwargs == {"ssl": True, "password": "007"}

    def test_takes_a_url(self):
        """As the backend, or under the name "url"."""
        for name in ("backend", "url"):
            region = make_region().configure_from_config(
                {f"a_{name}": "memory://?expiration_time=5"}, "a_"
            )
            assert region.expiration_time == 5

    def test_reads_a_foreign_backend_s_arguments_as_dogpile_does(self):
        """One that does not tell what it wants gets numbers for what looks like one."""
        kept = {}
        region = make_region().configure_from_config(
            {"a.backend": "dogpile.cache.memory", "a.arguments.cache_dict": kept}, "a."
        )
        region.set("k", 1)
        assert kept

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({}, ["'a.backend' is not given"]),
            ({"backend": "holdover.memry"}, ["a.backend", "'holdover.memory'"]),
            ({"url": "holdover.memory"}, ["a.url must be a URL"]),
            ({"url": "memory://", "backend": "memory://"}, ["a.backend", "a.url"]),
            ({"backend": "memory://", "expires": "5"}, ["'a.expires'"]),
            ({"backend": "memory://", "lease.ttl": "-1"}, ["a.lease.ttl: ttl must"]),
            ({"backend": "memory://", "runner": "thred"}, ["a.runner", "'thread'"]),
            ({"backend": "memory://", "wrap": "x"}, ["a.wrap", "in Python"]),
            ({"backend": "memory://", "on_miss": "emtpy"}, ["a.on_miss", "'empty'"]),
            ({"backend": "holdover.memory", "max_entries": "5"},
             ["Did you mean 'a.arguments.max_entries'?"]),
            ({"backend": "holdover.memory", "arguments.max_entries": "x"},
             ["a.arguments.max_entries must be a whole number"]),
            ({"backend": "holdover.redis", "arguments.port.x": "5"},
             ["a.arguments.port.x: there is no argument", "'port.x'"]),
            ({"backend": "holdover.redis", "arguments.connection_kwargs": {"x": 1},
              "arguments.connection_kwargs.y": "2"},
             ["a.arguments.connection_kwargs.y", "as a whole and in parts"]),
            ({"backend": "holdover.memory", "compress.level": "2", "compress": "zlib"},
             ["a.compress.level", "as a whole and in parts"]),
        ],
    )  # fmt: skip
    def test_names_the_key_that_is_wrong(self, options, words):
        """The error has the key as it was written."""
        mapping = {f"a.{name}": value for name, value in options.items()}
        region = make_region("x")
        message = told(region.configure_from_config, mapping, "a.")
        assert all(word in message for word in words), message
        assert not region.is_configured

    def test_wants_the_prefix_with_its_dot(self):
        """A forgotten dot is told of as that."""
        message = told(make_region().configure_from_config, {"a.url": "memory://"}, "a")
        assert "prefix 'a' should be 'a.'" in message

    def test_wants_a_mapping_and_a_prefix(self):
        """What is neither is told by its type."""
        assert "a str and a str" in told(make_region().configure_from_config, "x", "a.")
        assert "NoneType" in told(make_region().configure_from_config, {}, None)

    def test_can_be_told_to_ignore_what_it_does_not_know(self):
        """A preset may do as dogpile.cache does."""

        class Lenient(Region):
            strict_config = False

        region = Lenient().configure_from_config(
            {
                "a.backend": "holdover.memory",
                "a.url": "of another",
                "a.expires": "5",
                "a.codec": "json",
            },
            "a.",
        )
        assert region._rules.codec == "json"

    def test_a_failure_leaves_it_as_it_was(self):
        """A region is configured as a whole or not at all."""
        region = make_region("x")
        with pytest.raises(errors.UnknownName):
            region.configure("holdover.file", codec="jsn", arguments={"path": "/x"})
        with pytest.raises(errors.UnknownName):
            region.configure("holdover.memory", codec="jsn")
        assert not region.is_configured
        region.configure("memory://?expiration_time=5")
        backend = region.backend
        with pytest.raises(errors.UnknownName):
            region.configure("memory://?codec=x", replace_existing_backend=True)
        assert region.backend is backend
        assert region.expiration_time == 5
        assert region.get_or_create("k", lambda: 1) == 1


class TestSeveralRegions:
    def test_share_defaults(self):
        """What a region does not say for itself, the defaults say."""
        made = flat(
            {
                "cache.defaults.backend": "memory://?max_entries=9&expiration_time=60",
                "cache.defaults.lease.ttl": "9",
                "cache.prices.expiration_time": "300",
                "cache.prices.lease.wait": "1",
                "cache.shop.news.keep_for": "none",
                "unrelated": "x",
            }
        )
        assert set(made) == {"prices", "shop.news"}
        assert made["prices"].expiration_time == 300
        assert made["prices"]._rules.lease == LeaseTerms(ttl=9, wait=1)
        assert made["shop.news"].lifetime == Lifetime(expiration_time=60, keep_for=None)
        assert made["shop.news"].backend._max_entries == 9

    def test_share_the_parts_of_a_setting(self):
        """Terms given as a whole can be changed in part, and the other way round."""
        terms = LeaseTerms(ttl=9, wait=1)
        shared = {"backend": "memory://", "lease": terms}
        made = Registry()
        made.configure(
            {
                "defaults": shared,
                "a": {"lease": {"wait": 2}},
                "b": {},
                "c": {"lease": LeaseTerms(wait=3)},
            }
        )
        assert made["a"]._rules.lease == LeaseTerms(ttl=9, wait=2)
        assert made["b"]._rules.lease == terms
        assert made["c"]._rules.lease == LeaseTerms(wait=3)

    def test_share_no_arguments_with_another_backend(self, tmp_path):
        """A region with a backend of its own gets none of the other's arguments."""
        path = str(tmp_path / "x")
        made = Registry()
        made.configure(
            {
                "defaults": {"backend": "holdover.file", "arguments": {"path": path}},
                "a": {"arguments": {"max_bytes": 1000}},
                "b": {"backend": "memory://"},
                "c": {"backend": "holdover.file", "expiration_time": 5},
            }
        )
        assert made["a"].backend._root == made["c"].backend._root == path
        assert made["a"].backend.max_bytes == 1000
        assert isinstance(made["b"].backend, MemoryBackend)

    @pytest.mark.parametrize("prefix", ["cache.", "cache", "", "my_app_"])
    def test_have_any_prefix(self, prefix):
        """A dot behind a word may be left out."""
        dotted = "cache." if prefix == "cache" else prefix
        made = flat({f"{dotted}prices.url": "memory://"}, prefix)
        assert made["prices"].is_configured

    def test_may_have_unusual_names(self):
        """Other alphabets, and names that look like options."""
        made = flat({"cache.цены.url": "memory://", "cache.lease.url": "memory://"})
        assert set(made) == {"цены", "lease"}

    @pytest.mark.parametrize(
        "wrong",
        [
            {"cache.b.expiration_time": "-5"},
            {"cache.b.codec": "jsn"},
            {"cache.b.backend": "file://x"},
            {"cache.b.expires": "5"},
            {"cache.b.wrap": [object()]},
            {"cache.b.backend": "dogpile.cache.nonsense"},
        ],
    )
    def test_are_configured_all_or_none(self, wrong):
        """One mistake, and every region is as it was."""
        made = Registry()
        others = {"cache.a.url": "memory://", "cache.c.url": "memory://"}
        options = {**others, "cache.b.url": "memory://", **wrong}
        if "cache.b.backend" in wrong:
            del options["cache.b.url"]
        with pytest.raises(Exception):  # noqa: B017, PT011 - dogpile.cache's, of a proxy
            made.configure_from_config(options)
        assert not any(made[name].is_configured for name in "abc")

    def test_that_were_configured_before_stay_as_they_were(self):
        """Not one is changed if another must not be."""
        made = flat({"cache.b.url": "memory://?expiration_time=1"})
        backend = made["b"].backend
        with pytest.raises(errors.RegionAlreadyConfigured, match="'b'"):
            made.configure(
                {"a": {"backend": "memory://"}, "b": {"backend": "memory://"}}
            )
        assert not made["a"].is_configured
        assert made["b"].backend is backend
        assert made["b"].expiration_time == 1

    @pytest.mark.parametrize(
        ("mapping", "words"),
        [
            ({}, ["no key names a region"]),
            ({"cache.url": "memory://"}, ["no key names a region"]),
            ({"cache.a.codec": "json"}, ["'a'", "no backend"]),
            ({"cache.a.expiration_tim": "5"}, ["'cache.a.expiration_time'"]),
            ({"cache.nonsense": "5"}, ["'cache.nonsense'"]),
            ({"cache.a.url": "memory://", "beaker.cache.a.url": "memory://"},
             ["twice", "beaker.cache.a.url"]),
            ({"cache.url": "memory://", "cache.defaults.url": "memory://",
              "cache.a.codec": "json"}, ["twice", "cache.defaults.url"]),
            ({"cache.a.url": "memory://?codec=json", "cache.a.codec": "json"},
             ["codec is given twice", "cache.a.url", "cache.a.codec"]),
            ({"cache.a.url": "memory://?codec=jn"}, ["codec in cache.a.url", "'json'"]),
            ({"cache.a.url": "reddis://"}, ["cache.a.url", "'redis'"]),
        ],
    )  # fmt: skip
    def test_names_the_key_that_is_wrong(self, mapping, words):
        """The error has the key as it was written."""
        message = told(flat, mapping)
        assert all(word in message for word in words), message

    def test_a_missing_library_names_region_and_key(self, monkeypatch):
        """An error that keeps its message elsewhere is told all the same."""
        gone = plugins.Plugin("nowhere_to_be_found:Backend", "redis")
        monkeypatch.setitem(plugins.BACKENDS, "holdover.redis", gone)
        with pytest.raises(errors.MissingDependency) as caught:
            flat({"cache.a.backend": "holdover.redis"})
        assert "region 'a': cache.a.backend" in str(caught.value)
        assert "holdover[redis]" in str(caught.value)


class TestBeaker:
    def test_regions_fall_back_to_what_is_for_all(self, tmp_path):
        """Names, types and spans are Beaker's; our own options stand beside them."""
        path = str(tmp_path / "x")
        made = flat(
            {
                "beaker.cache.regions": "short, long, odd",
                "beaker.cache.type": "file",
                "beaker.cache.data_dir": path,
                "beaker.cache.expire": "3600",
                "cache.short.expire": "60",
                "cache.short.type": "memory",
                "cache.long.stale_while_revalidate": "600",
                "cache.odd.backend": "memory://",
            }
        )
        assert made["short"].expiration_time == 60
        assert isinstance(made["short"].backend, MemoryBackend)
        assert made["long"].lifetime == Lifetime(
            expiration_time=3600, stale_while_revalidate=600
        )
        assert made["long"].backend._root == path
        assert isinstance(made["odd"].backend, MemoryBackend)

    def test_types_are_our_backends(self, remote, tmp_path):
        """Each of Beaker's own types has its counterpart."""
        hosts = {"type": "ext:memcached", "url": "one:11211;two"}
        database = {"type": "ext:database", "url": "sqlite:///x"}
        in_table = {"url": "sqlite:///x", "create_table": True}
        for options, arguments in (
            (hosts, {"url": ["one:11211", "two"]}),
            ({"type": "ext:redis", "url": SERVER}, {"url": SERVER}),
            ({"type": "ext:redis", "url": "host:1"}, {"url": "redis://host:1"}),
            (database, in_table),
            ({"type": "ext:database", "sa.url": "sqlite:///x"}, in_table),
            (
                {**database, "arguments.create_table": "no"},
                {"url": "sqlite:///x", "create_table": False},
            ),
            (
                {**database, "schema_name": "shop"},
                {**in_table, "table": "shop.holdover_cache"},
            ),
            (
                {**database, "schema_name": "shop", "arguments.table": "mine"},
                {**in_table, "table": "mine"},
            ),
            (
                {**hosts, "memcache_module": "pylibmc"},
                {"url": ["one:11211", "two"], "client": "pylibmc"},
            ),
            ({**hosts, "memcache_module": "auto"}, {"url": ["one:11211", "two"]}),
        ):
            made = flat({"cache.regions": "a"} | {
                f"cache.{name}": value for name, value in options.items()
            })  # fmt: skip
            assert made["a"].backend.arguments == arguments
        files = {"cache.type": "dbm", "cache.data_dir": str(tmp_path / "y")}
        assert flat({"cache.regions": "a", **files})["a"].is_configured

    @pytest.mark.parametrize(
        "options",
        [
            {"url": "sqlite:///x", "sa.pool_recycle": "77", "sa.echo": "false"},
            {"sa.url": "sqlite:///x", "sa_opts": {"sa.pool_recycle": 77}},
            {"sa_opts": {"sa.url": "sqlite:///x", "sa.pool_recycle": 77}},
        ],
    )
    def test_what_the_engine_is_told(self, options, tmp_path, monkeypatch):
        """As texts, or in a mapping; the engine is made as Beaker makes it."""
        monkeypatch.chdir(tmp_path)
        given = {"cache.regions": "a", "cache.type": "ext:database"} | {
            f"cache.{name}": value for name, value in options.items()
        }
        engine = read_flat(given, "cache.").regions["a"]["arguments.engine"].value
        assert engine.pool._recycle == 77
        engine.dispose()
        region = flat(given)["a"]
        region.set("k", 1)
        assert region.get("k") == 1

    @pytest.mark.parametrize(
        ("options", "expected"),
        [({"timeout": "9"}, 9), ({"timeout": "9", "expire": "5"}, 5)],
    )
    def test_timeout_is_for_who_has_no_expire(self, options, expected):
        """Beaker gives it to the server, for values without a lifetime."""
        made = flat({"cache.regions": "a"} | {
            f"cache.{name}": value for name, value in options.items()
        })  # fmt: skip
        assert made["a"].expiration_time == expected

    def test_memory_is_the_default(self):
        """As it is with Beaker, which also ignores where files would be."""
        made = flat({"cache.regions": ["a"], "cache.data_dir": "/x", "cache.expire": 9})
        assert isinstance(made["a"].backend, MemoryBackend)
        assert made["a"].expiration_time == 9

    def test_what_is_always_so_is_read_over(self, tmp_path):
        """Options that have nothing to do here do no harm."""
        idle = dict.fromkeys(WITHOUT_EFFECT, "x")
        files = {"type": "file", "data_dir": "/nowhere", "file_dir": str(tmp_path)}
        made = flat({"cache.regions": "a"} | {
            f"cache.{where}{name}": value
            for where in ("", "a.") for name, value in (idle | files).items()
        })  # fmt: skip
        assert made["a"].backend._root == str(tmp_path)

    @pytest.mark.parametrize("off", ["false", False, "off"])
    def test_can_be_switched_off(self, off):
        """A region that is not enabled keeps nothing."""
        made = flat({"cache.regions": "a, b", "cache.enabled": off, "cache.expire": "9",
                     "cache.type": "memory", "cache.b.enabled": "true"})  # fmt: skip
        made["a"].set("k", 1, tags=["t"])
        assert not made["a"].get("k")
        made["b"].set("k", 1)
        assert made["b"].get("k") == 1

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            (
                {"type": "ext:memcached", "url": "x", "memcache_module": "bmemcached"},
                ["cache.memcache_module", "'bmemcached'", "SASL"],
            ),
            ({"type": "ext:google"}, ["'ext:google'", "App Engine"]),
            ({"type": "ext:sqla"}, ["'cache.bind' is not given"]),
            ({"type": "ext:database", "sa.echo": "on"}, ["'cache.url' is not given"]),
            (
                {"type": "ext:database", "url": "sqlite://", "sa.pol_size": "9"},
                ["cache.url, cache.sa.pol_size: SQLAlchemy refuses", "pol_size"],
            ),
            (
                {"type": "ext:database", "url": "sqlite://", "sa_opts": "echo"},
                ["cache.sa_opts must be a mapping", "'echo'"],
            ),
            ({"type": "ext:mongodb"}, ["cache.type", "'ext:mongodb'", "ext:redis"]),
            ({"type": "file"}, ["'cache.data_dir' is not given"]),
            ({"type": "ext:memcached", "url": ";"}, ["must name hosts"]),
            ({"expire": "soon"}, ["cache.expire", "'soon'"]),
            ({"expire": "-1"}, ["cache.expire: expiration_time must"]),
            ({"expire": "1", "expiration_time": "1"}, ["twice", "cache.expire"]),
            ({"enabled": "perhaps"}, ["cache.enabled must be true or false"]),
            ({"b.expire": "1"}, ["'cache.b.expire'"]),
            ({"expires": "1"}, ["Did you mean 'cache.expire'?"]),
            ({"regions": ""}, ["'cache.regions' must name"]),
        ],
    )
    def test_what_has_no_counterpart_is_told(self, options, words):
        """The error names the option, and says what to do without it."""
        mapping = {"cache.regions": "a", "cache.expire": "60"}
        mapping |= {f"cache.{name}": value for name, value in options.items()}
        message = told(flat, mapping)
        assert all(word in message for word in words), message


class TestIniFiles:
    def read(self, tmp_path, text, *where, **more):
        """Configure a registry from a file with *text*."""
        path = tmp_path / "shop.ini"
        path.write_text(text, encoding="utf-8")
        made = Registry()
        made.configure_from_ini(path, *where, **more)
        return made

    def test_have_a_section_of_ours(self, tmp_path):
        """In which keys need no prefix; names keep their capitals, % is a %."""
        made = self.read(
            tmp_path,
            "\ufeff[DEFAULT]\ndebug = true\n\n[holdover]\n"
            "defaults.url = memory://?codec=js%6Fn\n"
            "Prices.expiration_time: 300\n"
            "# a comment\n"
            "news.runner =\n    thread\n    inline\n",
        )
        assert set(made) == {"Prices", "news"}
        assert made["Prices"].expiration_time == 300
        assert made["news"]._rules.codec == "json"
        assert made["news"]._rules.runner == ["thread", "inline"]

    def test_route_orders(self, tmp_path):
        """The parts of task_options are the queue's own, and read by their looks."""
        made = self.read(
            tmp_path,
            "[holdover]\nprices.url = memory://?task_options.queue=slow\n"
            "prices.task_options.priority = 9\n",
        )
        assert made["prices"]._rules.task_options == {"queue": "slow", "priority": 9}
        made = env(
            HOLDOVER_PRICES_URL="memory://", HOLDOVER_PRICES_TASK_OPTIONS__QUEUE="slow"
        )
        assert made["prices"]._rules.task_options == {"queue": "slow"}

    def test_of_paste_hold_other_things_as_well(self, tmp_path):
        """What does not begin with the prefix is left alone."""
        text = (
            "[DEFAULT]\nbeaker.cache.type = memory\n[app:main]\nuse = egg:shop\n"
            "set debug = %(here)s\ncache.regions = short\ncache.short.expire = 60\n"
        )
        made = self.read(tmp_path, text, "app:main")
        assert made["short"].expiration_time == 60
        text = "[app:main]\nuse = egg:shop\nshop.a.url = memory://\n"
        assert set(self.read(tmp_path, text, "app:main", prefix="shop.")) == {"a"}

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("[holdovr]\n", ["no section 'holdover'", "'holdovr'"]),
            ("a.url = memory://\n", ["line 1", "before the first section"]),
            ("[holdover]\na.codec = json\na.codec = json\n", ["line 3", "given twice"]),
            ("[holdover]\n[holdover]\n", ["line 2", "already"]),
            ("[holdover]\nrubbish\n", ["line 2", "key = value"]),
            ("[holdover]\n", ["[holdover]", "no key names a region"]),
            ("[holdover]\ncache.a.url = memory://\n", ["needs no 'cache.'"]),
            ("[holdover]\na.url = memory://\na.lease.tll = 5\n", ["'a.lease.ttl'"]),
        ],
    )
    def test_that_are_wrong_are_told(self, tmp_path, text, words):
        """The error names the file, and the line or the key."""
        message = told(self.read, tmp_path, text)
        assert "shop.ini" in message
        assert all(word.strip("'") in message for word in words), message

    def test_that_cannot_be_read(self, tmp_path):
        """A file that is missing or no text is told by its name."""
        assert "gone.ini" in told(Registry().configure_from_ini, tmp_path / "gone.ini")
        (tmp_path / "x.ini").write_bytes(b"[holdover]\na.codec = \xff\n")
        message = told(Registry().configure_from_ini, tmp_path / "x.ini")
        assert "cannot be read" in message


class TestEnvironment:
    def test_names_regions_and_options(self):
        """The longest option at the end counts; what is before it is the name."""
        made = env(
            HOLDOVER_DEFAULTS_URL="memory://?expiration_time=60",
            HOLDOVER_PRICES_EXPIRATION_TIME="300",
            HOLDOVER_PRICES_LEASE__TTL="9",
            holdover_shop_news_stale_while_revalidate="10",
            HOLDOVER_BIG_BACKEND="holdover.memory",
            HOLDOVER_BIG_ARGUMENTS__MAX_ENTRIES="9",
            PATH="/bin",
        )
        assert set(made) == {"prices", "shop_news", "big"}
        assert made["prices"].expiration_time == 300
        assert made["prices"]._rules.lease.ttl == 9
        assert made["shop_news"].lifetime == Lifetime(
            expiration_time=60, stale_while_revalidate=10
        )
        assert made["big"].backend._max_entries == 9

    def test_finds_the_regions_that_there_are(self):
        """Of a name with other signs, each is written as an underscore."""
        made = Registry()
        region = made.region("Shop.product-prices")
        made.configure_from_env({"HOLDOVER_SHOP_PRODUCT_PRICES_URL": "memory://"})
        assert region.is_configured
        assert len(made) == 1

    def test_is_that_of_the_process(self, monkeypatch):
        """Unless another is given, or another prefix."""
        monkeypatch.setenv("SHOP_CACHE_PRICES_URL", "memory://")
        made = Registry()
        made.configure_from_env(prefix="SHOP_CACHE_")
        assert made["prices"].is_configured

    @pytest.mark.parametrize(
        ("name", "value", "words"),
        [
            ("PRICES_EXPIRATION_TIM", "5", ["HOLDOVER_PRICES_EXPIRATION_TIME?"]),
            ("PRICES_LEASE_TTL", "5", ["HOLDOVER_PRICES_LEASE__TTL?"]),
            ("URL", "memory://", ["HOLDOVER_DEFAULTS_URL?"]),
            ("PRICES_LEASE__TTL", "5s", ["HOLDOVER_PRICES_LEASE__TTL must", "'5s'"]),
            ("PRICES_LEASE__TTL", "0", ["HOLDOVER_PRICES_LEASE__TTL: ttl"]),
            ("PRICES_EXPIRATION_TIME", "", ["HOLDOVER_PRICES_EXPIRATION_TIME", "''"]),
            ("PRICES_ARGUMENTS__SIZE", "5", ["HOLDOVER_PRICES_ARGUMENTS__SIZE"]),
            ("prices_url", "memory://", ["twice"]),
            ("PRICES_BACKEND", "holdover.memory", ["twice"]),
            ("PRICES_WRAP", "x", ["ends with no option"]),
        ],
    )
    def test_names_the_variable_that_is_wrong(self, name, value, words):
        """The error has it as it was written, and the nearest right one."""
        variables = {"HOLDOVER_PRICES_URL": "memory://", f"HOLDOVER_{name}": value}
        message = told(env, **variables)
        assert all(word in message for word in words), message

    def test_that_says_nothing_is_an_error(self):
        """Whoever asks for configuration is told that there is none."""
        assert "HOLDOVER_PRICES_URL" in told(env, PATH="/bin")

    def test_that_may_mean_two_regions_is_an_error(self):
        """Nothing is guessed."""
        made = Registry()
        made.region("a-b"), made.region("a.b")
        message = told(made.configure_from_env, {"HOLDOVER_A_B_URL": "memory://"})
        assert "'a-b' and 'a.b'" in message
