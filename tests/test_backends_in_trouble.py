"""What each backend does while its store is lost, away, hung, full or read-only."""

import tempfile
from pathlib import Path

import pytest
import sqlalchemy
from memcached_aging import AgingServers
from redis_clock import AgingServer
from redis_clusters import Cluster
from redis_family import ValkeyServer
from redis_sentinels import SentinelGroup
from servers import MemcachedServer
from sql_clock import AgingDatabase
from sql_servers import MariaServer, PostgresServer
from sqlalchemy.pool import NullPool
from troubles import (
    FolderTroubles,
    MariaTroubles,
    MemcachedTroubles,
    MemoryTroubles,
    PostgresTroubles,
    RedisTroubles,
    SqliteTroubles,
)

from holdover.regions.backends.dbm import DbmBackend
from holdover.regions.backends.file import FileBackend
from holdover.regions.backends.memcached import MemcachedBackend
from holdover.regions.backends.memory import MemoryBackend
from holdover.regions.backends.redis import RedisBackend
from holdover.regions.backends.redis_cluster import RedisClusterBackend
from holdover.regions.backends.redis_sentinel import RedisSentinelBackend
from holdover.regions.backends.sql import SqlBackend
from holdover.regions.backends.sql_drivers import parsed
from holdover.testing.contract_troubles import TroubleContract

pytestmark = pytest.mark.usefixtures("default_timeouts")

IMPATIENT = {"operation_timeout": 0.5, "connect_timeout": 2.0}


@pytest.fixture
def folder():
    """A folder that a user without rights may be given; pytest's own is closed."""
    with tempfile.TemporaryDirectory() as path:
        Path(path).chmod(0o755)
        (Path(path) / "cache").mkdir(0o700)
        yield Path(path) / "cache"


class TestMemoryInTrouble(TroubleContract):
    # It ends with its process, and has no limits but its own.
    cannot = TroubleContract.cannot - {"evict"}

    @pytest.fixture
    def backend(self, clock):
        return MemoryBackend({"time_source": clock, "max_entries": 10})

    @pytest.fixture
    def troubles(self, backend):
        return MemoryTroubles(backend)


class TestFileInTrouble(TroubleContract):
    cannot = frozenset()

    @pytest.fixture
    def backend(self, folder, clock):
        arguments = {"path": folder, "time_source": clock, "lock_timeout": 0.2}
        return FileBackend(arguments)

    @pytest.fixture
    def troubles(self, folder):
        return FolderTroubles(folder, "locks/*")

    patience = 256 * 0.2 + 3.0  # a purge waits for each of its locks


class TestDbmInTrouble(TroubleContract):
    cannot = frozenset()

    @pytest.fixture
    def backend(self, folder, clock):
        filename = folder / "cache.dbm"
        return DbmBackend(
            {"filename": filename, "time_source": clock, "lock_timeout": 0.2}
        )

    @pytest.fixture
    def troubles(self, folder):
        return FolderTroubles(folder, "*.lock")


class TestRedisInTrouble(TroubleContract):
    cannot = frozenset()

    @pytest.fixture
    def server(self, own_redis):
        return own_redis

    @pytest.fixture
    def clock(self, server):
        with server.client() as client:
            yield AgingServer(client)

    @pytest.fixture
    def backend(self, server):
        return RedisBackend({"url": server.url})

    @pytest.fixture
    def troubles(self, server):
        return RedisTroubles(server)


class TestValkeyInTrouble(TestRedisInTrouble):
    @pytest.fixture
    def server(self, tmp_path):
        with ValkeyServer(tmp_path) as server:
            yield server


class TestSentinelInTrouble(TestRedisInTrouble):
    # Without a replica: what comes of one that takes over is another test's.

    @pytest.fixture
    def group(self, tmp_path):
        with SentinelGroup(tmp_path, replicas=0, sentinels=1) as group:
            yield group

    @pytest.fixture
    def server(self, group):
        return group.master

    @pytest.fixture
    def backend(self, group):
        return RedisSentinelBackend(group.arguments)


class TestClusterInTrouble(TestRedisInTrouble):
    cannot = frozenset({"readonly"})  # a primary becomes a replica by failover only
    patience = 5.0  # a verb may ask four times

    @pytest.fixture
    def cluster(self, tmp_path):
        with Cluster(tmp_path, primaries=1) as cluster:
            yield cluster

    @pytest.fixture
    def server(self, cluster):
        return cluster.primaries[0]

    @pytest.fixture
    def backend(self, cluster):
        # A node that fails is left alone; on a busy machine it must not too soon.
        patience = {"socket_timeout": 0.5, "socket_connect_timeout": 0.5}
        return RedisClusterBackend({**cluster.arguments, **patience})


class TestMemcachedInTrouble(TroubleContract):
    cannot = frozenset({"readonly"})  # there is no such mode

    @pytest.fixture
    def server(self):
        options = ("-M", "-m", "4", "-o", "no_lru_maintainer,lru_crawler")
        with MemcachedServer(*options) as server:
            yield server

    @pytest.fixture
    def clock(self, server):
        return AgingServers([server])

    @pytest.fixture
    def backend(self, server, clock):
        return MemcachedBackend({"url": server.url, "time_source": clock})

    @pytest.fixture
    def troubles(self, server):
        return MemcachedTroubles(server)


class TestSqliteInTrouble(TroubleContract):
    # Who has the file open goes on, whatever becomes of its name and its rights.
    cannot = frozenset({"down", "readonly"})
    patience = 6.0  # a connection and then a statement, on a busy machine

    @pytest.fixture
    def url(self, folder):
        return f"sqlite:///{folder}/cache.db"

    @pytest.fixture
    def backend(self, url):
        return SqlBackend({"url": url, "create_table": True, **IMPATIENT})

    @pytest.fixture
    def clock(self, url, backend):
        engine = sqlalchemy.create_engine(parsed(url), poolclass=NullPool)
        yield AgingDatabase(engine)
        engine.dispose()

    @pytest.fixture
    def troubles(self, folder):
        return SqliteTroubles(folder / "cache.db")


@pytest.mark.slow
class TestPostgresInTrouble(TestSqliteInTrouble):
    # A full disk ends the server, which then is down.
    cannot = frozenset({"full"})

    @pytest.fixture(scope="class")
    @classmethod
    def server(cls):
        with PostgresServer() as server:
            yield server

    @pytest.fixture
    def url(self, server):
        server.run("DROP TABLE IF EXISTS holdover_cache")
        return server.url

    @pytest.fixture
    def troubles(self, server):
        return PostgresTroubles(server)


@pytest.mark.slow
class TestMariaInTrouble(TestPostgresInTrouble):
    @pytest.fixture(scope="class")
    @classmethod
    def server(cls):
        with MariaServer() as server:
            yield server

    @pytest.fixture
    def troubles(self, server):
        return MariaTroubles(server)
