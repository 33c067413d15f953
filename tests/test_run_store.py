"""Histories that are kept in a store of somebody else's, and what if that fails."""

import threading

import pytest

from holdover import (
    NO_VALUE,
    KeptRun,
    RunStore,
    Scheduler,
    clear_up_after_work,
    errors,
    events,
    keep_runs_in,
    make_region,
)
from holdover.regions import clearing, run_history
from holdover.regions.recording import _Elsewhere


class Ledger(RunStore):
    """A store that is a list."""

    secret = "of the store, and long"

    def __init__(self):
        self.kept = []
        self.error = None
        self.waits_for = threading.Event()
        self.waits_for.set()
        self.is_mine = False
        self.threads = []

    def add(self, run, payload, keep):
        """Keep it, if we are asked to."""
        self.threads.append(threading.current_thread())
        self.waits_for.wait(20)
        self.check()
        self.kept.insert(0, KeptRun(run, payload))
        del self.kept[keep:]

    def newest(self, region, name):
        """Give the newest good payload."""
        good = (one.payload for one in self.runs(region, name) if not one.run.error)
        return next(good, None)

    def runs(self, region, name):
        """Give those of one schedule."""
        self.check()
        return [
            one for one in self.kept if (one.run.region, one.run.name) == (region, name)
        ]

    def check(self):
        """Fail, if we are told to."""
        if self.error:
            raise self.error

    def needs_this_thread(self):
        """Say what we are told to."""
        return self.is_mine


@pytest.fixture
def ledger():
    """A store."""
    return Ledger()


def region_in(store, **settings):
    """Make a region that keeps its runs in *store*."""
    region = make_region("jobs")
    return region.configure("holdover.memory", 60, history_backend=store, **settings)


def test_runs_are_kept_in_it(ledger):
    """What the store holds is what the region tells."""
    region = region_in(ledger)
    region.schedule(lambda: {"EUR": 1}, every=60, name="rates")
    [run] = Scheduler(region).run_once()
    assert [run] == region.history("rates")
    assert {"EUR": 1} == run.value == region.value_of("rates")
    assert [{"EUR": 1}] == [one.run.value for one in ledger.kept]


def test_values_are_signed(ledger):
    """By the region's secret, or the store's; what is signed by others is no value."""
    region = region_in(ledger, secret="of the region, and long")
    region.schedule(lambda: 5, every=60, name="five")
    Scheduler(region).run_once()
    assert 5 == region.value_of("five")
    other = region_in(ledger)
    other.schedule(lambda: 5, every=60, name="five")
    assert other.value_of("five") is NO_VALUE
    assert [NO_VALUE] == [one.value for one in other.history("five")]


def test_a_value_of_another_schedule_s_is_none(ledger):
    """A payload that is put in place of another's is not taken for its own."""
    region = region_in(ledger)
    for number in (1, 2):
        region.schedule(lambda n=number: n, every=60, name=f"number {number}")
    Scheduler(region, threads=0).run_once()
    one, two = ledger.kept
    ledger.kept[:] = [KeptRun(one.run, two.payload)]
    assert region.value_of(one.run.name) is NO_VALUE


def test_a_value_that_cannot_be_encoded(ledger):
    """It is a failed run, as everywhere."""
    region = region_in(ledger, history_codec="json")
    region.schedule(lambda: {5}, every=60, name="odd")
    [run] = Scheduler(region).run_once()
    assert "UncacheableValue" in run.error
    assert [run.error] == [one.run.error for one in ledger.kept]


def test_unsigned_values_are_bytes(ledger, monkeypatch):
    """Also those of a region whose backend keeps objects."""
    monkeypatch.setattr(Ledger, "secret", None)
    region = region_in(ledger, codec="json")
    region.schedule(lambda: [5], every=60, name="five")
    Scheduler(region).run_once()
    assert isinstance(ledger.kept[0].payload, bytes)
    assert [5] == region.value_of("five")


def test_a_broken_store_stops_nothing(ledger, heard):
    """The run is carried out; that it was not kept is told."""
    region = region_in(ledger)
    told, ran = heard(region), []
    region.schedule(lambda: ran.append(1), every=60, name="work")
    ledger.error = errors.BackendError("the database is away")
    [run] = Scheduler(region).run_once()
    assert ran
    assert not run.has_failed
    assert any("the database is away" in getattr(one, "reason", "") for one in told)
    assert region.value_of("work") is NO_VALUE
    with pytest.raises(errors.BackendError):
        region.history("work")


def test_a_store_that_hangs(ledger, heard, monkeypatch):
    """It is waited for no longer than a few seconds."""
    monkeypatch.setattr(run_history, "_LONGEST", 0.05)
    region = region_in(ledger)
    told = heard(region)
    region.schedule(lambda: 5, every=60, name="work")
    ledger.waits_for.clear()
    [run] = Scheduler(region).run_once()
    ledger.waits_for.set()
    assert 5 == run.value
    failed = [one for one in told if isinstance(one, events.BackendFailed)]
    assert any("takes longer than 0.05 s" in one.reason for one in failed)


@pytest.mark.parametrize("is_mine", [True, False])
def test_the_thread_that_asks(ledger, is_mine):
    """A store that is in a transaction of the asking thread's is asked there."""
    ledger.is_mine = is_mine
    region = region_in(ledger)
    region.schedule(lambda: 5, every=60, name="work")
    Scheduler(region, threads=0).run_once()
    assert is_mine == (ledger.threads == [threading.current_thread()])


def test_the_doctor_asks_it(ledger):
    """Whether runs can be kept is one of its findings."""
    region = region_in(ledger)
    region.schedule(lambda: 5, every=60, name="work")

    def found():
        [one] = [one for one in region.diagnose(timeout=5) if one.check == "history"]
        return one

    assert "Ledger keeps the last runs" == found().found
    ledger.error = errors.BackendError("no such table")
    assert "Ledger: no such table" == found().found


class TestForTheWholeProcess:
    @pytest.fixture(autouse=True)
    def _as_before(self, monkeypatch):
        monkeypatch.setattr(_Elsewhere, "store", None)

    def test_regions_that_say_nothing(self, ledger, tmp_path):
        """Their runs go there; those of others where they say."""
        keep_runs_in(ledger)
        plain = region_in(None)
        other = region_in(f"sqlite:///{tmp_path}/history.db", unsigned_pickle=True)
        for number, region in enumerate((plain, other)):
            region.schedule(lambda n=number: n, every=60, name="work")
            Scheduler(region).run_once()
            assert number == region.value_of("work")
        assert [0] == [one.run.value for one in ledger.kept]

    def test_a_backend_that_evicts(self, ledger, tmp_path):
        """It needs no other history_backend then."""
        keep_runs_in(ledger)
        region = make_region("jobs")
        region.configure("holdover.dbm", 60, {"filename": str(tmp_path / "x.dbm")})
        region.schedule(lambda: 5, every=60, name="work")
        Scheduler(region).run_once()
        assert 5 == region.value_of("work")

    def test_what_is_no_store(self):
        """It is refused at once."""
        with pytest.raises(errors.ConfigurationError, match="takes a RunStore, got"):
            keep_runs_in("postgresql://")
        with pytest.raises(errors.ConfigurationError, match="or a RunStore, got"):
            region_in(5)


class TestClearingUp:
    @pytest.fixture(autouse=True)
    def _as_before(self, monkeypatch):
        monkeypatch.setattr(clearing, "_wanted", [])

    @pytest.mark.parametrize("fails", [True, False])
    def test_after_each_run(self, fails):
        """In the thread that ran it, before anybody hears how it went."""
        seen = threading.local()
        cleared = []

        def work():
            seen.connection = "open"
            if fails:
                raise ValueError

        def clear():
            cleared.append(getattr(seen, "connection", None))

        clear_up_after_work(clear)
        clear_up_after_work(clear)
        region = make_region("jobs").configure("holdover.memory", 60)
        region.schedule(work, every=60, name="work")
        Scheduler(region, threads=0).run_once()
        assert ["open"] == cleared

    def test_what_it_raises(self, caplog):
        """It is logged, and changes nothing."""

        def clear():
            raise OSError("no such file")

        clear_up_after_work(clear)
        region = make_region("jobs").configure("holdover.memory", 60)
        region.schedule(lambda: 5, every=60, name="work")
        [run] = Scheduler(region, threads=1).run_once()
        assert 5 == run.value
        assert "clearing up after work failed" in caplog.text
