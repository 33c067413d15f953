"""Large values are written to Redis in two steps; what others do between them counts.

The first asks for the clock's tick or for the lease, the second stores::

    writer                      somebody else
    reads the tick
                                invalidates, removes, writes or wins the lease
    stores the value

So it is with what is committed or swapped, by WATCH, if it is larger still.
"""

import pytest

from holdover import NO_VALUE, make_region
from holdover.regions.backends import redis_steps as steps
from holdover.regions.backends.grants import LeaseKind
from holdover.regions.backends.redis import RedisBackend
from holdover.regions.backends.redis_cluster import RedisClusterBackend
from holdover.regions.backends.redis_values import _LARGE
from holdover.testing.contract_leases import REGION, sealed, won

LARGE = "x" * (_LARGE + 1)
WATCHED = "y" * (steps._LARGE + 1)


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


@pytest.fixture
def after_watching(monkeypatch):
    """Have something done once, when a step has read what it goes by."""

    def do(work):
        todo, run = [work], steps.run_watched

        def run_watched(link, plan, keys, args):
            def planned(*given):
                decision = plan(*given)
                while todo:
                    todo.pop()()
                return decision

            return run(link, planned, keys, args)

        monkeypatch.setattr(steps, "run_watched", run_watched)
        return todo

    return do


ENDS = {
    "removed": lambda peer: peer.remove("k"),
    "written": lambda peer: peer.write("k", sealed("other"), ttl=60.0),
    "overtaken": lambda peer: won(peer, overtaking=tuple(LeaseKind)),
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_a_commit_that_is_overtaken(backend, peer, after_watching, end):
    """Nothing is stored by a lease that has ended, at whatever moment."""
    lease = won(backend)
    todo = after_watching(lambda: end(peer))
    assert backend.commit(lease, sealed(WATCHED), REGION, ttl=60.0) is None
    assert not todo
    assert peer.read("k", REGION)[0] in (None, sealed("other"))


def test_a_commit_while_another_key_is_invalidated(backend, peer, after_watching):
    """It is stored all the same, and the tick is the later one."""
    lease, stored = won(backend), sealed(WATCHED)
    todo = after_watching(lambda: peer.advance(REGION, hard=True))
    tick = backend.commit(lease, stored, REGION, ttl=60.0)
    assert not todo
    assert peer.read("k", REGION) == (stored, tick)
    assert tick > lease.clock


@pytest.mark.parametrize("end", ["removed", "written"])
def test_a_swap_that_is_overtaken(backend, peer, after_watching, end):
    """What is swapped is what was seen, or nothing is."""
    backend.write("k", sealed("seen", fence=7), ttl=60.0)
    todo = after_watching(lambda: ENDS[end](peer))
    stored = sealed(WATCHED)
    assert not backend.compare_and_set("k", stored, seen=7, ttl=60.0)
    assert not todo
    assert peer.read("k", REGION)[0] in (None, sealed("other"))
