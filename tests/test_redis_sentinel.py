"""What is particular to `holdover.redis_sentinel`: the master changes."""

import contextlib
import threading
import time

import pytest
import redis
from dogpile.cache.backends.redis import RedisSentinelBackend as DogpileSentinelBackend
from redis_sentinels import SERVICE, SentinelGroup, SentinelServer
from servers import free_port
from test_oracle import SHORT, check, for_seconds, in_processes, terms, through
from waiting import PATIENCE, wait_until

from holdover import make_region
from holdover.errors import BackendError, ConfigurationError
from holdover.regions.backends.redis_sentinel import RedisSentinelBackend
from holdover.testing import Oracle, hammer
from holdover.testing.contract_leases import REGION, sealed, together

TIMEOUT = 0.25
NOWHERE = {"sentinels": ["127.0.0.1:1"]}


@pytest.fixture
def group(request, tmp_path):
    """Start a group whose members the test may kill and freeze.

    Unless a test says after how many seconds a master is gone, it is not while a busy
    machine stalls.
    """
    patience = getattr(request, "param", 60.0)
    options = {"replicas": 2, "sentinels": 3, "patience": patience}
    with SentinelGroup(tmp_path, **options) as group:
        yield group


def new_region(arguments, expiration_time=60, name="holdover.redis_sentinel"):
    """Configure a region on the master of a group."""
    return make_region("region").configure(
        name, expiration_time, arguments, lease=terms(), unsigned_pickle=True
    )


def pool_of(**arguments):
    """Give what redis-py is told."""
    backend = RedisSentinelBackend({**NOWHERE, **arguments})
    return backend.writer_client.connection_pool


# -- options -------------------------------------------------------------------


def test_it_is_dogpile_s_backend():
    """Code that asks for dogpile.cache's accepts ours, which reads no replica."""
    backend = RedisSentinelBackend({"sentinels": [["one", 1], ("two", 2)]})
    assert isinstance(backend, DogpileSentinelBackend)
    assert backend.sentinels == [("one", 1), ("two", 2)]
    assert backend.reader_client is backend.writer_client
    assert backend.service_name == "mymaster"


@pytest.mark.usefixtures("default_timeouts")
def test_every_wait_is_bounded_by_default():
    """0.25 s for the servers as for the sentinels, and no second try."""
    pool = pool_of(db=3, username="me", password="secret")
    sentinels = pool.sentinel_manager.sentinels[0].connection_pool
    for kwargs in (pool.connection_kwargs, sentinels.connection_kwargs):
        assert kwargs["socket_timeout"] == TIMEOUT
        assert kwargs["socket_connect_timeout"] == TIMEOUT
        assert kwargs["retry"]._retries == 0
        assert (kwargs["username"], kwargs["password"]) == ("me", "secret")
    assert pool.connection_kwargs["db"] == 3
    assert sentinels.connection_kwargs["db"] == 0  # they have no other


def test_what_the_user_says_of_sentinels_wins():
    """They may have another user, and other timeouts."""
    told = {"password": "other", "socket_timeout": 2.0}
    pool = pool_of(password="secret", sentinel_kwargs=told)
    kwargs = pool.sentinel_manager.sentinels[0].connection_pool.connection_kwargs
    assert (kwargs["password"], kwargs["socket_timeout"]) == ("other", 2.0)


@pytest.mark.parametrize(
    "arguments", [{"ssl": True}, {"connection_kwargs": {"ssl": True}}]
)
def test_encrypted_connections(arguments):
    """Both spellings of TLS mean it."""
    pool = pool_of(**arguments)
    made = pool.connection_class(**pool.connection_kwargs)
    assert made.check_hostname is True


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "sentinels"),
        ({"sentinels": "one:1"}, "list"),
        ({"sentinels": []}, "list"),
        ({"sentinels": ["one:port"]}, "one:port"),
        ({"sentinels": [("one", 1, 2)]}, "pair"),
        ({**NOWHERE, "url": "redis://h"}, "'url'"),
        ({**NOWHERE, "sentinel_kwargs": "x"}, "sentinel_kwargs"),
        ({**NOWHERE, "service_nam": "x"}, "'service_name'"),
        ({**NOWHERE, "connection_kwargs": {"socket_timeuot": 1}}, "socket_timeuot"),
    ],
)
def test_wrong_options_are_told_at_once(arguments, said):
    """What cannot work is an error of configure(), which names it."""
    with pytest.raises(ConfigurationError, match=said):
        new_region(arguments)


@pytest.mark.parametrize("name", ["redis_sentinel", "valkey_sentinel"])
def test_places_as_text(sentinels, name):
    """In files and variables, sentinels stand with commas between them."""
    places = sentinels.arguments["sentinels"]
    flat = {
        "cache.a.backend": f"holdover.{name}",
        "cache.a.arguments.sentinels": ", ".join(["127.0.0.1:1", *places]),
        "cache.a.arguments.service_name": SERVICE,
        "cache.a.unsigned_pickle": "yes",
    }
    region = make_region("a").configure_from_config(flat, "cache.a.")
    region.set("k", "value", strict=True)
    assert region.get("k", strict=True) == "value"


# -- who is the master ---------------------------------------------------------


def test_no_sentinel_is_there():
    """configure() works, and calls are answered at once by their creators."""
    region = new_region({"sentinels": [f"127.0.0.1:{free_port()}" for _ in range(3)]})
    asked = time.monotonic()
    for number in range(20):
        assert region.get_or_create(f"k{number}", lambda n=number: n) == number
    assert time.monotonic() - asked < 5.0  # waiting each time: 100 s
    with pytest.raises(BackendError, match="none of 3 sentinels"):
        region.backend.read("k", REGION)


def test_an_unknown_service(sentinels):
    """The error says that the sentinels do not know it."""
    backend = RedisSentinelBackend({**sentinels.arguments, "service_name": "other"})
    with pytest.raises(BackendError, match="knows a master 'other'"):
        backend.read("k", REGION)


def test_sentinels_that_refuse_us(sentinels):
    """The error says why they did not answer, and no password."""
    wrong = {"sentinel_kwargs": {"password": "hunter2"}}
    backend = RedisSentinelBackend({**sentinels.arguments, **wrong})
    with pytest.raises(BackendError, match=r"is up \(.*AuthenticationError") as caught:
        backend.read("k", REGION)
    assert "hunter2" not in str(caught.value)


def test_a_url_names_the_group(sentinels):
    """A region can be configured by one URL that names all sentinels."""
    places = ",".join(sentinels.arguments["sentinels"])
    url = f"redis-sentinel://{places}/{SERVICE}?expiration_time=60&codec=json"
    region = make_region("shop").configure(url)
    region.set("k", "value", strict=True)
    assert region.get("k", strict=True) == "value"


def test_a_replica_is_not_read(sentinels, tmp_path):
    """A server that a sentinel takes for the master is asked itself."""
    with SentinelServer(tmp_path, sentinels.replicas[0], 1, 0.5) as mistaken:
        place = f"127.0.0.1:{mistaken.port}"
        backend = RedisSentinelBackend({"sentinels": [place], "service_name": SERVICE})
        with pytest.raises(BackendError, match="is not the master"):
            backend.read("k", REGION)


@pytest.mark.usefixtures("default_timeouts")
def test_sentinels_are_not_needed_meanwhile(group):
    """Who has a connection asks no sentinel; and those that hang delay for a moment."""
    backend = RedisSentinelBackend(group.arguments)
    backend.write("k", sealed(1), ttl=None)
    for sentinel in group.sentinels:
        sentinel.freeze()
    assert backend.read("k", REGION)[0] == sealed(1)
    asked = time.monotonic()
    with pytest.raises(BackendError, match="none of 3 sentinels"):
        RedisSentinelBackend(group.arguments).read("k", REGION)
    assert time.monotonic() - asked < 3 * TIMEOUT * 2 + 2.0


@pytest.mark.parametrize(
    "limits", [{}, pytest.param({"max_connections": 4}, marks=pytest.mark.slow)]
)
def test_every_thread_finds_a_new_master(group, limits):
    """After a planned failover all threads' connections lead to the new master soon."""
    backend = RedisSentinelBackend({**group.arguments, "connection_kwargs": limits})
    moved, ready = threading.Event(), threading.Barrier(5)
    masters = []

    def use(number):
        backend.write(f"k{number}", sealed(number, f"k{number}"), ttl=None)
        ready.wait(PATIENCE)
        assert moved.wait(2 * PATIENCE)
        with redis.Redis(port=masters[0]) as master:

            def is_written():
                with contextlib.suppress(BackendError):
                    backend.write(f"n{number}", sealed(number), ttl=None)
                return master.exists(f"n{number}")

            wait_until(is_written, patience=10.0)

    def fail_over():
        ready.wait(PATIENCE)
        with group.sentinels[0].client() as sentinel:
            assert sentinel.execute_command("SENTINEL", "FAILOVER", SERVICE)

            def new_master():
                _, port = sentinel.sentinel_get_master_addr_by_name(SERVICE)
                return port if port != group.master.port else None

            masters.append(wait_until(new_master))
        moved.set()

    mover = threading.Thread(target=fail_over)
    mover.start()
    together(4, use)
    mover.join()


@pytest.mark.slow
def test_valkey_s_sentinels(tmp_path):
    """Valkey's servers and sentinels do as Redis's do."""
    with SentinelGroup(
        tmp_path, replicas=1, sentinels=1, program="valkey-server"
    ) as group:
        region = new_region(group.arguments, name="holdover.valkey_sentinel")
        region.set("k", "value", strict=True)
        assert region.get("k", strict=True) == "value"
        recovery(region, group)
        assert region.get_or_create("k", lambda: "new") in {"value", "new"}
        with group.replicas[0].client() as client:
            assert client.info()["role"] == "master"
            assert "valkey_version" in client.info("server")


def recovery(region, group):
    """Kill the master; give the seconds until something can be stored again."""
    group.master.kill()
    killed = time.monotonic()
    wait_until(lambda: not region.set("probe", 1).pending, "a new master", 60.0)
    return time.monotonic() - killed


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("group", [0.5], indirect=True)
def test_the_master_dies_under_load(group, tmp_path):
    """8 processes go on without an error, and without old values."""
    oracle = Oracle(str(tmp_path / "oracle"), 6)
    region = new_region(group.arguments)
    region.set("probe", 0, strict=True)
    took = []

    def trouble():
        time.sleep(1.5)
        took.append(recovery(region, group))

    def run(number):
        get, invalidate = through(new_region(group.arguments, SHORT))
        return for_seconds(
            10,
            lambda: hammer(
                oracle,
                get,
                invalidate,
                calls=100,
                seed=number,
                invalidate_every=50,
            ),
            calls=5_000 // 8,
        )

    troublemaker = threading.Thread(target=trouble)
    troublemaker.start()
    findings = in_processes(8, run)
    troublemaker.join()
    check(findings, 5_000)
    assert took[0] < 20.0
