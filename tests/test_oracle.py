"""No call returns what is older than an acknowledged invalidation (promise 2).

The oracle first meets a naive cache, where it must find wrong values: a checker that
never fails proves nothing.
"""

import concurrent.futures
import contextlib
import multiprocessing
import pickle
import threading
import time

import pytest
import sqlalchemy
from servers import MEMCACHED_CLIENTS
from sql_servers import MariaServer, PostgresServer

from holdover import LeaseTerms, make_region
from holdover.regions.backends.sql_drivers import parsed
from holdover.testing import Findings, Oracle, hammer

pytestmark = [pytest.mark.alone, pytest.mark.timeout(300)]  # eight processes at a time

KEYS = 6
CALLS = 100_000
SHORT = 0.02  # seconds: values expire all the time
FORK = multiprocessing.get_context("fork")


class NaiveCache:
    """What everybody writes first: look, lock, create, set."""

    def __init__(self):
        self._values = {}
        self._locks = {key: threading.Lock() for key in range(KEYS)}

    def get(self, key, creator):
        value, expires_at = self._values.get(key, (None, 0.0))
        if time.monotonic() < expires_at:
            return value
        with self._locks[key]:
            value = creator()
            self._values[key] = (value, time.monotonic() + SHORT)
        return value

    def invalidate(self, key):
        self._values.pop(key, None)
        return True


def through(region):
    """The two functions that `hammer` needs, over a region."""

    def get(key, creator):
        return region.get_or_create(f"key{key}", creator)

    def invalidate(key):
        return not region.delete(f"key{key}").pending

    return get, invalidate


def through_region_clock(region):
    """The same, invalidating the whole region every time."""
    get, _ = through(region)
    return get, lambda _key: not region.invalidate().pending


def either(number):
    """Give one way to every other process."""
    return through if number % 2 else through_region_clock


def in_threads(count, run):
    """Add up the findings of *run(number)* in *count* threads."""
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        return sum(pool.map(run, range(count)), start=Findings())


def in_processes(count, run, patience=240):
    """Add up the findings of *run(number)* in *count* forked processes."""
    results = FORK.Queue()

    def report(number):
        try:
            results.put(run(number))
        except BaseException as error:
            results.put(repr(error))
            raise

    processes = [FORK.Process(target=report, args=(n,)) for n in range(count)]
    for process in processes:
        process.start()
    answers = [results.get(timeout=patience) for _ in processes]
    for process in processes:
        process.join()
    assert [] == [answer for answer in answers if isinstance(answer, str)]
    return sum(answers, start=Findings())


def for_seconds(seconds, run, *, calls):
    """Add up the findings of *run()* for so long, and until there are so many calls."""
    findings, until = Findings(), time.monotonic() + seconds
    while time.monotonic() < until or findings.calls < calls:
        findings += run()
    return findings


def check(findings, calls):
    """The run was worth something, and nothing wrong came out."""
    assert findings.calls >= calls
    assert findings.invalidations > 50
    assert findings.creations > 100
    assert findings.wrong == 0, findings


@pytest.fixture
def oracle(tmp_path):
    """An oracle over this test's own file."""
    return Oracle(str(tmp_path / "oracle"), KEYS)


def terms(**changes):
    """Leases that lapse within the run."""
    return LeaseTerms(**{"ttl": 0.5, "wait": 10.0, **changes})


def test_the_oracle_finds_the_faults_of_a_naive_lock(oracle):
    """A lock around creation, without a fence, returns old values."""
    cache = NaiveCache()
    findings = in_threads(
        8,
        lambda n: hammer(
            oracle,
            cache.get,
            cache.invalidate,
            calls=4_000,
            seed=n,
            invalidate_every=50,
        ),
    )
    assert findings.wrong > 0, findings


@pytest.mark.parametrize("runner", [None, "thread"])
@pytest.mark.parametrize("way", [through, through_region_clock])
def test_memory_under_threads(oracle, runner, way):
    """Memory, 8 threads: nothing old, by key or by region, refreshed behind or not."""
    region = make_region("oracle").configure(
        "holdover.memory", SHORT, runner=runner, lease=terms()
    )
    get, invalidate = way(region)
    per_thread = CALLS // 8
    findings = in_threads(
        8, lambda n: hammer(oracle, get, invalidate, calls=per_thread, seed=n)
    )
    check(findings, CALLS)


def file_region(path, runner=None, **changes):
    """A region on files."""
    return make_region("oracle").configure(
        "holdover.file", SHORT, {"path": path}, runner=runner, lease=terms(**changes)
    )


def test_file_under_threads(oracle, tmp_path):
    """Files, 8 threads: nothing old."""
    get, invalidate = through(file_region(tmp_path / "cache", "thread"))
    findings = in_threads(
        8, lambda n: hammer(oracle, get, invalidate, calls=CALLS // 8, seed=n)
    )
    check(findings, CALLS)


@pytest.mark.slow
@pytest.mark.parametrize("way", [through, through_region_clock])
def test_file_under_processes(oracle, tmp_path, way):
    """Files, 8 processes: nothing old, by key or by region."""

    def run(number):
        get, invalidate = way(file_region(tmp_path / "cache"))
        return hammer(oracle, get, invalidate, calls=CALLS // 8, seed=number)

    check(in_processes(8, run), CALLS)


def test_file_with_leases_that_lapse(oracle, tmp_path):
    """Even if slow creators lose their leases all the time, nothing old is returned."""

    def run(number):
        lease = {"ttl": 0.005, "max_hold": 0.005, "wait": 0.05}
        get, invalidate = either(number)(file_region(tmp_path / "cache", **lease))
        return hammer(
            oracle, get, invalidate, calls=5_000, seed=number, invalidate_every=100
        )

    check(in_processes(8, run), 40_000)


def dbm_region(path, **changes):
    """A region on a database file; so many who want it at once must wait longer."""
    arguments = {"filename": path, "lock_timeout": 10.0}
    return make_region("oracle").configure(
        "holdover.dbm", SHORT, arguments, lease=terms(**changes)
    )


@pytest.mark.slow
@pytest.mark.parametrize("way", [through, through_region_clock])
def test_dbm_under_processes(oracle, tmp_path, way):
    """A dbm file, 8 processes: nothing old, by key or by region."""

    def run(number):
        get, invalidate = way(dbm_region(tmp_path / "dbm"))
        return hammer(oracle, get, invalidate, calls=CALLS // 8, seed=number)

    check(in_processes(8, run), CALLS)


@pytest.mark.chaos
@pytest.mark.parametrize("way", [through, through_region_clock])
def test_dbm_whose_processes_are_killed(oracle, tmp_path, way):
    """Though one after the other is killed, wherever it is, nothing old is returned."""

    def run(number):
        get, invalidate = way(dbm_region(tmp_path / "dbm"))
        for part in range(1_000_000):
            seed = 1_000_000 * number + part
            findings = hammer(
                oracle, get, invalidate, calls=20, seed=seed, invalidate_every=8
            )
            with (tmp_path / f"findings-{number}").open("ab") as file:
                file.write(pickle.dumps(findings))

    dbm_region(tmp_path / "dbm")  # here, so that no child spends its life importing
    killed, processes = 0, []
    deadline = time.monotonic() + 240
    try:
        while killed < 40 or findings_in(tmp_path).invalidations < 100:
            assert time.monotonic() < deadline, findings_in(tmp_path)
            while len(processes) < 6:
                number = killed + len(processes)
                processes.append(FORK.Process(target=run, args=(number,)))
                processes[-1].start()
            time.sleep(0.2)
            processes.pop(0).kill()
            killed += 1
    finally:
        for process in processes:
            process.kill()
            process.join()
    check(findings_in(tmp_path), 500)


def findings_in(folder):
    """Add up what processes have noted before they were killed."""
    total = Findings()
    for path in folder.glob("findings-*"):
        with path.open("rb") as file, contextlib.suppress(EOFError, pickle.PickleError):
            while True:
                total += pickle.load(file)
    return total


def redis_region(server, **changes):
    """A region on a Redis server."""
    return make_region("oracle").configure(
        "holdover.redis",
        SHORT,
        {"url": server.url},
        lease=terms(**changes),
        unsigned_pickle=True,
    )


@pytest.mark.slow
@pytest.mark.parametrize("way", [through, through_region_clock])
def test_redis_under_processes(oracle, redis_server, way):
    """Redis, 8 processes: nothing old, by key or by region."""

    def run(number):
        get, invalidate = way(redis_region(redis_server))
        return hammer(oracle, get, invalidate, calls=CALLS // 8, seed=number)

    check(in_processes(8, run), CALLS)


def test_redis_with_leases_that_lapse(oracle, redis_server):
    """Even if slow creators lose their leases all the time, nothing old is returned."""

    def run(number):
        lease = {"ttl": 0.005, "max_hold": 0.005, "wait": 0.05}
        get, invalidate = either(number)(redis_region(redis_server, **lease))
        return hammer(
            oracle, get, invalidate, calls=5_000, seed=number, invalidate_every=100
        )

    check(in_processes(8, run), 40_000)


def test_redis_that_forgets(oracle, redis_server):
    """Even if the server loses everything all the time, nothing old is returned."""

    def run(number):
        get, invalidate = through(redis_region(redis_server))
        findings = Findings()
        for part in range(20):
            redis_server.ask("FLUSHALL")
            findings += hammer(
                oracle, get, invalidate, calls=250, seed=part, invalidate_every=50
            )
        return findings

    check(in_processes(8, run), 40_000)


def test_redis_without_scripts(oracle, redis_server):
    """Nor does it take scripts."""
    rights = ["on", ">secret", "~*", "&*", "+@all", "-@scripting"]
    redis_server.ask("ACL", "SETUSER", "scriptless", *rights)
    url = redis_server.url.replace("//", "//scriptless:secret@")

    def run(number):
        region = make_region("oracle").configure(
            "holdover.redis", SHORT, {"url": url}, lease=terms(), unsigned_pickle=True
        )
        get, invalidate = either(number)(region)
        return hammer(
            oracle, get, invalidate, calls=5_000, seed=number, invalidate_every=100
        )

    check(in_processes(8, run), 40_000)


FAMILY = {
    "holdover.redis_sentinel": "sentinels",
    "holdover.redis_cluster": "cluster",
    "holdover.valkey": "valkey_server",
}


@pytest.mark.slow
@pytest.mark.parametrize("way", [through, through_region_clock])
@pytest.mark.parametrize("name", FAMILY)
def test_redis_family_under_processes(oracle, request, name, way):
    """Sentinel, Cluster and Valkey, 8 processes: nothing old, by key or by region."""
    servers = request.getfixturevalue(FAMILY[name])

    def run(number):
        region = make_region("oracle").configure(
            name, SHORT, servers.arguments, lease=terms(), unsigned_pickle=True
        )
        get, invalidate = way(region)
        return hammer(oracle, get, invalidate, calls=CALLS // 8, seed=number)

    check(in_processes(8, run), CALLS)


def test_a_cluster_that_forgets(oracle, cluster):
    """Even if the nodes lose everything all the time, nothing old is returned."""

    def run(number):
        region = make_region("oracle").configure(
            "holdover.redis_cluster",
            SHORT,
            cluster.arguments,
            lease=terms(),
            unsigned_pickle=True,
        )
        get, invalidate = either(number)(region)
        findings = Findings()
        for part in range(9):
            cluster.primaries[part % 3].ask("FLUSHALL")
            findings += hammer(
                oracle, get, invalidate, calls=150, seed=part, invalidate_every=50
            )
        return findings

    check(in_processes(8, run), 10_000)


def memcached_region(servers, client="pymemcache", **changes):
    """A region on memcached servers."""
    return make_region("oracle").configure(
        "holdover.memcached",
        SHORT,
        {"url": [server.url for server in servers], "client": client},
        lease=terms(**changes),
        unsigned_pickle=True,
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("way", "count", "client"),
    [
        (through, 1, MEMCACHED_CLIENTS[0]),
        (through, 3, MEMCACHED_CLIENTS[-1]),
        (through_region_clock, 1, MEMCACHED_CLIENTS[-1]),
        (through_region_clock, 3, MEMCACHED_CLIENTS[0]),
    ],
)
def test_memcached_under_processes(oracle, memcached_servers, way, count, client):
    """memcached, 8 processes: nothing old, by key or by region, on one or on three."""

    def run(number):
        get, invalidate = way(memcached_region(memcached_servers[:count], client))
        return hammer(oracle, get, invalidate, calls=CALLS // 8, seed=number)

    check(in_processes(8, run), CALLS)


def test_memcached_with_leases_that_lapse(oracle, memcached_servers):
    """Even if slow creators lose their leases all the time, nothing old is returned."""

    def run(number):
        lease = {"ttl": 0.005, "max_hold": 0.005, "wait": 0.05}
        get, invalidate = through(memcached_region(memcached_servers, **lease))
        return hammer(
            oracle, get, invalidate, calls=5_000, seed=number, invalidate_every=100
        )

    check(in_processes(8, run), 40_000)


@pytest.mark.parametrize("count", [pytest.param(1, marks=pytest.mark.slow), 3])
@pytest.mark.parametrize("way", [through, through_region_clock])
def test_memcached_that_forgets(oracle, memcached_servers, way, count):
    """Even if the servers lose everything all the time, nothing old is returned."""
    servers = memcached_servers[:count]

    def run(number):
        get, invalidate = way(memcached_region(servers))
        findings = Findings()
        for part in range(20):
            servers[part % count].ask("flush_all")
            findings += hammer(
                oracle, get, invalidate, calls=250, seed=part, invalidate_every=50
            )
        return findings

    check(in_processes(8, run), 40_000)


@pytest.mark.chaos
@pytest.mark.usefixtures("default_timeouts")
def test_redis_that_dies_and_freezes(oracle, own_redis):
    """Killed, restarted empty and frozen under load: no error, and nothing old."""
    over = threading.Event()

    def trouble():
        while not over.wait(0.5):
            own_redis.freeze()
            time.sleep(0.4)
            own_redis.thaw()
            time.sleep(0.3)
            own_redis.kill()
            time.sleep(0.2)
            own_redis.start()

    def run(number):
        get, invalidate = through(redis_region(own_redis))
        return for_seconds(
            15,
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
    try:
        check(in_processes(8, run), 5_000)
    finally:
        over.set()
        troublemaker.join()


@pytest.mark.chaos
@pytest.mark.parametrize("way", [through, through_region_clock])
@pytest.mark.usefixtures("default_timeouts")
def test_memcached_that_dies_and_freezes(oracle, shared_memcached, own_memcached, way):
    """One of three is killed, restarted and frozen under load: nothing old."""
    servers = [own_memcached, *shared_memcached[:2]]
    over = threading.Event()

    def trouble():
        while not over.wait(0.5):
            own_memcached.freeze()
            time.sleep(0.4)
            own_memcached.thaw()
            time.sleep(0.3)
            own_memcached.kill()
            time.sleep(0.2)
            own_memcached.start()

    def run(number):
        get, invalidate = way(memcached_region(servers))
        return for_seconds(
            15,
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
    try:
        check(in_processes(8, run), 5_000)
    finally:
        over.set()
        troublemaker.join()


@pytest.fixture(params=["sqlite", "postgres", "mariadb"])
def database_url(request, tmp_path):
    """Give the URL of each database in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/cache.db"
    return request.getfixturevalue(request.param).url


def sql_region(url, **changes):
    """A region in a database."""
    patience = {"operation_timeout": 5.0, "connect_timeout": 10.0}
    arguments = {"url": url, "create_table": True, **patience}
    return make_region("oracle").configure(
        "holdover.sql", SHORT, arguments, lease=terms(**changes), unsigned_pickle=True
    )


@pytest.mark.slow
@pytest.mark.parametrize("way", [through, through_region_clock])
def test_sql_under_processes(oracle, database_url, way):
    """Each database, 8 processes: nothing old, by key or by region."""

    def run(number):
        get, invalidate = way(sql_region(database_url))
        return hammer(oracle, get, invalidate, calls=CALLS // 8, seed=number)

    check(in_processes(8, run), CALLS)


def test_sql_with_leases_that_lapse(oracle, database_url):
    """Even if slow creators lose their leases all the time, nothing old is returned."""

    def run(number):
        lease = {"ttl": 0.005, "max_hold": 0.005, "wait": 0.05}
        get, invalidate = either(number)(sql_region(database_url, **lease))
        return hammer(
            oracle, get, invalidate, calls=2_500, seed=number, invalidate_every=100
        )

    check(in_processes(8, run), 20_000)


NEAR = {"near_ttl": 0.2, "near_entries": KEYS}
TIGHT = {"near_entries": KEYS // 2}
FRESH = 5.0  # seconds: what is served near is fresh for longer than near_ttl


def near_region(path, **settings):
    """A region on files with a near cache."""
    arguments = {"path": path}
    return make_region("oracle").configure(
        "holdover.file", FRESH, arguments, lease=terms(), **{**NEAR, **settings}
    )


@pytest.mark.parametrize(
    ("way", "runner", "every"),
    [(through, "thread", 20), (through_region_clock, None, 100)],
)
def test_near_under_threads(oracle, tmp_path, way, runner, every):
    """A near cache, 8 threads of one process: nothing old, by key or by region.

    It is too small, so that there are always reads under way that could be overtaken.
    """
    region = near_region(tmp_path / "cache", runner=runner, near_ttl=60.0, **TIGHT)
    get, invalidate = way(region)

    def run(number):
        return hammer(
            oracle, get, invalidate, calls=5_000, seed=number, invalidate_every=every
        )

    check(in_threads(8, run), 40_000)


def near_in_processes(tmp_path, way, *, grace, configure=near_region, calls=40_000):
    """Hammer through near caches of 4 processes, 2 threads each."""
    oracle = Oracle(str(tmp_path / "oracle"), KEYS, grace=grace)

    def run(number):
        get, invalidate = way(configure(tmp_path / "cache"))
        return in_threads(
            2,
            lambda n: hammer(
                oracle,
                get,
                invalidate,
                calls=calls // 8,
                seed=2 * number + n,
                invalidate_every=100,
            ),
        )

    return in_processes(4, run)


@pytest.mark.parametrize("way", [through, through_region_clock])
def test_near_under_processes(tmp_path, way):
    """Between processes nothing is older than near_ttl allows."""
    check(near_in_processes(tmp_path, way, grace=NEAR["near_ttl"]), 40_000)


def test_the_oracle_finds_what_is_older_than_a_bound(tmp_path):
    """With less grace than near_ttl takes, the same run is full of old values."""
    findings = near_in_processes(tmp_path, through, grace=0.001)
    assert findings.wrong > 0, findings


@pytest.mark.slow
def test_near_redis_under_processes(tmp_path, redis_server):
    """Nor on a backend that pushes, by which it does not get worse."""

    def configure(_):
        return make_region("oracle").configure(
            "holdover.redis",
            FRESH,
            {"url": redis_server.url},
            lease=terms(),
            unsigned_pickle=True,
            **NEAR,
        )

    findings = near_in_processes(
        tmp_path, through, grace=NEAR["near_ttl"], configure=configure, calls=CALLS
    )
    check(findings, CALLS)


class InDatabase(Oracle):
    """An oracle whose source is a table, invalidated in the transaction of its change.

    Args:
        path: As of any oracle.
        url: The database.
        invalidate: Invalidates a key within a connection's transaction.
    """

    def __init__(self, path, url, invalidate):
        super().__init__(path, KEYS)
        patience = {"timeout": 30} if url.startswith("sqlite") else {}
        self._engine = sqlalchemy.create_engine(parsed(url), connect_args=patience)
        self._invalidate = invalidate

    def prepare(self):
        """Make the table anew."""
        with self._engine.begin() as connection:
            connection.exec_driver_sql("DROP TABLE IF EXISTS source")
            connection.exec_driver_sql("CREATE TABLE source (k INTEGER, v INTEGER)")
            for key in range(KEYS):
                connection.exec_driver_sql(f"INSERT INTO source VALUES ({key}, 0)")
        self._engine.dispose()

    def source(self, key):
        """Read the source, as a creator does at its start."""
        with self._engine.connect() as connection:
            return self._value(connection, key)

    def change(self, key):
        """Change the source; the first time to no avail."""
        with self._engine.connect() as connection:
            for end in (connection.rollback, connection.commit):
                # Before the change, so that a creator may begin between the two.
                self._invalidate(key, connection)
                change = f"UPDATE source SET v = v + 1 WHERE k = {key}"
                connection.exec_driver_sql(change)
                value = self._value(connection, key)
                end()
        return value

    def _value(self, connection, key):
        query = f"SELECT v FROM source WHERE k = {key}"
        return connection.exec_driver_sql(query).scalar_one()


def test_sql_within_transactions(tmp_path, database_url):
    """From a commit on nothing older comes, whoever created it meanwhile."""
    path = str(tmp_path / "oracle")
    sql_region(database_url)
    InDatabase(path, database_url, None).prepare()

    def run(number):
        region = sql_region(database_url)
        ways = {
            0: lambda key, conn: region.delete(f"key{key}", connection=conn),
            1: lambda _, conn: region.invalidate(connection=conn),
        }
        oracle = InDatabase(path, database_url, ways[number % 4 == 0])
        get, _ = through(region)
        return hammer(
            oracle, get, lambda _: True, calls=300, seed=number, invalidate_every=20
        )

    check(in_processes(8, run), 2_400)


@pytest.mark.chaos
@pytest.mark.parametrize("kind", [PostgresServer, MariaServer])
@pytest.mark.parametrize("way", [through, through_region_clock])
@pytest.mark.usefixtures("default_timeouts")
def test_sql_that_dies_and_freezes(oracle, kind, way):
    """Ended, restarted and frozen under load: no error, and nothing old."""
    over = threading.Event()

    def trouble():
        while not over.wait(1.5):
            server.freeze()
            time.sleep(0.4)
            server.thaw()
            time.sleep(0.5)
            server.stop()
            time.sleep(0.2)
            server.start()

    def run(number):
        arguments = {"url": server.url, "create_table": True}
        region = make_region("oracle").configure(
            "holdover.sql", SHORT, arguments, lease=terms(), unsigned_pickle=True
        )
        get, invalidate = way(region)
        return for_seconds(
            20,
            lambda: hammer(
                oracle,
                get,
                invalidate,
                calls=50,
                seed=number,
                invalidate_every=20,
            ),
            calls=1_000 // 8,
        )

    with kind() as server:
        sql_region(server.url)
        troublemaker = threading.Thread(target=trouble)
        troublemaker.start()
        try:
            check(in_processes(8, run), 1_000)
        finally:
            over.set()
            troublemaker.join()
