"""The embedded scheduler: alone, beside others, with and without threads."""

import collections
import os
import threading

import pytest
from standins import UnservedQueue
from test_due import next_by_celery
from waiting import at_once, wait_until

from holdover import Scheduler, errors, events, make_region
from holdover.regions.backends.memory import MemoryBackend
from holdover.regions.worker import carry_out

SPANS = (60, 90, 300, 420, 900, 3600)
CRONS = ("*/3 * * * *", "7,37 * * * *", "0 */2 * * *", "*/20 1-4 * * mon-fri")
JOBS = 200


@pytest.fixture
def memory(clock):
    """A region in memory, on the fake clock."""
    region = make_region("jobs", time_source=clock)
    return region.configure("holdover.memory", 60, {"time_source": clock})


def due_of(number):
    """Say when a job is due: three of four by a span, the others by cron."""
    if number % 4:
        return {"every": SPANS[number % len(SPANS)]}
    return {"cron": CRONS[number // 4 % len(CRONS)]}


def expected(number, begin, end):
    """Give the slots that a job has to run, by other ways than ours."""
    due = due_of(number)
    if "every" in due:
        first = begin // due["every"] * due["every"]  # due when it is new
        return {*range(int(first), int(end) + 1, due["every"])}
    found, at = set(), begin
    while (at := next_by_celery(due["cron"], at)) <= end:
        found.add(at)
    return found


class Host:
    """A scheduler with its own region and declarations, as each host has them."""

    def __init__(self, backend, clock):
        self.region = make_region("jobs", time_source=clock)
        self.region.configure(backend, 60)
        self.ran = collections.Counter()
        self.calls = collections.Counter()
        self.next_at = clock.wall()
        for number in range(JOBS):
            self.region.schedule(
                lambda n=number: self.calls.update([n]),
                name=str(number),
                **due_of(number),
            )
        self.region.listen(self.heard)
        self.scheduler = Scheduler(self.region, threads=0, time_source=clock)

    def heard(self, event):
        """Count the slots that were run here."""
        if isinstance(event, events.RunEnded):
            self.ran[int(event.key), event.slot_at] += 1

    def begin_due(self):
        """Begin what is due."""
        self.next_at = self.scheduler.begin_due()


@pytest.mark.timeout(900)  # a second for a simulated hour, on a quiet machine
@pytest.mark.parametrize("hours", [1, pytest.param(24, marks=pytest.mark.slow)])
def test_two_schedulers_run_each_slot_once(clock, hours):
    """Over simulated hours, of 200 jobs: no due run is left out, none is doubled."""
    begin = 1_000_000_020.0  # no slot of most
    clock.set_wall(begin)
    hosts = [Host(MemoryBackend({"time_source": clock}), clock)]
    hosts.append(Host(hosts[0].region.backend, clock))
    while clock.wall() <= begin + hours * 3600.0:
        at_once(*(host.begin_due for host in hosts))
        soonest = min(host.next_at for host in hosts)
        clock.advance(max(soonest - clock.wall(), 0.5))
    at_once(*(host.begin_due for host in hosts))
    ran = hosts[0].ran + hosts[1].ran
    wanted = {
        (number, slot)
        for number in range(JOBS)
        for slot in expected(number, begin, clock.wall())
    }
    assert wanted == set(ran)
    assert {1} == set(ran.values())
    assert ran.total() == (hosts[0].calls + hosts[1].calls).total()
    assert all(host.ran.total() > ran.total() / 10 for host in hosts)


class TestRunOnce:
    @pytest.mark.parametrize("threads", [0, 3])
    def test_it_waits_for_what_it_began(self, memory, clock, threads):
        """For crontab: it runs what is due, and gives the runs when all have ended."""
        for number in range(8):
            memory.schedule(lambda n=number: n, every=15, name=f"job {number}")
        memory.schedule(lambda: 5, cron="0 3 * * *", name="at night")
        once = Scheduler(memory, threads=threads, time_source=clock)
        assert {*range(8)} == {run.value for run in once.run_once()}
        assert [] == once.run_once()

    def test_missed_slots_are_caught_up_once(self, memory, clock):
        """A job of the night that was missed runs as soon as somebody looks, once."""
        runs = []
        memory.schedule(lambda: runs.append(1), cron="0 3 * * *", name="at night")
        Scheduler(memory, time_source=clock).run_once()
        assert [] == runs
        clock.advance(5 * 86_400.0)
        for _ in range(3):
            Scheduler(memory, time_source=clock).run_once()
        assert [1] == runs

    def test_only_some(self, memory, clock):
        """Those that are named, and no others; a name that there is not is told."""
        for name in ("one", "two"):
            memory.schedule(lambda who=name: who, every=15, name=name)
        [run] = Scheduler(memory, names=["two"], time_source=clock).run_once()
        assert "two" == run.value
        with pytest.raises(errors.UnknownSchedule, match="Did you mean 'two'"):
            Scheduler(memory, names=["tow"])

    def test_no_threads_to_be_had(self, memory, clock, monkeypatch):
        """Under a server without threads, all is run by the caller's own."""

        def none(*_):
            raise RuntimeError("can't start new thread")

        who = []
        memory.schedule(lambda: who.append(threading.get_ident()), every=15, name="who")
        monkeypatch.setattr(threading.Thread, "start", none)
        Scheduler(memory, time_source=clock).run_once()
        assert [threading.get_ident()] == who


@pytest.mark.parametrize("threads", [-1, 1.5, "4", True, None])
def test_no_number_of_threads(memory, threads):
    """It is told in the user's words."""
    with pytest.raises(errors.ConfigurationError, match="threads must be an int of 0"):
        Scheduler(memory, threads=threads)


class TestInAThread:
    @pytest.fixture
    def region(self):
        """A region in memory, on the clock of this host."""
        return make_region("jobs").configure("holdover.memory", 60)

    def test_it_runs_until_it_is_stopped(self, region):
        """What is declared later is run, too; what was stopped begins nothing."""
        runs = []
        region.schedule(lambda: runs.append(1), every=0.05, name="often")
        running = Scheduler(region)
        running.start()
        running.start()
        names = [one.name for one in threading.enumerate()]
        assert 1 == names.count("holdover-scheduler")
        wait_until(lambda: len(runs) >= 3, "a third run")
        assert running.stop(wait=20.0)
        wait_until(lambda: not running._thread.is_alive(), "the thread's end")

    def test_no_thread_before_it_is_started(self, region):
        """Declaring and making a scheduler start nothing."""
        before = set(threading.enumerate())
        region.schedule(lambda: 5, every=15, name="five")
        Scheduler(region)
        assert before == set(threading.enumerate())

    def test_a_run_does_not_keep_others_waiting(self, region):
        """With threads, a long run is no trouble to short ones."""
        may_end = threading.Event()
        runs = []
        region.schedule(lambda: may_end.wait(20.0), every=3600, name="long")
        region.schedule(lambda: runs.append(1), every=0.05, name="short")
        running = Scheduler(region, threads=2)
        running.start()
        wait_until(lambda: len(runs) >= 3, "a third run")
        assert not running.stop()
        may_end.set()
        assert running.stop(wait=20.0)
        assert region.value_of("long") is True

    def test_stop_does_not_wait_for_ever(self, region):
        """What does not end within the wait goes on; the caller is told."""
        begun, may_end = threading.Event(), threading.Event()

        def hang():
            begun.set()
            may_end.wait(20.0)

        region.schedule(hang, every=3600, name="hang")
        running = Scheduler(region)
        running.start()
        assert begun.wait(20.0)
        assert not running.stop(wait=0.05)
        may_end.set()

    def test_a_fork_s_child_runs_nothing(self, region):
        """It has no thread and nothing under way, until it starts its own."""
        runs = []
        region.schedule(lambda: runs.append(1), every=0.05, name="often")
        running = Scheduler(region)
        running.start()
        wait_until(lambda: runs, "a run")
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                inherited = running._thread is None and not running._under_way
                count = len(runs)
                running.start()
                wait_until(lambda: len(runs) > count, "a run in the child")
                os.write(writer, b"yes" if inherited else b"no")
            finally:
                os._exit(0)
        running.stop(wait=20.0)
        os.close(writer)
        with os.fdopen(reader) as told:
            assert "yes" == told.read()
        os.waitpid(child, 0)

    def test_a_mistake_is_not_the_others_trouble(self, region, monkeypatch):
        """One schedule that cannot be looked after leaves the others in peace."""
        region.schedule(lambda: 5, every=15, name="five")
        bad = region.schedule(lambda: 6, every=15, name="six")
        monkeypatch.setattr(type(bad.due), "latest", _latest_but(bad.due))
        done = Scheduler(region, threads=0).run_once()
        assert [5] == [run.value for run in done]


def _latest_but(due):
    """Make a method that fails for one due time."""
    latest = type(due).latest

    def method(self, now):
        if self is due:
            raise ZeroDivisionError
        return latest(self, now)

    return method


class TestByAQueue:
    @pytest.fixture
    def queue(self):
        """A queue whose orders wait to be fetched."""
        return UnservedQueue()

    @pytest.fixture
    def region(self, clock, queue):
        """A region whose refreshes go to that queue, on the fake clock."""
        region = make_region("queued jobs", time_source=clock)
        given = {"time_source": clock}
        return region.configure("holdover.memory", 60, given, runner=queue)

    def ordered(self, region, queue, clock):
        """Begin what is due; give the message."""
        Scheduler(region, threads=0, time_source=clock).begin_due()
        assert queue.arrived.wait(20.0)
        queue.arrived.clear()
        return queue.messages[-1]

    def test_a_worker_runs_it_once(self, region, queue, clock):
        """The order is data; of all its deliveries the first one counts."""
        runs = []
        region.schedule(lambda: runs.append(1), every=15, name="job")
        message = self.ordered(region, queue, clock)
        assert [] == runs
        clock.advance(2.0)
        outcome = carry_out(message)
        assert (outcome.done, outcome.lag) == (True, 2.0)
        assert "overtaken" == carry_out(message).reason
        assert [1] == runs
        assert 1 == len(region.history("job"))
        Scheduler(region, threads=0, time_source=clock).begin_due()
        assert 1 == len(queue.messages)

    def test_a_message_that_is_lost(self, region, queue, clock):
        """Its slot is ordered once more; the first message then comes too late."""
        runs = []
        region.schedule(lambda: runs.append(1), every=3600, name="job")
        first = self.ordered(region, queue, clock)
        clock.advance(31.0)
        second = self.ordered(region, queue, clock)
        assert "came too late" in carry_out(first).reason
        assert carry_out(second).done
        assert [1] == runs
        assert ["", "lost:"] == [run.error[:5] for run in region.history("job")]

    def test_a_failing_run(self, region, queue, clock):
        """The worker says so, and the scheduler backs off."""
        region.schedule(lambda: 1 / 0, every=3600, name="job")
        outcome = carry_out(self.ordered(region, queue, clock))
        assert not outcome.done
        assert "ZeroDivisionError" in outcome.reason

    @pytest.mark.parametrize(
        "change",
        [
            {"function": "%schedule:other"},
            {"args": []},
            {"args": ["x"]},
            {"token": "0" * 32},
            {"args": [5.0]},
        ],
    )
    def test_forged_orders(self, region, queue, clock, change):
        """A message can name neither another function nor another slot."""
        runs = []
        region.schedule(lambda: runs.append(1), every=15, name="job")
        message = self.ordered(region, queue, clock)
        assert not carry_out({**message, **change}).done
        assert [] == runs

    def test_no_runner_takes_it(self, region, queue, clock, monkeypatch):
        """It was never begun: it is tried again, and is no loss."""
        runs = []
        region.schedule(lambda: runs.append(1), every=3600, name="job")
        attendant = region._attendant()
        chain = attendant_chain(give_up="full")
        attendant.attend(region.schedules["job"], chain)
        assert [] == region.history("job")
        carry_out(self.ordered(region, queue, clock))
        assert [1] == runs
        assert [""] == [run.error for run in region.history("job")]

    def test_the_embedded_celery_worker(self):
        """With Celery's worker in the process, a schedule is run by it."""
        region = make_region("celery jobs").configure(
            "holdover.memory", 60, runner="celery"
        )
        region.schedule(lambda: threading.current_thread().name, every=3600, name="who")
        Scheduler(region, threads=0).begin_due()
        wait_until(lambda: region.history("who"), "a run")
        assert "holdover-creator" == region.value_of("who")


def attendant_chain(give_up):
    """Make a chain whose runners take nothing."""

    class Full:
        takes_orders = True

        def dispatch(self, _job, say):
            say(give_up)

    return Full()


def test_a_clock_that_was_far_ahead(memory, clock):
    """When it is right again, nothing waits for the time that it once was."""
    ran = []
    memory.schedule(lambda: ran.append(1), every=60, name="minutely")
    running = Scheduler(memory, threads=0, time_source=clock)
    right = clock.wall()
    clock.set_wall(right + 3e8)
    running.begin_due()
    clock.set_wall(right)
    for _ in range(3):
        running.begin_due()
        clock.advance(60.0)
    assert 4 == len(ran)
