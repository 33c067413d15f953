"""What the processes of a fleet tell each other of themselves: all of it, and once."""

import gc
import os
import signal
import subprocess
import sys
import threading
import weakref
from pathlib import Path

import counted_shop
import pytest
from waiting import at_once, wait_until

from holdover import Figures, make_region
from holdover.errors import BackendError, ConfigurationError
from holdover.regions import fleet as fleet_module
from holdover.regions.fleet import MOST_MEMBERS, Roster
from holdover.regions.ledger import Membership

EVERY = 10.0
MANY = Figures(hits=5, misses=1)


@pytest.fixture(autouse=True)
def loaded_dice(monkeypatch):
    """Have everybody look after the others, each time."""
    monkeypatch.setattr("holdover.regions.ledger._DICE.random", float)


@pytest.fixture
def region(new_region):
    """A region on each backend in turn, on the fake clock."""
    return new_region(600.0, figures_every=EVERY)


@pytest.fixture
def ledger(region):
    """Where its processes write."""
    region.fleet_figures()
    return region._ledger


@pytest.fixture
def memory_region(clock):
    """A region in memory, on the fake clock."""
    region = make_region("memory", time_source=clock)
    arguments = {"time_source": clock}
    return region.configure("holdover.memory", 600, arguments, figures_every=EVERY)


@pytest.fixture
def memory_ledger(memory_region):
    """Where its processes write."""
    return memory_region._ledger


def hits(count):
    """Figures of a process that has had so many hits."""
    return Figures(hits=count)


class TestLedger:
    def test_a_fleet_is_summed_up(self, ledger, region, clock):
        """On each backend: every process with its own, and all of them together."""
        assert () == region.fleet_figures().processes
        one, two = Membership(ledger, EVERY), Membership(ledger, EVERY)
        one.write(hits(1))
        two.write(MANY)
        clock.advance(EVERY)
        one.write(hits(31))
        told = region.fleet_figures()
        assert 36 == told.total.hits
        assert [31, 5] == [process.figures.hits for process in told.living]
        assert {os.getpid()} == {process.pid for process in told.processes}
        assert 3.0 == pytest.approx(told.per_second(lambda one: one.hits), rel=1e-3)
        assert told.recent.hits == 30

    def test_invalidation_reaches_no_figures(self, ledger, region):
        """Nor do the region's own keys meet theirs."""
        Membership(ledger, EVERY).write(MANY)
        region.invalidate()
        region.invalidate(prefix="%")
        assert MANY == region.fleet_figures().total

    def test_regions_are_apart(self, ledger, region, backend_name, new_region):
        """Regions with names that look alike do not count each other's."""
        Membership(ledger, EVERY).write(MANY)
        for name in ("regio", "region:", "%figures:region", ""):
            other = new_region(name=name)
            other.configure(
                region.backend,
                600,
                replace_existing_backend=True,
                unsigned_pickle=True,
            )
            assert Figures() == other.fleet_figures().total, name

    def test_who_falls_silent_is_named_and_then_added_to_the_past(
        self, ledger, region, clock
    ):
        """Its figures are in the total all the time, and never twice."""
        dead, living = Membership(ledger, EVERY), Membership(ledger, EVERY)
        dead.write(hits(100))
        for round_ in range(15):
            living.write(hits(round_))
            told = region.fleet_figures()
            assert 100 + round_ == told.total.hits
            assert len(told.silent) == (1 if 3 < round_ <= 10 else 0)
            clock.advance(EVERY)
        assert 1 == len(told.processes)
        assert 100 == told.past.hits

    def test_one_who_was_only_frozen_comes_back(self, ledger, region, clock):
        """It counts on from what was added to the past, under another name."""
        frozen, living = Membership(ledger, EVERY), Membership(ledger, EVERY)
        frozen.write(hits(100))
        for _ in range(15):
            living.write(hits(1))
            clock.advance(EVERY)
        assert 1 == len(region.fleet_figures().processes)
        frozen.write(hits(107))
        told = region.fleet_figures()
        assert (2, 108, 100) == (
            len(told.processes), told.total.hits, told.past.hits,
        )  # fmt: skip
        for _ in range(15):  # and so once more
            clock.advance(EVERY)
            living.write(hits(1))
        frozen.write(hits(110))
        assert 111 == region.fleet_figures().total.hits

    def test_folding_by_several_at_once(self, memory_ledger, clock):
        """Whoever is quickest adds the ended ones to the past, and nobody else does."""
        for _ in range(5):
            Membership(memory_ledger, EVERY).write(MANY)
        clock.advance(1000)
        joined = [Membership(memory_ledger, EVERY) for _ in range(4)]
        at_once(*[memory_ledger.fold] * 4, *[lambda m=m: m.write(MANY) for m in joined])
        told = memory_ledger.fleet()
        assert (9 * MANY.hits, 9 * MANY.misses) == (told.total.hits, told.total.misses)
        assert 4 == len(told.processes)

    def test_joining_by_several_at_once(self, ledger):
        """Nobody is lost from the roster."""
        at_once(*[lambda: Membership(ledger, EVERY).write(MANY)] * 6)
        told = ledger.fleet()
        assert (6, 30) == (len(told.processes), told.total.hits)

    def test_a_store_that_was_emptied(self, memory_ledger, memory_region):
        """All who live write all of theirs anew: nothing of them is in any past."""
        members = [Membership(memory_ledger, EVERY) for _ in range(3)]
        for one in members:
            one.write(MANY)
        backend = memory_region.backend.lasting()
        for key in list(backend._by_key):
            backend.remove(key)
        assert Figures() == memory_ledger.fleet().total
        for one in members:
            one.write(hits(10))
        assert 30 == memory_ledger.fleet().total.hits

    def test_a_record_that_was_evicted(self, memory_ledger, memory_region):
        """Its process writes it again, whole."""
        one = Membership(memory_ledger, EVERY)
        one.write(hits(1))
        memory_region.backend.lasting().remove(memory_ledger._key(one._name))
        assert () == memory_ledger.fleet().processes
        one.write(hits(9))
        assert 9 == memory_ledger.fleet().total.hits

    def test_a_write_that_was_told_to_fail_but_came(self, memory_ledger, monkeypatch):
        """The next write goes over it."""
        one = Membership(memory_ledger, EVERY)
        one.write(hits(1))
        tier = memory_ledger._tier
        really = tier.backend.compare_and_set

        def late(*args, **kwargs):
            really(*args, **kwargs)
            raise BackendError("timed out")

        with monkeypatch.context() as patch:
            patch.setattr(tier.backend, "compare_and_set", late)
            with pytest.raises(BackendError):
                one.write(hits(5))
        one.write(hits(9))
        assert 9 == memory_ledger.fleet().total.hits

    def test_a_full_roster(self, memory_ledger, monkeypatch, clock):
        """It is bounded; whoever finds no room joins when others have ended."""
        monkeypatch.setattr("holdover.regions.ledger.MOST_MEMBERS", 2)
        members = [Membership(memory_ledger, EVERY) for _ in range(3)]
        for one in members:
            one.write(hits(1))
        assert 2 == len(memory_ledger.fleet().processes)
        clock.advance(1000)
        memory_ledger.fold()
        members[2].write(hits(4))
        told = memory_ledger.fleet()
        assert (1, 6) == (len(told.processes), told.total.hits)

    def test_dice_decide_who_looks_after_the_others(self, memory_ledger, monkeypatch):
        """Of many, few read what all have written."""
        for _ in range(4):
            Membership(memory_ledger, EVERY).write(MANY)
        folds, last = [], Membership(memory_ledger, EVERY)
        monkeypatch.setattr(memory_ledger, "fold", lambda: folds.append(1))
        for drawn in (0.5, 0.1, 0.3):
            monkeypatch.setattr(
                "holdover.regions.ledger._DICE.random", lambda drawn=drawn: drawn
            )
            last.write(MANY)
        assert 1 == len(folds)

    @pytest.mark.parametrize(
        "hostile",
        [
            None, 5, "x", [], {}, {"token": "t", "past": {}, "members": 5},
            {"token": 5, "past": {}, "members": []},
            {"token": "t", "past": {}, "members": [5]},
            {"token": "t", "past": {}, "members": ["x" * 300]},
            {"token": "t", "past": {}, "members": ["x"] * (MOST_MEMBERS + 1)},
            {"token": "t", "past": {"hits": -1}, "members": []},
        ],
    )  # fmt: skip
    def test_hostile_rosters(self, memory_ledger, hostile):
        """They are as good as none, and are replaced."""
        one = Membership(memory_ledger, EVERY)
        one.write(MANY)
        tier, key = memory_ledger._tier, memory_ledger._key("")
        kept = fleet_entry(tier, hostile)
        tier.store(key, kept, strict=True)
        assert Figures() == memory_ledger.fleet().total
        one.write(MANY)
        assert MANY == memory_ledger.fleet().total

    @pytest.mark.parametrize(
        "wrong",
        [
            None, 5, [], {"host": 5}, {"pid": -1}, {"figures": None}, {"recent": 5},
            {"recent_for": "x"}, {"written_at": float("nan")}, {"host": ""},
            {"figures": {"hits": 2**80}}, {"every": -1},
        ],
    )  # fmt: skip
    def test_hostile_records(self, memory_ledger, wrong):
        """A record that could not be read counts for nothing, and is dropped."""
        one, other = (Membership(memory_ledger, EVERY) for _ in range(2))
        one.write(MANY)
        other.write(hits(1))
        [good, _] = memory_ledger.fleet().processes
        hostile = {**good.as_dict(), **wrong} if isinstance(wrong, dict) else wrong
        tier = memory_ledger._tier
        key = memory_ledger._key(one._name)
        tier.store(key, fleet_entry(tier, hostile), strict=True)
        assert hits(1) == memory_ledger.fleet().total
        memory_ledger.fold()
        one.write(hits(7))
        assert 3 == memory_ledger.fleet().total.hits  # the first 5 are lost, as it was

    def test_bytes_that_are_no_record(self, memory_ledger, memory_region):
        """Nor is anything raised of bytes that are none."""
        Membership(memory_ledger, EVERY).write(MANY)
        backend = memory_region.backend.lasting()
        for key in list(backend._by_key):
            backend.write(key, b"\x00garbage", ttl=None)
        assert Figures() == memory_ledger.fleet().total
        Membership(memory_ledger, EVERY).write(MANY)
        assert MANY == memory_ledger.fleet().total

    def test_what_is_signed(self, redis_server):
        """Where a region has a secret, so have its figures."""
        url = redis_server.url
        signed = make_region("s").configure(url, 60, secret="s" * 16)
        Membership(ledger_of(signed), EVERY).write(MANY)
        assert MANY == signed.fleet_figures().total
        other = make_region("s").configure(url, 60, secret="t" * 16)
        assert Figures() == other.fleet_figures().total


def ledger_of(region):
    """Give where a region's processes write."""
    region.fleet_figures()
    return region._ledger


def fleet_entry(tier, value):
    """Make an entry that lives long."""
    from holdover.regions.lifetime import Lifetime

    return tier.entry(value, Lifetime(), clock=tier.tick())


def test_a_roster_names_nobody_twice():
    """Or somebody would be counted twice."""
    plain = {"token": "t", "past": {}, "members": ["a", "a"]}
    assert ("a",) == Roster.from_plain(plain).members
    assert fleet_module.sum_of([]) == Figures()


# -- the thread ----------------------------------------------------------------


@pytest.fixture
def reporters():
    """Count the threads that write figures and that there were not before."""
    before = set(threading.enumerate())

    def count():
        new = set(threading.enumerate()) - before
        return [one.name for one in new].count("holdover-reporter")

    return count


class TestReporter:
    def test_it_starts_with_the_first_use(self, tmp_path, reporters):
        """Whoever only configures, or only looks at figures, writes nothing."""
        region = make_region("lazy")
        region.configure("holdover.file", 60, {"path": tmp_path}, figures_every=0.05)
        region.set("k", 1)
        assert () == region.fleet_figures().processes
        assert not reporters()
        region.get("k")
        wait_until(lambda: region.fleet_figures().total.hits == 1)
        region.get("z")
        wait_until(lambda: region.fleet_figures().total.misses == 1)
        assert 1 == reporters()
        region.configure("holdover.null", replace_existing_backend=True)
        wait_until(lambda: not reporters())

    def test_it_ends_with_its_region(self, reporters):
        """Nothing holds a region that nobody uses."""
        region = make_region("short").configure("memory://", 60, figures_every=0.05)
        region.get("k")
        wait_until(reporters)
        gone = weakref.ref(region)
        del region
        gc.collect()
        wait_until(lambda: gone() is None)
        wait_until(lambda: not reporters())

    def test_it_is_off_by_default(self, reporters):
        """Without figures_every nothing is written."""
        region = make_region("off").configure("memory://", 60)
        region.get("k")
        assert not reporters()
        assert Figures() == region.fleet_figures().total

    def test_a_fork_writes_its_own(self, tmp_path):
        """The child begins at 0, and under its own number; the parent's go on."""
        region = make_region("forked")
        region.configure("holdover.file", 60, {"path": tmp_path}, figures_every=0.05)
        for _ in range(3):
            region.get("k")
        wait_until(lambda: region.fleet_figures().total.misses == 3)
        child = os.fork()
        if not child:
            try:
                region.get("k")
                wait_until(lambda: region.fleet_figures().total.misses == 4)
                signal.pause()
            finally:
                os._exit(0)
        try:
            wait_until(lambda: region.fleet_figures().total.misses == 4)
            told = region.fleet_figures().processes
            assert {os.getpid(): 3, child: 1} == {
                one.pid: one.figures.misses for one in told
            }
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)

    def test_a_backend_that_goes_and_comes_back(self, own_redis):
        """Nobody is held up, and afterwards all is there again."""
        region = make_region("away").configure(
            own_redis.url, 60, unsigned_pickle=True, figures_every=0.05
        )
        region.get("k")
        wait_until(lambda: region.fleet_figures().total.misses == 1)
        own_redis.kill()
        for _ in range(5):
            region.get("k")
        with pytest.raises(BackendError):
            region.fleet_figures()
        with pytest.raises(BackendError):
            region.ping()
        own_redis.start()  # with nothing in it

        def all_there():
            try:
                return region.fleet_figures().total
            except BackendError:
                return None

        wait_until(lambda: (told := all_there()) and told.misses == 6)
        assert region.figures().backend_failures
        assert all_there().degraded_for > 0
        assert 0 < region.ping() < 5

    @pytest.mark.parametrize("every", [0, -1, "5", True, float("nan")])
    def test_wrong_intervals(self, every):
        """An interval is a span of time."""
        with pytest.raises(ConfigurationError, match="figures_every"):
            make_region().configure("holdover.memory", figures_every=every)

    def test_from_a_file(self):
        """It is written as all spans are."""
        region = make_region("text").configure("memory://?figures_every=2.5")
        assert region._rules.figures_every == 2.5

    def test_dogpile_s_backends(self):
        """They cannot share figures, and say so at once."""
        region = make_region("theirs")
        with pytest.raises(ConfigurationError, match="cannot share figures"):
            region.configure("dogpile.cache.memory", figures_every=10)
        assert not region.is_configured
        region.configure("dogpile.cache.memory")
        with pytest.raises(ConfigurationError, match="cannot share figures"):
            region.fleet_figures()
        with pytest.raises(ConfigurationError):
            region.ping()


# -- processes -----------------------------------------------------------------


@pytest.fixture(params=["redis", "file", "sqlite"])
def url(request, tmp_path):
    """Where a fleet keeps its values."""
    if request.param == "redis":
        return request.getfixturevalue("redis_server").url
    if request.param == "file":
        return f"file://{tmp_path}/cache"
    return f"sqlite:///{tmp_path}/cache.db?operation_timeout=5.0"


def test_processes_and_one_is_killed(url):
    """Three processes' figures are summed up right, also those of a killed one."""
    script = Path(counted_shop.__file__)
    command = [sys.executable, script, url, "1000"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    fleet = [subprocess.Popen(command, **pipes) for _ in range(3)]
    shop = counted_shop.configured(url)
    try:
        for process in fleet:
            assert "asked\n" == process.stdout.readline()
        wait_until(lambda: shop.fleet_figures().total.lookups == 3000)
        told = shop.fleet_figures()
        assert {one.pid for one in fleet} == {one.pid for one in told.processes}
        killed, *living = fleet
        killed.kill()
        killed.wait()
        for process in living:
            process.stdin.write("again\n")
            process.stdin.flush()
        wait_until(lambda: shop.fleet_figures().total.lookups == 5000)
        silent = wait_until(lambda: shop.fleet_figures().silent)
        assert killed.pid in {one.pid for one in silent}
        told = shop.fleet_figures().total
        assert 1 == told.created.count
        assert 5000 == told.hits + told.misses
        assert 1 <= told.misses <= 3  # those who waited for the one that created
    finally:
        for process in fleet:
            process.kill()
            process.communicate()
