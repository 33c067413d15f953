"""What others change is dropped from a near cache once the backend tells of it."""

import contextlib
import gc
import multiprocessing
import re
import subprocess
import sys
import threading

import pytest
import sqlalchemy
from doc_blocks import ROOT
from servers import RedisServer
from sql_servers import PostgresServer
from waiting import wait_until

from holdover import NO_VALUE, make_region
from holdover.dogpile import make_region as dogpile_region
from holdover.errors import ConfigurationError
from holdover.events import Problem, PushLost
from holdover.regions import watching
from holdover.regions.backends.pushing import Pushing
from holdover.regions.backends.redis_cluster import RedisClusterBackend
from holdover.regions.backends.sql import SqlBackend
from holdover.regions.backends.sql_drivers import parsed

FORK = multiprocessing.get_context("fork")
NEAR_TTL = 60.0
SOON = 20.0  # seconds, on a busy machine; a fraction of near_ttl
PATIENT = {"operation_timeout": 5.0, "connect_timeout": 5.0, "create_table": True}


class OnRedis:
    """How to use a Redis server."""

    backend = "holdover.redis"

    def __init__(self, server):
        self.server = server
        self.arguments = {"url": server.url, "socket_timeout": 1.0}

    def cut(self):
        """End all connections that listen."""
        self.server.ask("CLIENT", "KILL", "TYPE", "pubsub")


class OnSentinels(OnRedis):
    """How to use a master that sentinels know."""

    backend = "holdover.redis_sentinel"

    def __init__(self, group):
        self.server = group.master
        self.arguments = {**group.arguments, "socket_timeout": 1.0}


class OnPostgres:
    """How to use a PostgreSQL server."""

    backend = "holdover.sql"

    def __init__(self, server):
        self.server = server
        self.arguments = {"url": server.url, "notify": True, **PATIENT}

    def cut(self):
        """End all connections that listen."""
        self.server.run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE query LIKE 'LISTEN %'"
        )


@pytest.fixture(params=[OnRedis, OnPostgres])
def store(request):
    """A server that pushes, of each kind in turn."""
    name = {OnRedis: "redis_server", OnPostgres: "postgres"}[request.param]
    return request.param(request.getfixturevalue(name))


@pytest.fixture(params=[OnRedis, OnPostgres])
def own_store(request, tmp_path):
    """The same, of the test's own."""
    make = {OnRedis: lambda: RedisServer(tmp_path), OnPostgres: PostgresServer}
    with make[request.param]() as server:
        yield request.param(server)


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    """Let nobody wait for long before he looks again."""
    monkeypatch.setattr(watching, "_SLICE", 0.1)
    monkeypatch.setattr(watching, "_FIRST_PAUSE", 0.01)
    monkeypatch.setattr(watching, "_LONGEST_PAUSE", 0.05)


@pytest.fixture
def make(store):
    """Make a region on that server."""
    return lambda **settings: make_on(store, **settings)


def make_on(store, name="shop", made_by=make_region, **settings):
    """Make a region on a server."""
    settings = {"near_ttl": NEAR_TTL, "unsigned_pickle": True, **settings}
    return made_by(name).configure(store.backend, 300, store.arguments, **settings)


@pytest.fixture
def other(make):
    """A region without a near cache, as another process has it."""
    return make(near_ttl=None)


@pytest.fixture
def region(make, other):
    """A region with a near cache that hears of changes."""
    return hearing(make())


def hearing(region):
    """Wait until a region hears of changes."""
    region.set("first", 1)
    region.get("first")
    wait_until(lambda: region._tier._watch.hears, "hearing of changes")
    return region


def problems(heard):
    """Give what went wrong; hits and misses are told of, too."""
    return [one for one in heard if isinstance(one, Problem)]


def near_with(region, key, value):
    """Wait until a region serves *value* from its near cache."""
    wait_until(
        lambda: (
            region.get(key) == value and region._tier.near.read(region._address(key))
        ),
        f"{value!r} near",
    )


def watchers():
    """Give the threads that listen."""
    return [t for t in threading.enumerate() if t.name == "holdover-watch"]


def leave_no_watchers():
    """Wait for the end of other tests' threads."""
    gc.collect()
    wait_until(lambda: not watchers(), "the end of other tests' threads")


@pytest.mark.parametrize(
    "change",
    [
        lambda other, key: other.set(key, "new"),
        lambda other, key: other.set_multi({key: "new", "more": 1}),
        lambda other, key: other.delete(key),
        lambda other, key: other.delete_multi([key, "more"]),
        lambda other, key: other.expire(key),
        lambda other, key: other.change(key, lambda _: "new"),
        lambda other, key: other.lease(key).commit("new"),
        lambda other, key: other.invalidate(),
        lambda other, key: other.invalidate(hard=False),
        lambda other, key: other.invalidate(tags=["tag"]),
        lambda other, key: other.invalidate(prefix=key[:2]),
    ],
)
def test_others_changes_are_seen_soon(region, other, change):
    """Whatever another process changes is dropped here, long before near_ttl ends."""
    other.set("key", "old", tags=["tag"])
    near_with(region, "key", "old")
    change(other, "key")
    wait_until(lambda: region.get("key") in ("new", NO_VALUE), patience=SOON)


@pytest.mark.parametrize("key", ["k" * 300, "\x00 odd\r\n\ud800", "holdover:value:x"])
@pytest.mark.parametrize("name", ["shop", "holdover", "n" * 100])
def test_any_key_is_told_of(make, name, key):
    """Long, odd and unlucky keys are recognized, in regions of any name."""
    other, region = make(name=name, near_ttl=None), hearing(make(name=name))
    other.set(key, "old")
    other.set("bystander", "old")
    near_with(region, key, "old")
    near_with(region, "bystander", "old")
    other.set(key, "new")
    wait_until(lambda: region.get(key) == "new", patience=SOON)


def test_others_regions_do_not_disturb(make, region, other):
    """Of what happens in another region a near cache hears nothing."""
    stranger, changes = make(name="shop2", near_ttl=None), []
    region._tier._watch.hear = changes.append
    stranger.set("key", "new")
    stranger.invalidate()
    stranger.delete("key")
    other.set("later", "new")
    wait_until(lambda: region._address("later") in changes)
    assert set(changes) <= {region._address("first"), region._address("later")}


def test_without_a_prefix(store, other):
    """With dogpile.cache's keys, which have no prefix, changes are told of as well."""
    plain = make_on(store, made_by=dogpile_region, near_ttl=None)
    region = hearing(make_on(store, made_by=dogpile_region))
    for key in ("key", "holdover:lease:x"):
        plain.set(key, "old")
        near_with(region, key, "old")
        plain.set(key, "new")
        wait_until(lambda key=key: region.get(key) == "new", patience=SOON)
    near_with(region, "key", "new")
    plain.invalidate()
    wait_until(lambda: region.get("key") is NO_VALUE, patience=SOON)


def test_others_names_that_are_no_text(redis_server, heard):
    """Without a prefix it hears of all names, and understands those that are ours."""
    region = hearing(make_on(OnRedis(redis_server), made_by=dogpile_region))
    other = make_on(OnRedis(redis_server), made_by=dogpile_region, near_ttl=None)
    events = heard(region)
    other.set("key", "old")
    near_with(region, "key", "old")
    redis_server.client().set(b"\xff\xfe", "theirs")
    other.set("key", "new")
    wait_until(lambda: region.get("key") == "new", patience=SOON)
    assert problems(events) == []


def test_many_open_files(postgres, many_open_files, heard):
    """A connection of a high number is heard like any other."""
    region = hearing(make_on(OnPostgres(postgres)))
    other = make_on(OnPostgres(postgres), near_ttl=None)
    events = heard(region)
    other.set("key", "old")
    near_with(region, "key", "old")
    other.set("key", "new")
    wait_until(lambda: region.get("key") == "new", patience=SOON)
    assert problems(events) == []


def test_another_process_s_changes(store, region, other):
    """So it is between processes."""
    other.set("key", "old")
    near_with(region, "key", "old")
    process = FORK.Process(target=lambda: make_on(store).set("key", "new"))
    process.start()
    wait_until(lambda: region.get("key") == "new", patience=SOON)
    process.join()


def test_a_fork_s_child_listens_for_itself(region, other):
    """A child hears by a connection of its own, and the parent goes on hearing."""
    other.set("key", 1)
    near_with(region, "key", 1)
    here, there = FORK.Pipe()

    def run():
        near_with(hearing(region), "key", 1)
        there.send("near")
        wait_until(lambda: region.get("key") == 2, patience=SOON)
        there.send("seen")

    process = FORK.Process(target=run)
    process.start()
    assert here.poll(20)
    assert here.recv() == "near"
    near_with(region, "key", 1)
    other.set("key", 2)
    assert here.poll(20)
    assert here.recv() == "seen"
    process.join()
    wait_until(lambda: region.get("key") == 2, patience=SOON)
    near_with(region, "key", 2)
    other.set("key", 3)
    wait_until(lambda: region.get("key") == 3, patience=SOON)


def test_a_channel_that_is_cut(store, make, other, heard, monkeypatch):
    """It is told once, the near cache emptied, and no change in between is missed."""
    may_listen = threading.Event()
    may_listen.set()
    kind = type(other.backend)
    subscribe = kind.subscribe

    def gated(*args):
        assert may_listen.wait(20)
        return subscribe(*args)

    monkeypatch.setattr(kind, "subscribe", gated)
    region = hearing(make())
    events = heard(region)
    other.set("key", 1)
    near_with(region, "key", 1)
    may_listen.clear()
    store.cut()
    wait_until(lambda: len(region._tier.near) == 0, patience=SOON)
    other.set("key", 2)
    near_with(region, "key", 2)  # by near_ttl alone
    other.set("key", 3)
    assert region.get("key") == 2
    may_listen.set()
    wait_until(lambda: region.get("key") == 3, patience=SOON)
    near_with(region, "key", 3)
    other.set("key", 4)
    wait_until(lambda: region.get("key") == 4, patience=SOON)
    assert len([one for one in events if isinstance(one, PushLost)]) == 1


def test_a_server_that_freezes(own_store, heard):
    """Whoever hears nothing asks whether the server is there, and forgets if not."""
    if "operation_timeout" in own_store.arguments:
        own_store.arguments["operation_timeout"] = 1.0
    region = hearing(make_on(own_store))
    events = heard(region)
    near_with(region, "first", 1)
    own_store.server.freeze()
    try:
        wait_until(lambda: len(region._tier.near) == 0, patience=30)
    finally:
        own_store.server.thaw()
    assert [type(one) for one in problems(events)] == [PushLost]
    wait_until(lambda: region._tier._watch.hears)
    near_with(region, "first", 1)


def test_a_server_that_dies(own_store):
    """After a restart changes are heard again."""
    region, other = hearing(make_on(own_store)), make_on(own_store, near_ttl=None)
    own_store.server.stop()
    wait_until(lambda: region._tier._watch.hears is False)
    own_store.server.start()
    wait_until(lambda: region._tier._watch.hears)
    wait_until(lambda: not other.set("key", 1).pending)
    near_with(region, "key", 1)
    wait_until(lambda: not other.set("key", 2).pending)
    wait_until(lambda: region.get("key") == 2, patience=SOON)


def test_flushall_is_heard(redis_server):
    """A server that is emptied empties near caches."""
    region = hearing(make_on(OnRedis(redis_server)))
    near_with(region, "first", 1)
    redis_server.ask("FLUSHALL")
    wait_until(lambda: region.get("first") is NO_VALUE, patience=SOON)


def test_without_the_right_to_listen(redis_server, heard):
    """Where an ACL forbids it near_ttl holds alone; it is told once, tried for ever."""
    rights = ["on", ">secret", "~*", "&*", "+@all", "-client|tracking"]
    redis_server.ask("ACL", "SETUSER", "deaf", *rights)
    store = OnRedis(redis_server)
    store.arguments["url"] = redis_server.url.replace("//", "//deaf:secret@")
    region = make_on(store)
    events, tries = heard(region), []
    watch = region._tier._watch
    subscribe = watch._subscribe
    watch._subscribe = lambda: tries.append(1) or subscribe()
    region.set("key", 1)
    assert region.get("key") == 1
    wait_until(lambda: len(tries) > 3)
    assert region.get("key") == region.get_or_create("key", lambda: 2) == 1
    [told] = [one for one in events if isinstance(one, PushLost)]
    assert "permission" in told.reason


def test_a_master_that_sentinels_know(sentinels):
    """Its changes are told of, too, and heard again after the channel was cut."""
    store = OnSentinels(sentinels)
    region, other = hearing(make_on(store)), make_on(store, near_ttl=None)
    watch, near = region._tier._watch, region._tier.near
    other.set("key", 1)
    near_with(region, "key", 1)
    other.set("key", 2)
    wait_until(lambda: region.get("key") == 2, patience=SOON)
    near_with(region, "key", 2)
    store.cut()
    wait_until(lambda: watch.hears and not near.read(region._address("key")))
    near_with(region, "key", 2)
    other.set("key", 3)
    wait_until(lambda: region.get("key") == 3, patience=SOON)


def test_a_cluster_does_not_push():
    """In a cluster near_ttl holds alone: keys are where no one connection hears."""
    assert not issubclass(RedisClusterBackend, Pushing)


def test_with_no_more_than_the_right_to_listen(redis_server):
    """The rights that the documents name are enough."""
    text = (ROOT / "docs" / "policies.rst").read_text()
    _, _, told = text.partition("An ACL user needs")
    rights = re.findall(r"``([+&].*?)``", told.partition("A cluster")[0])
    few = ["~*", "+@all", "-@connection", "-@pubsub", "resetchannels", *rights]
    redis_server.ask("ACL", "SETUSER", "keen", "reset", "on", ">secret", *few)
    store = OnRedis(redis_server)
    other = make_on(store, near_ttl=None)
    store.arguments["url"] = redis_server.url.replace("//", "//keen:secret@")
    region = hearing(make_on(store))
    other.set("key", 1)
    near_with(region, "key", 1)
    other.set("key", 2)
    wait_until(lambda: region.get("key") == 2, patience=SOON)
    with contextlib.closing(region.backend.subscribe("region", "region:")) as asked:
        asked.probe()  # as after some seconds of silence


def test_answers_that_are_none(region, heard):
    """Whatever goes wrong in the thread ends no thread, and reaches no caller."""
    events = heard(region)
    watch = region._tier._watch
    subscribe = watch._subscribe

    class Nonsense:
        def changes(self, wait):
            raise ValueError("nonsense")

        def close(self):
            pass

    tries = iter([Nonsense, Nonsense])

    def subscribe_at_last():
        return next(tries, subscribe)()

    watch._subscribe = subscribe_at_last
    watch.stop()
    watch.start()
    wait_until(lambda: len(events) >= 2)
    wait_until(lambda: next(tries, None) is None and watch.hears)
    assert {type(one) for one in problems(events)} == {PushLost}


def test_without_threads(make, other, monkeypatch):
    """Where no thread is to be had near_ttl holds alone, until there is one."""
    region = make()
    other.set("key", 1)
    assert region.get("missing") is NO_VALUE  # which connects
    with monkeypatch.context() as context:
        context.setattr(threading.Thread, "start", _no_thread)
        assert region.get("key") == region.get("key") == 1
    near_with(hearing(region), "key", 1)


def _no_thread(_):
    raise RuntimeError("can't start new thread")


def test_the_thread_ends_with_its_region(make, other):
    """Neither a region that is configured anew nor one that is gone leaves a thread."""
    leave_no_watchers()
    region = hearing(make())
    [first] = watchers()
    region.configure("holdover.null", 10, replace_existing_backend=True)
    wait_until(lambda: not first.is_alive())
    region = hearing(make())
    [second] = watchers()
    del region
    gc.collect()
    wait_until(lambda: not second.is_alive())


def test_nobody_listens_without_reads(make, other):
    """The thread starts with the first value that is kept, and not before."""
    leave_no_watchers()
    region = make()
    region.set("key", 1)
    assert region.get("missing") is NO_VALUE
    assert not watchers()
    assert region.get("key") == 1
    assert watchers()


def test_the_interpreter_ends_quietly(store):
    """A thread that listens neither holds up the interpreter's end nor says a word."""
    program = (
        "import time; from holdover import make_region\n"
        f"region = make_region('shop').configure({store.backend!r}, 300, "
        f"{store.arguments!r}, near_ttl=60, unsigned_pickle=True)\n"
        "region.set('key', 1)\n"
        "assert region.get('key') == 1\n"
        "while not region._tier._watch.hears: time.sleep(0.01)\n"
    )
    command = [sys.executable, "-W", "error", "-c", program]
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, timeout=60
    )
    assert done.stderr == ""


# -- PostgreSQL ----------------------------------------------------------------


def test_a_transaction_tells_when_it_is_committed(postgres):
    """An invalidation in the application's transaction is told of at its commit."""
    store = OnPostgres(postgres)
    region, other = hearing(make_on(store)), make_on(store, near_ttl=None)
    engine = sqlalchemy.create_engine(parsed(postgres.url))
    other.set("key", "old")
    near_with(region, "key", "old")
    for invalidate in (
        lambda connection: other.delete("key", connection=connection),
        lambda connection: other.invalidate(connection=connection),
    ):
        other.set("key", "old")
        near_with(region, "key", "old")
        with engine.connect() as connection:
            invalidate(connection)
            connection.rollback()
            near_with(region, "key", "old")
            invalidate(connection)
            assert region.get("key") == "old"
            connection.commit()
        wait_until(lambda: region.get("key") is NO_VALUE, patience=SOON)
    engine.dispose()


def test_writers_that_do_not_notify(postgres):
    """What is written without notify is seen after near_ttl: all writers need it."""
    store = OnPostgres(postgres)
    region = hearing(make_on(store))
    store.arguments = {**store.arguments, "notify": False}
    silent = make_on(store)
    assert silent._tier._watch is None
    silent.set("key", 1)
    near_with(region, "key", 1)
    silent.set("key", 2)
    make_on(OnPostgres(postgres)).set("told", 1)
    near_with(region, "told", 1)
    assert region.get("key") == 1


def test_notify_needs_postgres(tmp_path, mariadb):
    """Elsewhere there is no such thing, and it says so."""
    for url, name in ((f"sqlite:///{tmp_path}/c.db", "sqlite"), (mariadb.url, "mar")):
        with pytest.raises(
            ConfigurationError, match=f"notify=True needs PostgreSQL.* this is {name}"
        ):
            SqlBackend({"url": url, "notify": True, "create_table": True})
    with pytest.raises(ConfigurationError, match="notify must be True or False"):
        SqlBackend({"url": f"sqlite:///{tmp_path}/c.db", "notify": "yes"})
