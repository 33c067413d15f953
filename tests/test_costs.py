"""What invalidating and looking up ask of the store, whatever its number of entries."""

import re
from pathlib import Path

import pytest
from counting import (
    FORBIDDEN,
    CountingWire,
    counting_calls,
    counting_files,
    counting_memcached,
    counting_redis,
    counting_statements,
)

from holdover import NO_VALUE, Cached, make_region
from holdover.regions.backends import sql_connecting

FEW, MANY = 10, 1_000
PAGE = Path(__file__).parent.parent / "docs" / "backends.rst"


@pytest.fixture(
    params=[
        "memory",
        "file",
        "dbm",
        "redis",
        "memcached",
        "sqlite",
        "postgres",
        "mariadb",
    ]
)
def store(request, tmp_path, monkeypatch):
    """Give a backend's name, its arguments, and what counts its work."""
    monkeypatch.setattr(sql_connecting, "Wire", CountingWire)
    kind, folder = request.param, tmp_path / "cache"
    match kind:
        case "memory":
            return "holdover.memory", {}, lambda: counting_calls(None)
        case "file":
            arguments = {"path": folder}
            return "holdover.file", arguments, lambda: counting_files(folder)
        case "dbm":
            arguments = {"filename": folder / "dbm"}
            return "holdover.dbm", arguments, lambda: counting_files(folder)
        case "redis":
            url = request.getfixturevalue("redis_server").url
            return "holdover.redis", {"url": url}, lambda: counting_redis(url)
        case "memcached":
            servers = request.getfixturevalue("memcached_servers")[:1]
            arguments = {"url": [server.url for server in servers]}
            return "holdover.memcached", arguments, lambda: counting_memcached(servers)
        case "sqlite":
            url = f"sqlite:///{tmp_path}/cache.db"
        case database:
            url = request.getfixturevalue(database).url
    patience = {"operation_timeout": 10.0, "connect_timeout": 10.0}
    arguments = {"url": url, "create_table": True, **patience}
    return "holdover.sql", arguments, lambda: counting_statements(None)


@pytest.fixture
def region(store):
    """A region on it."""
    name, arguments, _ = store
    return make_region("shop").configure(name, 60, arguments, unsigned_pickle=True)


def fill(region, start, end):
    """Store entries of one tag and one prefix."""
    keys = [f"article:{number}" for number in range(start, end)]
    region.get_or_create_multi(
        keys, lambda *them: [Cached(1, tags=["t"]) for _ in them]
    )


WAYS = {
    "region": {},
    "region, softly": {"hard": False},
    "tag": {"tags": ["t"]},
    "prefix": {"prefix": "article:"},
}


def invalidations(region, counting):
    """Give what each way to invalidate costs."""
    costs = {}
    for way, given in WAYS.items():
        with counting() as counts:
            assert not region.invalidate(**given).pending
        costs[way] = dict(counts)
    return costs


def test_invalidating_costs_the_same_whatever_is_stored(store, region):
    """10 entries or 1,000: one and the same work, and nothing looks for entries."""
    counting = store[2]
    fill(region, 0, FEW)
    invalidations(region, counting)  # what is made once has been made
    fill(region, 0, FEW)
    few = invalidations(region, counting)
    assert region.get("article:3") is NO_VALUE
    fill(region, 0, MANY)
    assert region.get("article:999") == 1
    many = invalidations(region, counting)
    assert region.get("article:999") is NO_VALUE
    assert few == many
    asked = [name for one in many.values() for name in one]
    assert asked
    assert [name for name in asked if FORBIDDEN.search(name)] == []


def documented():
    """Read the page's table of what lookups cost."""
    _, _, table = PAGE.read_text().partition("Asked for per lookup")
    found = re.findall(r"^(\w+)  .*?(\d+) +(\d+) +(\d+)$", table, re.MULTILINE)
    return {name: list(map(int, counts)) for name, *counts in found}


def test_what_a_lookup_costs(request, store, region, counter):
    """A hit, a stale hit and a miss ask as often as the page says."""
    kind = request.node.callspec.params["store"]
    region.listen(lambda event: None)  # so that nothing is at hand, or known already
    costs = []
    for _ in range(2):  # the second looks at what others have invalidated, once
        region.get_or_create("k", counter)

    def cost(key):
        with store[2]() as counts:
            region.get_or_create(key, counter)
        return counts.total()

    costs.append(cost("k"))
    region.invalidate(hard=False)
    held = region.lease("k")  # somebody refreshes it
    assert region.get_or_create("k", counter) == 1
    costs.append(cost("k"))
    held.release()
    costs.append(cost("new"))
    hit, stale, miss = costs
    assert 0 < hit <= stale < miss
    if kind not in ("memory", "dbm"):  # nothing to ask; as dbm's module does
        assert documented()[kind] == costs
