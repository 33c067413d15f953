"""What is particular to `holdover.redis_cluster`: slots, nodes, clocks' copies."""

import contextlib
import threading
import time

import pytest
import redis
from dogpile.cache.backends.redis import RedisClusterBackend as DogpileClusterBackend
from redis_clusters import Cluster
from servers import free_port
from test_oracle import (
    SHORT,
    check,
    for_seconds,
    in_processes,
    terms,
    through,
    through_region_clock,
)
from waiting import wait_until

from holdover import make_region
from holdover.errors import BackendError, ConfigurationError
from holdover.regions.backends.redis_cluster import RedisClusterBackend
from holdover.regions.backends.redis_slots import (
    BUCKETS,
    SLOT_OF_BUCKET,
    SLOTS,
    bucket_of,
    copy_name,
    home_names,
    lease_name,
    value_name,
)
from holdover.regions.ticks import Reach, Scope
from holdover.testing import Findings, Oracle, hammer
from holdover.testing.contract import HOSTILE_KEYS
from holdover.testing.contract_leases import REGION, sealed, won

TIMEOUT = 1.0
WHOLE, MARKS = home_names(REGION)


@pytest.fixture
def own_cluster(tmp_path):
    """Start a cluster of three primaries that the test may kill and change."""
    with Cluster(tmp_path) as cluster:
        yield cluster


@pytest.fixture
def backend(cluster):
    """A backend on the shared cluster."""
    return RedisClusterBackend(cluster.arguments)


@pytest.fixture
def client(cluster):
    """redis-py's own client of the shared cluster."""
    with redis.RedisCluster("127.0.0.1", cluster.nodes[0].port) as client:
        yield client


def new_region(arguments, expiration_time=60, name="holdover.redis_cluster"):
    """Configure a region on a cluster."""
    return make_region("region").configure(
        name, expiration_time, arguments, lease=terms(), unsigned_pickle=True
    )


def key_on(cluster, node):
    """Give a key that is on a node."""
    return next(
        key
        for key in (f"key{number}" for number in range(1_000))
        if cluster.owner_of(SLOT_OF_BUCKET[bucket_of(key)]) is node
    )


def counted(cluster, work):
    """Give how often each node was asked each command during *work*."""
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(node.client()) for node in cluster.primaries]
        for client in clients:
            client.config_resetstat()
        work()
        counts = []
        for client in clients:
            told = client.info("commandstats")
            ours = {name.removeprefix("cmdstat_"): told[name]["calls"] for name in told}
            for beside in ("config|resetstat", "info", "config", "ping"):
                ours.pop(beside, None)
            counts.append(ours)
    return counts


def total(counts, command):
    """Add up how often a command was asked, by all nodes."""
    return sum(one.get(command, 0) for one in counts)


# -- options -------------------------------------------------------------------


def test_it_is_dogpile_s_backend(cluster):
    """Code that asks for dogpile.cache's backend accepts ours, and its lock works."""
    nodes = [redis.cluster.ClusterNode("127.0.0.1", cluster.nodes[0].port)]
    locking = {"distributed_lock": True, "thread_local_lock": False}
    backend = RedisClusterBackend({"startup_nodes": nodes, **locking})
    assert isinstance(backend, DogpileClusterBackend)
    mutex = backend.get_mutex("k")
    assert mutex.acquire(wait=False)
    mutex.release()
    assert backend.reader_client is backend.writer_client
    backend.writer_client.close()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"startup_nodes": []}, "startup_nodes"),
        ({"startup_nodes": ["h:port"]}, "h:port"),
        ({"startup_nodes": [object()]}, "pair"),
        ({"url": "redis://h/2"}, "database 0"),
        ({"url": "unix:///socket"}, "socket"),
        ({"db": 2}, "'db'"),
        ({"connection_kwargs": {"socket_timeuot": 1}}, "socket_timeuot"),
    ],
)
def test_wrong_options_are_told_at_once(arguments, said):
    """What cannot work is an error of configure(), which names it."""
    with pytest.raises(ConfigurationError, match=said):
        new_region(arguments)


@pytest.mark.parametrize("name", ["redis_cluster", "valkey_cluster"])
def test_any_node_is_enough(cluster, name):
    """A URL names one node, and the others are found; so does text in a file."""
    port = cluster.nodes[1].port
    for arguments in (
        {"url": f"redis://127.0.0.1:{port}"},
        {"host": "127.0.0.1", "port": port},
        {"startup_nodes": ["127.0.0.1:1", ("127.0.0.1", port)]},
    ):
        region = new_region(arguments, name=f"holdover.{name}")
        for number in range(50):
            region.set(f"k{number}", number, strict=True)
        assert region.get_multi([f"k{n}" for n in range(50)]) == list(range(50))
    flat = {
        "cache.a.backend": f"holdover.{name}",
        "cache.a.arguments.startup_nodes": f"127.0.0.1:1, 127.0.0.1:{port}",
        "cache.a.unsigned_pickle": "yes",
    }
    region = make_region("region").configure_from_config(flat, "cache.a.")
    assert region.get("k7", strict=True) == 7


@pytest.mark.slow
def test_a_cluster_of_valkey_servers(tmp_path):
    """Valkey's nodes do as Redis's do."""
    with Cluster(tmp_path, program="valkey-server") as cluster:
        region = new_region(cluster.arguments, name="holdover.valkey_cluster")
        for number in range(50):
            assert region.get_or_create(f"k{number}", lambda n=number: n) == number
        assert region.get_multi([f"k{n}" for n in range(50)]) == list(range(50))
        assert not region.invalidate().pending
        assert region.get_or_create("k1", lambda: "new") == "new"
        with cluster.nodes[0].client() as client:
            assert "valkey_version" in client.info("server")


# -- names ---------------------------------------------------------------------


@pytest.mark.parametrize("key", HOSTILE_KEYS, ids=range(len(HOSTILE_KEYS)))
def test_all_of_an_entry_is_in_one_slot(client, key):
    """Value, lease and copy of the clock are where one script reaches them."""
    names = (value_name(key), lease_name(key), copy_name("a {region}", bucket_of(key)))
    assert {client.keyslot(name) for name in names} == {SLOT_OF_BUCKET[bucket_of(key)]}
    assert len({client.keyslot(name) for name in home_names(key)}) == 1


def test_buckets_are_spread_over_all_slots():
    """Whatever share of the slots a primary has, it has as much of the buckets."""
    assert [slot * BUCKETS // SLOTS for slot in SLOT_OF_BUCKET] == list(range(BUCKETS))


# -- what it costs -------------------------------------------------------------


def test_commands_per_operation(cluster):
    """What docs/backends.rst says of the commands is what the nodes count."""
    region = new_region(cluster.arguments)
    for number in range(200):  # everybody's scripts are known, and all copies there
        region.get_or_create(f"k{number}", lambda: 1)
    region.invalidate()
    for _ in range(2):  # the second call learns of the invalidation
        region.get_or_create("k", lambda: 1)
    hit = counted(cluster, lambda: region.get_or_create("k", lambda: 2))
    assert sorted(hit, key=len) == [{}, {}, {"mget": 1}]
    region.delete("k")
    miss = counted(cluster, lambda: region.get_or_create("k", lambda: 2))
    assert (total(miss, "mget"), total(miss, "evalsha")) == (1, 2)
    assert miss.count({}) == 2
    changed = counted(cluster, lambda: region.set("k", 2))
    for command in ("evalsha", "get", "set", "del"):
        assert total(changed, command) == 1
    assert total(changed, "multi") == 0
    advanced = counted(cluster, region.invalidate)
    assert total(advanced, "evalsha") == 1 + BUCKETS
    keys = [f"k{number}" for number in range(100)]
    buckets = len({bucket_of(key) for key in keys})
    many = counted(cluster, lambda: region.backend.read_multi(keys, "region"))
    assert total(many, "mget") == buckets
    for counts in (hit, miss, changed, advanced, many):
        assert not {"keys", "scan", "flushall"} & {
            name for one in counts for name in one
        }


# -- clocks and their copies ---------------------------------------------------


def ticks_of(backend):
    """Give the tick that is read in each bucket."""
    keys = [f"k{number}" for number in range(500)]
    assert {bucket_of(key) for key in keys} == set(range(BUCKETS))
    return {backend.read(key, REGION)[1] for key in keys}


@pytest.mark.parametrize("hard", [True, False])
@pytest.mark.parametrize("reaches", [(), [Reach(Scope.TAG, "t")]])
def test_an_invalidation_is_known_in_every_bucket(cluster, backend, hard, reaches):
    """Whichever node is asked by whichever process: it has the new tick."""
    other = RedisClusterBackend(cluster.arguments)
    assert len(ticks_of(other)) == 1
    state = backend.advance(REGION, hard=hard, reaches=reaches)
    assert ticks_of(other) == {state.tick}


@pytest.mark.parametrize("damage", ["lost", "behind", "not ours", "of another type"])
def test_a_copy_is_mended(backend, client, damage):
    """A copy that says nothing, or too little, is mended by who reads it."""
    state = backend.advance(REGION, hard=True)
    name = copy_name(REGION, bucket_of("k"))
    client.delete(name)
    if damage == "behind":
        client.set(name, f"{state.tick - 1024} 0 0 0")
    elif damage == "not ours":
        client.set(name, "")
    elif damage == "of another type":
        client.rpush(name, "x")
    assert backend.read("k", REGION)[1] == state.tick
    assert client.get(name) == b"%d 0 0 0" % state.tick
    assert backend.clock(REGION) == state


def test_a_lease_without_a_copy(backend, client):
    """A lease that is won where the copy was lost knows the tick all the same."""
    state = backend.advance(REGION, hard=True)
    name = copy_name(REGION, bucket_of("k"))
    client.delete(name)
    lease = won(backend)
    assert lease.clock == state.tick
    client.delete(name)
    adopted = backend.adopt("k", REGION, lease.token, ttl=5.0)
    assert adopted.clock == state.tick
    client.delete(name)
    stored = sealed(1, fence=adopted.fence)
    assert backend.commit(adopted, stored, REGION, ttl=None) == state.tick
    client.delete(name)
    assert backend.acquire("k", REGION, ttl=5.0, seen=None).tick == state.tick


@pytest.mark.parametrize("knows", ["this process", "a copy"])
def test_a_whole_clock_that_was_set_back(cluster, backend, client, knows):
    """A failover that lost an invalidation makes everything older gone."""
    before = backend.advance(REGION, hard=True, reaches=[Reach(Scope.TAG, "t")])
    saved, marks = client.get(WHOLE), client.zrange(MARKS, 0, -1, withscores=True)
    lost = backend.advance(REGION, hard=True)
    client.set(WHOLE, saved)
    client.zadd(MARKS, dict(marks))
    if knows == "a copy":
        backend = RedisClusterBackend(cluster.arguments)
        assert backend.read("k", REGION)[1] == lost.tick
    state = backend.clock(REGION)
    assert state.hard_floor == state.tick > lost.tick > before.tick
    assert backend.tick(REGION) == state.tick
    assert ticks_of(backend) == {state.tick}


def test_an_advance_over_a_whole_clock_that_was_set_back(backend, client):
    """Nor does the next invalidation cover up what was lost."""
    backend.clock(REGION)
    saved = client.get(WHOLE)
    lost = backend.advance(REGION, hard=True)
    client.set(WHOLE, saved)
    state = backend.advance(REGION, hard=False)
    assert state.hard_floor > lost.tick


def test_everything_is_lost(cluster, backend):
    """Whatever was stored before a cluster was emptied is gone, were it still there."""
    old = backend.advance(REGION, hard=True)
    cluster.empty()
    assert backend.read("k", REGION)[1] > old.tick
    assert backend.clock(REGION).hard_floor > old.tick


def test_a_full_cluster_invalidates(tmp_path):
    """Copies that cannot be written are removed, and then everything is gone."""
    with Cluster(tmp_path, "--maxmemory-policy", "noeviction") as cluster:
        backend = RedisClusterBackend(cluster.arguments)
        region = new_region(cluster.arguments)
        region.set("k", "old", strict=True)
        before = backend.advance(REGION, hard=False)
        for node in cluster.primaries:
            assert node.ask("CONFIG", "SET", "maxmemory", "1") == "+OK"
        assert backend.advance(REGION, hard=True).hard_floor > before.tick
        assert not region.invalidate().pending
        assert region.get_or_create("k", lambda: "new") == "new"
        with pytest.raises(BackendError):
            RedisClusterBackend(cluster.arguments).read("k", REGION)
        for node in cluster.primaries:
            assert node.ask("CONFIG", "SET", "maxmemory", "0") == "+OK"
        wait_until(lambda: not region.set("k", "newer").pending)
        assert backend.read("k", REGION)[1] > before.tick


# -- nodes that come and go ----------------------------------------------------


def test_no_node_is_there():
    """configure() works, and calls are answered at once by their creators."""
    nodes = [f"127.0.0.1:{free_port()}" for _ in range(3)]
    region = new_region({"startup_nodes": nodes})
    asked = time.monotonic()
    for number in range(20):
        assert region.get_or_create(f"k{number}", lambda n=number: n) == number
    assert time.monotonic() - asked < 5.0  # waiting each time: 100 s
    assert region.invalidate().pending


def test_a_server_that_is_no_cluster(redis_server):
    """The error says what the server said."""
    backend = RedisClusterBackend({"url": redis_server.url})
    with pytest.raises(BackendError, match="cluster support disabled"):
        backend.read("k", REGION)


@pytest.mark.parametrize("trouble", ["kill", "freeze"])
def test_a_node_goes_and_comes_back(own_cluster, trouble):
    """Other keys are not concerned; invalidations wait until it is back."""
    patience = {"socket_timeout": TIMEOUT, "socket_connect_timeout": TIMEOUT}
    region = new_region({**own_cluster.arguments, **patience})
    region.backend.clock("region")
    home = own_cluster.owner_of(SLOT_OF_BUCKET[bucket_of("region")])
    other, gone = [node for node in own_cluster.primaries if node is not home]
    lost, kept = key_on(own_cluster, gone), key_on(own_cluster, other)
    lost, kept = lost.removeprefix("region:"), kept.removeprefix("region:")
    backend = RedisClusterBackend({**own_cluster.arguments, **patience})
    for key in (lost, kept):
        backend.write(key, sealed(key, key), ttl=None)
        assert backend.read(key, REGION)[0] is not None
    getattr(gone, trouble)()
    asked = time.monotonic()
    with pytest.raises(BackendError):
        backend.read(lost, REGION)
    for _ in range(10):  # it is left alone now
        with contextlib.suppress(BackendError):
            backend.read(lost, REGION)
        assert backend.read(kept, REGION)[0] == sealed(kept, kept)
    assert time.monotonic() - asked < 10 * TIMEOUT
    with pytest.raises(BackendError):
        backend.advance(REGION, hard=True)
    tick = backend.clock(REGION).tick
    assert backend.read(kept, REGION)[1] == tick  # those that answered know
    assert region.invalidate().pending
    gone.thaw() if trouble == "freeze" else gone.start()
    wait_until(lambda: not region.invalidate().pending)

    def is_back():
        with contextlib.suppress(BackendError):
            return backend.read(lost, REGION)[1] == tick
        return False

    wait_until(is_back)


def migrate(cluster, source, target, slot, keys):
    """Begin to move a slot, with those of its names."""
    with source.client() as old, target.client() as new:
        new.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", source.id)
        old.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", target.id)
        for name in keys:
            old.migrate("127.0.0.1", target.port, name, 0, 1000)


def test_a_slot_moves(own_cluster):
    """What was stored is read while its slot moves, and found where it has gone."""
    backend = RedisClusterBackend(own_cluster.arguments)
    source, target, third = own_cluster.primaries
    key = key_on(own_cluster, source)
    backend.write(key, sealed("old", key), ttl=None)
    tick = backend.read(key, REGION)[1]
    slot, name = SLOT_OF_BUCKET[bucket_of(key)], value_name(key)
    copy = copy_name(REGION, bucket_of(key))
    migrate(own_cluster, source, target, slot, [name])
    for one in (backend, RedisClusterBackend(own_cluster.arguments)):
        assert one.read(key, REGION) == (sealed("old", key), tick)
        with pytest.raises(BackendError, match=r"(?i)during rehashing"):
            one.remove(key)
    with source.client() as old:
        old.migrate("127.0.0.1", target.port, copy, 0, 1000)
    assert backend.read(key, REGION) == (sealed("old", key), tick)  # there, by ASK
    for node in (target, source, third):
        with node.client() as client:
            client.execute_command("CLUSTER", "SETSLOT", slot, "NODE", target.id)
    assert backend.read(key, REGION) == (sealed("old", key), tick)  # there, by MOVED
    backend.write(key, sealed("new", key), ttl=None)
    assert backend.read(key, REGION)[0] == sealed("new", key)
    state = backend.advance(REGION, hard=True)
    assert backend.read(key, REGION)[1] == state.tick
    lease = won(backend, key, seen=1)
    assert backend.release(lease)


def test_processes_have_connections_of_their_own(cluster, backend):
    """A fork's child does not share its parent's connections."""
    backend.write("k", sealed("k"), ttl=None)

    def use(number):
        for _ in range(200):
            assert backend.read("k", REGION)[0] == sealed("k")
        return Findings(calls=200)

    assert in_processes(4, use).calls == 800
    assert use(0)


def hammered(cluster, way, seconds):
    """Have 8 processes go on for so long; give what they found."""

    def run(number):
        get, invalidate = way(new_region(cluster.arguments, SHORT))
        return for_seconds(
            seconds,
            lambda: hammer(
                cluster.oracle,
                get,
                invalidate,
                calls=100,
                seed=number,
                invalidate_every=50,
            ),
            calls=5_000 // 8,
        )

    return in_processes(8, run)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("way", [through, through_region_clock])
def test_a_primary_dies_under_load(tmp_path, way):
    """8 processes go on without an error, and without old values."""
    took = []
    with Cluster(tmp_path, replicas=1) as cluster:
        cluster.oracle = Oracle(str(tmp_path / "oracle"), 6)
        victim = cluster.primaries[0]
        key = key_on(cluster, victim)
        backend = RedisClusterBackend(cluster.arguments)
        backend.write(key, sealed(1, key), ttl=None)

        def is_stored():
            with contextlib.suppress(BackendError):
                backend.write(key, sealed(2, key), ttl=None)
                return backend.read(key, REGION)[0] == sealed(2, key)
            return False

        def trouble():
            time.sleep(1.5)
            victim.kill()
            killed = time.monotonic()
            wait_until(is_stored, patience=60.0)
            took.append(time.monotonic() - killed)

        troublemaker = threading.Thread(target=trouble)
        troublemaker.start()
        findings = hammered(cluster, way, 10)
        troublemaker.join()
    check(findings, 5_000)
    assert took[0] < 20.0
