"""Schedules of a region: what is run, what is kept of it, and what if it fails."""

import asyncio
import contextlib
import os
import threading
from collections import Counter

import pytest
import sqlalchemy
from redis_clock import AgingServer
from sql_clock import AgingDatabase
from standins import broken
from waiting import at_once, wait_until

from holdover import (
    NO_VALUE,
    LeaseTerms,
    Lifetime,
    Registry,
    Run,
    Scheduler,
    errors,
    events,
    make_region,
)
from holdover.regions import attendant
from holdover.regions.backends.sql import SqlBackend
from holdover.regions.backends.sql_drivers import parsed


@pytest.fixture
def jobs(new_region, backend_name, tmp_path):
    """A region on each backend in turn, that may run schedules."""
    return hosted(new_region, backend_name, tmp_path)


def hosted(new_region, backend_name, tmp_path):
    """Make a region as each of several hosts has it."""
    more = {}
    if backend_name in ("holdover.memcached", "holdover.dbm"):  # which evict histories
        more["history_backend"] = f"sqlite:///{tmp_path}/history.db"
    return new_region(60.0, name="jobs", **more)


@pytest.fixture
def memory(clock):
    """A region in memory, on the fake clock."""
    region = make_region("jobs", time_source=clock)
    return region.configure("holdover.memory", 60, {"time_source": clock})


def scheduler(region, clock):
    """Make a scheduler without threads."""
    return Scheduler(region, threads=0, time_source=clock)


class Task:
    """A function that counts, and fails when it is told to."""

    def __init__(self):
        self.calls = []
        self.error = None

    def __call__(self, *args, **kwargs):
        """Count, and fail or return the count."""
        self.calls.append((args, kwargs))
        if self.error is not None:
            raise self.error
        return len(self.calls)


@pytest.fixture
def task():
    """Give a function to schedule."""
    return Task()


class TestOnEveryBackend:
    def test_a_function(self, jobs, clock, task):
        """It runs at once and then at each slot, and its values are there to read."""
        jobs.schedule(task, every=15, name="count", args=[1], kwargs={"b": 2})
        assert jobs.value_of("count") is NO_VALUE
        assert jobs.history("count") == []
        running = scheduler(jobs, clock)
        for expected in (1, 2, 3):
            running.begin_due()
            running.begin_due()
            assert expected == jobs.value_of("count") == jobs.get("schedule:count")
            clock.advance(15.0)
        assert task.calls == [((1,), {"b": 2})] * 3
        newest, middle, oldest = jobs.history("count")
        assert [3, 2, 1] == [newest.value, middle.value, oldest.value]
        assert newest.begun_at - oldest.begun_at == pytest.approx(30.0, abs=1e-3)
        assert newest.slot_at - middle.slot_at == 15.0

    def test_a_cached_function(self, jobs, clock, task):
        """Its value is kept warm under its own key, before anybody asks."""
        price = jobs.cache_on_arguments(namespace="price")(lambda article: task())
        jobs.schedule(price, every=15, name="price of 17", args=[17])
        running = scheduler(jobs, clock)
        running.begin_due()
        assert 1 == price.get(17) == price(17) == jobs.value_of("price of 17")
        clock.advance(15.0)
        running.begin_due()
        assert 2 == price(17)
        assert 2 == len(task.calls)

    def test_a_failed_run_is_tried_again(self, jobs, clock, task):
        """With ``retry_after``, until it succeeds: its slot is then done."""
        jobs.schedule(task, every=3600, name="count", retry_after=60.0)
        running = scheduler(jobs, clock)
        task.error = ValueError("no such thing")
        running.begin_due()
        clock.advance(30.0)
        running.begin_due()
        assert 1 == len(task.calls)
        task.error = None
        clock.advance(30.0)
        running.begin_due()
        clock.advance(60.0)
        running.begin_due()
        good, failed = jobs.history("count")
        assert (2, 2) == (good.value, len(task.calls))
        assert failed.slot_at == good.slot_at

    def test_a_failing_function(self, jobs, clock, task):
        """The last good value stays, however many failures follow it."""
        jobs.schedule(task, every=3600, name="count", history=2)
        running = scheduler(jobs, clock)
        running.begin_due()
        task.error = ValueError("no such thing")
        for _ in range(4):
            clock.advance(3600.0)
            running.begin_due()
        assert 5 == len(task.calls)
        assert 1 == jobs.value_of("count")
        last, before, good = jobs.history("count")
        assert [True, True, False] == [run.has_failed for run in (last, before, good)]
        assert "ValueError: no such thing" == last.error
        assert "raise self.error" in last.details
        # It begins with the user's code.
        assert "holdover/regions" not in last.details.splitlines()[1]
        assert last.value is NO_VALUE
        task.error = None
        clock.advance(3600.0)
        running.begin_due()
        assert 6 == jobs.value_of("count")
        assert [False, True] == [run.has_failed for run in jobs.history("count")]

    def test_two_schedulers(self, new_region, backend_name, tmp_path, clock, task):
        """Whichever comes first runs a slot, and the other does not."""
        hosts = [hosted(new_region, backend_name, tmp_path) for _ in range(2)]
        if backend_name == "holdover.memory":  # which is shared by whoever holds it
            hosts[1].configure(hosts[0].backend, 60.0, replace_existing_backend=True)
        for host in hosts:
            host.schedule(task, every=15, name="count")
        both = [scheduler(host, clock) for host in hosts]
        for number in range(1, 5):
            for one in both:
                one.begin_due()
            assert number == len(task.calls)
            both.reverse()
            clock.advance(15.0)

    def test_two_schedulers_at_once(self, new_region, backend_name, tmp_path, clock):
        """However close they come, one of them runs a slot, and one alone."""
        hosts = [hosted(new_region, backend_name, tmp_path) for _ in range(2)]
        if backend_name == "holdover.memory":
            hosts[1].configure(hosts[0].backend, 60.0, replace_existing_backend=True)
        runs = Counter()
        for host in hosts:
            for number in range(10):
                host.schedule(
                    lambda n=number: runs.update([(n, clock.wall() // 15)]),
                    every=15,
                    name=f"job {number}",
                )
        both = [scheduler(host, clock) for host in hosts]
        for _ in range(5):
            at_once(*(one.begin_due for one in both))
            clock.advance(15.0)
        assert 50 == len(runs)
        assert {1} == set(runs.values())

    def test_invalidation_leaves_schedules_alone(self, jobs, clock, task):
        """What is invalidated are values; which slots were run, and history, stay."""
        jobs.schedule(task, every=3600, name="count")
        running = scheduler(jobs, clock)
        running.begin_due()
        jobs.invalidate()
        assert jobs.get("schedule:count") is NO_VALUE
        assert 1 == jobs.value_of("count")
        scheduler(jobs, clock).begin_due()
        assert 1 == len(task.calls)


SERVERS = {
    "cluster": "holdover.redis_cluster",
    "mariadb": "holdover.sql",
    "postgres": "holdover.sql",
    "sentinels": "holdover.redis_sentinel",
}


class TestOnEveryServer(TestOnEveryBackend):
    """The same on what else is shared by hosts."""

    @pytest.fixture(params=SERVERS)
    def server(self, request):
        """Start each server in turn."""
        return request.getfixturevalue(request.param)

    @pytest.fixture
    def backend_name(self, request):
        """Give the name of its backend."""
        return SERVERS[request.node.callspec.params["server"]]

    @pytest.fixture
    def arguments(self, server, backend_name):
        """Give the arguments by which it is found."""
        if backend_name == "holdover.sql":
            return {"url": server.url, "create_table": True, "operation_timeout": 5.0}
        return server.arguments

    @pytest.fixture
    def clock(self, server, backend_name, arguments):
        """Give a clock that the test moves, and with it what the server keeps."""
        with contextlib.ExitStack() as stack:
            if backend_name == "holdover.sql":
                SqlBackend(arguments).read("none", "")  # makes the table
                engine = sqlalchemy.create_engine(parsed(server.url))
                stack.callback(engine.dispose)
                yield AgingDatabase(engine)
            else:
                nodes = getattr(server, "nodes", None) or [server.master]
                clients = (stack.enter_context(node.client()) for node in nodes)
                yield AgingServer(*clients)

    @pytest.fixture
    def new_region(self, backend_name, arguments, clock):
        """Make a region there."""

        def make(expiration_time, *, name):
            region = make_region(name, time_source=clock)
            return region.configure(
                backend_name, expiration_time, arguments, unsigned_pickle=True
            )

        return make


def str_of_key(wrong):
    """Name a case by the part that is wrong, since a number may be too long for it."""
    return next(iter(wrong))


class TestWhatIsKept:
    def test_the_newest_good_value_is_kept_apart(self, memory, clock, task):
        """Values beyond the last few are forgotten, one by one."""
        memory.schedule(task, every=15, name="count", history=3)
        running = scheduler(memory, clock)
        for _ in range(10):
            running.begin_due()
            clock.advance(15.0)
        assert [10, 9, 8] == [run.value for run in memory.history("count")]
        kept = len(memory.backend.lasting())
        assert kept == 5  # three values, the index, and the slots

    def test_eviction_does_not_touch_it(self, clock, task):
        """A cache that overflows forgets its values, and not the history."""
        small = make_region("jobs", time_source=clock)
        small.configure("holdover.memory", 60, {"max_entries": 2, "time_source": clock})
        small.schedule(task, every=3600, name="count")
        scheduler(small, clock).begin_due()
        for number in range(10):
            small.set(f"key {number}", number)
        assert small.get("schedule:count") is NO_VALUE
        assert 1 == small.value_of("count")
        scheduler(small, clock).begin_due()
        assert 1 == len(task.calls)

    @pytest.mark.parametrize(
        "wrong",
        [
            {"number": "x"},
            {"number": None},
            {"number": True},
            {"number": 10**400},
            {"has_value": "yes"},
            {"error": None},
            {"begun_at": "now"},
            {"begun_at": -1e300},
            {"duration": float("nan")},
            {"more": 1},
        ],
        ids=str_of_key,
    )
    def test_an_index_of_somebody_else_s(self, memory, clock, task, wrong):
        """What tells of no runs is begun anew, whatever it is."""
        memory.schedule(task, every=15, name="count")
        scheduler(memory, clock).begin_due()
        records = memory._records
        tier, key = records.history._indexes._tier, records.history_key("count")
        [[number, has_value, told]] = tier.look(key, Lifetime()).entry.value
        parts = {"number": number, "has_value": has_value}
        parts |= {name: wrong[name] for name in parts if name in wrong}
        told |= {name: wrong[name] for name in wrong if name not in parts}
        entry = tier.entry([[*parts.values(), told]], Lifetime(), clock=tier.tick())
        tier.store(key, entry, strict=True)
        assert memory.history("count") == []
        assert memory.value_of("count") is NO_VALUE
        clock.advance(15.0)
        scheduler(memory, clock).begin_due()
        assert [2] == [run.value for run in memory.history("count")]

    def test_a_serializer_for_texts_alone(self, clock):
        """The index of a history is ours to encode."""
        region = make_region(
            "jobs", time_source=clock, serializer=str.encode, deserializer=bytes.decode
        )
        region.configure("holdover.memory", 60, {"time_source": clock})
        region.schedule(lambda: "text", every=15, name="text")
        region.schedule(lambda: 5, every=15, name="number")
        scheduler(region, clock).begin_due()
        assert ("text", NO_VALUE) == tuple(map(region.value_of, region.schedules))
        assert region.history("number")[0].has_failed

    def test_an_error_that_is_no_text(self, memory, clock, task):
        """What a file's name may bring along is shown as an escape."""
        memory.schedule(task, every=15, name="count")
        task.error = FileNotFoundError("\udcff")
        scheduler(memory, clock).begin_due()
        assert r"FileNotFoundError: \udcff" == memory.history("count")[0].error

    def test_runs_that_are_noted_together(self, memory, clock):
        """Each keeps its own value."""
        memory.schedule(lambda: 0, every=15, name="count", history=1000)
        memory.check_schedules()
        records = memory._records
        key = records.history_key("count")

        def note(first):
            for number in range(first, first + 50):
                run = Run(
                    region="jobs", name="count", slot_at=number, begun_at=1.0,
                    duration=1.0, value=number,
                )  # fmt: skip
                records.history.add(key, run, 1000)

        at_once(*(lambda first=first: note(first) for first in range(0, 300, 50)))
        runs = memory.history("count")
        assert sorted(run.slot_at for run in runs) == list(range(300))
        assert [run.value for run in runs] == [run.slot_at for run in runs]

    def test_a_store_of_its_own(self, tmp_path, clock, task):
        """It is kept where the user says, by the codec he names, and outlives us."""
        for number in (1, 2):
            region = make_region("jobs", time_source=clock)
            region.configure(
                "holdover.memory",
                60,
                history_backend=f"sqlite:///{tmp_path}/history.db",
                history_codec="json",
            )
            region.schedule(task, every=15, name="count")
            scheduler(region, clock).begin_due()
            clock.advance(15.0)
            assert number == region.value_of("count") == len(region.history("count"))
        stored = b"".join(one.read_bytes() for one in tmp_path.glob("history.db*"))
        assert b"json" in stored
        assert b"pickle" not in stored

    def test_a_value_that_cannot_be_kept(self, tmp_path, clock):
        """It is a failure, told with its reason; the value before it stays."""
        region = make_region("jobs", time_source=clock)
        region.configure(
            "holdover.memory",
            60,
            {"time_source": clock},
            history_backend=f"file://{tmp_path}/history",
            history_codec="json",
        )
        values = [5, {1: 2}]
        region.schedule(lambda: values.pop(0), every=15, name="next")
        running = scheduler(region, clock)
        running.begin_due()
        clock.advance(15.0)
        running.begin_due()
        assert "json cannot encode a builtins.dict" in region.history("next")[0].error
        assert 5 == region.value_of("next")

    def test_a_value_that_is_too_large(self, tmp_path, clock):
        """It is a failure as well."""
        region = make_region("jobs", time_source=clock)
        kept = f"sqlite:///{tmp_path}/history.db"
        small = SqlBackend({"url": kept, "max_bytes": 20_000})
        region.configure("holdover.memory", 60, history_backend=small)
        region.schedule(lambda: "x" * 40_000, every=15, name="much")
        scheduler(region, clock).begin_due()
        assert "are more than max_bytes=20000" in region.history("much")[0].error

    @pytest.mark.parametrize("held", [5, [5], [[1, 2]], [[1, True, {"x": 5}]], {}])
    def test_a_strange_index(self, memory, clock, task, held):
        """What is no history tells of no runs, and is replaced."""
        memory.schedule(task, every=15, name="count")
        memory.check_schedules()
        history, key = memory._records.history, memory._records.history_key("count")
        entry = history._indexes._tier.entry(
            held, Lifetime(), clock=history._indexes._tier.tick()
        )
        history._indexes._tier.store(key, entry)
        assert [] == memory.history("count")
        assert memory.value_of("count") is NO_VALUE
        scheduler(memory, clock).begin_due()
        assert 1 == memory.value_of("count") == len(memory.history("count"))

    def test_the_history_is_away(self, memory, clock, task, monkeypatch, heard):
        """What is due is run nevertheless; only its record is missing, and told of."""
        memory.schedule(task, every=15, name="count")
        told = heard(memory)
        memory.check_schedules()
        history = memory._records.history
        monkeypatch.setattr(history._indexes, "look", broken)
        monkeypatch.setattr(history, "add", broken)
        scheduler(memory, clock).begin_due()
        assert 1 == memory.get("schedule:count")
        failed = [one for one in told if type(one) is events.BackendFailed]
        assert any("a run was not kept" in one.reason for one in failed)
        assert memory.value_of("count") is NO_VALUE
        with pytest.raises(errors.BackendError):
            memory.value_of("count", strict=True)

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            (5, "must be a name, a URL"),
            ("holdover.memry", "Did you mean 'holdover.memory'"),
            ("sqlite:///x.db?expiration_time=5", "takes no 'expiration_time'"),
            ("dogpile.cache.memory", "must be a backend of Holdover's"),
        ],
    )
    def test_no_store(self, given, said):
        """What cannot keep a history is told before anything is run."""
        region = make_region("jobs")

        def configure_and_check():
            region.configure("holdover.memory", 60, history_backend=given)
            region.check_schedules()

        with pytest.raises(errors.ConfigurationError, match=said):
            configure_and_check()

    def test_a_store_that_evicts_needs_another(self, memcached_server):
        """What memcached holds may be evicted, so that another must be named."""
        region = make_region("jobs").configure(
            "holdover.memcached", 60, {"url": memcached_server.url}, codec="json"
        )
        with pytest.raises(errors.ConfigurationError, match="needs a history_backend="):
            region.check_schedules()

    def test_a_dogpile_backend(self):
        """Whoever knows no leases cannot keep two schedulers apart."""
        region = make_region("jobs").configure("dogpile.cache.memory", 60)
        region.schedule(int, every=15, name="zero")
        with pytest.raises(errors.ConfigurationError, match="knows no leases"):
            Scheduler(region)

    def test_nothing_is_kept(self, clock, task):
        """With caching switched off, one scheduler still runs each slot once."""
        region = make_region("jobs", time_source=clock).configure("holdover.null")
        region.schedule(task, every=15, name="count")
        running = scheduler(region, clock)
        for _ in range(4):
            running.begin_due()
            running.begin_due()
            clock.advance(15.0)
        assert 4 == len(task.calls)
        assert region.value_of("count") is NO_VALUE


class TestDeclaring:
    def test_before_the_region_is_configured(self, task, clock):
        """Modules declare while they are imported; nothing runs by that."""
        region = make_region("jobs", time_source=clock)
        region.schedule(task, every=15, name="count")
        with pytest.raises(errors.RegionNotConfigured):
            region.value_of("count")
        with pytest.raises(errors.RegionNotConfigured):
            Scheduler(region)
        region.configure("holdover.memory", 60)
        assert region.value_of("count") is NO_VALUE
        assert [] == task.calls

    def test_an_unknown_name(self, memory, task):
        """It is a typed error that says what there is."""
        memory.schedule(task, every=15, name="count")
        for ask in (memory.value_of, memory.history, memory.attend):
            with pytest.raises(errors.UnknownSchedule, match="Did you mean 'count'"):
                ask("cuont")
        with pytest.raises(LookupError):
            memory.value_of("x")

    def test_a_name_twice(self, memory, task):
        """It is an error, and the first of that name stays."""
        first = memory.schedule(task, every=15, name="count")
        with pytest.raises(errors.ConfigurationError, match="two schedules of the"):
            memory.schedule(int, every=30, name="count")
        assert memory.schedules == {"count": first}
        make_region("others").schedule(task, every=15, name="count")

    def test_another_region_s_function(self, memory):
        """It would be kept warm where nobody looks."""
        cached = make_region("others").cache_on_arguments()(lambda: 5)
        with pytest.raises(errors.ConfigurationError, match="cached by another region"):
            memory.schedule(cached, every=15, name="five")

    def test_a_method(self, memory, clock):
        """A bound method of a cached object is kept warm, too."""

        class Shop:
            def __cache_key__(self):
                return "shop"

            @memory.cache_on_arguments()
            def total(self, currency):
                return f"5 {currency}"

        shop = Shop()
        memory.schedule(shop.total, every=15, name="total", args=["EUR"])
        scheduler(memory, clock).begin_due()
        assert "5 EUR" == shop.total.get("EUR")

    def test_names(self, memory):
        """A function at the top of a module has one; others need one."""
        assert memory.schedule(broken, every=15).name == "standins:broken"
        with pytest.raises(errors.ConfigurationError, match="needs a name="):
            memory.schedule(lambda: 5, every=15)

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({}, "either every= or cron="),
            ({"every": 5, "cron": "* * * * *"}, "either every= or cron="),
            ({"every": 5, "timezone": "UTC"}, "timezone= belongs to cron="),
            ({"every": 0}, "every must be more than 0"),
            ({"cron": "* * *"}, "five fields"),
            ({"every": 5, "evry": 5}, "Did you mean 'every'"),
            ({"every": 5, "jitter": 5}, "jitter must be less"),
            ({"every": 5, "jitter": -1}, "jitter must be 0 or more"),
            ({"every": 5, "history": 0}, "history must be an int above 0"),
            ({"every": 5, "history": True}, "history must be an int above 0"),
            ({"every": 5, "max_runtime": 0}, "max_runtime must be more than 0"),
            ({"every": 5, "max_runtime": 1e9}, "max_runtime must be at most"),
            ({"every": 5, "args": "abc"}, "args must be a list"),
            ({"every": 5, "kwargs": [1]}, "kwargs must be a mapping"),
            ({"every": 5, "value": "no"}, "value must be True or False"),
            ({"every": 5, "on_error": "ops@example.org"}, "on_error must be"),
            ({"every": 5, "on_error": 5}, "on_error must be"),
            ({"every": 5, "name": ""}, "needs a name="),
            ({"every": 5, "name": "x" * 201}, "needs a name="),
            ({"every": 5, "command": "date"}, "either a function or a command="),
        ],
    )
    def test_wrong_options(self, memory, options, said):
        """Each is told in the user's words, and nothing is declared."""
        with pytest.raises(errors.ConfigurationError, match=said):
            memory.schedule(broken, **options)
        assert not memory.schedules

    def test_wrong_functions(self, memory):
        """What cannot be called, or gives a value only once, is told."""
        with pytest.raises(errors.ConfigurationError, match="must be callable"):
            memory.schedule(5, every=5, name="five")
        with pytest.raises(errors.ConfigurationError, match="either a function or"):
            memory.schedule(every=5, name="five")
        with pytest.raises(errors.LazyValue):
            memory.schedule((lambda: (yield)), every=5, name="lazy")

    def test_odd_names_do_not_meet(self, clock):
        """No region's schedules get in the way of another's, whatever the names."""
        shared = make_region("a", time_source=clock).configure("holdover.memory")
        regions = {
            ("a:b", "c"): make_region("a:b", time_source=clock),
            ("a", "b:c"): make_region("a", time_source=clock),
        }
        for (region_name, name), region in regions.items():
            region.configure(shared.backend)
            region.schedule(lambda who=region_name: who, every=15, name=name)
        Scheduler(regions.values(), threads=0, time_source=clock).begin_due()
        for (region_name, name), region in regions.items():
            assert region_name == region.value_of(name)


class TestFailures:
    def test_on_error(self, memory, clock, task):
        """Whoever is named gets each failed run; what he raises is only logged."""
        told = []

        def on_error(run):
            told.append(run)
            raise RuntimeError

        memory.schedule(task, every=3600, name="count", on_error=on_error)
        task.error = KeyError("x")
        running = scheduler(memory, clock)
        running.begin_due()
        assert [memory.history("count")[0]] == told
        [run] = told
        assert isinstance(run, Run)
        assert ("jobs", "count", "KeyError: 'x'") == (run.region, run.name, run.error)
        task.error = None
        clock.advance(3600.0)
        running.begin_due()
        assert 1 == len(told)

    @pytest.mark.parametrize(
        "error",
        [
            SystemExit(3),
            RecursionError("deep"),
            asyncio.CancelledError(),
            GeneratorExit(),
            KeyboardInterrupt(),
        ],
    )
    def test_the_end_of_a_run_is_no_end_of_ours(self, memory, clock, task, error):
        """A job that calls exit(), or is cancelled within, ends itself."""
        memory.schedule(task, every=15, name="count")
        task.error = error
        scheduler(memory, clock).begin_due()
        assert memory.history("count")[0].has_failed

    @pytest.mark.parametrize("error", [SystemExit(3), asyncio.CancelledError()])
    def test_on_error_that_ends(self, memory, clock, task, caplog, error):
        """Nor does a report that calls exit() keep the run from being over."""

        def on_error(_):
            raise error

        memory.schedule(task, every=3600, name="count", on_error=on_error)
        task.error = ValueError()
        scheduler(memory, clock).begin_due()
        assert "on_error of the schedule 'count' failed" in caplog.text
        assert ended(memory, "count")

    def test_on_error_that_hangs(self, memory, clock, task, caplog, monkeypatch):
        """It is left to itself after a while, and the run is over."""
        monkeypatch.setattr(attendant, "_LONGEST_REPORT", 0.02)
        may_end = threading.Event()
        memory.schedule(
            task, every=3600, name="count", on_error=lambda _: may_end.wait(20.0)
        )
        task.error = ValueError()
        scheduler(memory, clock).begin_due()
        may_end.set()
        assert "takes longer than 0.02 s" in caplog.text
        assert ended(memory, "count")

    def test_a_loss_is_told_at_leisure(self, clock, task):
        """While it is, nobody else takes the slot: its lease is renewed."""
        region = make_region("jobs", time_source=clock)
        terms = LeaseTerms(ttl=0.6)
        region.configure("holdover.memory", 60, {"time_source": clock}, lease=terms)
        book = region._attendant()._records.book
        key = region._attendant()._records.slot_key("count")
        told = []

        def on_error(run):
            clock.advance(0.5)
            wait_until(lambda: book.busy_for(key) > 0.3, "a renewal")
            told.append(run.error[:5])

        schedule = region.schedule(task, every=3600, name="count", on_error=on_error)
        die(region, schedule)
        clock.advance(0.6)
        scheduler(region, clock).begin_due()
        assert (told, len(task.calls)) == (["lost:"], 1)
        die(region, schedule, 3600.0, clock)
        die(region, schedule, 0.6, clock)
        clock.advance(0.6)
        scheduler(region, clock).begin_due()
        assert (told, len(task.calls)) == (["lost:"] * 3, 1)

    def test_it_backs_off(self, memory, clock, task):
        """A job that fails is left alone, longer each time, and then caught up once."""
        memory.schedule(task, every=1, name="count")
        task.error = ValueError()
        running = scheduler(memory, clock)
        tries = []
        for second in range(100):
            before = len(task.calls)
            running.begin_due()
            tries += [second] * (len(task.calls) - before)
            clock.advance(1.0)
        assert [0, 5, 15, 35, 75] == tries
        task.error = None
        clock.advance(60.0)
        for _ in range(3):
            running.begin_due()
            clock.advance(1.0)
        assert 8 == len(task.calls)

    def test_events(self, memory, clock, task, heard):
        """Listeners are told of each run."""
        told = heard(memory)
        memory.schedule(task, every=15, name="count")
        running = scheduler(memory, clock)
        running.begin_due()
        task.error = ValueError("no")
        clock.advance(15.0)
        running.begin_due()
        good, bad = [
            one for one in told if isinstance(one, events.RunEnded | events.RunFailed)
        ]
        assert (
            events.RunEnded(
                region="jobs",
                key="count",
                slot_at=clock.wall() // 15 * 15 - 15,
                begun_at=clock.wall() - 15,
                cost=0.0,
            )
            == good
        )
        assert "the schedule 'count': ValueError: no" == bad.reason
        assert "ValueError: no" == bad.error
        assert (good.slot_at + 15, good.begun_at + 15) == (bad.slot_at, bad.begun_at)

    def test_the_store_is_away(self, memory, clock, task, monkeypatch):
        """While nobody can say who runs it, nobody does; then it is caught up once."""
        memory.schedule(task, every=15, name="count")
        running = scheduler(memory, clock)
        running.begin_due()
        slots = memory._records.book._tier.backend
        with monkeypatch.context() as away:
            away.setattr(slots, "read", broken)
            for _ in range(10):
                clock.advance(15.0)
                running.begin_due()
        assert 1 == len(task.calls)
        clock.advance(40.0)  # the breaker lets one through again
        for _ in range(3):
            running.begin_due()
        assert 2 == len(task.calls)

    def test_a_runner_that_died(self, memory, clock, task):
        """Its slot is run once more, by whoever comes by when its lease has lapsed."""
        schedule = memory.schedule(task, every=3600, name="count")
        die(memory, schedule)
        running = scheduler(memory, clock)
        running.begin_due()
        assert 0 == len(task.calls)  # its lease says that it is at work
        clock.advance(5.0)
        running.begin_due()
        assert 1 == len(task.calls) == memory.value_of("count")
        again, lost = memory.history("count")
        assert (again.error, lost.error[:5]) == ("", "lost:")
        assert again.slot_at == lost.slot_at
        clock.advance(3600.0)
        running.begin_due()
        assert 2 == len(task.calls)

    def test_runners_that_die_each_time(self, memory, clock, task):
        """A slot that kills whoever runs it is left after the second."""
        told = []
        schedule = memory.schedule(task, every=3600, name="count", on_error=told.append)
        die(memory, schedule)
        clock.advance(5.0)
        die(memory, schedule)
        clock.advance(5.0)
        running = scheduler(memory, clock)
        running.begin_due()
        running.begin_due()
        assert 0 == len(task.calls)
        assert ["lost:", "lost:"] == [run.error[:5] for run in told]
        clock.advance(3600.0)
        running.begin_due()
        assert 1 == len(task.calls)

    def test_it_takes_too_long(self, memory, clock):
        """It is reported, and others go on; its thread is not killed, nor doubled."""
        may_end, ended, told = threading.Event(), threading.Event(), []

        def hang():
            may_end.wait(20.0)
            ended.set()
            return "late"

        memory.schedule(
            hang, every=15, name="hang", max_runtime=0.02, on_error=told.append
        )
        running = scheduler(memory, clock)
        running.begin_due()
        assert "took longer than max_runtime=0.02 s" in told[0].error
        clock.advance(60.0)
        running.begin_due()
        assert 1 == len(told)  # not begun again while it goes on here
        may_end.set()
        assert ended.wait(20.0)
        wait_until(
            lambda: not memory._attending._is_overrunning(memory.schedules["hang"])
        )
        clock.advance(15.0)
        running.begin_due()
        assert "late" == memory.value_of("hang")

    def test_it_takes_too_long_in_the_parent(self, memory, clock):
        """A fork's child has no such thread, and may begin the schedule."""
        memory.schedule(lambda: 5, every=15, name="five")
        attendant = memory._attendant()
        attendant._left["five"] = None  # which no errand of this process will end
        child = os.fork()
        if child == 0:
            scheduler(memory, clock).begin_due()
            os._exit(0 if memory.value_of("five") == 5 else 1)
        assert 0 == os.waitpid(child, 0)[1]


def ended(region, name):
    """Say whether nothing keeps the next slot from being begun."""
    records = region._attendant()._records
    key = records.slot_key(name)
    return records.book.look(key).value.has_ended and not records.book.busy_for(key)


def die(region, schedule, later=0.0, clock=None):
    """Begin a slot as one who is killed at work does, *later*."""
    if later:
        clock.advance(later)
    region.check_schedules()
    attendant = region._attendant()
    attendant._take(schedule, queued=False)
    attendant._seen.clear()  # another process


class TestJobs:
    def test_without_a_value(self, memory, clock, task):
        """Only its runs are kept, and nothing in the cache."""
        memory.schedule(task, every=15, name="tidy", value=False)
        scheduler(memory, clock).begin_due()
        [run] = memory.history("tidy")
        assert (run.has_failed, run.value) == (False, NO_VALUE)
        assert memory.value_of("tidy") is NO_VALUE
        assert memory.get("schedule:tidy") is NO_VALUE
        assert 1 == len(task.calls)

    def test_a_command(self, memory, clock):
        """Its output is kept, and its exit code says how it went."""
        memory.schedule(command="echo up; echo down >&2", every=15, name="say")
        memory.schedule(command=["false"], every=15, name="fail")
        scheduler(memory, clock).begin_due()
        assert "up\ndown\n" == memory.value_of("say")
        assert "false ended with code 1" == memory.history("fail")[0].error

    def test_none_is_a_value(self, memory, clock):
        """As everywhere."""
        memory.schedule(lambda: None, every=15, name="none")
        scheduler(memory, clock).begin_due()
        assert memory.value_of("none") is None


def test_jitter_spreads_schedules(memory, clock):
    """Schedules of one span begin at their own times, the same for all schedulers."""
    begun = {}
    for number in range(20):
        memory.schedule(
            lambda n=number: begun.setdefault(n, clock.wall()),
            every=3600,
            jitter=600,
            name=f"job {number}",
        )
    running = scheduler(memory, clock)
    running.begin_due()  # all are new, and run at once
    clock.advance(3600.0 - clock.wall() % 3600.0)
    begun.clear()
    for _ in range(60):
        clock.advance(10.0)
        running.begin_due()
    assert 20 == len(begun)
    assert 15 < len(set(begun.values()))


def test_the_registry_s_history_backend(tmp_path, clock):
    """What holds for all regions holds for their histories, too."""
    caches = Registry()
    caches.configure({
        "defaults": {
            "backend": "holdover.memory",
            "history_backend": f"sqlite:///{tmp_path}/history.db",
        },
        "prices": {},
        "news": {},
    })  # fmt: skip
    for name in caches:
        caches[name].schedule(lambda who=name: who, every=15, name="who")
    Scheduler(caches, threads=0).run_once()
    assert ["prices", "news"] == [caches[name].value_of("who") for name in caches]
    assert (tmp_path / "history.db").exists()
