"""All backends keep the port's promises."""

import pytest
import redis
from memcached_aging import AgingServers
from redis_clock import AgingServer
from servers import MEMCACHED_CLIENTS

from holdover.regions.backends.file import FileBackend
from holdover.regions.backends.memcached import MemcachedBackend
from holdover.regions.backends.memory import MemoryBackend
from holdover.regions.backends.redis import RedisBackend
from holdover.testing import BackendContract
from holdover.testing.contract_leases import REGION


class TestMemoryBackend(BackendContract):
    @pytest.fixture
    def backend(self, clock):
        return MemoryBackend({"time_source": clock})


class TestFileBackend(BackendContract):
    @pytest.fixture
    def backend(self, tmp_path, clock):
        return FileBackend({"path": tmp_path / "cache", "time_source": clock})

    @pytest.fixture
    def peer(self, tmp_path, clock):
        return FileBackend({"path": tmp_path / "cache", "time_source": clock})


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
    def backend(self, url):
        return RedisBackend({"url": url})

    @pytest.fixture
    def peer(self, url):
        return RedisBackend({"url": url})

    def test_ticks_grow_though_the_clock_goes_back(self, backend, client):
        """No two invalidations have the same tick, whatever the time of day."""
        tick = backend.clock(REGION).tick + 10**12  # as made by a clock days ahead
        client.set(f"holdover:clock:{REGION}", f"{tick} {tick} {tick} 0")
        assert backend.advance(REGION, hard=True).tick > tick


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


class TestRedisBackendWithAPool(TestRedisBackend):
    @pytest.fixture
    def backend(self, url):
        pool = redis.BlockingConnectionPool.from_url(url, max_connections=2)
        yield RedisBackend({"connection_pool": pool})
        pool.disconnect()


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
    def arguments(self, servers, client, clock):
        return {
            "url": [server.url for server in servers],
            "client": client,
            "max_bytes": 6_000_000,
            "time_source": clock,
        }

    @pytest.fixture
    def backend(self, arguments):
        return MemcachedBackend(arguments)

    @pytest.fixture
    def peer(self, arguments):
        return MemcachedBackend(arguments)


class TestSeveralMemcachedServers(TestMemcachedBackend):
    @pytest.fixture
    def servers(self, memcached_servers):
        return memcached_servers
