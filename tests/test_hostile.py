"""Whatever lies in a queue or under our names in a store, callers never notice."""

import contextlib
import threading
import time

import pytest
import redis
import sqlalchemy
from pymemcache.client.base import Client

from holdover import NO_VALUE, LeaseTerms, events, make_region
from holdover.regions.backends.memcached_names import clock_name, tick_name
from holdover.regions.backends.sql_drivers import parsed
from holdover.regions.backends.sql_records import clock_id, value_id
from holdover.regions.ticks import MOST_TICK
from holdover.regions.worker import carry_out

NESTED = []
for _ in range(5000):
    NESTED = [NESTED]

region = make_region("hostile").configure("holdover.memory", 60)


@region.cache_multi_on_arguments()
def many(*ids):
    """Make several values."""
    return list(ids)


def order(**changes):
    """Give a batch's message, with changes."""
    message = {
        "version": 1,
        "region": "hostile",
        "function": f"{__name__}:many",
        "args": [1],
        "keys": [many.key_for(1)],
        "tokens": ["token"],
        "not_after": time.time() + 60,
    }
    return {**message, **changes}


@pytest.mark.parametrize(
    "changes",
    [
        {"args": [], "keys": [], "tokens": []},
        {"args": [1, 1], "keys": [many.key_for(1)] * 2, "tokens": ["a", "b"]},
        {"args": [NESTED]},
        {"version": NESTED},
        {"keys": NESTED},
    ],
)
def test_orders(changes):
    """A message that makes no sense is dropped, and nothing is raised."""
    assert carry_out(order()).reason == "overtaken"
    outcome = carry_out(order(**changes))
    assert not outcome.done
    assert outcome.reason != "overtaken"


VALUE, LEASE = "hostile:k", "holdover:lease:hostile:k"
CLOCK, MARKS = "holdover:clock:hostile", "holdover:marks:hostile"
FOREIGN = [
    ("RPUSH", "x"),
    ("ZADD", "inf", b"ht"),
    ("ZADD", "5", b"zz"),
    ("SET", b"\xff" * 100),
    ("SET", b"Z" + b"0" * 60, "PX", "60000"),
    ("SET", b"9999999999999999 9999999999999999 9999999999999999 1"),
]


@pytest.mark.parametrize("may_script", [True, False])
@pytest.mark.parametrize("name", [VALUE, LEASE, CLOCK, MARKS])
@pytest.mark.parametrize("command", FOREIGN, ids=str)
def test_redis(redis_server, name, command, may_script):
    """What is foreign or damaged is replaced, and costs no more than a miss or two."""
    url = redis_server.url
    if not may_script:
        rights = ["on", ">secret", "~*", "&*", "+@all", "-@scripting"]
        redis_server.ask("ACL", "SETUSER", "scriptless", *rights)
        url = url.replace("//", "//scriptless:secret@")
    region = make_region("hostile").configure(
        "holdover.redis", 60, {"url": url}, unsigned_pickle=True
    )
    region.invalidate(tags=["any"])
    failures = []
    region.listen(
        lambda e: failures.append(e) if isinstance(e, events.BackendFailed) else None
    )
    with redis.Redis.from_url(redis_server.url) as client:
        client.delete(name)
        client.execute_command(command[0], name, *command[1:])
    for _ in range(2):
        region.get_or_create("k", lambda: "made")
    assert region.get("k") == "made"
    assert not region.invalidate(tags=["t"]).pending
    assert not region.invalidate().pending
    assert not region.set("k", "set").pending
    assert region.get("k") == "set"
    assert failures == []


@pytest.mark.parametrize("size", [10, 200_000])
@pytest.mark.parametrize("command", [("RPUSH", "x"), ("SET", "x")], ids=str)
def test_redis_that_is_first_written_to(redis_server, command, size):
    """A damaged clock is put right by a write, too, before anybody reads."""
    region = make_region("hostile").configure(
        "holdover.redis", 60, {"url": redis_server.url}, unsigned_pickle=True
    )
    region.set("k", "old")
    redis_server.ask("DEL", CLOCK)
    redis_server.ask(command[0], CLOCK, *command[1:])
    assert not region.set("k", "x" * size).pending
    assert region.get("k") == "x" * size


MOST = b"%d" % (MOST_TICK - 1)
ITEMS = [
    b"x",
    b"0",
    b"9" * 5_000,
    MOST,
    b"[Infinity,0,0,[]]",
    b"[%b,0,0,[]]" % MOST,
    b"[1,%b,0,[]]" % MOST,
    b'[1,0,0,[["prefix",5,true,9]]]',
    b"[" * 100_000,
]


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: item[:30].decode())
def test_memcached(memcached_server, item):
    """Whatever lies there in place of a region's clock, or of its tick, or both."""
    region = make_region("hostile").configure(
        "holdover.memcached", 60, {"url": memcached_server.url}, unsigned_pickle=True
    )
    failures = []
    region.listen(
        lambda e: failures.append(e) if isinstance(e, events.BackendFailed) else None
    )
    names = tick_name("hostile"), clock_name("hostile")
    for damaged in (names[:1], names[1:], names):
        region.set("k", "old")
        region.invalidate(tags=["any"])
        with contextlib.closing(Client(memcached_server.url)) as client:
            for name in damaged:
                client.set(name, item, noreply=False)
        for _ in range(2):
            region.get_or_create("k", lambda: "made")
        made = region.get_or_create("k", lambda: "made")
        assert region.get("k") == made
        assert not region.invalidate(tags=["t"]).pending
        assert not region.invalidate().pending
        assert region.get("k") is NO_VALUE
        assert not region.set("k", "set").pending
        assert region.get("k") == "set"
        assert failures == []


DAMAGE = [
    "envelope = NULL",
    "fence = NULL",
    "envelope = NULL, fence = NULL",
    "fence = -5",
    "fence = 9223372036854775807",
    "lapses_at = 1e300, lease_kind = 77",
    "expires_at = -1e300",
]
UNTYPED = [  # what only SQLite takes
    "envelope = 'text'",
    "envelope = 5",
    "fence = 'zz'",
    "fence = 1.5",
    "fence = x'00ff'",
    "envelope = '[1, 1e999, []]'",
    "envelope = CAST('[0, 0, [[\"prefix\", 5, true, 9]]]' AS BLOB)",
    "envelope = CAST('[0, 0]' AS BLOB)",
    "envelope = CAST(substr(envelope, 1, length(envelope) - 1) || 'x' AS BLOB)",
    "reason = 7, lease_token = 'text'",
]


@pytest.fixture(params=["sqlite", "postgres", "mariadb"])
def database_url(request, tmp_path):
    """Give the URL of each database in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/cache.db"
    return request.getfixturevalue(request.param).url


@pytest.mark.parametrize("name", [value_id("hostile:k"), clock_id("hostile")], ids=str)
def test_sql(database_url, name):
    """What others write into our table costs no more than a miss, and is put right."""
    damages = DAMAGE + UNTYPED * database_url.startswith("sqlite")
    arguments = {"url": database_url, "create_table": True, "operation_timeout": 5.0}
    region = make_region("hostile").configure(
        "holdover.sql", 60, arguments, unsigned_pickle=True
    )
    engine = sqlalchemy.create_engine(parsed(database_url))
    failures = []
    region.listen(
        lambda e: failures.append(e) if isinstance(e, events.BackendFailed) else None
    )
    for damage in damages:
        for first in (region.get, lambda key: region.get_multi([key])):
            region.set("k", "old")
            region.invalidate(tags=["any"])
            with engine.begin() as connection:
                change = f"UPDATE holdover_cache SET {damage} WHERE id = :id"
                done = connection.execute(sqlalchemy.text(change), {"id": name})
                assert done.rowcount == 1
            first("k")
            made = region.get_or_create("k", lambda: "made")
            assert region.get("k") == made
            assert not region.invalidate(tags=["t"]).pending
            assert not region.invalidate().pending
            assert not region.set("k", "set").pending
            assert region.get("k") == "set"
            assert failures == [], damage
    engine.dispose()


def test_batches_in_an_outage(own_redis):
    """Batches keep to the bound on creators without a lease."""
    region = make_region("hostile").configure(
        "holdover.redis",
        60,
        {"url": own_redis.url},
        unsigned_pickle=True,
        most_unleased_creators=1,
        lease=LeaseTerms(wait=30.0),
    )
    own_redis.kill()
    lock, inside, most = threading.Lock(), [], []

    def create(*keys):
        with lock:
            inside.append(keys)
            most.append(len(inside))
        threading.Event().wait(0.02)
        with lock:
            inside.remove(keys)
        return list(keys)

    threads = [
        threading.Thread(target=region.get_or_create_multi, args=([f"k{n}"], create))
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) == 8
    assert max(most) == 1
