"""Every type of Beaker's is kept where it says, and created once by many processes."""

import json
import multiprocessing
import time
from pathlib import Path

import pytest
import sqlalchemy
from serving import WSGIServer, visit
from waiting import wait_until

from holdover import errors
from holdover.wsgi.beaker import Cache, CacheManager

FORK = multiprocessing.get_context("fork")
PROCESSES = 8
TYPES = [
    "memory", "dbm", "file", "ext:memcached", "pylibmc", "ext:redis",
    "ext:rediscluster", "ext:database", "ext:sqla",
]  # fmt: skip
SHARED = ["file", "ext:memcached", "ext:redis", "ext:database"]


def place_for(kind, request):
    """Give the options that say where, starting what is needed."""
    folder = request.getfixturevalue("tmp_path")
    if kind in ("dbm", "file"):
        return {"data_dir": str(folder / "data")}
    if kind == "ext:memcached":
        servers = request.getfixturevalue("memcached_servers")
        return {"url": ";".join(server.url for server in servers)}
    if kind == "ext:redis":
        url = request.getfixturevalue("redis_server").url
        return {"url": url.removeprefix("redis://"), "arguments.socket_timeout": 5.0}
    if kind == "ext:rediscluster":
        nodes = request.getfixturevalue("cluster").nodes
        return {"urls": ";".join(one.url for one in nodes)}
    return {"url": f"sqlite:///{folder}/cache.db", "arguments.operation_timeout": 5.0}


@pytest.fixture
def engine(tmp_path):
    """Give an engine of the application's own."""
    made = sqlalchemy.create_engine(f"sqlite:///{tmp_path}/cache.db")
    yield made
    made.dispose()


@pytest.fixture
def options(request):
    """Give Beaker's options for a type."""
    quiet = {"type": request.param, "unsigned_pickle": True}
    match request.param:
        case "memory":
            return quiet
        case "pylibmc":
            quiet |= {"type": "ext:memcached", "memcache_module": "pylibmc"}
        case "ext:sqla":
            return quiet | {"bind": request.getfixturevalue("engine"), "table": "x"}
    return quiet | place_for(quiet["type"], request)


@pytest.mark.parametrize("options", TYPES, indirect=True)
def test_every_type_keeps_its_promises(options, counter):
    """Values, lifetimes, invalidations and clearing are the same everywhere."""
    manager = CacheManager(**options, cache_regions={"r": {**options, "expire": 60}})
    one, two = manager.get_cache("one"), manager.get_cache("é/|two", expire=60)
    for cache in (one, two):
        cache.put("k" * 300, None)
    assert one["k" * 300] is None
    assert one.get("made", createfunc=counter) == 1
    assert Cache("one", **options).get("made", createfunc=counter) == 1
    one.clear()
    assert ["k" * 300 in cache for cache in (one, two)] == [False, True]

    @manager.region("r", "f")
    def f(x):
        return counter()

    assert [f(1), f(1)] == [2, 2]
    CacheManager(cache_regions={"r": {**options, "expire": 60}}).region_invalidate(
        f._arg_namespace, "r", "f", 1
    )
    assert f(1) == 3


@pytest.mark.alone
@pytest.mark.parametrize("options", SHARED, indirect=True)
def test_eight_processes_get_one_creation(options):
    """One creates, all get its value."""
    runs, results, barrier = FORK.Value("i", 0), FORK.Queue(), FORK.Barrier(PROCESSES)

    def create():
        with runs.get_lock():
            runs.value += 1
        time.sleep(0.2)
        return "made"

    def ask():
        cache = CacheManager(**options).get_cache("letters", expire=60)
        barrier.wait()
        results.put(cache.get("a", createfunc=create))

    processes = [FORK.Process(target=ask) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    assert [results.get(timeout=60) for _ in processes] == ["made"] * PROCESSES
    for process in processes:
        process.join()
    assert runs.value == 1


def test_a_server_that_is_down_costs_no_request(own_redis, counter):
    """Values are created; what is missing is missing, and nothing else is raised."""
    cache = Cache("letters", type="ext:redis", url=own_redis.url, unsigned_pickle=True)
    cache.put("a", 1)
    own_redis.stop()
    assert cache.get("b", createfunc=counter) == 1
    assert "a" not in cache
    assert cache.remove("a").pending
    assert cache.clear().pending


@pytest.mark.parametrize("options", ["file"], indirect=True)
def test_files_are_this_user_s_own(options, tmp_path):
    """Nobody else can read what is cached, and names lead nowhere else."""
    cache = Cache("../../letters", **options)
    cache.put("../../a", "secret")
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path for path in kept if path.stat().st_mode & 0o077] == []
    assert (tmp_path / "data").stat().st_mode & 0o077 == 0
    assert all(path.is_relative_to(tmp_path / "data") for path in kept)
    assert kept


def test_a_value_from_elsewhere_is_never_unpickled(redis_server):
    """With a codec that runs no code, a pickle in the store is a miss."""
    place = {"type": "ext:redis", "url": redis_server.url}
    Cache("letters", **place, unsigned_pickle=True).put("a", {"pickled"})
    assert "a" not in Cache("letters", **place, codec="json")
    with pytest.warns(errors.UnsignedPickleWarning):
        Cache("letters", **place)


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("memory", ()),
        ("file", ()),
        ("ext:redis", ()),
        ("ext:database", ("--worker-class=gthread", "--threads=4")),
    ],
)
def test_gunicorn_s_processes_go_on_with_what_was_used_before(kind, more, request):
    """With ``--preload``: values are there, and each process refreshes old ones."""
    where = {} if kind == "memory" else place_for(kind, request)
    config = {
        "cache.type": kind,
        "cache.regions": "short",
        "cache.short.expire": "0.2",
        "cache.short.stale_while_revalidate": "600",
        "cache.short.runner": "thread",
        "cache.unsigned_pickle": "true",
        **{f"cache.{name}": value for name, value in where.items()},
    }
    folder, variables = Path(__file__).parent, {"CACHE": json.dumps(config)}
    options = ("--workers=2", "--preload", "--graceful-timeout=1", *more)
    server = WSGIServer(
        "gunicorn", "cached_site:application", folder, variables, *options
    )
    with server:
        makers = {}

        def all_have_refreshed():
            worker, kept, letters = visit(server.address).split()
            assert letters.startswith(f"{server.process.pid}:")
            makers.setdefault(worker, set()).add(kept.partition(":")[0])
            return len(makers) == 2 and {*makers} <= set.union(*makers.values())

        wait_until(all_have_refreshed, "a refresh by each process")
