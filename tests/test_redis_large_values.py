"""Large values are written to Redis in two steps; what others do between them counts.

The first asks for the clock's tick, the second stores::

    writer                      somebody else
    reads the tick
                                invalidates, removes, writes or wins the lease
    stores the value
"""

import pytest

from holdover import NO_VALUE, make_region
from holdover.regions.backends.redis import RedisBackend
from holdover.regions.backends.redis_cluster import RedisClusterBackend
from holdover.regions.backends.redis_values import _LARGE
from holdover.testing.contract_leases import REGION, sealed, won

LARGE = "x" * (_LARGE + 1)


@pytest.fixture(params=["redis", "cluster"])
def new_backend(request):
    """Make a backend on the shared server, or on the shared cluster."""
    if request.param == "redis":
        url = request.getfixturevalue("redis_server").url
        return lambda: RedisBackend({"url": url})
    arguments = request.getfixturevalue("cluster").arguments
    return lambda: RedisClusterBackend(arguments)


@pytest.fixture
def backend(new_backend):
    """The writer's."""
    return new_backend()


@pytest.fixture
def peer(new_backend):
    """Somebody else's, as in another process."""
    return new_backend()


@pytest.fixture
def between(backend, monkeypatch):
    """Have something done once, right after the writer has read the tick."""

    def do(work):
        read, todo = backend.tick, [work]

        def tick(region, *, since=0):
            now = read(region, since=since)
            while todo:
                todo.pop()()
            return now

        monkeypatch.setattr(backend, "tick", tick)
        return todo

    return do


def regions(*backends):
    """Make a region on each, as processes do."""
    return [
        make_region("region").configure(one, 60, unsigned_pickle=True)
        for one in backends
    ]


@pytest.mark.parametrize("reach", [{}, {"tags": ["t"]}, {"prefix": "k"}], ids=str)
def test_what_is_invalidated_meanwhile_is_not_served(backend, peer, between, reach):
    """Once that is acknowledged: neither to the writer nor to others."""
    writing, other = regions(backend, peer)
    writing.set("k", "old", tags=["t"])
    todo = between(lambda: other.invalidate(**reach))
    assert not writing.set("k", LARGE, tags=["t"]).pending
    assert not todo
    assert writing.get("k") is other.get("k") is NO_VALUE


def test_what_was_invalidated_before_is_known(backend, peer):
    """Though the writer has not heard of it, what he writes now is served."""
    writing, other = regions(backend, peer)
    writing.set("k", "old")
    other.invalidate()
    writing.set("k", LARGE)
    assert writing.get("k") == other.get("k") == LARGE


@pytest.mark.parametrize("begins", ["before", "meanwhile"])
def test_a_creation_under_way_is_refused(backend, peer, between, begins):
    """It began before the value was written, whose writer was told so."""
    tick, leases = backend.clock(REGION).tick, []
    todo = between(lambda: leases.append(won(peer)))
    if begins == "before":
        todo.pop()()
    stored = sealed(LARGE)
    assert backend.write_at("k", stored, REGION, tick=tick, ttl=60.0) == tick
    assert not todo
    assert peer.commit(leases[0], sealed("made"), REGION, ttl=60.0) is None
    assert peer.read("k", REGION)[0] == stored


def test_a_commit_meanwhile_is_written_over(backend, peer, between):
    """Whoever is answered last has written last."""
    tick, lease = backend.clock(REGION).tick, won(peer)
    between(lambda: peer.commit(lease, sealed("made"), REGION, ttl=60.0))
    stored = sealed(LARGE)
    assert backend.write_at("k", stored, REGION, tick=tick, ttl=60.0) == tick
    assert peer.read("k", REGION)[0] == stored


@pytest.mark.parametrize("size", [_LARGE - 1, _LARGE, _LARGE + 1, 1 << 20])
def test_either_side_of_the_bound(backend, peer, size):
    """Nothing tells by which way a value has come."""
    writing, other = regions(backend, peer)
    for value in ("a" * size, b"b" * size):
        writing.set("k", value)
        assert other.get("k") == value
