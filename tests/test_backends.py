"""All backends keep the port's promises."""

import contextlib
import ssl

import pytest
import redis
import sqlalchemy
from memcached_aging import AgingServers
from redis_clock import AgingServer
from redis_family import rights_in_docs
from servers import MEMCACHED_CLIENTS
from sql_clock import AgingDatabase

from holdover.regions.backends.dbm import DbmBackend
from holdover.regions.backends.file import FileBackend
from holdover.regions.backends.memcached import MemcachedBackend
from holdover.regions.backends.memory import MemoryBackend
from holdover.regions.backends.redis import RedisBackend
from holdover.regions.backends.redis_cluster import RedisClusterBackend
from holdover.regions.backends.redis_sentinel import RedisSentinelBackend
from holdover.regions.backends.redis_slots import home_names
from holdover.regions.backends.sql import SqlBackend
from holdover.regions.backends.sql_drivers import parsed
from holdover.regions.backends.sql_records import clock_id
from holdover.testing import BackendContract
from holdover.testing.contract_leases import REGION, sealed

PATIENT = {"operation_timeout": 10.0, "connect_timeout": 10.0}  # on a busy machine


class TestMemoryBackend(BackendContract):
    @pytest.fixture
    def backend(self, clock):
        return MemoryBackend({"time_source": clock})


class TestFileBackend(BackendContract):
    @pytest.fixture
    def backend(self, tmp_path, clock):
        given = {"path": tmp_path / "cache", "time_source": clock}
        return FileBackend({**given, "lock_timeout": 10.0})

    @pytest.fixture
    def peer(self, tmp_path, clock):
        given = {"path": tmp_path / "cache", "time_source": clock}
        return FileBackend({**given, "lock_timeout": 10.0})


class TestDbmBackend(BackendContract):
    @pytest.fixture
    def backend(self, tmp_path, clock):
        given = {"filename": tmp_path / "cache.dbm", "time_source": clock}
        return DbmBackend({**given, "lock_timeout": 10.0})

    @pytest.fixture
    def peer(self, tmp_path, clock):
        given = {"filename": tmp_path / "cache.dbm", "time_source": clock}
        return DbmBackend({**given, "lock_timeout": 10.0})


class TestRedisBackend(BackendContract):
    expires_by_itself = True

    @pytest.fixture
    def url(self, redis_server):
        return redis_server.url

    @pytest.fixture
    def client(self, redis_server):
        with redis.Redis.from_url(redis_server.url) as client:
            yield client

    @pytest.fixture
    def clock(self, client):
        return AgingServer(client)

    @pytest.fixture
    def arguments(self, url):
        return {"url": url, "socket_timeout": 5.0, "socket_connect_timeout": 5.0}

    @pytest.fixture
    def backend(self, arguments):
        return RedisBackend(arguments)

    @pytest.fixture
    def peer(self, arguments):
        return RedisBackend(arguments)

    @pytest.fixture
    def clock_name(self):
        return f"holdover:clock:{REGION}"

    def test_ticks_grow_though_the_clock_goes_back(self, backend, client, clock_name):
        """No two invalidations have the same tick, whatever the time of day."""
        tick = backend.clock(REGION).tick + 10**12  # as made by a clock days ahead
        client.set(clock_name, f"{tick} {tick} {tick} 0")
        assert backend.advance(REGION, hard=True).tick > tick


@pytest.mark.slow  # another way to the same store
class TestRedisBackendWithoutScripts(TestRedisBackend):
    @pytest.fixture
    def url(self, redis_server):
        rights = ["on", ">secret", "~*", "&*", "+@all", "-@scripting"]
        redis_server.ask("ACL", "SETUSER", "scriptless", *rights)
        return redis_server.url.replace("//", "//scriptless:secret@")

    def test_no_script_runs(self, backend, client):
        """The class above is run without a single script."""
        client.config_resetstat()
        backend.advance(REGION, hard=True)
        assert "cmdstat_evalsha" in client.info("commandstats")
        assert client.info("commandstats")["cmdstat_evalsha"]["calls"] == 0


@pytest.mark.slow  # another way to the same store
class TestRedisBackendWithAPool(TestRedisBackend):
    @pytest.fixture
    def backend(self, url):
        pool = redis.BlockingConnectionPool.from_url(url, max_connections=2)
        yield RedisBackend({"connection_pool": pool})
        pool.disconnect()


@pytest.mark.slow  # another way to the same store
class TestRedisBackendBehindTLS(TestRedisBackend):
    @pytest.fixture
    def arguments(self, tls_server, certificate):
        trust = {"ssl_ca_certs": certificate.path}
        return {"url": tls_server.url, "connection_kwargs": trust}

    @pytest.fixture
    def client(self, tls_server):
        with redis.Redis.from_url(tls_server.url, ssl_cert_reqs="none") as client:
            yield client


@pytest.mark.slow
class TestRedisBackendWithFewRights(TestRedisBackend):
    @pytest.fixture
    def url(self, redis_server):
        rights = ["on", ">secret", "~*", *rights_in_docs()]
        redis_server.ask("ACL", "SETUSER", "few", "reset", *rights)
        return redis_server.url.replace("//", "//few:secret@")


class TestValkey(TestRedisBackend):
    @pytest.fixture
    def url(self, valkey_server):
        return valkey_server.url

    @pytest.fixture
    def client(self, valkey_server):
        with redis.Redis(port=valkey_server.port) as client:
            yield client


class TestRedisSentinelBackend(TestRedisBackend):
    @pytest.fixture
    def client(self, sentinels):
        with sentinels.master.client() as client:
            yield client

    @pytest.fixture
    def backend(self, sentinels):
        return RedisSentinelBackend(sentinels.arguments)

    @pytest.fixture
    def peer(self, sentinels):
        return RedisSentinelBackend(sentinels.arguments)


class TestRedisClusterBackend(TestRedisBackend):
    @pytest.fixture
    def rights(self):
        return {}

    @pytest.fixture
    def client(self, cluster):
        with redis.RedisCluster("127.0.0.1", cluster.nodes[0].port) as client:
            yield client

    @pytest.fixture
    def clock(self, cluster):
        with contextlib.ExitStack() as stack:
            yield AgingServer(
                *(stack.enter_context(node.client()) for node in cluster.nodes)
            )

    @pytest.fixture
    def arguments(self, cluster, rights):
        return {**cluster.arguments, **rights}

    @pytest.fixture
    def backend(self, arguments):
        return RedisClusterBackend(arguments)

    @pytest.fixture
    def peer(self, arguments):
        return RedisClusterBackend(arguments)

    @pytest.fixture
    def clock_name(self):
        return home_names(REGION)[0]


@pytest.mark.slow  # another way to the same store
class TestRedisClusterBackendWithFewRights(TestRedisClusterBackend):
    @pytest.fixture
    def rights(self, cluster):
        for node in cluster.nodes:
            rights = ["on", ">secret", "~*", *rights_in_docs("cluster")]
            node.ask("ACL", "SETUSER", "few", "reset", *rights)
        return {"username": "few", "password": "secret"}


@pytest.mark.slow
class TestRedisClusterBackendWithoutScripts(TestRedisClusterBackend):
    @pytest.fixture
    def rights(self, cluster):
        for node in cluster.nodes:
            rights = ["on", ">secret", "~*", "&*", "+@all", "-@scripting"]
            node.ask("ACL", "SETUSER", "scriptless", *rights)
        return {"username": "scriptless", "password": "secret"}


@pytest.mark.slow
class TestRedisClusterBackendWithFewConnections(TestRedisClusterBackend):
    @pytest.fixture
    def rights(self):
        return {"connection_kwargs": {"max_connections": 2}}


class TestMemcachedBackend(BackendContract):
    expires_by_itself = True

    @pytest.fixture(params=MEMCACHED_CLIENTS)
    def client(self, request):
        return request.param

    @pytest.fixture
    def servers(self, memcached_servers):
        return memcached_servers[:1]

    @pytest.fixture
    def clock(self, servers):
        return AgingServers(servers)

    @pytest.fixture
    def tls(self):
        return {}

    @pytest.fixture
    def arguments(self, servers, client, clock, tls):
        return {
            **tls,
            "url": [server.url for server in servers],
            "client": client,
            "max_bytes": 6_000_000,
            "time_source": clock,
            "socket_timeout": 5.0,
            "socket_connect_timeout": 5.0,
        }

    @pytest.fixture
    def backend(self, arguments):
        return MemcachedBackend(arguments)

    @pytest.fixture
    def peer(self, arguments):
        return MemcachedBackend(arguments)


@pytest.mark.slow  # another way to the same store
class TestSeveralMemcachedServers(TestMemcachedBackend):
    @pytest.fixture
    def servers(self, memcached_servers):
        return memcached_servers


class TestMemcachedBackendBehindTLS(TestMemcachedBackend):
    @pytest.fixture
    def servers(self, tls_memcached):
        return [tls_memcached]

    @pytest.fixture(params=["pymemcache"])  # the one that speaks TLS
    def client(self, request):
        return request.param

    @pytest.fixture
    def tls(self, certificate):
        return {"tls_context": ssl.create_default_context(cafile=certificate.path)}

    def test_many_large_values_at_once(self, backend, peer):
        """More than a server's buffer holds, behind which it sees no next command."""
        values = {f"k{size}": sealed(b"x" * size) for size in range(100, 60_000, 999)}
        backend.write_multi(values, ttl=60.0)
        assert peer.read_multi(list(values), REGION)[0] == list(values.values())
        tick = peer.tick(REGION)
        for key, value in values.items():
            assert backend.write_at(key, value, REGION, tick=tick, ttl=None) == tick


class TestSqlBackendOnSQLite(BackendContract):
    @pytest.fixture
    def arguments(self, url):
        return {"url": url, "create_table": True, **PATIENT}

    @pytest.fixture
    def url(self, tmp_path):
        return f"sqlite:///{tmp_path}/cache.db"

    @pytest.fixture
    def engine(self, url):
        engine = sqlalchemy.create_engine(parsed(url))
        yield engine
        engine.dispose()

    @pytest.fixture
    def clock(self, engine):
        return AgingDatabase(engine)

    @pytest.fixture
    def backend(self, arguments):
        return SqlBackend(arguments)

    @pytest.fixture
    def peer(self, arguments):
        return SqlBackend(arguments)

    def test_ticks_grow_though_the_clock_goes_back(self, backend, engine):
        """No two invalidations have the same tick, whatever the time of day."""
        tick = backend.clock(REGION).tick + 10**12  # as made by a clock days ahead
        change = "UPDATE holdover_cache SET fence = :tick WHERE id = :id"
        with engine.begin() as connection:
            given = {"tick": tick, "id": clock_id(REGION)}
            connection.execute(sqlalchemy.text(change), given)
        assert backend.advance(REGION, hard=True).tick > tick


class TestSqlBackendOnPostgreSQL(TestSqlBackendOnSQLite):
    @pytest.fixture
    def url(self, emptied_postgres):
        return emptied_postgres.url


class TestSqlBackendOnMariaDB(TestSqlBackendOnSQLite):
    @pytest.fixture
    def url(self, emptied_mariadb):
        return emptied_mariadb.url


@pytest.mark.slow  # another way to the same store
class TestSqlBackendWithFewConnections(TestSqlBackendOnSQLite):
    @pytest.fixture
    def arguments(self, url):
        return {"url": url, "create_table": True, "max_connections": 2, **PATIENT}


@pytest.mark.slow  # another way to the same store
class TestSqlBackendWithAnEngine(TestSqlBackendOnPostgreSQL):
    @pytest.fixture
    def arguments(self, engine):
        return {"engine": engine, "create_table": True, **PATIENT}


@pytest.mark.slow  # another way to the same store
class TestSqlBackendThatNotifies(TestSqlBackendOnPostgreSQL):
    @pytest.fixture
    def arguments(self, url):
        return {"url": url, "create_table": True, "notify": True, **PATIENT}
