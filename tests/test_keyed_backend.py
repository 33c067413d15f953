"""Entries in a cache of Django's, which knows no leases."""

import pytest
import redis
from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.redis import RedisCache
from django_caches import unused_name
from redis_clock import AgingServer

from holdover import KeyedBackend, errors, make_region
from holdover.testing import BackendContract
from holdover.testing.contract_leases import REGION, sealed, won


class TestKeyedBackend(BackendContract):
    """Over Django's Redis cache, on the fake clock."""

    expires_by_itself = True

    @pytest.fixture
    def clock(self, redis_server):
        with redis.Redis.from_url(redis_server.url) as client:
            yield AgingServer(client)

    @pytest.fixture
    def backend(self, make):
        return make()

    @pytest.fixture
    def make(self, redis_server, clock):
        store = RedisCache(redis_server.url, {})
        return lambda: KeyedBackend({"store": store, "time_source": clock})

    def test_nobody_commits_past_a_write(self, backend, crew):
        """A commit is taken back, and what it has replaced may be gone with it."""
        for key in "abc":
            crew.do("commit or write", won(backend, key, ttl=60.0))
            found = backend.read(key, REGION)[0]
            assert found in (None, sealed("written", key))


class Failing:
    """A store that is not there."""

    def __getattr__(self, name):
        def fail(*_):
            raise OSError("no store")

        return fail


def test_needs_a_store():
    """It says so."""
    with pytest.raises(errors.ConfigurationError, match="'store'"):
        KeyedBackend({})


def test_a_store_that_fails_is_a_backend_that_fails():
    """Whatever it raises, callers are answered."""
    with pytest.raises(errors.BackendError, match="no store"):
        KeyedBackend({"store": Failing()}).read("key", "region")
    region = make_region(unused_name()).configure(
        KeyedBackend({"store": Failing()}), codec="json"
    )
    assert region.get_or_create("key", lambda: "made") == "made"


def test_a_value_that_an_invalidation_overtook_is_taken_back():
    """Between the commit's two steps, too: the lease's mark decides."""
    store = LocMemCache(unused_name(), {})
    backend = KeyedBackend({"store": store})
    lease = backend.acquire("key", "region", ttl=5.0, seen=None)

    class Overtaking:
        """Removes the key as soon as a commit has written it."""

        def __getattr__(self, name):
            return getattr(store, name)

        def set(self, key, value, timeout):
            store.set(key, value, timeout)
            backend.remove("key")
            store.set(key, value, timeout)  # as if its packet had come late

    late = KeyedBackend({"store": Overtaking()})
    assert late.commit(lease, b"old", "region", ttl=None) is None
    assert backend.read("key", "region")[0] is None


def test_reads_what_is_damaged_as_nothing():
    """Records that somebody else has written are no records."""
    store = LocMemCache(unused_name(), {})
    backend = KeyedBackend({"store": store})
    lease = backend.acquire("key", "region", ttl=5.0, seen=None)
    for name in list(store._cache):
        store.set(name.removeprefix(":1:"), {"strange": 1})
    assert backend.read("key", "region")[0] is None
    assert backend.leased("key") is None
    assert not backend.renew(lease, ttl=5.0)
    assert backend.advance("region", hard=True).tick == backend.clock("region").tick
