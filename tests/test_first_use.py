"""What people write who use Holdover for the first time, and what they are told."""

import threading
import warnings
from functools import partial

import pytest
from django.core.exceptions import ImproperlyConfigured
from servers import free_port
from waiting import at_once

import holdover
from holdover import CeleryRunner, Registry, errors, make_region
from holdover.contrib_django import RegionCache


def configured(tmp_path, *lines):
    """Configure a region on Redis from an ini file; nothing connects yet."""
    path = tmp_path / "shop.ini"
    options = ("backend = holdover.redis", "codec = json", *lines)
    path.write_text("\n".join(["[holdover]", *(f"shop.{one}" for one in options)]))
    caches = Registry()
    caches.configure_from_ini(path)
    return caches.region("shop")


def told(function, *args, **kwargs):
    """Give what is said of a mistake."""
    with pytest.raises(errors.ConfigurationError) as caught:
        function(*args, **kwargs)
    return str(caught.value)


class TestRedisInAFile:
    @pytest.mark.parametrize("no", ["no", "off", "false", "0", "No"])
    def test_no_is_no(self, tmp_path, redis_server, no):
        """What is switched off in a file is off, however that is written."""
        port = redis_server.url.rpartition(":")[2].partition("/")[0]
        region = configured(tmp_path, f"arguments.port = {port}", f"arguments.ssl={no}")
        region.set("key", 5, strict=True)
        assert region.get("key") == 5

    @pytest.mark.parametrize(
        ("name", "wanted"),
        [
            ("ssl", "true or false"),
            ("socket_keepalive", "true or false"),
            ("port", "a whole number"),
            ("db", "a whole number"),
            ("socket_timeout", "a number"),
            ("lock_timeout", "a number"),
            ("url", "begin with redis://"),
            ("connection_kwargs", "cannot be written as text"),
        ],
    )
    def test_a_wrong_value_is_told_with_its_key(self, tmp_path, name, wanted):
        """The error names the key, and what was wanted."""
        message = told(configured, tmp_path, f"arguments.{name} = maybe")
        assert f"shop.arguments.{name}" in message
        assert wanted in message

    def test_an_empty_codec_is_told(self, tmp_path):
        """An option without a value is a mistake, and not the default."""
        path = tmp_path / "shop.ini"
        path.write_text("[holdover]\nshop.url = memory://\nshop.codec =\n")
        assert "shop.codec" in told(Registry().configure_from_ini, path)


class TestMisplacedArguments:
    @pytest.mark.parametrize(
        "name", ["redis", "memcached", "sql", "redis_cluster", "valkey"]
    )
    def test_an_argument_beside_the_others(self, name):
        """Who writes url= learns where it belongs."""
        message = told(make_region().configure, f"holdover.{name}", 5, url="x")
        assert "Did you mean 'arguments.url'?" in message

    def test_a_url_in_the_second_place(self):
        """It is taken for the expiration time, and its password is not shown."""
        url = "redis://me:hunter2@host/0"
        message = told(make_region().configure, "holdover.redis", url)
        assert "expiration_time must be seconds, got 'redis://***@host/0'" in message
        assert "hunter2" not in message


class TestRedisInPython:
    @pytest.mark.parametrize("name", ["port", "db"])
    def test_numbers_are_numbers(self, name):
        """Where redis-py would fail at the first command, or take another one."""
        message = told(make_region().configure, "holdover.redis", 5, {name: "maybe"})
        assert f"{name} must be a whole number, got 'maybe'" in message

    def test_more_options_are_a_mapping(self):
        """What is no mapping is told in the user's words."""
        wrong = {"connection_kwargs": "ssl"}
        message = told(make_region().configure, "holdover.redis", 5, wrong)
        assert "connection_kwargs must be a mapping, got str" in message

    @pytest.mark.parametrize("path", ["shop", "0x", "1/a"])
    def test_a_url_ends_with_a_number(self, path):
        """A database's name would be taken for number 0, and its data for ours."""
        url = f"redis://me:hunter2@localhost/{path}"
        message = told(make_region().configure, url)
        assert "a database's number" in message
        assert "hunter2" not in message

    def test_a_failure_says_whose_and_why(self):
        """Once a backend is left alone, a strict call still tells what had happened."""
        region = make_region("shop").configure(
            f"redis://127.0.0.1:{free_port()}", codec="json"
        )
        for _ in range(20):
            region.get("key")
        with pytest.raises(errors.BackendError, match=r"'shop'.*refused"):
            region.get("key", strict=True)

    def test_the_warning_of_pickles_names_the_line(self):
        """Whoever is warned sees which of his own lines configures the region."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            make_region("shop").configure("redis://localhost")
            Registry().configure({"shop": {"backend": "redis://localhost"}})
        assert [__file__, __file__] == [one.filename for one in caught]


@pytest.mark.parametrize("name", ["memory", "file", "redis"])
def test_a_backend_s_surname_is_enough_to_guess(name):
    """Who leaves the first half out is told it."""
    message = told(make_region().configure, name)
    assert f"Did you mean 'holdover.{name}'?" in message


def test_a_broker_s_url_is_no_app():
    """CeleryRunner wants the application, and says so."""
    message = told(CeleryRunner, "redis://me:hunter2@localhost")
    assert "needs your Celery app, got str" in message
    assert "hunter2" not in message


def test_rules_belong_in_configure():
    """What make_region() does not take is told with where it is taken."""
    with pytest.raises(errors.InvalidArgument, match=r"given to configure\(\)"):
        make_region("shop", expiration_time=5)
    with pytest.raises(errors.InvalidArgument, match="'key_mangler'"):
        make_region("shop", key_manglr=str)


def test_django_s_location_is_in_no_error():
    """It may hold a password."""
    with pytest.raises(ImproperlyConfigured, match="'socket_timout'") as caught:
        RegionCache("redis://me:hunter2@localhost/0", {"OPTIONS": {"SOCKET_TIMOUT": 1}})
    assert "hunter2" not in str(caught.value)


def test_names_are_loaded_one_at_a_time(monkeypatch):
    """Threads that are the first to use some do not fail each other's imports."""
    inside, most = set(), []
    names = ["make_region", "Lifetime", "Cached", "NO_VALUE"]
    together = threading.Barrier(len(names), timeout=30)

    def load(module):
        inside.add(module)
        threading.Event().wait(0.02)
        most.append(len(inside))
        inside.remove(module)
        return __import__(module, fromlist=["any"])

    def use(name):
        together.wait()
        getattr(holdover, name)

    monkeypatch.setattr(holdover, "import_module", load)
    at_once(*(partial(use, name) for name in names))
    assert [1] * len(names) == most
