"""``holdover doctor`` and `Region.diagnose`: what is wrong is found, and only that."""

import json
import os
import pty
import sqlite3
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import pytest
import redis
from celery import Celery
from commands import Commands
from fleet_workers import application, rq_worker, surround, worker
from servers import RedisServer, free_port
from waiting import wait_until

from holdover import (
    CeleryRunner,
    Finding,
    Health,
    Lifetime,
    RqRunner,
    Scheduler,
    make_region,
)
from holdover.errors import BackendError, InvalidOrder, RunnerUnavailable
from holdover.regions import worker_probe
from holdover.regions.diagnosing import told_skew
from holdover.regions.keys import PROBE
from holdover.regions.refresh.base import BatchOrder, RefreshOrder
from holdover.regions.worker import carry_out
from holdover.testing import FakeClock

NOBODY = 65534
SECRET = "a secret of 20 bytes"
_IDS = "select id from holdover_cache"


def found(region, check, **options):
    """Give what a region says of one check."""
    return [one for one in region.diagnose(**options) if one.check == check]


def healths(region, **options):
    """Give how each check went, those of one name together."""
    told = {}
    for one in region.diagnose(**options):
        told.setdefault(one.check, []).append(one.health.value)
    return told


@pytest.fixture
def cache(tmp_path):
    """A folder for a cache."""
    return tmp_path / "cache"


class TestBackends:
    def test_a_healthy_region(self, new_region, backend_name, arguments):
        """On every backend nothing is found wrong, and nothing is left behind."""
        region = new_region(secret=None if "memory" in backend_name else SECRET)
        told = list(region.diagnose())
        # (The clock is the test's, and not the server's.)
        bad = [o for o in told if o.health is not Health.OK and o.check != "clock"]
        assert [] == bad
        assert {"backend", "codec", "clock", "round trip"} <= {o.check for o in told}

    def test_nothing_is_left(self, cache, own_redis):
        """A probe's entries and leases are gone afterwards."""
        files = make_region("r").configure("holdover.file", 60, {"path": cache})
        list(files.diagnose())
        assert [] == list(cache.glob("??/*"))
        kept = make_region("r").configure(own_redis.url, 60, secret=SECRET)
        list(kept.diagnose())
        names = own_redis.client().keys()
        assert [] == [name for name in names if PROBE.encode() in name]

    @pytest.mark.parametrize("state", ["refused", "frozen"])
    @pytest.mark.usefixtures("default_timeouts")
    def test_a_server_that_is_away(self, own_redis, state):
        """That is told soon and once, without the password."""
        url = own_redis.url.replace("//", "//default:password@")
        region = make_region("r").configure(url, 60, secret=SECRET)
        (own_redis.kill if state == "refused" else own_redis.freeze)()
        begun = time.monotonic()
        told = list(region.diagnose())
        assert time.monotonic() - begun < 5.0
        assert ["backend", "codec"] == [one.check for one in told]
        assert Health.FAIL is told[0].health
        assert str(own_redis.port) in told[0].found
        assert "password" not in repr(told)
        assert told[0].advice

    def test_a_server_that_takes_no_writes(self, own_redis):
        """What can be read but not written is found by the round trip."""
        region = make_region("r").configure(own_redis.url, 60, secret=SECRET)
        region.get("k")
        own_redis.ask("REPLICAOF", "127.0.0.1", "1")
        [told] = found(region, "round trip")
        assert Health.FAIL is told.health

    @pytest.mark.parametrize(
        ("policy", "scheduled", "health"),
        [
            ("volatile-lru", True, "ok"),
            ("allkeys-lru", False, "ok"),
            ("allkeys-lru", True, "warn"),
            ("noeviction", False, "warn"),
        ],
    )
    def test_what_redis_evicts(self, own_redis, policy, scheduled, health):
        """A policy that would do harm is told, and what to set instead."""
        own_redis.ask("CONFIG", "SET", "maxmemory", "100mb")
        own_redis.ask("CONFIG", "SET", "maxmemory-policy", policy)
        region = make_region("r").configure(own_redis.url, 60, secret=SECRET)
        if scheduled:
            region.schedule(int, every=60, name="job")
        [told] = found(region, "eviction")
        assert health == told.health.value
        assert policy in told.found
        assert ("volatile-lru" in told.advice) == (health == "warn")
        lost = found(region, "persistence")
        assert scheduled == any("appendonly yes" in one.advice for one in lost)

    def test_a_user_who_may_not_ask(self, own_redis):
        """Where INFO is forbidden, that is all that is said."""
        own_redis.ask("ACL", "SETUSER", "app", "on", ">word", "~*", "+@all", "-info")
        url = own_redis.url.replace("//", "//app:word@")
        told = healths(make_region("r").configure(url, 60, secret=SECRET))
        assert ["warn"] == told["eviction"]
        assert ["ok"] == told["round trip"] == told["clock"]

    @pytest.mark.parametrize(
        ("ahead", "health"), [(0, "ok"), (5, "warn"), (60, "fail")]
    )
    def test_a_clock_that_is_wrong(self, redis_server, ahead, health):
        """A host's clock is compared with its server's."""
        clock = FakeClock(time.time() + ahead)
        region = make_region("r", time_source=clock)
        region.configure(redis_server.url, 60, secret=SECRET)
        [told] = found(region, "clock")
        assert health == told.health.value
        assert ("behind" in told.found) == (ahead > 0)

    def test_skew(self):
        """Within the time that the question took, nothing is known of it."""
        agrees = told_skew(5.0, (4.0, 6.0), whose="x", harmful=30)
        assert Health.OK is agrees.health
        assert "ahead of" in told_skew(60.0, (4.0, 6.0), whose="x", harmful=30).found

    def test_unsigned_pickles(self, redis_server):
        """They are told of, unless they are meant."""
        with pytest.warns(match="unsigned"):
            region = make_region("r").configure(redis_server.url, 60)
        [told] = found(region, "codec")
        assert Health.WARN is told.health
        meant = make_region("r").configure(redis_server.url, 60, unsigned_pickle=True)
        [told] = found(meant, "codec")
        assert Health.OK is told.health
        signed = make_region("r").configure(
            redis_server.url, 60, secret=SECRET, compress="zlib"
        )
        [told] = found(signed, "codec")
        assert "codec 'pickle', signed, compressed by zlib" == told.found

    def test_a_database(self, tmp_path):
        """A file that others may write to is told of."""
        path = tmp_path / "cache.db"
        region = make_region("r").configure(f"sqlite:///{path}", 60)
        assert ["ok"] == healths(region)["permissions"]
        path.chmod(0o666)
        [told] = found(region, "permissions")
        assert Health.FAIL is told.health
        assert f"chmod 600 {path}" == told.advice
        sqlite3.connect(path).close()

    def test_a_database_server(self, postgres):
        """Its clock is asked, and its password is not told."""
        arguments = {"url": postgres.url, "create_table": True}
        region = make_region("r").configure(
            "holdover.sql", 60, arguments, secret=SECRET
        )
        told = list(region.diagnose())
        assert {Health.OK} == {one.health for one in told}
        assert "the backend's clock and this host's agree" in {o.found for o in told}

    @pytest.mark.parametrize("kind", ["cluster", "sentinels"])
    def test_groups_of_servers(self, kind, request):
        """Every primary of a cluster is asked, and the master of a group."""
        servers = request.getfixturevalue(kind)
        region = make_region("r").configure(
            f"holdover.redis_{kind.rstrip('s')}",
            60, servers.arguments, secret=SECRET,
        )  # fmt: skip
        told = healths(region)
        assert {"ok"} == {one for ones in told.values() for one in ones}
        assert {"eviction", "clock", "round trip"} <= set(told)

    def test_a_folder_that_others_could_exchange(self, tmp_path):
        """A folder above in which any user may rename is told of."""
        above = tmp_path / "open"
        above.mkdir()
        above.chmod(0o777)
        region = make_region("r").configure(
            "holdover.file", 60, {"path": above / "cache"}
        )
        told = [one.health for one in found(region, "permissions")]
        assert [Health.OK, Health.WARN] == told

    def test_regions_without_leases(self):
        """What knows no leases, or is not configured, is told."""
        assert {"backend": ["fail"]} == healths(make_region("r"))
        bare = make_region("r").configure("dogpile.cache.memory", 60)
        assert {"backend": ["warn"]} == healths(bare)
        off = make_region("r").configure("holdover.null", 60)
        assert {"ok"} == {one for [one] in healths(off).values()}

    def test_a_backend_of_somebody_s(self, cache):
        """It tells of itself what it likes, and may fail at it."""
        region = make_region("r").configure("holdover.file", 60, {"path": cache})
        told = Finding("disk", Health.WARN, "at redis://user:word@host/0", "replace it")
        region.backend.diagnose = lambda *, lasting: [told]
        assert told in list(region.diagnose())
        assert "word" not in told.found

        def fail(*, lasting):
            raise OSError("gone")

        region.backend.diagnose = fail
        assert ["fail"] == healths(region)["surroundings"]

    def test_a_clock_that_cannot_be_asked(self, redis_server, monkeypatch):
        """Nothing else is wrong with such a server."""
        region = make_region("r").configure(redis_server.url, 60, secret=SECRET)

        def fail():
            raise BackendError("not allowed")

        monkeypatch.setattr(region.backend, "server_time", fail)
        assert ["warn"] == healths(region)["clock"]


class TestEntries:
    def test_another_secret(self, cache):
        """What others have signed otherwise is told, with the reason."""

        def new_region(secret):
            region = make_region("r").configure(
                "holdover.file", 60, {"path": cache}, secret=secret
            )
            return region, region.cache_on_arguments()(all_articles)

        _, theirs = new_region(SECRET)
        theirs()
        region, _ = new_region(SECRET)
        assert ["ok"] == healths(region)["entries"]
        region, _ = new_region("another secret of theirs")
        [told] = found(region, "entries")
        assert Health.FAIL is told.health
        assert "signed by none of the secrets" in told.found
        assert "secret of theirs" not in repr(told)


def all_articles():
    """Have no arguments, so that the key is known."""
    return [17]


class TestSchedules:
    @pytest.fixture
    def clock(self):
        """A clock that the test moves."""
        return FakeClock()

    @pytest.fixture
    def region(self, cache, clock):
        """A region with two schedules."""
        region = make_region("r", time_source=clock).configure(
            "holdover.file", 60, {"path": cache, "time_source": clock}
        )
        region.schedule(int, every=300, name="good")
        region.schedule(lambda: 1 / 0, every=300, name="bad")
        return region

    def test_nobody_runs_them(self, region, clock):
        """Whether somebody does is told by what was begun last, and when."""
        told = healths(region)
        assert ["warn"] == told["schedule good"]
        Scheduler(region).run_once()
        told = healths(region)
        assert (["ok"], ["warn"]) == (told["schedule good"], told["schedule bad"])
        [told] = found(region, "schedule bad")
        assert (
            "its last run has failed: ZeroDivisionError: division by zero" == told.found
        )
        clock.advance(1000)
        [told] = found(region, "schedule good")
        assert Health.FAIL is told.health
        assert "nobody has begun it" in told.found
        assert "holdover run" in told.advice

    def test_their_history(self, cache, tmp_path):
        """Where it is to be kept elsewhere, that is looked at, too."""
        path = tmp_path / "history.db"

        def look():
            region = make_region("r").configure(
                "holdover.file",
                60, {"path": cache}, history_backend=f"sqlite:///{path}",
            )  # fmt: skip
            region.schedule(int, every=300, name="job")
            return found(region, "history")

        [told] = look()
        assert Health.OK is told.health
        with sqlite3.connect(path) as database:
            names = [bytes(one) for [one] in database.execute(_IDS)]
        assert [] == [name for name in names if PROBE.encode() in name]
        path.write_bytes(b"no database" * 1000)
        [told] = look()
        assert Health.FAIL is told.health
        assert str(path) in told.found
        assert "history_backend" in told.advice

    def test_a_clock_that_was_ahead(self, region, clock):
        """Why nothing is begun for hours is told."""
        right = clock.wall()
        clock.set_wall(right + 7200.0)
        Scheduler(region).run_once()
        clock.set_wall(right)
        [told] = found(region, "schedule good")
        assert Health.FAIL is told.health
        assert "by a host whose clock was ahead" in told.found
        assert "NTP" in told.advice

    def test_no_place_for_them(self, memcached_server):
        """What `Scheduler` would refuse is told."""
        arguments = {"url": memcached_server.url}
        region = make_region("r").configure(
            "holdover.memcached", 60, arguments, secret=SECRET
        )
        region.schedule(int, every=300, name="job")
        told = healths(region)
        assert ["fail"] == told["schedules"]
        assert ["warn"] == told["eviction"]


class Refusing:
    """A queue whose broker is away."""

    name = "refusing"
    takes_orders = True
    leaves_process = True

    def bind(self, execute):
        """Keep nothing."""

    def submit(self, job):
        """Take nothing."""
        raise RunnerUnavailable("amqp://user:word@host refused")


class Losing(Refusing):
    """A queue without workers."""

    def submit(self, job):
        """Take the message, and lose it."""


class Answering(Refusing):
    """A queue whose worker does what *work* does with the message."""

    def __init__(self, work):
        self.submit = lambda job: work(job.order)


class TestWorkers:
    def region(self, cache, runner, **settings):
        """A region with a queue."""
        region = make_region("queued")
        return region.configure(
            "holdover.file", 60, {"path": cache}, runner=runner, **settings
        )

    def test_the_embedded_worker(self, cache, monkeypatch):
        """It is a worker like any other."""
        # The first message waits until Celery is imported, which takes what it takes.
        monkeypatch.setattr(worker_probe, "_SLOW_BROKER", 60.0)
        told = healths(self.region(cache, CeleryRunner()))
        assert (["ok"], ["ok"]) == (told["broker"], told["worker"])
        assert ["ok", "ok"] == told["clock"]

    def test_a_broker_that_is_away(self, cache):
        """It is told of, and no worker is waited for."""
        [told] = found(self.region(cache, Refusing()), "broker")
        assert Health.FAIL is told.health
        assert "refused" in told.found
        assert "word" not in told.found
        assert "worker" not in healths(self.region(cache / "b", Refusing()))

    def test_nobody_is_there(self, cache):
        """After the timeout it is asked what could be the matter."""
        [told] = found(self.region(cache, Losing()), "worker", timeout=0.1)
        assert Health.FAIL is told.health
        assert "no worker answered in 0.1 s" == told.found
        assert "does it import the module that configures the region" in told.advice
        assert [] == list(cache.glob("??/*"))

    def test_a_worker_with_another_secret(self, cache):
        """Its answer is there, and cannot be read."""
        theirs = self.region(cache, None, secret="another secret of theirs")

        def work(order):
            assert theirs.fulfil_probe(order, None).done

        told = self.region(cache, Answering(work), secret=SECRET)
        [told] = found(told, "worker")
        assert Health.FAIL is told.health
        assert "signed by none of the secrets" in told.found
        assert "secret of theirs" not in repr(told)

    def test_a_worker_that_fails(self, cache):
        """One that takes the order and stores nothing is told from none."""
        theirs = self.region(cache, None)

        def work(order):
            address = theirs.inspect(order.key).key
            assert theirs.backend.adopt(address, "queued", order.token, ttl=5.0)

        [told] = found(self.region(cache, Answering(work)), "worker", timeout=0.1)
        assert "took the order, and stored nothing" in told.found

    @pytest.mark.parametrize(
        "answer",
        [
            "[]",
            "[" * 100_000,
            '{"pid": 1, "host": "h", "at": NaN}',
            f'{{"pid": 1, "host": "h", "at": {10**400}}}',
            '{"pid": 1, "host": "h", "at": "5"}',
        ],
        ids=["list", "deep", "nan", "huge", "text"],
    )
    def test_a_worker_of_another_release(self, cache, answer):
        """What it answers may be anything."""
        theirs = self.region(cache, None)
        brief = Lifetime(expiration_time=60)

        def work(order):
            theirs.set(order.key, answer, lifetime=brief)

        [told] = found(self.region(cache, Answering(work)), "worker")
        assert Health.WARN is told.health

    def test_forged_orders(self, cache):
        """A probe's order opens no other key, and is one of its own kind."""
        region = self.region(cache, None)
        forged = RefreshOrder(
            region="queued", function=PROBE, args=[], kwargs={}, key="k", token="0",
            clock=0, not_after=time.time() + 9,
        )  # fmt: skip
        with pytest.raises(InvalidOrder, match="none of a probe"):
            region.fulfil_probe(forged, None)
        assert not carry_out(forged.to_message()).done
        batch = BatchOrder(
            region="queued", function=PROBE, args=[1], keys=[f"{PROBE}1"], tokens=["0"],
            not_after=time.time() + 9,
        )  # fmt: skip
        assert "one at a time" in carry_out(batch.to_message()).reason


@pytest.fixture
def broker(tmp_path):
    """A Redis for orders."""
    with RedisServer(tmp_path) as server:
        yield server


class TestRealWorkers:
    def test_celery(self, tmp_path, broker, monkeypatch):
        """A worker of Celery's answers, unless it is not there."""
        surround(monkeypatch, tmp_path, broker)
        holdover = Commands(tmp_path)
        with worker(tmp_path, "threads"):
            done = holdover.run("doctor", "--json", app="fleet:fleet")
        told = {one["check"]: one for one in json.loads(done.stdout)}
        assert (0, "ok") == (done.returncode, told["worker"]["health"])
        assert f"pid {os.getpid()} " not in told["worker"]["found"]
        with application(tmp_path, broker) as web:
            [gone] = found(web.fleet, "worker", timeout=0.2)
        assert Health.FAIL is gone.health
        assert "no worker answered in 0.2 s" in gone.found
        assert "(celery -A MODULE worker -Q celery)" in gone.advice
        assert f":{broker.port}/" in told["broker"]["found"]

    def test_rq(self, tmp_path, broker, monkeypatch):
        """So does one of RQ's, and nothing is left in Redis."""
        surround(monkeypatch, tmp_path, broker)
        with (
            rq_worker(tmp_path, "SimpleWorker"),
            application(tmp_path, broker, module="rq_fleet") as fleet,
        ):
            told = healths(fleet.region)
            assert (["ok"], ["ok"]) == (told["broker"], told["worker"])
            wait_until(lambda: not fleet.client.keys("rq:job:*"))

    def test_a_broker_that_is_away(self, cache):
        """RQ's Redis is not there: told in the time that publishing may take."""
        client = redis.Redis(port=free_port())
        region = make_region("r").configure(
            "holdover.file", 60, {"path": cache}, runner=RqRunner(client)
        )
        [told] = found(region, "broker")
        assert Health.FAIL is told.health
        place = f"localhost:{client.get_connection_kwargs()['port']} db 0"
        assert f"rq (Redis {place}, queue 'default') takes no message" in told.found

    def test_where_orders_go(self):
        """It is told by region, and so is how its workers are started."""
        rq = RqRunner("redis://:word@one:1/2", queue="slow")
        assert "Redis one:1 db 2, queue 'fast'" == rq.place({"queue": "fast"})
        line = "rq worker --config MODULE --serializer json slow"
        assert line == rq.worker_command({})
        app = Celery("shop", broker="amqp://user:word@one:1/shop")
        app.conf.task_routes = {"holdover.*": {"queue": "routed"}}
        runner = CeleryRunner(app)
        assert "amqp://user:**@one:1/shop, queue 'routed'" == runner.place({})
        assert runner.place({"queue": "fast"}).endswith(", queue 'fast'")
        assert "celery -A MODULE worker -Q routed" == runner.worker_command({})
        assert "" == CeleryRunner().place({}) == CeleryRunner().worker_command({})


class TestCommand:
    def test_a_read_only_folder(self):
        """A folder that cannot be written to is told, with whose it is."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder)
            cache = path / "cache"
            cache.mkdir(mode=0o500)
            owner = NOBODY if os.geteuid() == 0 else os.geteuid()
            os.chown(cache, owner, -1)
            path.chmod(0o755)
            holdover = Commands(path)
            holdover.write(
                "shop",
                "import os",
                "from holdover import make_region",
                "def new_region(path):",
                "    region = make_region('shop')",
                "    return region.configure('holdover.file', 60, {'path': path})",
                f"list(new_region({str(path / 'other')!r}).diagnose())  # loads all",
                f"os.seteuid({owner})",
                f"region = new_region({str(cache)!r})",
            )
            done = holdover.run("doctor", "--json", app="shop:region")
            cache.chmod(0o700)
        assert 1 == done.returncode, done.stderr
        told = {one["check"]: one for one in json.loads(done.stdout)}
        assert "fail" == told["permissions"]["health"] == told["backend"]["health"]
        assert f"cannot be written by user id {owner}" in told["permissions"]["found"]

    def test_the_table(self, tmp_path):
        """People get a table, and advice below it; others, an exit code."""
        holdover = Commands(tmp_path)
        holdover.write(
            "shop",
            "from holdover import Registry",
            "registry = Registry()",
            f"registry.configure({{'good': {{'backend': 'file://{tmp_path}/cache'}}}})",
            "bare = registry['bare']",
        )
        done = holdover("doctor")
        assert 1 == done.returncode
        assert "good    round trip   ok" in done.stdout
        assert "bare, backend: call region.configure()" in done.stdout
        assert 0 == holdover("doctor", "good").returncode
        assert 2 == holdover("doctor", "--timeout", "0").returncode

    def test_many_regions(self, tmp_path):
        """They are looked at all at once; what all of them want is said once."""
        holdover = Commands(tmp_path)
        holdover.write(
            "shops",
            "from holdover import make_region",
            "from test_cli_doctor import Losing",
            "runner = Losing()",
            "registry = [make_region(name).configure('holdover.file', 60,",
            f"    {{'path': {str(tmp_path / 'cache')!r}}}, runner=runner)",
            "    for name in ('one', 'two', 'three', 'four', 'five')]",
        )
        begun = time.monotonic()
        done = holdover("doctor", "--timeout", "2", app="shops")
        assert time.monotonic() - begun < 9.5  # one by one: 10 s
        assert 1 == done.returncode
        assert 5 == done.stdout.count("no worker answered in 2 s")
        [advice] = [one for one in done.stdout.splitlines() if "is one running" in one]
        assert advice.startswith("one, two, three, four, five, worker: ")

    def test_a_terminal(self, tmp_path):
        """It shows what is waited for."""
        holdover = Commands(tmp_path)
        holdover.write(
            "shop",
            "from holdover import make_region",
            "from test_cli_doctor import Losing",
            "registry = make_region('slow').configure('holdover.file', 60,",
            f"    {{'path': {str(tmp_path / 'cache')!r}}}, runner=Losing())",
        )
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            holdover.line("doctor", "--timeout", "1", app="shop"),
            env=holdover.environ({"TERM": "xterm"}), cwd=tmp_path,
            stdout=subprocess.DEVNULL, stderr=theirs,
        )  # fmt: skip
        os.close(theirs)
        said = b""
        with suppress(OSError):  # Linux's word for the end of a terminal
            while read := os.read(ours, 4096):
                said += read
        os.close(ours)
        assert 1 == process.wait(60)
        assert b"looking at slow" in said
