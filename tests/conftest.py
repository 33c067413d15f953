"""Fixtures that many tests share."""

import contextlib
import itertools
import os
import resource
import signal
import time

import pytest
import redis
import sqlalchemy
from django.conf import settings as django_settings
from django_project import settings as django_project
from http_site import Site
from leftovers import end_leftovers
from memcached_aging import AgingServers
from redis_clock import AgingServer
from redis_clusters import Cluster
from redis_family import Certificate, TLSMemcachedServer, TLSServer, ValkeyServer
from redis_sentinels import SentinelGroup
from servers import MemcachedServer, RedisServer
from sql_clock import AgingDatabase
from sql_servers import MariaServer, PostgresServer

from holdover import make_region
from holdover.regions.backends import (
    memcached_options,
    redis_options,
    sql,
    sql_options,
)
from holdover.testing import FakeClock

# Seconds that a server may take to answer on a busy machine, which may stall for longer
# than the quarter of one that an application is kept waiting for.
PATIENCE = 5.0
_numbers = itertools.count()
# memcached without its maintainer, which holds on to what was just read, so that a
# listing for AgingServers passes over it.
_AGING = ("-I", "8m", "-m", "256", "-o", "no_lru_maintainer,lru_crawler")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # As for whatever a shell starts in the background; what tests start would ignore
    # Ctrl-C, too.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure():
    """Give Django its settings, and not by the environment, where Celery looks too."""
    django_settings.configure(
        **{
            name: value
            for name, value in vars(django_project).items()
            if name.isupper()
        }
    )


@pytest.fixture(autouse=True)
def _nothing_left_at_work():
    """Have the next test meet nothing that this one began."""
    yield
    end_leftovers()


@pytest.fixture
def default_timeouts():
    """Have backends wait for servers as they do by default: tests of these bounds."""


@pytest.fixture(autouse=True)
def _patient(request):
    """Have them wait for longer in all other tests, unless these say how long."""
    if "default_timeouts" in request.fixturenames:
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        for options in (memcached_options, redis_options, sql_options, sql):
            patch.setattr(options, "DEFAULT_TIMEOUT", PATIENCE)
        for options in (sql_options, sql):
            patch.setattr(options, "DEFAULT_CONNECT_TIMEOUT", PATIENCE)
        yield


@pytest.fixture
def clock(request):
    """A clock that the test moves, and with it what a server keeps."""
    if "backend_name" not in request.fixturenames:
        return FakeClock()
    match request.getfixturevalue("backend_name"):
        case "holdover.redis":
            return request.getfixturevalue("aging_server")
        case "holdover.memcached":
            return AgingServers(request.getfixturevalue("memcached_servers"))
        case "holdover.sql":
            return request.getfixturevalue("aging_database")
    return FakeClock()


@pytest.fixture
def many_open_files():
    """More open files than select() knows, so that whatever is opened next is above."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(limits[0], 2048), limits[1]))
    held = [os.open(os.devnull, os.O_RDONLY) for _ in range(1024)]
    yield
    for one in held:
        os.close(one)
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@pytest.fixture
def aging_database(tmp_path):
    """A clock that the test moves, and with it what a SQLite database keeps."""
    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path}/cache.db")
    yield AgingDatabase(engine)
    engine.dispose()


@pytest.fixture
def aging_server(redis_server):
    """A clock that the test moves, and with it what the shared Redis keeps."""
    with redis.Redis.from_url(redis_server.url) as client:
        yield AgingServer(client)


@pytest.fixture(params=["memory", "file", "dbm", "redis", "memcached", "sql"])
def backend_name(request):
    """The name of each backend in turn."""
    return f"holdover.{request.param}"


@pytest.fixture
def arguments(request, backend_name, tmp_path, clock):
    """Arguments for that backend, on the fake clock; servers have one of their own."""
    if backend_name == "holdover.redis":
        url = request.getfixturevalue("redis_server").url
        return {"url": url, "socket_timeout": 5.0, "socket_connect_timeout": 5.0}
    if backend_name == "holdover.sql":
        return {"url": f"sqlite:///{tmp_path}/cache.db", "operation_timeout": 20.0}
    given = {"time_source": clock}
    if backend_name == "holdover.memcached":
        servers = request.getfixturevalue("memcached_servers")
        given |= {"url": [server.url for server in servers], "socket_timeout": 5.0}
    if backend_name == "holdover.file":
        given |= {"path": tmp_path / "cache", "lock_timeout": 20.0}
    if backend_name == "holdover.dbm":
        given |= {"filename": tmp_path / "cache" / "dbm", "lock_timeout": 20.0}
    return given


@pytest.fixture
def new_region(backend_name, arguments, clock):
    """Make a region on each backend in turn, on the fake clock."""

    def make(expiration_time=10.0, *, name="region", made_with=None, **settings):
        region = make_region(name, time_source=clock, **(made_with or {}))
        if backend_name in ("holdover.redis", "holdover.memcached"):
            settings = {"unsigned_pickle": True, **settings}
        return region.configure(backend_name, expiration_time, arguments, **settings)

    return make


@pytest.fixture
def counter():
    """A creator that returns 1, 2, 3 and so on."""
    numbers = itertools.count(1)
    return lambda *args, **kwargs: next(numbers)


@pytest.fixture
def heard():
    """Collect a region's events: ``heard(region)`` gives the growing list."""

    def listen(region):
        events = []
        region.listen(events.append)
        return events

    return listen


@pytest.fixture(scope="session")
def shared_redis(tmp_path_factory):
    """Start the Redis server that tests share which do it no harm."""
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis_server(shared_redis):
    """Give the shared Redis server, emptied."""
    shared_redis.ask("FLUSHALL")
    return shared_redis


@pytest.fixture
def own_redis(tmp_path):
    """Start a Redis server that the test may kill, freeze and fill."""
    with RedisServer(tmp_path) as server:
        yield server


@pytest.fixture(scope="session")
def shared_valkey(tmp_path_factory):
    """Start the Valkey server that tests share which do it no harm."""
    with ValkeyServer(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture
def valkey_server(shared_valkey):
    """Give the shared Valkey server, emptied."""
    shared_valkey.ask("FLUSHALL")
    return shared_valkey


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """Make the certificate of a server on this host."""
    return Certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="session")
def shared_tls(tmp_path_factory, certificate):
    """Start the Redis server behind TLS that tests share."""
    with TLSServer(tmp_path_factory.mktemp("tls"), certificate) as server:
        yield server


@pytest.fixture
def tls_server(shared_tls):
    """Give the shared Redis server behind TLS, emptied."""
    shared_tls.ask("FLUSHALL")
    return shared_tls


@pytest.fixture(scope="session")
def shared_sentinels(tmp_path_factory):
    """Start the master with a sentinel that tests share which do them no harm."""
    folder = tmp_path_factory.mktemp("sentinels")
    # On a busy machine half a second without an answer is nothing.
    with SentinelGroup(folder, replicas=1, sentinels=1, patience=60.0) as group:
        yield group


@pytest.fixture
def sentinels(shared_sentinels):
    """Give the shared master with its sentinel, emptied."""
    shared_sentinels.master.ask("FLUSHALL")
    return shared_sentinels


@pytest.fixture(scope="session")
def shared_cluster(tmp_path_factory):
    """Start the cluster that tests share which do it no harm."""
    with Cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        for node in cluster.nodes:
            # Who is not heard for so long is dead: more than a busy machine stalls for.
            assert node.ask("CONFIG", "SET", "cluster-node-timeout", "15000") == "+OK"
        yield cluster


@pytest.fixture
def cluster(shared_cluster):
    """Give the shared cluster of three primaries, emptied."""
    shared_cluster.empty()
    return shared_cluster


@pytest.fixture(scope="session")
def shared_memcached():
    """Start the memcached servers that tests share which do them no harm."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(MemcachedServer(*_AGING)) for _ in range(3)]


@pytest.fixture
def memcached_servers(shared_memcached):
    """Give three shared memcached servers, which take 8 MiB, emptied."""
    for server in shared_memcached:
        server.ask("flush_all")
    return shared_memcached


@pytest.fixture
def memcached_server(memcached_servers):
    """Give a shared memcached server, emptied."""
    return memcached_servers[0]


@pytest.fixture(scope="session")
def shared_tls_memcached(certificate):
    """Start the memcached server behind TLS that tests share."""
    with TLSMemcachedServer(certificate, *_AGING) as server:
        yield server


@pytest.fixture
def tls_memcached(shared_tls_memcached):
    """Give the shared memcached server behind TLS, emptied."""
    shared_tls_memcached.ask("flush_all")
    return shared_tls_memcached


@pytest.fixture
def own_memcached():
    """Start a memcached server that the test may kill, freeze and fill."""
    with MemcachedServer() as server:
        yield server


@pytest.fixture(scope="session")
def shared_postgres():
    """Start the PostgreSQL server that tests share which do it no harm."""
    with PostgresServer() as server:
        yield server


@pytest.fixture
def postgres(shared_postgres):
    """Give the shared PostgreSQL server, without a table of ours."""
    shared_postgres.run("DROP TABLE IF EXISTS holdover_cache")
    yield shared_postgres
    # Another may not be made as we make it, which is no ground for the next test.
    shared_postgres.run("DROP TABLE IF EXISTS holdover_cache")


@pytest.fixture
def emptied_postgres(shared_postgres):
    """Give the shared PostgreSQL server, its table as the last test left it, empty."""
    shared_postgres.empty()
    return shared_postgres


@pytest.fixture(scope="session")
def shared_mariadb():
    """Start the MariaDB server that tests share which do it no harm."""
    with MariaServer() as server:
        yield server


@pytest.fixture
def mariadb(shared_mariadb):
    """Give the shared MariaDB server, without a table of ours."""
    shared_mariadb.run("DROP TABLE IF EXISTS holdover_cache")
    yield shared_mariadb
    # Another may not be made as we make it, which is no ground for the next test.
    shared_mariadb.run("DROP TABLE IF EXISTS holdover_cache")


@pytest.fixture
def emptied_mariadb(shared_mariadb):
    """Give the shared MariaDB server, its table as the last test left it, empty."""
    shared_mariadb.empty()
    return shared_mariadb


@pytest.fixture(params=["memory", "file", "redis"])
def pages_url(request, tmp_path):
    """Where pages are kept: on each kind of backend in turn."""
    if request.param == "redis":
        return request.getfixturevalue("redis_server").url
    return "memory://" if request.param == "memory" else f"file://{tmp_path}/pages"


@pytest.fixture
def clocked(monkeypatch):
    """Make sites behind the HTTP response cache, which go by their own clocks."""

    def make(policy=None):
        site = Site(policy)
        monkeypatch.setattr(time, "time", site.clock.wall)
        return site

    return make


@pytest.fixture
def site(clocked):
    """A site with the policy of somebody who says nothing."""
    return clocked()
