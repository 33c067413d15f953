"""What is particular to `holdover.memcached`: its servers, connections and trouble."""

import gc
import itertools
import math
import multiprocessing
import signal
import ssl
import sys
import threading
import time
import weakref
from urllib.parse import quote

import pytest
from servers import MEMCACHED_CLIENTS as CLIENTS
from servers import MemcachedServer

from holdover import LeaseTerms, make_region
from holdover.errors import (
    BackendError,
    ConfigurationError,
    MissingDependency,
    ValueTooLarge,
)
from holdover.regions.backends.grants import Busy, Changed, Lease, LeaseKind
from holdover.regions.backends.memcached import MemcachedBackend
from holdover.regions.backends.memcached_link import Refused
from holdover.regions.backends.memcached_names import (
    Ring,
    clock_name,
    lease_name,
    tick_name,
    value_name,
)
from holdover.regions.backends.memcached_options import DEFAULT_MAX_BYTES, Options
from holdover.regions.backends.memcached_records import (
    LeaseRecord,
    clock_record,
    exptime,
    is_placeholder,
    placeholder,
    state_of,
    tick_of,
)
from holdover.regions.ticks import ClockState, Reach, Scope
from holdover.testing import FakeClock, ToxicProxy, toxics
from holdover.testing.contract import HOSTILE_KEYS
from holdover.testing.contract_leases import REGION, sealed, won

FORK = multiprocessing.get_context("fork")
TIMEOUT = 0.25
HASTY = {
    "socket_timeout": 0.5,
    "socket_connect_timeout": 0.5,
}  # on a busy machine
MONTH = 30 * 86_400


@pytest.fixture(params=CLIENTS)
def client(request):
    """Each client library in turn."""
    return request.param


@pytest.fixture
def backend(memcached_server, client):
    """A backend on one shared server."""
    return on(memcached_server, client=client)


@pytest.fixture
def cluster(memcached_servers):
    """A backend on three shared servers."""
    return on(*memcached_servers)


def on(*servers, **arguments):
    """Make a backend on servers."""
    return MemcachedBackend({"url": [one.url for one in servers], **arguments})


def new_region(*servers, client="pymemcache", more=(), **settings):
    """Configure a region on servers."""
    settings.setdefault("lease", LeaseTerms(ttl=5.0, wait=5.0))
    arguments = {"url": [one.url for one in servers], "client": client, **dict(more)}
    return make_region("region").configure(
        "holdover.memcached", 60, arguments, unsigned_pickle=True, **settings
    )


def wait_until(is_so):
    """Wait for something that comes about by itself, for seconds at most."""
    deadline = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def names_on(server):
    """Give what lies on a server, by name."""
    answer = server.ask("lru_crawler metadump all", b"END\r\n")[:-1]
    return {line.split()[0].removeprefix("key=") for line in answer}


# -- options -------------------------------------------------------------------


@pytest.mark.usefixtures("default_timeouts")
def test_what_holds_by_default():
    """0.25 s for a connection and for an answer; a size that every server takes."""
    options = Options.read({"url": " one "})
    assert options.servers == ("one:11211",)
    assert (options.timeout, options.connect_timeout) == (TIMEOUT, TIMEOUT)
    assert options.max_bytes == 1_047_552
    assert options.default_ttl is None
    assert options.client == "pymemcache"


@pytest.mark.parametrize(
    ("written", "place"),
    [
        ("h", ("h", 11211)),
        ("h:1", ("h", 1)),
        ("[::1]", ("::1", 11211)),
        ("[::1]:2", ("::1", 2)),
        ("/run/memcached.sock", "/run/memcached.sock"),
    ],
)
def test_how_a_server_is_written(written, place):
    """By its host, by host and port, or by the path of its socket."""
    options = Options.read({"url": [written]})
    assert options.place_of(*options.servers) == place


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "url must be a server"),
        ({"url": []}, "url must be a server"),
        ({"url": 7}, "url must be a server"),
        ({"url": "h", "ulr": "h"}, "'url'"),
        ({"url": ""}, "must be 'host'"),
        ({"url": "redis://h"}, "must be 'host'"),
        ({"url": "h:port"}, "must be 'host'"),
        ({"url": "one,two"}, "several a list"),
        ({"url": "h:0"}, "must be 'host'"),
        ({"url": "h:65536"}, "must be 'host'"),
        ({"url": "h:²"}, "must be 'host'"),
        ({"url": "::1"}, "must be 'host'"),
        ({"url": ["h", None]}, "must be 'host'"),
        ({"url": ["h", "h:11211"]}, "twice: h:11211, h:11211"),
        ({"url": "h", "client": "pylibmcc"}, "'pylibmc'"),
        ({"url": "h", "socket_timeout": "soon"}, "socket_timeout"),
        ({"url": "h", "socket_connect_timeout": -1}, "socket_connect_timeout"),
        ({"url": "h", "max_bytes": 0}, "max_bytes"),
        ({"url": "h", "memcached_expire_time": -1}, "memcached_expire_time"),
        ({"url": "h", "tls_context": "yes"}, "tls_context"),
        (
            {
                "url": "h",
                "client": "pylibmc",
                "tls_context": ssl.create_default_context(),
            },
            "pymemcache",
        ),
    ],
)
def test_wrong_options_say_what_is_wrong(arguments, said):
    """Each is a ConfigurationError that names the option, when it is configured."""
    with pytest.raises(ConfigurationError) as caught:
        MemcachedBackend(arguments)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("library", "wanted"),
    [("pymemcache", "holdover[memcached]"), ("pylibmc", "pip install pylibmc")],
)
def test_a_client_that_is_not_installed(monkeypatch, library, wanted):
    """The error says what to install."""
    room = f"holdover.regions.backends.memcached_{library}"
    monkeypatch.delitem(sys.modules, room, raising=False)
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.setitem(sys.modules, f"{library}.client.base", None)
    with pytest.raises(MissingDependency) as caught:
        MemcachedBackend({"url": "h", "client": library})
    assert wanted in str(caught.value)


def test_a_certificate_that_nobody_known_has_signed(tls_memcached):
    """Nothing is sent to a server that cannot prove who it is."""
    told = {"url": tls_memcached.url, "tls_context": ssl.create_default_context()}
    with pytest.raises(BackendError, match="CERTIFICATE_VERIFY_FAILED"):
        MemcachedBackend(told).write("k", sealed(1), ttl=None)


def test_options_of_dogpile_s_lock_do_no_harm():
    """A program that moves from dogpile.cache keeps its arguments."""
    locks = {"distributed_lock": True, "lock_timeout": 30}
    options = MemcachedBackend({"url": "h", "memcached_expire_time": 60, **locks})
    assert options.get_mutex("k") is None


def test_a_url(memcached_servers):
    """A region can be configured by one URL that names all servers."""
    hosts = ",".join(server.url for server in memcached_servers)
    region = make_region("r").configure(
        f"memcached://{hosts}?expiration_time=60&socket_timeout=1&unsigned_pickle=yes"
    )
    assert region.get_or_create("k", lambda: "made") == "made"
    assert region.get("k") == "made"


# -- names ---------------------------------------------------------------------


def test_an_ordinary_key_is_its_value_s_name():
    """So dogpile.cache and operators find it there."""
    for key in ("k", "module:function|1", "k" * 250, "~!"):
        assert value_name(key) == key.encode()


def test_every_name_is_one_that_memcached_takes():
    """1 to 250 visible ASCII characters, whatever the key."""
    keys = [*HOSTILE_KEYS, "k" * 249, "k" * 250, "k" * 251, "holdover:lease:k", "\x7f"]
    for key in keys:
        value = value_name(key)
        for name in (value, lease_name(value), tick_name(key), clock_name(key)):
            assert 1 <= len(name) <= 250
            assert all(0x21 <= byte <= 0x7E for byte in name)


def test_no_two_things_share_a_name():
    """Nor can a key be chosen so that it has the name of something else."""
    keys = {*HOSTILE_KEYS, "k" * 250, "k" * 251, "k" * 240}
    for _ in range(2):  # and keys that are called like what there is
        makers = (value_name, lambda k: lease_name(value_name(k)), tick_name)
        names = [make(key) for key in keys for make in (*makers, clock_name)]
        assert len(set(names)) == len(names)
        keys |= {name.decode() for name in names}


def test_few_keys_move_when_a_server_comes():
    """Consistent hashing: a fourth server takes about a fourth, and only for itself."""
    names = [f"key{number}".encode() for number in range(10_000)]
    three, four = Ring(["a:1", "b:1", "c:1"]), Ring(["d:1", "a:1", "b:1", "c:1"])
    moved = 0
    for name in names:
        before, after = three.number_for(name), four.number_for(name)
        assert after in (0, before + 1)
        moved += after == 0
    assert 0.15 < moved / len(names) < 0.35
    shares = [sum(three.number_for(name) == n for name in names) for n in range(3)]
    assert min(shares) > 2_000


def test_all_of_a_key_is_on_one_server(memcached_servers, cluster):
    """Value and lease lie together; every server has a share, and the tick."""
    lease_of = {}
    for number in range(30):
        key = f"k{number}"
        cluster.write(key, sealed(1, key), ttl=None)
        won(cluster, key, seen=1)
        lease_of[key] = quote(lease_name(value_name(key)))  # as the server lists it
    there = [names_on(server) for server in memcached_servers]
    for key, lease in lease_of.items():
        assert [key in names for names in there] == [lease in names for names in there]
    assert all(any(key in names for key in lease_of) for names in there)


# -- times ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ttl", "expected"),
    [
        (None, 0),
        (math.inf, 0),
        (math.nan, 0),
        (1e15, 0),
        (-1.0, 1),
        (0.0, 1),
        (0.001, 2),
        (1.0, 2),
        (5.0, 6),
        (5.1, 7),
        (MONTH - 1, MONTH),
        (MONTH, 1_000_000_000 + MONTH + 1),
        (90 * 86_400, 1_000_000_000 + 90 * 86_400 + 1),
        (2**31 - 1_000_000_003, 2**31 - 2),
        (2**31 - 1_000_000_001, 0),
    ],
)
def test_what_a_server_is_told_of_a_ttl(ttl, expected):
    """Never less than it is, never endless by accident, a date if it is long."""
    assert exptime(ttl, now=1_000_000_000.0) == expected


def test_a_short_ttl_is_rounded_up_and_ends(backend):
    """What is to last 0.3 s is there for as long, and gone after 2 s."""
    backend.write("v", sealed(1, "v"), ttl=0.3)
    assert isinstance(backend.acquire("k", REGION, ttl=0.3, seen=None), Lease)
    begun = time.monotonic()
    while time.monotonic() < begun + 0.3:
        assert backend.read("v", REGION)[0] is not None
        busy = backend.leased("k")
        assert 0.0 < busy.expires_in <= 0.3
        time.sleep(0.02)
    wait_until(lambda: backend.read("v", REGION)[0] is None)
    wait_until(lambda: backend.leased("k") is None)
    assert time.monotonic() < begun + 2.5
    won(backend)


def test_a_ttl_beyond_a_month(backend):
    """Memcached takes it for a date, which it must not be in 1970."""
    for ttl in (MONTH + 1.0, 10 * 365 * 86_400.0, 1e12):
        backend.write("k", sealed("kept"), ttl=ttl)
        assert backend.read("k", REGION)[0] == sealed("kept")


def test_a_bound_for_what_has_none(memcached_server):
    """`memcached_expire_time` is the ttl of values that have none of their own."""
    bounded = on(memcached_server, memcached_expire_time=100)
    bounded.write("k", sealed(1), ttl=None)
    listing = memcached_server.ask("lru_crawler metadump all", b"END\r\n")
    line = next(line for line in listing if line.startswith("key=k "))
    assert "exp=-1" not in line


# -- records -------------------------------------------------------------------


def test_a_clock_survives_being_written_down():
    """With all its marks, whatever their names."""
    state = ClockState.seeded(5.0)
    for hard, name in itertools.product((True, False), HOSTILE_KEYS):
        reach = Reach(Scope.PREFIX if hard else Scope.TAG, name)
        state = state.advanced(6.0, hard=hard, reaches=[reach])
    assert state_of(clock_record(state, most=10**6)) == state


def test_a_clock_that_is_too_large_forgets_its_marks():
    """What does not fit into an item reaches more, never less."""
    reaches = [Reach(Scope.TAG, "long" * 100 + str(n)) for n in range(100)]
    state = ClockState.seeded(5.0).advanced(6.0, hard=True, reaches=reaches)
    found = state_of(clock_record(state, most=10_000))
    assert found == state.without_marks()
    assert found.hard_floor == state.tick


@pytest.mark.parametrize(
    "data",
    [
        None,
        b"",
        b"null",
        b"[]",
        b"[1,2,3]",
        b'[1,2,3,[["tag","t",true]]]',
        b'[1,2,3,[["gat","t",true,4]]]',
        b'[1,2,3,[["tag",5,true,4]]]',
        b'[1,2,3,[["tag","t",true,NaN]]]',
        b'["x",2,3,[]]',
        b"[0,0,0,[]]",
        b"[true,2,3,[]]",
        b"[1.5,2,3,[]]",
        b"[-1,2,3,[]]",
        b"[1,-2,3,[]]",
        b"[Infinity,2,3,[]]",
        b"[1,1e400,3,[]]",
        b"[1%s,2,3,[]]" % (b"0" * 25),
        b"[" * 100_000,
        b"0",
        b"1" * 20,
        b"1" * 5_000,
        b"\xff",
        b"H",
        b"X secret 1 2 3 ",
        b"H secret one 2 3 ",
        b"H \xff 1 2 3 ",
    ],
)
def test_damaged_records_are_none(data):
    """Whatever lies there instead is taken for nothing."""
    assert state_of(data) is None
    assert LeaseRecord.read(data) is None
    assert tick_of(data) is None


def test_a_placeholder_is_no_value():
    """It is told from every value, and no two are alike."""
    assert is_placeholder(placeholder())
    assert placeholder() != placeholder()
    assert not is_placeholder(placeholder() + b"x")
    assert not is_placeholder(b"")


# -- what is asked of the server -----------------------------------------------


def counted(server, work):
    """Give how often the server was asked each command during *work*."""

    def read():
        lines = server.ask("stats", b"END\r\n")[:-1]
        stats = dict(line.split(maxsplit=2)[1:] for line in lines)
        counts = {
            "keys": "cmd_get", "set": "cmd_set", "hit": "cas_hits",
            "deleted": "delete_hits", "missed": "delete_misses",
            "flush": "cmd_flush", "touch": "cmd_touch", "meta": "cmd_meta",
        }  # fmt: skip
        return {name: int(stats.get(stat, 0)) for name, stat in counts.items()}

    before = read()
    work()
    after = read()
    return {
        name: after[name] - before[name]
        for name in after
        if after[name] != before[name]
    }


def test_a_hit_is_one_command(memcached_server, backend):
    """It asks for the value and the clock's tick, and for nothing else."""
    backend.write("k", sealed(1), ttl=None)
    backend.read("k", REGION)
    assert counted(memcached_server, lambda: backend.read("k", REGION)) == {"keys": 2}


def test_the_round_trips_that_are_documented(proxy):
    """As docs/backends.rst lists them."""
    backend, replies = on(proxy), []

    def treat(stream, data):
        replies.append(data)
        yield data

    def trips(work):
        replies.clear()
        found = work()
        return len(replies), found

    backend.clock(REGION)
    proxy.replies = treat
    taken, lease = trips(lambda: won(backend))
    assert taken == 5
    stored = sealed(1, fence=7)
    assert trips(lambda: backend.commit(lease, stored, REGION, ttl=None))[0] == 4
    assert trips(lambda: backend.read("k", REGION))[0] == 1
    taken, lease = trips(lambda: won(backend, seen=7))
    assert taken == 3
    assert trips(lambda: backend.acquire("k", REGION, ttl=5.0, seen=7))[0] == 1
    assert trips(lambda: backend.renew(lease, ttl=5.0)) == (2, True)
    assert trips(lambda: backend.release(lease)) == (2, True)
    assert trips(lambda: backend.write("k", stored, ttl=None))[0] == 2
    assert trips(lambda: backend.remove("k")) == (3, True)
    assert trips(lambda: backend.advance(REGION, hard=True))[0] == 5


def test_an_invalidation_costs_the_same_for_any_number(memcached_server, backend):
    """What is sent to invalidate a region, a tag or a prefix is independent of it."""
    for reaches in ((), [Reach(Scope.TAG, "t")], [Reach(Scope.PREFIX, "p")]):

        def invalidate(reaches=reaches):
            backend.advance(REGION, hard=True, reaches=reaches)

        backend.clock(REGION)
        few = counted(memcached_server, invalidate)
        for number in range(200):
            backend.write(f"k{number}", sealed(number), ttl=None)
        assert counted(memcached_server, invalidate) == few
        assert few == {"keys": 3, "set": 2, "hit": 2}


def test_many_keys_of_three_servers(cluster, memcached_servers):
    """A thousand keys are written, read and removed in batches."""
    stored = {f"k{n}": sealed(n, f"k{n}") for n in range(1_000)}
    cluster.write_multi(stored, ttl=60.0)
    found, tick = cluster.read_multi([*stored, "missing"], REGION)
    assert found == [*stored.values(), None]
    assert tick == cluster.clock(REGION).tick
    assert all(len(names_on(server)) > 100 for server in memcached_servers)
    assert cluster.remove_multi(list(stored))
    assert cluster.read_multi(list(stored), REGION)[0] == [None] * 1_000


# -- sizes ---------------------------------------------------------------------


@pytest.mark.parametrize("name", CLIENTS)
def test_the_largest_value_is_taken_by_every_server(own_memcached, name):
    """What `max_bytes` allows by default, a server's own default allows too."""
    backend, key = on(own_memcached, client=name), "k" * 250
    largest = b"x" * DEFAULT_MAX_BYTES
    backend.write(key, largest, ttl=60.0)
    assert backend.read(key, REGION)[0] == largest


def test_what_is_too_large_removes_what_is_outdated(backend):
    """It is refused before it is sent; what was there before is gone."""
    large = sealed(b"x" * DEFAULT_MAX_BYTES)
    refused = pytest.raises(ValueTooLarge, match="max_bytes=1047552")
    backend.write("k", sealed("old"), ttl=None)
    with refused:
        backend.write("k", large, ttl=None)
    assert backend.read("k", REGION)[0] is None
    backend.write("k", sealed("old", fence=1), ttl=None)
    with pytest.raises(ValueTooLarge):
        backend.commit(won(backend, seen=1), large, REGION, ttl=None)
    assert backend.read("k", REGION)[0] is None
    assert backend.leased("k") is None
    backend.write("k", sealed("old", fence=1), ttl=None)
    with pytest.raises(ValueTooLarge):
        backend.compare_and_set("k", large, seen=1, ttl=None)
    assert backend.read("k", REGION)[0] == sealed("old", fence=1)


def test_what_the_server_finds_too_large(own_memcached, client):
    """A limit of ours above the server's: an error, and no outdated value."""
    backend = on(own_memcached, client=client, max_bytes=2_000_000)
    backend.write("k", sealed("old"), ttl=None)
    with pytest.raises(BackendError):
        backend.write("k", sealed(b"x" * 1_500_000), ttl=None)
    assert backend.read("k", REGION)[0] is None


def test_a_caller_gets_what_is_too_large(memcached_server, heard):
    """It is not cached, and an event says so."""
    region = new_region(memcached_server)
    events = heard(region)
    value = "x" * 2_000_000
    assert region.get_or_create("k", lambda: value) == value
    assert "Uncacheable" in [type(event).__name__ for event in events]


# -- leases and the fence ------------------------------------------------------


def test_a_restart_refuses_what_began_before_it(own_memcached, client):
    """Versions begin anew with the server: an equal one is not the same one."""
    backend = on(own_memcached, client=client)
    lease = won(backend)
    own_memcached.kill()
    own_memcached.start()
    other = on(own_memcached, client=client)
    while True:  # until a newer value has the version that the lease was won with
        other.write("k", sealed("newer", fence=2), ttl=None)
        newest = int(own_memcached.ask("gets k", b"END\r\n")[0].split()[-1])
        version = int(lease.token.rpartition(".")[2])
        if newest >= version:
            break
    assert newest == version
    again = on(own_memcached, client=client)
    assert again.commit(lease, sealed("old"), REGION, ttl=None) is None
    assert again.read("k", REGION)[0] == sealed("newer", fence=2)


def test_a_restart_refuses_even_the_lease_s_own_record(own_memcached, backend):
    """A lease that somebody else took over after it is not the old one's."""
    first = on(own_memcached)
    lease = won(first)
    own_memcached.kill()
    own_memcached.start()
    successor = won(on(own_memcached))
    fresh = on(own_memcached)
    assert fresh.commit(lease, sealed("old"), REGION, ttl=None) is None
    assert not fresh.release(lease)
    assert not fresh.renew(lease, ttl=5.0)
    assert fresh.commit(successor, sealed("new"), REGION, ttl=None) is not None


def test_an_evicted_lease_refuses_the_commit(memcached_server, backend):
    """Its holder has lost it; whoever asks next creates."""
    lease = won(backend)
    memcached_server.ask(f"delete {lease_name(b'k').decode()}")
    assert backend.commit(lease, sealed("lost"), REGION, ttl=None) is None
    assert backend.commit(won(backend), sealed("new"), REGION, ttl=None) is not None


def test_an_evicted_placeholder_refuses_the_commit(memcached_server, backend):
    """Without it nobody could tell whether the key was removed meanwhile."""
    lease = won(backend)
    memcached_server.ask("delete k")
    assert backend.commit(lease, sealed("lost"), REGION, ttl=None) is None
    assert backend.leased("k") is None
    won(backend)


def test_garbage_in_a_lease_s_place_is_taken_over(memcached_server, backend):
    """It keeps nobody from creating."""
    backend.write("x", sealed(1, "x"), ttl=None)
    name = lease_name(b"k").decode()
    memcached_server.ask(f"set {name} 0 0 7\r\ngarbage")
    assert backend.leased("k") is None
    assert backend.commit(won(backend), sealed(1), REGION, ttl=None) is not None


@pytest.mark.parametrize("token", ["", "x", ".", "x.", ".5", "x.y", "x.²", "x.-1"])
def test_a_token_that_proves_nothing(backend, token):
    """Nothing that a message may bring adopts, commits or ends a lease."""
    won(backend)
    assert backend.adopt("k", REGION, token, ttl=5.0) is None
    lease = Lease(key="k", token=token, fence=1, clock=1, ttl=5.0)
    assert backend.commit(lease, sealed(1), REGION, ttl=None) is None
    assert not backend.release(lease)
    assert not backend.renew(lease, ttl=5.0)
    assert isinstance(backend.acquire("k", REGION, ttl=5.0, seen=None), Busy)


def test_a_value_that_is_stored_while_we_ask(memcached_server, proxy):
    """Who wins the lease looks again: its last holder may just have committed."""
    backend, holder = on(proxy), on(memcached_server)
    backend.clock(REGION)
    new = sealed("new", fence=7)

    def commit_meanwhile(stream, data):
        proxy.heal()
        holder.commit(won(holder), new, REGION, ttl=None)
        yield data

    proxy.replies = commit_meanwhile
    grant = backend.acquire("k", REGION, ttl=5.0, seen=None)
    assert isinstance(grant, Changed)
    assert grant.stored == new
    assert holder.leased("k") is None


def test_a_placeholder_is_never_a_value(backend):
    """While a key is created for the first time, there is nothing to read or remove."""
    won(backend)
    assert backend.read("k", REGION)[0] is None
    assert backend.read_multi(["k"], REGION)[0] == [None]
    assert backend.remove("k") is False
    won(backend)
    assert not backend.compare_and_set("k", sealed(1), seen=5, ttl=None)
    assert backend.compare_and_set("k", sealed(1), seen=None, ttl=None)


def test_what_a_pause_says_is_bounded(memcached_server, backend):
    """A creator's error of any length takes little room on the server."""
    assert backend.back_off(won(backend), ttl=5.0, reason="☃ " * 100_000)
    name = lease_name(b"k").decode()
    answer = memcached_server.ask(f"get {name}", b"END\r\n")
    assert int(answer[0].split()[-1]) < 1_000
    assert backend.leased("k").kind is LeaseKind.BACKING_OFF


def test_hosts_whose_clocks_differ(memcached_server):
    """What is said of a lease's rest is bounded, however wrong a host's clock is."""
    clock = FakeClock()
    backend = on(memcached_server, time_source=clock)
    now = clock.wall()
    won(backend)
    for wrong in (now - 1e6, now + 1e6):
        clock.set_wall(wrong)
        busy = backend.acquire("k", REGION, ttl=5.0, seen=None)
        assert 0.0 < busy.expires_in <= 5.0


# -- the region clock ----------------------------------------------------------


def forget(servers, name):
    """Have every server forget what goes by a name."""
    for server in servers:
        server.ask(f"delete {name.decode()}")


def test_a_lost_tick_is_put_back(memcached_servers, cluster):
    """The whole clock is there: nothing is gone."""
    state = cluster.advance(REGION, hard=True, reaches=[Reach(Scope.TAG, "t")])
    forget(memcached_servers, tick_name(REGION))
    for number in range(20):
        assert cluster.read(f"k{number}", REGION)[1] == state.tick
    assert cluster.clock(REGION) == state
    name = tick_name(REGION).decode()
    shown = {server.ask(f"get {name}", b"END\r\n")[1] for server in memcached_servers}
    assert shown == {str(state.tick)}


@pytest.mark.parametrize("what", ["lost", "damaged"])
def test_a_lost_clock_is_made_anew(memcached_servers, cluster, what):
    """All that is older is gone, and every server knows."""
    before = cluster.advance(REGION, hard=True)
    forget(memcached_servers, clock_name(REGION))
    if what == "damaged":
        for server in memcached_servers:
            server.ask(f"set {clock_name(REGION).decode()} 0 0 7\r\ngarbage")
    state = cluster.clock(REGION)
    assert state.hard_floor == state.tick > before.tick
    for number in range(20):
        assert cluster.read(f"k{number}", REGION)[1] == state.tick


@pytest.mark.parametrize("lost", ["the clock", "all that its server has"])
def test_a_clock_lost_while_time_goes_back(memcached_servers, lost):
    """The new one is later all the same, while a tick of the old one is known."""
    clock = FakeClock()
    cluster = on(*memcached_servers, time_source=clock)
    before = cluster.advance(REGION, hard=True)
    forget(memcached_servers, clock_name(REGION))
    if lost != "the clock":
        home = cluster._servers.links.index(cluster._clocks._home(REGION))
        memcached_servers[home].ask("flush_all")
    clock.set_wall(5.0)
    assert cluster.clock(REGION).hard_floor > before.tick


def test_a_server_that_comes(memcached_servers, own_memcached):
    """It takes some clocks, which are made anew; what the others had is known."""
    cluster = on(*memcached_servers, socket_timeout=5.0)
    more = on(*memcached_servers, own_memcached, socket_timeout=5.0)
    stayed = []
    for number in range(100):
        region = f"region{number}"
        before = cluster.advance(region, hard=True)
        after = more.clock(region)
        moved = more._clocks._home(region) is more._servers.links[-1]
        stayed.append(after == before)
        assert stayed[-1] is not moved
        assert {more.read(f"k{n}", region)[1] for n in range(5)} == {after.tick}
        assert after.hard_floor > before.tick or not moved
    assert 50 < sum(stayed) < 100


def test_an_invalidation_whose_process_died(memcached_servers, cluster):
    """What not all servers were told is told by who notices first."""
    old = cluster.advance(REGION, hard=True)
    new = cluster.advance(REGION, hard=True)
    name = tick_name(REGION).decode()
    data = str(old.tick)
    for server in memcached_servers:
        server.ask(f"set {name} 0 0 {len(data)}\r\n{data}")
    assert cluster.clock(REGION) == new
    for number in range(20):
        assert cluster.read(f"k{number}", REGION)[1] == new.tick


def test_who_invalidates_at_the_same_time(memcached_servers):
    """All are noted, and every server shows the last tick in the end."""
    backends = [on(*memcached_servers) for _ in range(8)]

    def run(number):
        for turn in range(20):
            reach = Reach(Scope.TAG, f"{number}-{turn}")
            backends[number].advance(REGION, hard=True, reaches=[reach])

    threads = [threading.Thread(target=run, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    state = backends[0].clock(REGION)
    assert len(state.marks) == 160
    for number in range(20):
        assert backends[0].read(f"k{number}", REGION)[1] == state.tick


# -- servers in trouble --------------------------------------------------------


def test_a_server_that_is_not_there(client):
    """configure() works, and calls are answered at once by their creators."""
    nowhere = MemcachedServer()
    region = new_region(nowhere, client=client)
    asked = time.monotonic()
    for number in range(20):
        assert region.get_or_create(f"k{number}", lambda n=number: n) == number
    assert time.monotonic() - asked < 10.0  # waiting each time: 100 s
    assert region.set("k", 1).pending
    assert region.delete("k").pending
    assert region.invalidate().pending


def test_a_server_that_dies_in_mid_way(own_memcached, client):
    """Callers go on, and find the server again once it is back."""
    region = new_region(own_memcached, client=client)
    region.set("k", "kept")
    assert region.get("k") == "kept"
    own_memcached.kill()
    for number in range(10):
        assert region.get_or_create("k", lambda n=number: n) == number
    assert region.delete("k").pending
    own_memcached.start()

    def is_back():
        region.get_or_create("k", lambda: "back")
        return region.get("k") == "back"

    wait_until(is_back)


def test_a_restart_between_two_calls_is_not_noticed(own_memcached):
    """A connection that the server has closed is replaced, to read and to write."""
    backend = on(own_memcached)
    for use in (
        lambda: backend.read("k", REGION),
        lambda: backend.write("k", sealed(1), ttl=None),
        lambda: backend.acquire("j", REGION, ttl=5.0, seen=None),
        lambda: backend.advance(REGION, hard=True),
    ):
        backend.read("k", REGION)
        own_memcached.kill()
        own_memcached.start()
        use()


@pytest.mark.usefixtures("default_timeouts")
def test_each_operation_on_a_frozen_server_is_short(own_memcached, client):
    """Nothing waits for a frozen server for longer than the timeout."""
    backend = on(own_memcached, client=client)
    lease = won(backend)
    own_memcached.freeze()
    for use in (
        lambda: backend.read("k", REGION),
        lambda: backend.read_multi(["k", "j"], REGION),
        lambda: backend.write("k", sealed(1), ttl=None),
        lambda: backend.remove("k"),
        lambda: backend.acquire("k", REGION, ttl=5.0, seen=None),
        lambda: backend.commit(lease, sealed(1), REGION, ttl=None),
        lambda: backend.leased("k"),
        lambda: backend.clock(REGION),
        lambda: backend.advance(REGION, hard=True),
    ):
        asked = time.monotonic()
        with pytest.raises(BackendError, match=r"asking memcached at 127\.0\.0\.1:"):
            use()
        assert time.monotonic() - asked < 2 * TIMEOUT + 3.0


def test_one_of_three_servers_is_away(memcached_servers, own_memcached):
    """Its keys are misses, the others are hits; an invalidation waits for it."""
    backend = on(*memcached_servers[:2], own_memcached)
    own = f"127.0.0.1:{own_memcached.port}"
    region = next(
        name for name in map("region{}".format, range(99))
        if backend._clocks._home(name)._where != own
    )  # fmt: skip
    keys = [f"k{number}" for number in range(30)]
    backend.write_multi({key: sealed(key, key) for key in keys}, ttl=None)
    before = backend.clock(region)
    own_memcached.kill()
    found = []
    for key in keys:
        try:
            found.append(backend.read(key, region)[0] == sealed(key, key))
        except BackendError:
            found.append(None)
    assert set(found) == {True, None}
    with pytest.raises(BackendError, match=own):
        backend.advance(region, hard=True)
    own_memcached.start()
    after = backend.advance(region, hard=True)
    assert after.tick > before.tick
    assert {backend.read(key, region)[1] for key in keys} == {after.tick}


def test_a_full_server(client):
    """One that evicts nothing refuses new values, and keeps no outdated one."""
    with MemcachedServer("-M", "-m", "8") as server:
        backend = on(server, client=client)
        backend.clock(REGION)
        backend.write("old", sealed("old", "old"), ttl=None)
        large = sealed(b"x" * 900_000)
        with pytest.raises(BackendError):
            [backend.write(f"k{number}", large, ttl=None) for number in range(100)]
        with pytest.raises(BackendError):
            backend.write("old", large, ttl=None)
        assert backend.read("old", REGION)[0] is None
        assert backend.remove("k0")


def test_a_full_server_refuses_a_write_at_a_tick(client):
    """The outdated value is removed then, too."""
    with MemcachedServer("-M", "-m", "8") as server:
        backend = on(server, client=client)
        tick = backend.clock(REGION).tick
        backend.write("old", sealed("old", "old"), ttl=None)
        large = sealed(b"x" * 900_000)
        with pytest.raises(Refused):
            [
                backend.write_at(f"k{n}", large, REGION, tick=tick, ttl=None)
                for n in range(100)
            ]
        with pytest.raises(Refused):
            backend.write_at("old", large, REGION, tick=tick, ttl=None)
        assert backend.read("old", REGION)[0] is None


# -- a damaged wire ------------------------------------------------------------


@pytest.fixture
def proxy(memcached_server):
    """A way to the shared server that the test can damage."""
    with ToxicProxy(memcached_server.port) as proxy:
        proxy.url = proxy.address
        yield proxy


DAMAGE = {
    "swallowed": toxics.blackhole(),
    "reset": toxics.reset_peer(),
    "cut at once": toxics.limit_data(0),
    "cut in the middle": toxics.limit_data(3),
    "another protocol": toxics.replace(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    "no number": toxics.replace(b"VALUE k 0 two\r\nab\r\nEND\r\n"),
    "another key": toxics.replace(b"VALUE other 0 2\r\nab\r\nEND\r\n"),
    "too long": toxics.replace(b"VALUE k 0 1000000\r\nab\r\nEND\r\n"),
    "too short": toxics.replace(b"VALUE k 0 1\r\nab\r\nEND\r\n"),
    "negative": toxics.replace(b"VALUE k 0 -5\r\nab\r\nEND\r\n"),
    "huge": toxics.replace(b"VALUE k 0 99999999999999999999\r\nab\r\nEND\r\n"),
    "more than was asked": toxics.replace(b"END\r\nEND\r\n"),
    "an error": toxics.replace(b"SERVER_ERROR out of memory\r\n"),
    "no command": toxics.replace(b"ERROR\r\n"),
    "binary": toxics.replace(b"\x81" + bytes(23)),
}


# libmemcached does not say which key it was answered about; the envelope does.
NOTICED = [
    (client, name)
    for client in CLIENTS
    for name in DAMAGE
    if (client, name) != ("pylibmc", "another key")
]


@pytest.mark.parametrize(("client", "damage"), NOTICED)
def test_a_damaged_reply_is_a_backend_error(proxy, backend, client, damage):
    """Every operation reports it as a `BackendError`, and the next one is well."""
    sound, backend = backend, on(proxy, client=client, **HASTY)
    backend.clock(REGION)
    for use in (
        lambda: backend.read("k", REGION),
        lambda: backend.read_multi(["k"], REGION),
        lambda: backend.acquire("other", REGION, ttl=5.0, seen=None),
        lambda: backend.clock(REGION),
        lambda: backend.remove("j"),
        lambda: backend.write("j", sealed(1), ttl=None),
    ):
        sound.write("k", sealed("kept"), ttl=None)
        proxy.replies = DAMAGE[damage]
        with pytest.raises(BackendError):
            use()
        proxy.heal()
        assert backend.read("k", REGION)[0] == sealed("kept")


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_reply_is_a_miss(proxy, client, damage):
    """Whatever comes instead of a reply: callers are answered, and soon."""
    region = new_region(proxy, client=client, more=HASTY)
    region.set("k", "kept")
    assert region.get("k") == "kept"
    proxy.replies = damage
    asked = time.monotonic()
    assert region.get_or_create("k", lambda: "made") == "made"
    assert region.set("j", 1).pending
    assert region.delete("j").pending
    assert time.monotonic() - asked < 8 * 0.5 + 2.0
    proxy.heal()
    wait_until(lambda: region.set("k", "again").pending is False)
    assert region.get("k") == "again"


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_reply_to_a_write_at_a_tick(proxy, damage):
    """The clock's reply is whole; that to the write, which we read, is not."""
    backend = on(proxy, client="pymemcache", **HASTY)
    tick = backend.clock(REGION).tick
    backend.write("k", sealed("kept"), ttl=None)
    treatments = iter([toxics.clean])

    def treat(stream, data):
        return next(treatments, damage)(stream, data)

    proxy.replies = treat
    with pytest.raises(BackendError):
        backend.write_at("k", sealed("new"), REGION, tick=tick, ttl=None)
    proxy.heal()
    assert backend.write_at("k", sealed("again"), REGION, tick=tick, ttl=None) == tick
    assert backend.read("k", REGION)[0] == sealed("again")


def test_a_delete_that_is_not_answered_was_not_done(proxy, client):
    """An answer that makes no sense is no acknowledgement."""
    backend = on(proxy, client=client)
    backend.write("k", sealed("kept"), ttl=None)
    treatments = iter([toxics.clean, toxics.replace(b"WHAT\r\n")])

    def treat(stream, data):
        return next(treatments, toxics.clean)(stream, data)

    proxy.replies = treat
    with pytest.raises(BackendError):
        backend.remove("k")


def in_pieces(client):
    """Give replies byte by byte, but for what libmemcached cannot do without.

    If "END" comes after the value that it ends, ``gets()`` leaves it there, and the
    next command fails.
    """
    whole = 7 if client == "pylibmc" else 0

    def treat(stream, data):
        begins = len(data) - whole
        yield from toxics.slicer()(stream, data[:begins])
        yield data[begins:]

    return treat


@pytest.mark.parametrize("slow", [in_pieces, lambda client: toxics.latency(0.05)])
def test_a_slow_wire_is_only_slow(proxy, client, slow):
    """Replies that come in pieces or late are replies."""
    region = new_region(proxy, client=client)
    proxy.replies = slow(client)
    assert region.get_or_create("k", lambda: "x" * 1_000) == "x" * 1_000
    assert region.get("k") == "x" * 1_000


class Interrupted(BaseException):
    """What comes from outside."""


def test_whatever_interrupts_a_command_loses_its_connection(proxy):
    """Its late reply is never taken for that of the next command."""
    backend = on(proxy)
    for key in "ab":
        backend.write(key, sealed(key, key), ttl=None)
    backend.read("a", REGION)

    def interrupt(*_):
        raise Interrupted

    previous = signal.signal(signal.SIGALRM, interrupt)
    try:
        for use in (
            lambda: backend.read("a", REGION),
            lambda: backend.acquire("a", REGION, ttl=5.0, seen=None),
            lambda: backend.clock(REGION),
        ):
            proxy.replies = toxics.latency(0.1)
            signal.setitimer(signal.ITIMER_REAL, 0.03)
            with pytest.raises(Interrupted):
                use()
            proxy.heal()
            assert backend.read("b", REGION)[0] == sealed("b", "b")
    finally:
        signal.signal(signal.SIGALRM, previous)


# -- processes and threads -----------------------------------------------------


def test_a_fork_with_connections_in_use(memcached_servers, client):
    """Parent and child each get the answers to their own questions."""
    arguments = {"client": client, "socket_timeout": 5.0}
    backend = on(*memcached_servers, **arguments)
    for number in range(50):
        backend.write(f"k{number}", sealed(number, f"k{number}"), ttl=None)

    def check():
        for turn in range(500):
            key = f"k{turn % 50}"
            assert backend.read(key, REGION)[0] == sealed(turn % 50, key)

    children = [FORK.Process(target=check) for _ in range(4)]
    for child in children:
        child.start()
    check()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0] * 4
    check()


def test_threads_have_connections_of_their_own(memcached_servers, client):
    """Sixteen threads of one backend read what belongs to their keys."""
    backend = on(*memcached_servers, client=client)
    wrong = []

    def run(number):
        key = f"k{number}"
        for turn in range(200):
            backend.write(key, sealed(turn, key), ttl=None)
            if backend.read(key, REGION)[0] != sealed(turn, key):
                wrong.append((number, turn))

    threads = [threading.Thread(target=run, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_thread_that_ends_closes_its_connection(own_memcached, client):
    """Servers of many short threads do not run out of connections."""
    backend = on(own_memcached, client=client)

    def count():
        lines = own_memcached.ask("stats", b"END\r\n")
        return int(next(one for one in lines if " curr_connections " in one).split()[2])

    backend.read("k", REGION)
    before = count()
    for _ in range(20):
        thread = threading.Thread(target=backend.read, args=("k", REGION))
        thread.start()
        thread.join()
    wait_until(lambda: count() <= before)


def test_a_backend_that_is_let_go_closes_its_connections(memcached_server, client):
    """At once: left to the garbage collector, they would be closed in any order."""
    backend = on(memcached_server, client=client)
    backend.read("k", REGION)
    connection = weakref.ref(backend._servers.links[0]._own.connection)
    assert connection() is not None
    gc.disable()
    try:
        del backend
        assert connection() is None
    finally:
        gc.enable()


def test_swapped_replies_are_no_values(proxy):
    """Who gets another's reply does not take it for his own."""
    region = new_region(proxy)
    for key in "ab":
        region.set(key, key)
    ready, got = threading.Barrier(3), {}

    def ask(key):
        region.get(key)  # so that it has its connection
        ready.wait()
        ready.wait()
        got[key] = region.get_or_create(key, lambda: f"made {key}")

    threads = [threading.Thread(target=ask, args=(key,)) for key in "ab"]
    for thread in threads:
        thread.start()
    ready.wait()
    proxy.replies = swap = toxics.Swap()
    ready.wait()
    for thread in threads:
        thread.join()
    assert all(value in (key, f"made {key}") for key, value in got.items())
    assert len(swap.replies) >= 2
