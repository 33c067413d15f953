"""What each backend does while its store is lost, away, hung, full or read-only."""

import tempfile
from pathlib import Path

import pytest
import redis
import sqlalchemy
from memcached_aging import AgingServers
from redis_clock import AgingServer
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
from holdover.regions.backends.sql import SqlBackend
from holdover.regions.backends.sql_drivers import parsed
from holdover.testing.contract_troubles import TroubleContract

IMPATIENT = {"operation_timeout": 0.3, "connect_timeout": 0.5}


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
    def clock(self, own_redis):
        with redis.Redis.from_url(own_redis.url) as client:
            yield AgingServer(client)

    @pytest.fixture
    def backend(self, own_redis):
        return RedisBackend({"url": own_redis.url})

    @pytest.fixture
    def troubles(self, own_redis):
        return RedisTroubles(own_redis)


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
