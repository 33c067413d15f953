"""What is asked for most: recorded by samples, in common, and replayed with care."""

import json
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from standins import broken
from waiting import at_once, wait_until

from holdover import Warmer, Warmth, allow_imports, errors, events, make_region
from holdover.regions.envelope import Entry
from holdover.regions.heat import text_of
from holdover.regions.hot import SAMPLED

HERE = Path(__file__).parent
FORK = multiprocessing.get_context("fork")
made = Counter()


def made_with(clock, record_hot=10, **more):
    """Make a region in memory that records."""
    region = make_region("hot", time_source=clock)
    return region.configure(
        "holdover.memory",
        3600,
        {"time_source": clock},
        record_hot=record_hot,
        **more,
    )


@pytest.fixture
def region(clock):
    """A region in memory, on the fake clock."""
    made.clear()
    return made_with(clock)


def price(article, shop="x"):
    """Be asked for."""
    made[article] += 1
    return [article, shop]


def ask(function, **times):
    """Ask for each article so many times, as many visitors would."""
    for article, count in times.items():
        for _ in range(count):
            function(article)


def hot_args(region):
    """Give the arguments of what is hot, hottest first."""
    return [hot.call.args for hot in region.hot()]


def record_of(region):
    """Give the tier and the key of a region's record."""
    record = region._hot._record
    return record._records._tier, record._key


class TestOnEveryBackend:
    def test_what_is_asked_for_most(self, new_region, backend_name, tmp_path):
        """It is found, by all doors of a region, and weighed about right."""
        more = {}
        if backend_name in ("holdover.memcached", "holdover.dbm"):
            more["history_backend"] = f"sqlite:///{tmp_path}/history.db"
        region = new_region(3600.0, name="hot", record_hot=3, **more)
        cached = region.cache_on_arguments()(price)
        many = region.cache_multi_on_arguments()(names)
        cached.set(["b", "x"], "b")
        # So much more that the drawing of lots does not turn them round: by six sigma.
        ask(cached, a=3000)
        for _ in range(750):
            cached.get("b")
            many(1, 2)
        ask(cached, **{f"rare {number}": 1 for number in range(100)})
        hot = region.hot()
        assert ("a", "x") == hot[0].call.args
        assert hot[0].weight == pytest.approx(3000, rel=0.6)
        found = {(one.function.rpartition(":")[2], one.call.args) for one in hot}
        known = {("price", ("a", "x")), ("price", ("b", "x")),
                 ("names", (1,)), ("names", (2,))}  # fmt: skip
        assert len(found) == 3
        assert found < known
        region.invalidate()
        assert set(hot_args(region)) == {one.call.args for one in hot}
        done = {one.warmth for one in Warmer(region, hot=True).run()}
        assert done == {Warmth.CREATED}


def names(*ids):
    """Make many."""
    return [str(one) for one in ids]


def names_of(articles):
    """Take a list."""
    return str(articles)


class TestWhatIsRecorded:
    def test_without_the_setting(self, clock):
        """Nothing is, and a hit pays nothing."""
        region = make_region("cold", time_source=clock).configure("holdover.memory")
        assert region._note is None
        assert region.hot() == []
        with pytest.raises(errors.RegionNotConfigured):
            make_region("bare").hot()

    def test_what_cannot_be_asked_again(self, region):
        """Arguments that are no JSON, functions without a name, plain keys."""
        tuples = region.cache_on_arguments()(price)
        nameless = region.cache_on_arguments(namespace="n")(lambda x: x)
        for _ in range(2000):
            tuples((1, 2))
            nameless(5)
            region.get_or_create("key", int)
            tuples("x" * 3000)
        assert region.hot() == []

    def test_arguments_are_recorded_as_they_were(self, region):
        """What a caller changes later is not in the record."""
        cached = region.cache_on_arguments()(names_of)
        given = [1]
        for _ in range(1000):
            cached(given)
        given.append(2)
        assert hot_args(region) == [([1],)]

    def test_yesterday_fades(self, region, clock):
        """What is asked for now comes before what was asked for oftener once."""
        cached = region.cache_on_arguments()(price)
        ask(cached, old=4000)
        assert hot_args(region) == [("old", "x")]
        clock.advance(86_400.0)
        ask(cached, new=1000)
        # Some of it may just now be joined behind the callers' backs.
        wait_until(lambda: hot_args(region) == [("new", "x"), ("old", "x")])
        clock.advance(30 * 86_400.0)
        ask(cached, newest=1000)
        wait_until(lambda: hot_args(region) == [("newest", "x")])

    def test_it_is_joined_behind_the_callers_backs(self, region, clock):
        """Soon at first, and then at most every 37 seconds."""
        cached = region.cache_on_arguments()(price)
        tier, _ = record_of(region)
        reads = []
        plain = tier.backend.compare_and_set

        def counted(*args, **more):
            reads.append(threading.current_thread().name)
            return plain(*args, **more)

        tier.backend.compare_and_set = counted
        for expected in range(1, 4):
            ask(cached, a=500)
            assert len(reads) == expected - 1
            clock.advance(40.0)
            ask(cached, a=500)
            wait_until(lambda n=expected: len(reads) == n, "the joining")
        assert set(reads) == {"holdover-hot"}

    def test_another_schema(self, clock, tmp_path):
        """What one release was asked for, the next one can warm."""
        url = f"file://{tmp_path}/cache"
        for schema in (1, 2):
            region = make_region("hot").configure(
                url, 60, codec="json", record_hot=5, schema=schema
            )
            cached = region.cache_on_arguments()(price)
            if schema == 1:
                ask(cached, a=1000)
            assert hot_args(region) == [("a", "x")]
        [warmed] = Warmer(region, hot=True).run()
        assert warmed.warmth is Warmth.CREATED
        stored = b"".join(p.read_bytes() for p in tmp_path.rglob("*") if p.is_file())
        assert b"test_hot:price" in stored
        assert b"pickle" not in stored


class TestTogether:
    def test_threads(self, region):
        """Many threads count together, and lose nothing that they count."""
        cached = region.cache_on_arguments()(price)
        joined = []
        region._hot._record.join = joined.append
        at_once(*[lambda: ask(cached, a=3000, b=1000)] * 6)
        region._hot.join()
        [weights] = joined
        total = sum(weights.values())
        assert total % SAMPLED == 0
        assert total == pytest.approx(24_000, rel=0.3)

    def test_a_fork_s_child_counts_for_itself(self, region):
        """What its parent had counted is the parent's to tell."""
        cached = region.cache_on_arguments()(price)
        ask(cached, a=1000)
        counted = len(region._hot._texts)
        child = FORK.Process(target=lambda: os._exit(len(region._hot._texts)))
        child.start()
        child.join(20)
        assert (counted, child.exitcode) == (1, 0)

    @pytest.mark.parametrize("store", ["file", "sql", "redis"])
    def test_processes(self, store, tmp_path, request):
        """All add to one record, and none of what they add is lost."""
        cache = {
            "file": f"file://{tmp_path}/cache",
            "sql": f"sqlite:///{tmp_path}/c.db?operation_timeout=5",
        }
        url = cache.get(store) or request.getfixturevalue("redis_server").patient_url
        script = (
            "import sys, warmhouse\n"
            "for n in range(1600): warmhouse.price(5 if n % 4 else int(sys.argv[1]))\n"
            "warmhouse.shop._hot.join()\n"
        )
        environ = {"WARMHOUSE_FOLDER": str(tmp_path), "PYTHONPATH": str(HERE),
                   "WARMHOUSE_CACHE": url}  # fmt: skip
        asking = [
            subprocess.Popen(
                [sys.executable, "-c", script, str(number)], env=os.environ | environ
            )
            for number in (6, 7)
        ]
        assert [one.wait(60) for one in asking] == [0, 0]
        region = make_region("shop").configure(url, 60, codec="json", record_hot=10)
        hot = {one.call.args[0]: one.weight for one in region.hot()}
        assert set(hot) == {5, 6, 7}
        assert hot[5] == pytest.approx(2400, rel=0.5)


class TestReplaying:
    def test_what_this_release_does_not_know(self, region):
        """Calls of functions that are gone, or have changed, are skipped."""
        cached = region.cache_on_arguments()(price)
        region._hot._record.join(
            {
                text_of("test_hot:price", ["a"], {}): 4.0,
                text_of("test_hot:price", ["a", "b", "c"], {}): 3.0,
                text_of("test_hot:price", [], {"artikle": 1}): 2.0,
                text_of("test_hot:gone", ["a"], {}): 1.0,
            }
        )
        done = list(Warmer(region, hot=True, threads=1).run())
        assert [one.warmth for one in done] == [Warmth.CREATED] + [Warmth.SKIPPED] * 3
        assert "no function 'gone' of 'test_hot' is registered" in done[3].reason
        assert cached.get("a") == ["a", "x"]
        assert not any(one.has_failed for one in done)

    def test_a_creator_that_fails(self, region):
        """A hot call that is known and fails has failed."""
        region.cache_on_arguments()(fails)
        region._hot._record.join({text_of("test_hot:fails", [], {}): 4.0})
        [warmed] = Warmer(region, groups=["hot"]).run()
        assert warmed.has_failed
        assert isinstance(warmed.error, ZeroDivisionError)

    @pytest.mark.parametrize(
        "function", ["os:system", "builtins:exec", "subprocess:run", "", "a:b:c", ":"]
    )
    def test_a_hostile_record_names_no_code(self, region, function):
        """Only what was registered runs, whatever stands in the record."""
        region._hot._record.join({text_of(function, ["touch /tmp/x"], {}): 5.0})
        [warmed] = Warmer(region, hot=True).run()
        assert warmed.warmth is Warmth.SKIPPED

    def test_schedules_are_no_calls(self, region):
        """What is registered besides cached functions is not run."""
        region.schedule(int, every=60, name="zero")
        region._hot._record.join({text_of("schedule:zero", [], {}): 5.0})
        names = [one.function for one in region.hot()]
        [warmed] = Warmer(region, hot=True).run()
        assert names == ["schedule:zero"]
        assert warmed.warmth is Warmth.SKIPPED

    def test_listed_modules_are_imported(self, tmp_path, monkeypatch):
        """As for an order, inline functions are found where imports are allowed."""
        monkeypatch.syspath_prepend(tmp_path)
        (tmp_path / "hot_pantry.py").write_text("def jam(x): return x\n")
        region = make_region("listed").configure("holdover.memory", record_hot=5)
        region._hot._record.join({text_of("hot_pantry:jam", [5], {}): 5.0})
        assert next(Warmer(region, hot=True).run()).warmth is Warmth.SKIPPED
        allow_imports(["hot_pantry"])
        assert next(Warmer(region, hot=True).run()).warmth is Warmth.CREATED

    def test_the_store_is_away(self, region, monkeypatch):
        """Then what is hot is not known, which is a failure."""
        tier, _ = record_of(region)
        monkeypatch.setattr(tier.backend, "read", broken)
        with pytest.raises(errors.BackendError):
            region.hot()
        [warmed] = Warmer(region, hot=True).run()
        assert (warmed.group, warmed.has_failed) == ("hot", True)


def fails():
    """Fail."""
    return 1 / 0


class TestDamage:
    @pytest.mark.parametrize(
        "held", [b"", b"\x80\x04.", b"null", b'{"version": 9}', b"[" * 100_000, None]
    )
    def test_a_damaged_record(self, region, heard, held):
        """It is a miss and an event; counting begins anew over it."""
        told = heard(region)
        tier, key = record_of(region)
        if held is None:  # ours, but no record
            entry = tier.entry(["x"], region.lifetime, clock=tier.tick())
            tier.store(key, entry)
        else:
            tier.backend.write(key, held, ttl=None)
        assert region.hot() == []
        assert [one for one in told if isinstance(one, events.Unreadable)]
        cached = region.cache_on_arguments()(price)
        ask(cached, a=1000)
        assert hot_args(region) == [("a", "x")]

    def test_signed(self, clock):
        """What whoever can write there has written is no record."""
        region = made_with(clock, secret="s" * 20)
        cached = region.cache_on_arguments()(price)
        ask(cached, a=1000)
        assert hot_args(region) == [("a", "x")]
        forged = make_region("hot", time_source=clock)
        forged.configure(region.backend, record_hot=5)
        forged._hot._record.join({text_of("test_hot:price", ["b"], {}): 5e9})
        assert hot_args(region) == []

    def test_it_is_lost_while_the_store_is_away(self, region, clock, monkeypatch):
        """Callers do not notice; there will be more to count."""
        cached = region.cache_on_arguments()(price)
        tier, _ = record_of(region)
        tried = threading.Event()

        def away(*_, **__):
            tried.set()
            broken()

        with monkeypatch.context() as context:
            context.setattr(tier.backend, "compare_and_set", away)
            ask(cached, a=500)
            clock.advance(40.0)
            ask(cached, a=500)
            assert tried.wait(20)
        clock.advance(60.0)  # the breaker lets one through again
        ask(cached, b=500)
        assert ("b", "x") in hot_args(region)

    def test_it_keeps_changing(self, region, monkeypatch):
        """After ten tries it is given up."""
        tier, _ = record_of(region)
        monkeypatch.setattr(tier.backend, "compare_and_set", lambda *_, **__: False)
        with pytest.raises(errors.BackendError, match="kept changing"):
            region._hot._record.join({"a": 5.0})


class TestConfiguration:
    @pytest.mark.parametrize("wrong", [0, -1, True, "x", 1.5, 10_001])
    def test_mistakes(self, wrong):
        """The message says what was wanted."""
        with pytest.raises(
            errors.ConfigurationError, match="record_hot must be an int"
        ):
            make_region("hot").configure("holdover.memory", record_hot=wrong)

    def test_where_it_cannot_be_kept(self, memcached_servers):
        """It says where it could."""
        url = [server.url for server in memcached_servers]
        region = make_region("hot")
        with pytest.raises(
            errors.ConfigurationError, match="history_backend= for its r"
        ):
            region.configure(
                "holdover.memcached", 60, {"url": url}, codec="json", record_hot=5
            )
        assert not region.is_configured
        with pytest.raises(errors.ConfigurationError, match="a region with a name"):
            make_region().configure("holdover.memory", record_hot=5)
        with pytest.raises(errors.ConfigurationError, match="backend of Holdover's"):
            make_region("hot").configure("dogpile.cache.memory", record_hot=5)

    def test_in_files(self):
        """It is read from texts, and does nothing where nothing is kept."""
        region = make_region("hot")
        region.configure_from_config(
            {"cache.hot.url": "memory://?record_hot=5"}, "cache.hot."
        )
        assert region.records_hot
        off = make_region("off").configure("holdover.null", record_hot=5)
        cached = off.cache_on_arguments()(price)
        ask(cached, a=1000)
        assert off.hot() == []

    def test_beside_unless_idle_for(self):
        """Both are told of every call."""
        region = make_region("both").configure(
            "holdover.memory", 60, record_hot=5, orders={"unless_idle_for": 60.0}
        )
        cached = region.cache_on_arguments()(price)
        ask(cached, a=1000)
        assert hot_args(region) == [("a", "x")]
        address = region._address(cached.key_for("a"))
        wait_until(lambda: region._crew.readers.are_there(address, 0.0))


def test_what_a_hit_pays(region):
    """Drawing a lot costs a hit a small part of what it costs."""
    cached = region.cache_on_arguments()(price)
    calls = []
    note, region._note = region._note, calls.append
    for _ in range(10_000):
        cached("a")
    region._note = note
    begun = time.thread_time()
    for call in calls:
        note(call)
    assert time.thread_time() - begun < 0.05  # 0.1 us each on a quiet machine


def test_a_record_is_json(region):
    """Whoever looks into the store can read it."""
    cached = region.cache_on_arguments()(price)
    ask(cached, a=1000)
    region.hot()
    tier, key = record_of(region)
    stored, _ = tier.backend.read(key, tier.region)
    # Memory keeps the payload in an entry; elsewhere there is metadata behind it, in
    # which any byte may be.
    payload = stored.value.payload if isinstance(stored, Entry) else stored
    held, _ = json.JSONDecoder().raw_decode(bytes(payload).decode("latin-1"))
    assert held["version"] == 1
    assert ["test_hot:price", ["a", "x"], {}] in map(json.loads, held["calls"])
