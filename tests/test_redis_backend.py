"""What is particular to `holdover.redis`: its server, its connections, its trouble."""

import math
import multiprocessing
import pickle
import signal
import threading
import time

import dogpile.cache
import pytest
import redis
from dogpile.cache.backends.redis import RedisBackend as DogpileRedisBackend
from hypothesis import given
from hypothesis import strategies as st
from servers import RedisServer, free_port
from waiting import wait_until

from holdover import LeaseTerms, make_region
from holdover.errors import BackendError, ConfigurationError, ValueTooLarge
from holdover.regions.backends.grants import Lease, LeaseKind
from holdover.regions.backends.redis import RedisBackend
from holdover.regions.backends.redis_commands import packed
from holdover.regions.envelope import fence_of
from holdover.regions.ticks import EPOCH_MASK, Mark, Reach, Scope
from holdover.testing import ToxicProxy, toxics
from holdover.testing.contract_leases import REGION, sealed, together, won

FORK = multiprocessing.get_context("fork")
CLOCK = f"holdover:clock:{REGION}"
MARKS = f"holdover:marks:{REGION}"
TIMEOUT = 0.25
HASTY = {
    "socket_timeout": 0.5,
    "socket_connect_timeout": 0.5,
}  # on a busy machine


@pytest.fixture
def client(redis_server):
    """A connection of redis-py's own to the shared server."""
    with redis.Redis.from_url(redis_server.url) as client:
        yield client


@pytest.fixture
def backend(redis_server):
    """A backend on the shared server."""
    return RedisBackend({"url": redis_server.url})


def new_region(url, **settings):
    """Configure a region on a server."""
    settings.setdefault("lease", LeaseTerms(ttl=5.0, wait=5.0))
    return make_region("region").configure(
        "holdover.redis", 60, {"url": url}, unsigned_pickle=True, **settings
    )


def counted(client, work):
    """Give how often the server was asked each command during *work*."""
    client.config_resetstat()
    work()
    told = client.info("commandstats")
    ours = {name.removeprefix("cmdstat_"): one["calls"] for name, one in told.items()}
    for beside in ("config|resetstat", "info", "config"):
        ours.pop(beside, None)
    return ours


# -- options -------------------------------------------------------------------


def pool_of(**arguments):
    """Give what redis-py is told."""
    return RedisBackend(arguments).reader_client.connection_pool


def test_it_is_dogpile_s_backend():
    """Code that asks for dogpile.cache's Redis backend accepts ours."""
    made = RedisBackend({"host": "example.org", "port": 1234, "db": 3})
    assert isinstance(made, DogpileRedisBackend)
    kwargs = made.reader_client.connection_pool.connection_kwargs
    assert (kwargs["host"], kwargs["port"], kwargs["db"]) == ("example.org", 1234, 3)


@pytest.mark.usefixtures("default_timeouts")
def test_every_wait_is_bounded_by_default():
    """0.25 s for a connection and for an answer, and no second try."""
    for arguments in ({}, {"url": "redis://h/0"}, {"socket_timeout": None}):
        kwargs = pool_of(**arguments).connection_kwargs
        assert kwargs["socket_timeout"] == TIMEOUT
        assert kwargs["socket_connect_timeout"] == TIMEOUT
        assert kwargs["retry"]._retries == 0


def test_what_the_user_says_wins():
    """A timeout may stand in the arguments, in connection_kwargs or in the URL."""
    for arguments in (
        {"socket_timeout": 3},
        {"connection_kwargs": {"socket_timeout": 3}},
        {"url": "redis://h/0?socket_timeout=3"},
        {"url": "redis://h/0?socket_timeout=3", "socket_timeout": 9},
    ):
        assert pool_of(**arguments).connection_kwargs["socket_timeout"] == 3.0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"hots": "h"}, "'host'"),
        ({"url": "http://h"}, "redis://"),
        ({"socket_timeout": "soon"}, "socket_timeout"),
        ({"socket_timeout": -1}, "socket_timeout"),
        ({"connection_kwargs": {"socket_timeuot": 1}}, "socket_timeuot"),
        ({"url": "redis://h/0?socket_timeuot=1"}, "socket_timeuot"),
        ({"max_bytes": 0}, "max_bytes"),
        ({"redis_expiration_time": -1}, "redis_expiration_time"),
        ({"lock_prefix": "not valid"}, "lock_prefix"),
        ({"connection_pool": "pool"}, "pool"),
    ],
)
def test_wrong_options_are_told_at_once(arguments, said):
    """What cannot work is an error of configure(), which names it."""
    with pytest.raises(ConfigurationError, match=said):
        make_region().configure("holdover.redis", 60, arguments, unsigned_pickle=True)


def test_options_about_locks_are_accepted(redis_server):
    """Options for dogpile.cache's lock do no harm and cause no warning."""
    arguments = {
        "url": redis_server.url,
        "distributed_lock": True,
        "lock_timeout": 30,
        "lock_sleep": 0.2,
        "redis_expiration_time": 90,
    }
    region = make_region().configure(
        "holdover.redis", 60, arguments, unsigned_pickle=True
    )
    assert region.get_or_create("k", lambda: 1) == 1


# -- names and ttls ------------------------------------------------------------


def test_dogpile_s_values_are_found(redis_server, backend):
    """A value lies under its key, where dogpile.cache puts it, too."""
    theirs = dogpile.cache.make_region().configure(
        "dogpile.cache.redis", arguments={"url": redis_server.url}
    )
    theirs.set("k", "theirs")
    stored, _ = backend.read("k", REGION)
    assert b"theirs" in stored
    backend.remove("k")
    assert theirs.get("k") is dogpile.cache.api.NO_VALUE


def test_keys_do_not_meet_our_own_names(backend):
    """Keys that look like our records are keys like any other."""
    keys = ["k", "holdover:lease:k", "holdover:value:k", CLOCK, MARKS, "holdover:"]
    won(backend, "k")
    for key in keys[1:]:
        backend.write(key, sealed(key, key), ttl=None)
    assert backend.is_locked("k")
    stored, _ = backend.read_multi(keys[1:], REGION)
    assert stored == [sealed(key, key) for key in keys[1:]]


@pytest.mark.parametrize(
    ("ttl", "expected"),
    [(60.0, 60_000), (1e-6, 1), (0.0, 1), (None, -1), (math.inf, -1), (1e300, -1)],
)
def test_ttls_of_any_size(backend, client, ttl, expected):
    """The server gets a ttl that it can take, or none."""
    backend.write("k", sealed(1), ttl=ttl)
    left = client.pttl("k")
    assert left in (-1, -2) if expected == -1 else left <= expected
    assert (left == -1) == (expected == -1)


def test_a_ttl_for_what_has_none(redis_server, client):
    """redis_expiration_time bounds entries that have no ttl of their own."""
    bounded = RedisBackend({"url": redis_server.url, "redis_expiration_time": 90})
    bounded.write("k", sealed(1), ttl=None)
    bounded.commit(won(bounded, "j"), sealed(1), REGION, ttl=None)
    bounded.write("own", sealed(1), ttl=500.0)
    assert 89_000 < client.pttl("k") <= 90_000
    assert 89_000 < client.pttl("j") <= 90_000
    assert client.pttl("own") > 90_000


def test_too_large_a_value_is_not_sent(redis_server):
    """It is refused before it is sent, and what was there is removed."""
    small = RedisBackend({"url": redis_server.url, "max_bytes": 1000})
    small.write("k", sealed(1), ttl=None)
    with pytest.raises(ValueTooLarge, match="max_bytes=1000"):
        small.write("k", sealed(b"x" * 1000), ttl=None)
    assert small.read("k", REGION)[0] is None
    with pytest.raises(ValueTooLarge):
        small.commit(won(small), sealed(b"x" * 1000), REGION, ttl=None)


def test_only_bytes_are_stored(backend):
    """Anything else is the caller's mistake."""
    with pytest.raises(TypeError, match="bytes"):
        backend.write("k", "text", ttl=None)


# -- what it costs -------------------------------------------------------------


def test_commands_per_operation(redis_server, client):
    """What docs/backends.rst says of the commands is what the server counts."""
    region = new_region(redis_server.url)
    for _ in range(2):  # the second call reads what the first one has stored
        region.get_or_create("warm", lambda: 1)
    region.set("warm", 2)  # the server now knows the script
    assert counted(client, lambda: region.get_or_create("k", lambda: 1)) == {
        "mget": 1,
        "evalsha": 2,  # acquire, commit
        "getrange": 1,
        "get": 4,
        "set": 2,
        "del": 1,
    }
    hit = counted(client, lambda: region.get_or_create("k", lambda: 2))
    assert hit == {"mget": 1}
    written = {"evalsha": 1, "get": 1, "set": 1, "del": 1}  # get: the clock
    assert counted(client, lambda: region.set("k", 2)) == written
    changed = {"mget": 1, "multi": 1, "set": 1, "del": 1, "exec": 1}
    several = dict.fromkeys("abc", 1)
    assert counted(client, lambda: region.set_multi(several)) == {**changed, "set": 3}
    assert counted(client, lambda: region.set("k", "x" * 200_000)) == changed
    removed = {"exists": 1, "del": 1}
    assert counted(client, lambda: region.delete("k")) == removed
    advanced = counted(client, region.invalidate)
    assert advanced.pop("evalsha") == 1
    assert not {"multi", "mget", "keys", "scan"} & set(advanced)
    backend, keys = region.backend, [f"k{number}" for number in range(100)]
    assert counted(client, lambda: backend.read_multi(keys, "region")) == {"mget": 1}


def test_a_stale_hit_is_one_round_trip_for_the_herd(redis_server, client):
    """While somebody refreshes, those who are served the old value ask once each."""
    region = new_region(redis_server.url)
    region.set("k", "old")
    region.invalidate(hard=False)
    creating, go_on = threading.Event(), threading.Event()

    def slow():
        creating.set()
        go_on.wait(20)
        return "new"

    holder = threading.Thread(target=region.get_or_create, args=("k", slow))
    holder.start()
    assert creating.wait(20)

    def herd():
        for _ in range(5):
            assert region.get_or_create("k", lambda: "mine") == "old"

    assert counted(client, herd) == {"mget": 5}
    go_on.set()
    holder.join()


def test_many_keys_go_in_bounded_batches(backend, client):
    """Thousands of keys do not become one command that holds up everybody."""
    many = {f"k{number}": sealed(number, f"k{number}") for number in range(1_050)}
    backend.clock(REGION)
    asked = counted(client, lambda: backend.write_multi(many, ttl=60.0))
    assert (asked["exec"], asked["set"]) == (11, 1_050)
    found = []
    asked = counted(client, lambda: found.append(backend.read_multi([*many], REGION)))
    assert asked == {"mget": 3}
    assert found[0][0] == [*many.values()]
    grants = backend.acquire_multi(dict.fromkeys(many, 1), REGION, ttl=5.0)
    assert all(isinstance(grant, Lease) for grant in grants)
    commits = [(one, sealed(0, one.key), None) for one in grants]
    assert None not in backend.commit_multi(commits, REGION)
    assert counted(client, lambda: backend.remove_multi([*many]))["del"] == 11
    assert [*client.scan_iter("*k[0-9]*")] == []


# -- connections ---------------------------------------------------------------


NAME = {"client_name": "counted"}


def clients_of(client):
    """Count the server's clients that go by that name."""
    return [one["name"] for one in client.client_list()].count("counted")


def test_a_connection_per_thread_while_it_lives(redis_server, client):
    """64 threads have 64 connections, and none once they have ended."""
    backend = RedisBackend({"url": redis_server.url, "connection_kwargs": NAME})
    most = []
    done = threading.Barrier(64, action=lambda: most.append(clients_of(client)))

    def use(number):
        for _ in range(3):
            backend.write(f"k{number}", sealed(number, f"k{number}"), ttl=None)
            assert backend.read(f"k{number}", REGION)[0] is not None
        done.wait()

    together(64, use)
    assert most == [64]
    wait_until(lambda: clients_of(client) == 0)


def test_a_pool_s_limit_is_kept(redis_server, client):
    """64 threads share a pool of two connections, and all are served."""
    pool = redis.ConnectionPool.from_url(redis_server.url, max_connections=2, **NAME)
    pooled = RedisBackend({"connection_pool": pool})
    together(64, lambda number: pooled.write(f"k{number}", sealed(1), ttl=None))
    assert 1 <= clients_of(client) <= 2
    pool.disconnect()


def test_a_limit_in_the_url_is_kept(redis_server, client):
    """So does a limit that stands in the URL."""
    url = f"{redis_server.url}?max_connections=3"
    held = [RedisBackend({"url": url, "connection_kwargs": NAME})]
    together(32, lambda number: held[0].write(f"k{number}", sealed(1), ttl=None))
    assert 1 <= clients_of(client) <= 3
    held.clear()  # and with the backend goes all that it had kept
    wait_until(lambda: clients_of(client) == 0)


@pytest.mark.usefixtures("default_timeouts")
def test_an_exhausted_pool_is_an_error_soon(redis_server):
    """Who gets no connection in time is told so; nobody waits for long."""
    limited = RedisBackend({"url": f"{redis_server.url}?max_connections=1"})
    with limited._link.conversation():
        asked = time.monotonic()
        with pytest.raises(BackendError, match="no connection was free"):
            limited.read("k", REGION)
        assert time.monotonic() - asked < TIMEOUT + 3.0
    limited.read("k", REGION)


class Interrupted(BaseException):
    """What Ctrl-C or a time limit raises, anywhere."""


# One that falls into the finaliser of a connection of redis-py's is Python's to drop.
@pytest.mark.filterwarnings("ignore:.*__del__:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("pool", [False, True])
def test_an_interrupted_command_leaves_no_reply_behind(redis_server, backend, pool):
    """After an interruption in mid-command, the next reply is the next command's."""
    own = redis.ConnectionPool.from_url(redis_server.url)
    arguments = {"connection_pool": own} if pool else {"url": redis_server.url}
    ours = RedisBackend(arguments)
    for key in ("secret", "mine"):
        backend.write(key, sealed(key, key), ttl=None)
    ours.read("mine", REGION)

    armed, stop, interruptions = [], threading.Event(), 0

    def interrupt(*_):
        if armed:
            armed.clear()
            raise Interrupted

    def keep_interrupting():
        while not stop.is_set():
            time.sleep(0.0003)
            signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)

    previous = signal.signal(signal.SIGUSR1, interrupt)
    interrupter = threading.Thread(target=keep_interrupting)
    interrupter.start()
    try:
        for number in range(1_000):
            try:
                armed.append(number)
                ours.read("secret", REGION)
                armed.clear()
            except Interrupted:
                interruptions += 1
            assert ours.read("mine", REGION)[0] == sealed("mine", "mine")
    finally:
        stop.set()
        interrupter.join()
        signal.signal(signal.SIGUSR1, previous)
        own.disconnect()
    assert interruptions > 10


def test_a_fork_with_connections_in_use(redis_server, backend):
    """Parent and child go on, each by connections of its own."""
    region = new_region(redis_server.url)
    region.set("k", "kept")
    stop = threading.Event()
    wrong = []

    def use():
        while not stop.is_set():
            if region.get("k") != "kept":
                wrong.append(region.get("k"))

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    results = FORK.Queue()

    def child():
        results.put([region.get("k") for _ in range(200)].count("kept"))

    children = [FORK.Process(target=child) for _ in range(4)]
    for process in children:
        process.start()
    assert [results.get(timeout=60) for _ in children] == [200] * 4
    for process in children:
        process.join()
    assert region.get("k") == "kept"
    stop.set()
    for thread in threads:
        thread.join()
    assert wrong == []


# -- a server that forgets -----------------------------------------------------


def test_flushed_scripts_are_sent_again(redis_server, client):
    """SCRIPT FLUSH at any moment costs a round trip and nothing else."""
    region = new_region(redis_server.url)

    def create():
        client.script_flush()
        return "made"

    for key in ("a", "b"):
        client.script_flush()
        assert region.get_or_create(key, create) == "made"
        assert region.get(key) == "made"


def test_flushed_scripts_in_a_pipeline(backend, client):
    """Of several steps in one write, each is carried out once."""
    client.script_flush()
    grants = backend.acquire_multi(dict.fromkeys("abc"), REGION, ttl=5.0)
    assert [type(grant) for grant in grants] == [Lease] * 3


@pytest.mark.parametrize("loss", ["FLUSHALL", "restart", "lease only"])
def test_a_lease_lost_while_creating(own_redis, loss):
    """The commit is refused, its caller is answered, and one more creates."""
    region = new_region(own_redis.url)
    region.get_or_create("warm", lambda: 1)
    runs = []

    def create():
        runs.append(1)
        if len(runs) > 1:
            return "next"
        if loss == "restart":
            own_redis.stop()
            own_redis.start()
        elif loss == "FLUSHALL":
            own_redis.ask("FLUSHALL")
        else:
            own_redis.ask("DEL", "holdover:lease:region:k")
        return "first"

    assert region.get_or_create("k", create) == "first"
    assert own_redis.ask("EXISTS", "region:k") == ":0"
    assert region.get_or_create("k", create) == "next"
    assert region.get_or_create("k", create) == "next"
    assert len(runs) == 2


def test_a_restart_is_hardly_noticed(own_redis):
    """Connections that a restart has closed are renewed, and no caller hears of it."""
    backend = RedisBackend({"url": own_redis.url})
    for use in (
        lambda: backend.read("k", REGION),
        lambda: backend.write("k", sealed(1), ttl=None),
        lambda: won(backend, seen=1),
        lambda: backend.advance(REGION, hard=True),
        lambda: backend.remove("k"),
    ):
        backend.write("k", sealed(1, fence=1), ttl=None)
        own_redis.stop()
        own_redis.start()
        use()


def set_back(client):
    """Make the region's clock an hour older, as if all had happened then; give it."""
    hour = 3_600_000_000 & ~EPOCH_MASK
    tick, hard, soft, has_marks = map(int, client.get(CLOCK).split())
    older = f"{tick - hour} {hard - hour} {max(0, soft - hour)} {has_marks}"
    client.set(CLOCK, older)
    return tick - hour


def test_a_lost_clock_makes_all_older(redis_server, backend, client):
    """Without its clock, nothing that was stored is trusted, by any process."""
    peer = RedisBackend({"url": redis_server.url})
    for lost in (lambda: client.delete(CLOCK), lambda: client.set(CLOCK, "nonsense")):
        backend.clock(REGION)
        before = set_back(client)
        assert backend.read("k", REGION)[1] == before
        lost()
        tick = backend.read("k", REGION)[1]
        state = peer.clock(REGION)
        assert tick == state.tick == state.hard_floor
        assert state.hard_floor > before


@pytest.mark.parametrize("then", ["read", "advance"])
def test_marks_evicted_without_their_clock(backend, client, then):
    """A full server may evict the marks alone: that loses the clock as well."""
    backend.advance(REGION, hard=True, reaches=[Reach(Scope.TAG, "t")])
    before = set_back(client)
    client.delete(MARKS)
    other = [Reach(Scope.TAG, "other")]
    if then == "advance":
        state = backend.advance(REGION, hard=False, reaches=other)
        assert state.marks == {Mark(other[0], hard=False): state.tick}
    else:
        state = backend.clock(REGION)
        assert state.marks == {}
    assert state.hard_floor > before


def test_strangers_in_our_places(backend, client):
    """What others have left under our names is replaced, and confuses nobody."""
    client.rpush("k", "a list")
    assert backend.read("k", REGION)[0] is None
    lease = won(backend)
    assert backend.commit(lease, sealed(1, fence=1), REGION, ttl=None)
    client.set("holdover:lease:k", "no lease of ours")
    assert backend.leased("k") is None
    won(backend, seen=1)
    client.set("k", b"no envelope")
    assert backend.compare_and_set("k", sealed(2), seen=0, ttl=None)


def test_an_unpicklable_stranger_is_a_miss(redis_server, client, heard):
    """Foreign bytes under a key are a miss and an event."""
    region = new_region(redis_server.url)
    events = heard(region)
    client.set("region:k", pickle.dumps("somebody's"))
    assert region.get_or_create("k", lambda: "ours") == "ours"
    assert region.get("k") == "ours"
    assert "Unreadable" in [type(event).__name__ for event in events]


def test_a_lapsed_lease_is_taken_over_at_once(redis_server):
    """A waiter creates as soon as a dead holder's lease lapses."""
    region = new_region(redis_server.url)
    region.backend.acquire("region:k", "region", ttl=1.0, seen=None)
    asked = time.monotonic()
    assert region.get_or_create("k", lambda: "mine") == "mine"
    assert 0.5 < time.monotonic() - asked < 1.0 + 3.0  # else 5 s
    assert region.get("k") == "mine"


# -- a full server -------------------------------------------------------------


@pytest.fixture
def full_redis(tmp_path):
    """A server that has no room and evicts nothing; gives it with its client."""
    options = ("--maxmemory", "3mb", "--maxmemory-policy", "noeviction")
    with (
        RedisServer(tmp_path, *options) as server,
        redis.Redis.from_url(server.url) as client,
    ):
        yield server, client


def fill(client):
    """Take the room that is left."""
    size = 1_000_000
    while size > 10:
        try:
            client.append(f"filler{size}", b"x" * size)
        except redis.exceptions.OutOfMemoryError:
            size //= 4


def test_a_full_server_keeps_no_outdated_value(full_redis):
    """A write that it refuses removes what was there; removals and releases work."""
    server, client = full_redis
    backend = RedisBackend({"url": server.url})
    backend.write_multi({k: sealed("old", k, fence=1) for k in "kjl"}, ttl=None)
    lease = won(backend, "j", seen=1)
    state = backend.advance(REGION, hard=False)
    fill(client)
    with pytest.raises(BackendError, match="maxmemory"):
        backend.write("k", sealed(b"x" * 50_000), ttl=None)
    fill(client)
    with pytest.raises(BackendError, match="maxmemory"):
        backend.acquire("k", REGION, ttl=5.0, seen=None)
    with pytest.raises(BackendError, match="maxmemory"):
        backend.commit(lease, sealed(b"x" * 50_000), REGION, ttl=None)
    assert backend.read("k", REGION) == (None, state.tick)
    assert backend.release(lease)
    assert backend.remove("l")


@pytest.mark.parametrize("hard", [True, False])
@pytest.mark.parametrize("reaches", [(), [Reach(Scope.TAG, "t")]])
def test_a_full_server_invalidates(full_redis, hard, reaches):
    """What it cannot note it forgets together with the clock: more is gone."""
    server, client = full_redis
    backend = RedisBackend({"url": server.url})
    before = backend.clock(REGION)
    fill(client)
    state = backend.advance(REGION, hard=hard, reaches=reaches)
    assert state.hard_floor > before.tick
    assert client.get(CLOCK) is None
    client.flushall()
    assert backend.read("k", REGION)[1] > before.tick


def test_callers_of_a_full_server_are_answered(full_redis):
    """Everybody gets a value; what was stored before is still read."""
    server, client = full_redis
    region = new_region(server.url)
    region.set("old", "kept")
    fill(client)
    for number in range(5):
        assert region.get_or_create(f"k{number}", lambda n=number: n) == number
    assert region.get("old") == "kept"


# -- rights --------------------------------------------------------------------


def test_a_key_that_may_not_be_touched(redis_server):
    """Rights that are missing are errors of the operation, scripts or not."""
    rights = ["on", ">secret", "~allowed*", "~holdover:*", "&*", "+@all"]
    redis_server.ask("ACL", "SETUSER", "narrow", *rights)
    url = redis_server.url.replace("//", "//narrow:secret@")
    backend = RedisBackend({"url": url})
    for use in (
        lambda: backend.read("other", REGION),
        lambda: backend.write("other", sealed(1), ttl=None),
        lambda: backend.acquire("other", REGION, ttl=5.0, seen=None),
    ):
        with pytest.raises(BackendError, match=r"(?i)permission"):
            use()
    assert backend.acquire("allowed", REGION, ttl=5.0, seen=None).key == "allowed"


def test_a_wrong_password_is_a_miss(redis_server):
    """Callers are answered; the region's events tell why nothing is cached."""
    region = new_region(redis_server.url.replace("//", "//nobody:wrong@"))
    assert region.get_or_create("k", lambda: "made") == "made"


def test_what_a_pause_says_is_bounded(backend, client):
    """A creator's error of any length takes little room on the server."""
    assert backend.back_off(won(backend), ttl=5.0, reason="☃" * 100_000)
    assert client.strlen("holdover:lease:k") < 1_000
    assert backend.leased("k").kind is LeaseKind.BACKING_OFF


def test_a_large_value_goes_beside_no_script(backend, monkeypatch):
    """Which would copy it, and copy it again, while everybody else waits."""
    tick, ran = backend.clock(REGION).tick, []
    run = backend._atomic.run
    monkeypatch.setattr(backend._atomic, "run", lambda *a: ran.append(a) or run(*a))
    for size, scripts in ((1_000, 1), (200_000, 0)):
        stored = sealed("x" * size)
        assert backend.write_at("k", stored, REGION, tick=tick, ttl=60.0) == tick
        assert backend.read("k", REGION) == (stored, tick)
        assert len(ran) == scripts
        ran.clear()


def test_a_large_value_that_is_too_late(backend):
    """It is not stored, and what the clock says is given."""
    tick = backend.clock(REGION).tick
    backend.remove("k")
    backend.advance(REGION, hard=True)
    late = backend.write_at("k", sealed("x" * 200_000), REGION, tick=tick, ttl=60.0)
    assert late > tick
    assert backend.read("k", REGION) == (None, late)


@pytest.mark.parametrize(("size", "scripts"), [(1_000, 1), (400_000, 0)])
def test_a_large_commit_goes_beside_no_script(backend, monkeypatch, size, scripts):
    """And is stored only under its lease all the same; as what swaps is."""
    asked, scripted = [], backend._atomic._scripted
    stored = sealed("x" * size)
    leases = [
        backend.acquire("k", REGION, ttl=5.0, seen=None, overtaking=tuple(LeaseKind))
        for _ in range(2)
    ]
    monkeypatch.setattr(
        backend._atomic, "_scripted", lambda *a: asked.append(a) or scripted(*a)
    )
    assert backend.commit(leases[0], stored, REGION, ttl=60.0) is None
    assert backend.read("k", REGION)[0] is None
    tick = backend.commit(leases[1], stored, REGION, ttl=60.0)
    assert backend.read("k", REGION) == (stored, tick)
    assert not backend.compare_and_set("k", stored, seen=99, ttl=60.0)
    assert backend.compare_and_set("k", stored, seen=fence_of(stored), ttl=60.0)
    assert len(asked) == 4 * scripts


# -- no server -----------------------------------------------------------------


def test_a_server_that_is_not_there():
    """configure() works, and calls are answered at once by their creators."""
    region = new_region(f"redis://127.0.0.1:{free_port()}/0")
    asked = time.monotonic()
    for number in range(20):
        assert region.get_or_create(f"k{number}", lambda n=number: n) == number
    assert time.monotonic() - asked < 10.0  # waiting each time: 100 s
    assert region.set("k", 1).pending
    assert region.delete("k").pending
    assert region.invalidate().pending


def test_a_server_that_dies_in_mid_way(own_redis):
    """Callers go on, and find the server again once it is back."""
    region = new_region(own_redis.url)
    region.set("k", "kept")
    assert region.get("k") == "kept"
    own_redis.kill()
    for number in range(10):
        assert region.get_or_create("k", lambda n=number: n) == number
    assert region.delete("k").pending
    own_redis.start()

    def is_back():
        region.get_or_create("k", lambda: "back")
        return region.get("k") == "back"

    wait_until(is_back)


@pytest.mark.usefixtures("default_timeouts")
def test_each_operation_on_a_frozen_server_is_short(own_redis):
    """Nothing waits for a frozen server for longer than the timeout."""
    backend = RedisBackend({"url": own_redis.url})
    lease = won(backend)
    own_redis.freeze()
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
        with pytest.raises(BackendError, match=r"(?i)timeout"):
            use()
        assert time.monotonic() - asked < TIMEOUT + 3.0


def frozen(server, seconds):
    """Have 64 threads ask while the server is frozen; give the calls' durations."""
    cost = 0.01
    region = new_region(server.url, lease=LeaseTerms(ttl=2.0, wait=1.0))

    def create():
        time.sleep(cost)
        return "made"

    for number in range(8):
        region.get_or_create(f"k{number}", create)
    stop = threading.Event()
    took, problems = [], []

    def ask(number):
        while not stop.is_set():
            asked = time.monotonic()
            try:
                assert region.get_or_create(f"k{number % 8}", create) == "made"
                took.append(time.monotonic() - asked)
                if number == 0:
                    region.delete("k1")
            except BaseException as problem:
                problems.append(problem)

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(64)]
    for thread in threads:
        thread.start()
    server.freeze()
    time.sleep(seconds)
    server.thaw()
    time.sleep(0.5)
    stop.set()
    for thread in threads:
        thread.join()
    assert problems == []
    # The rest is for 64 threads on a busy machine.
    assert max(took) <= 1.0 + cost + 2 * TIMEOUT + 2.5
    wait_until(lambda: region.set("after", 1).pending is False)


@pytest.mark.usefixtures("default_timeouts")
def test_a_frozen_server_under_threads(own_redis):
    """64 threads of a server that hangs are all answered, in bounded time."""
    frozen(own_redis, 5.0)


@pytest.mark.chaos
@pytest.mark.usefixtures("default_timeouts")
def test_a_server_frozen_for_long(own_redis):
    """Nor does it matter for how long it hangs."""
    frozen(own_redis, 10.0)


# -- a damaged wire ------------------------------------------------------------


@pytest.fixture
def proxy(redis_server):
    """A way to the shared server that the test can damage."""
    with ToxicProxy(redis_server.port) as proxy:
        proxy.url = proxy.through(redis_server.url)
        yield proxy


DAMAGE = {
    "swallowed": toxics.blackhole(),
    "reset": toxics.reset_peer(),
    "cut at once": toxics.limit_data(0),
    "cut in the middle": toxics.limit_data(3),
    "another protocol": toxics.replace(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    "endless": toxics.replace(b"*1000000000\r\n"),
    "huge": toxics.replace(b"$99999999999999999999\r\n"),
    "no number": toxics.replace(b"*two\r\n"),
    "deep": toxics.replace(b"*1\r\n" * 5_000),
    "a number": toxics.replace(b":1\r\n"),
    "nothing": toxics.replace(b"$-1\r\n"),
    "an empty list": toxics.replace(b"*0\r\n"),
    "numbers": toxics.replace(b"*2\r\n:1\r\n:2\r\n"),
    "an error": toxics.replace(b"-ERR no\r\n"),
    "loading": toxics.replace(b"-LOADING Redis is loading the dataset\r\n"),
    "read only": toxics.replace(b"-READONLY You can't write\r\n"),
    "no utf-8": toxics.replace(b"-\xff\xfe\r\n"),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_reply_is_a_miss(proxy, redis_server, damage):
    """Whatever comes instead of a reply: callers are answered, and soon."""
    region = new_region(f"{proxy.url}?socket_timeout=0.5&socket_connect_timeout=0.5")
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
def test_a_damaged_reply_is_a_backend_error(proxy, backend, damage):
    """Every operation reports it as a `BackendError`, and the next one is well."""
    sound, backend = backend, RedisBackend({"url": proxy.url, **HASTY})
    for use in (
        lambda: backend.read("k", REGION),
        lambda: backend.read_multi(["k"], REGION),
        lambda: backend.acquire("other", REGION, ttl=5.0, seen=None),
        lambda: backend.clock(REGION),
        lambda: backend.remove("j"),
    ):
        sound.write("k", sealed("kept"), ttl=None)
        sound.remove("other")
        proxy.replies = damage
        with pytest.raises(BackendError):
            use()
        proxy.heal()
        assert backend.read("k", REGION)[0] == sealed("kept")


@pytest.mark.parametrize("toxic", [toxics.slicer(), toxics.latency(0.05)])
def test_a_slow_wire_is_only_slow(proxy, toxic):
    """Replies that come in pieces or late are replies."""
    region = new_region(proxy.url)
    proxy.replies = toxic
    assert region.get_or_create("k", lambda: "x" * 1_000) == "x" * 1_000
    assert region.get("k") == "x" * 1_000


@pytest.mark.usefixtures("default_timeouts")
def test_a_wire_that_comes_and_goes(proxy):
    """Callers of a server that flaps are all answered, in bounded time."""
    region = new_region(proxy.url)
    stop, took, wrong = threading.Event(), [], []

    def ask(number):
        while not stop.is_set():
            asked = time.monotonic()
            try:
                if region.get_or_create(f"k{number % 4}", lambda: "made") != "made":
                    wrong.append("value")
            except BaseException as problem:
                wrong.append(problem)
            took.append(time.monotonic() - asked)

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for toxic in (toxics.reset_peer(), toxics.clean, toxics.blackhole()) * 4:
        proxy.replies = toxic
        time.sleep(0.1)
    stop.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert max(took) < 4 * TIMEOUT + 2.5  # who waits for a lease: 5 s
    assert len(took) > 100


def test_swapped_replies_are_no_values(proxy):
    """Who gets another's reply does not take it for his own."""
    region = new_region(proxy.url)
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
    assert len(swap.replies) == 2


def test_no_flipped_bit_is_a_value(proxy, heard):
    """One bit changed anywhere in a reply: the right value, or a new one."""
    region = new_region(proxy.url)
    events = heard(region)
    wrong = []
    for position in range(0, 240, 3):
        proxy.heal()
        wait_until(lambda: region.set("k", "kept").pending is False)
        region.get("k")
        proxy.replies = toxics.once(toxics.corrupt(position))
        value = region.get_or_create("k", lambda: "made")
        if value not in ("kept", "made"):
            wrong.append((position, value))
    assert wrong == []
    assert {"Unreadable", "BackendFailed"} <= {type(event).__name__ for event in events}


# -- other ways to the server --------------------------------------------------


def test_a_unix_socket(tmp_path):
    """A URL may name a socket in the file system."""
    path = tmp_path / "socket"
    with RedisServer(tmp_path, "--unixsocket", str(path)):
        region = new_region(f"unix://{path}?db=1")
        assert region.get_or_create("k", lambda: "made") == "made"
        assert region.get("k") == "made"


@pytest.mark.parametrize("kwargs", [{"protocol": 3}, {"decode_responses": True}])
def test_redis_py_s_own_settings(redis_server, kwargs):
    """Settings of redis-py's that change what replies look like change no answer."""
    arguments = {"url": redis_server.url, "connection_kwargs": kwargs}
    backend = RedisBackend(arguments)
    state = backend.advance(REGION, hard=False, reaches=[Reach(Scope.TAG, "t")])
    assert backend.clock(REGION) == state
    backend.commit(won(backend), sealed("made"), REGION, ttl=None)
    assert backend.read("k", REGION) == (sealed("made"), state.tick)


WORDS = (
    st.integers()
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.binary()
    | st.binary(min_size=5990, max_size=6010)
)


@given(st.lists(st.lists(WORDS).map(lambda words: ["SET", *words]), max_size=3))
def test_commands_are_packed_as_redis_py_does(commands):
    """Whatever the words are, and however long."""
    theirs = redis.Connection().pack_commands(commands)
    assert b"".join(packed(commands)) == b"".join(theirs)
