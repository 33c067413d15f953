"""What the tests of the Django cache share."""

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor

import pymysql
import pytest
import sqlalchemy
from django.db import connections
from memcached_aging import AgingServers
from sql_clock import AgingDatabase

from holdover import Region, registry
from holdover.contrib_django import RegionCache
from holdover.contrib_django.caches import kept
from holdover.regions.backends.sql_drivers import parsed
from holdover.testing import FakeClock

THREADS = 12
PATIENCE = 20.0  # seconds that one of many waits for the others, on a busy machine
KINDS = (
    "memory",
    "file",
    "sqlite",
    "postgresql",
    "mariadb",
    "memcached",
    "redis",
    "django-db",
    "region",
)
ALONE = ("memory", "region")  # in one process

pymysql.install_as_MySQLdb()  # as Django's users of PyMySQL do
_names = itertools.count()


def unused_name():
    """A name for a store or a region that no other test knows: they live for ever."""
    return f"test-{next(_names)}"


def in_threads(run, *, count=THREADS):
    """Give what *run(number)* returns in *count* threads that start together."""
    barrier = threading.Barrier(count)

    def together(number):
        barrier.wait(20)
        return run(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(together, range(count)))


def django_database(server):
    """Describe a server's database as DATABASES does."""
    url = parsed(server.url)
    kind = "postgresql" if url.get_backend_name() == "postgresql" else "mysql"
    return {
        "ENGINE": f"django.db.backends.{kind}",
        "NAME": url.database,
        "HOST": url.host,
        "PORT": url.port,
        "USER": url.username,
    }


def add_database(monkeypatch, settings):
    """Have DATABASES know one more, until the end of a test; give its alias."""
    alias = unused_name()
    known = connections.configure_settings({"default": {}, alias: settings})
    monkeypatch.setitem(connections.settings, alias, known[alias])
    return alias


class CacheTests:
    """Tests that have a cache, on each kind of store in turn and on a clock of theirs.

    Attributes:
        kinds: The kinds of stores.
    """

    kinds = KINDS

    def pytest_generate_tests(self, metafunc):
        """See `kinds`."""
        if "kind" in metafunc.fixturenames:
            metafunc.parametrize("kind", metafunc.cls.kinds)

    @pytest.fixture
    def store(self, kind, request, tmp_path, monkeypatch):
        """A LOCATION of its own, a clock that moves its store's, and OPTIONS."""
        return getattr(self, f"_{kind.replace('-', '_')}")(
            request.getfixturevalue, tmp_path, monkeypatch
        )

    @pytest.fixture
    def location(self, store):
        """A LOCATION of its own."""
        return store[0]

    @pytest.fixture
    def clock(self, store):
        """A clock that the test moves, and with it what a server keeps."""
        return store[1]

    @pytest.fixture
    def new_cache(self, store):
        """Make a cache; always at the same location."""
        location, _, known = store

        def make(options=None, **params):
            options = {**known, **(options or {})}
            return RegionCache(location, {"OPTIONS": options, **params})

        return make

    @pytest.fixture
    def cache(self, new_cache):
        """One cache with Django's default settings."""
        return new_cache()

    # -- stores ----------------------------------------------------------------

    @staticmethod
    def _memory(_ask, _folder, _monkeypatch):
        return _clocked(f"memory://{unused_name()}", FakeClock())

    @staticmethod
    def _file(_ask, folder, _monkeypatch):
        location, clock, known = _clocked(str(folder / "cache"), FakeClock())
        return location, clock, {**known, "lock_timeout": PATIENCE}

    @staticmethod
    def _region(_ask, _folder, monkeypatch):
        region = Region(unused_name(), time_source=(clock := FakeClock()))
        monkeypatch.setitem(registry._regions, region.name, region)
        arguments = {"time_source": clock}
        region.configure("holdover.memory", arguments=arguments, codec="pickle")
        return f"region://{region.name}", clock, {}

    @staticmethod
    def _sqlite(_ask, folder, _monkeypatch):
        return _in_table(f"sqlite:///{folder}/cache.db")

    @staticmethod
    def _postgresql(ask, _folder, monkeypatch):
        _forget_tables(monkeypatch)
        return _in_table(ask("emptied_postgres").url)

    @staticmethod
    def _mariadb(ask, _folder, monkeypatch):
        _forget_tables(monkeypatch)
        return _in_table(ask("emptied_mariadb").url)

    @staticmethod
    def _django_db(ask, _folder, monkeypatch):
        server = ask("emptied_postgres")
        alias = add_database(monkeypatch, django_database(server))
        return f"django-db://{alias}", *_in_table(server.url)[1:]

    @staticmethod
    def _redis(ask, _folder, _monkeypatch):
        return _clocked(ask("redis_server").url, ask("aging_server"))

    @staticmethod
    def _memcached(ask, _folder, monkeypatch):
        # Its backend goes by the test's clock, so that each test needs one of its own.
        monkeypatch.setattr(kept, "_backends", {})
        servers = ask("memcached_servers")
        return _clocked([server.url for server in servers], AgingServers(servers))


def _clocked(location, clock):
    return location, clock, {"time_source": clock}


def _forget_tables(monkeypatch):
    # Another test may have dropped the table that a backend has once seen.
    monkeypatch.setattr(kept, "_backends", {})


def _in_table(url):
    engine = sqlalchemy.create_engine(parsed(url), poolclass=sqlalchemy.NullPool)
    clock = AgingDatabase(engine)
    patience = {"operation_timeout": PATIENCE, "connect_timeout": PATIENCE}
    return url, clock, {"time_source": clock, "create_table": True, **patience}
