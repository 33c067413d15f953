"""One creator, however many ask; and nobody who has an old value waits."""

import multiprocessing
import threading
import time

import pytest
from waiting import PATIENCE, wait_until, wait_until_joined

from holdover import LeaseTerms, make_region

pytestmark = pytest.mark.alone  # how soon crowds of them leave is measured

THREADS = 32
PROCESSES = 8
DATABASES = ("sqlite", "postgres", "mariadb")
FORK = multiprocessing.get_context("fork")


def at_once(count, ask):
    """Have *count* threads ask at the same moment; give what each got, and when."""
    answers = []
    barrier = threading.Barrier(count)

    def run():
        barrier.wait()
        started = time.perf_counter()
        value = ask()
        ended = time.perf_counter()
        answers.append((value, ended - started, ended))

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


class Creator:
    """Takes a while, and notes when it ran."""

    def __init__(self, cost=0.2):
        self.cost = cost
        self.runs = 0
        self.ended = 0.0

    def __call__(self):
        self.runs += 1
        time.sleep(self.cost)
        self.ended = time.perf_counter()
        return self.runs


def arguments_for(name, request):
    """Give the arguments of a backend, starting what it needs."""
    if name == "redis":
        return {"url": request.getfixturevalue("redis_server").url}
    if name == "memcached":
        servers = request.getfixturevalue("memcached_servers")
        return {"url": [server.url for server in servers]}
    if name in ("postgres", "mariadb"):
        url = request.getfixturevalue(name).url
        # Few connections: 32 new ones at once take longer than the creator.
        patience = {"operation_timeout": 5.0, "connect_timeout": 10.0}
        return {"url": url, "create_table": True, "max_connections": 4, **patience}
    if name == "sqlite":
        return {"url": f"sqlite:///{request.getfixturevalue('tmp_path')}/cache.db"}
    if name == "file":
        return {"path": request.getfixturevalue("tmp_path") / "cache"}
    return {}


def maker(name, request):
    """Give what makes regions on a backend."""
    arguments = arguments_for(name, request)
    backend = "sql" if name in DATABASES else name

    def make(**settings):
        region = make_region("herd")
        settings = {"unsigned_pickle": True, **settings}
        return region.configure(f"holdover.{backend}", 60, arguments, **settings)

    return make


@pytest.fixture(params=["memory", "file", "redis", "memcached", *DATABASES])
def region(request):
    """Make a region on each backend in turn."""
    return maker(request.param, request)


@pytest.fixture(params=["file", "redis", "memcached", *DATABASES])
def shared_region(request):
    """Make a region on each backend in turn that processes can share."""
    return maker(request.param, request)


def test_cold_threads_get_one_creation(region):
    """32 threads without a value: one creates, all get its value."""
    shared, creator = region(), Creator()
    answers = at_once(THREADS, lambda: shared.get_or_create("k", creator))
    assert creator.runs == 1
    assert {value for value, _, _ in answers} == {1}


@pytest.mark.parametrize("runner", [None, "thread"])
def test_a_stale_herd_is_served_and_refreshed_once(region, runner):
    """32 threads with an old value: it is refreshed once; with a runner, behind all."""
    shared, others = region(runner=runner), THREADS if runner else THREADS - 1
    runs, served = [], threading.Semaphore(0)

    def create():
        runs.append(1)
        if len(runs) > 1:
            for _ in range(others):
                served.acquire(timeout=PATIENCE)
        return len(runs)

    def ask():
        value = shared.get_or_create("k", create)
        served.release()
        return value

    shared.get_or_create("k", create)
    shared.invalidate(hard=False)
    answers = at_once(THREADS, ask)
    assert [value for value, _, _ in answers].count(1) == others
    wait_until(lambda: not shared.key_is_locked("k"))
    assert len(runs) == 2
    assert shared.get("k") == 2


def test_a_failing_creator_runs_once_per_flight(region):
    """32 threads whose creator fails get that one failure, not a queue of them."""
    shared = region()
    runs = []

    def fail():
        runs.append(1)
        wait_until_joined(THREADS - 1)
        raise ZeroDivisionError("no")

    def ask():
        with pytest.raises(ZeroDivisionError, match="no"):
            shared.get_or_create("k", fail)

    at_once(THREADS, ask)
    assert len(runs) == 1


def in_processes(ask):
    """Have eight forked processes ask at the same moment; give their answers."""
    results = FORK.Queue()
    barrier = FORK.Barrier(PROCESSES)

    def run():
        barrier.wait()
        results.put(ask())

    processes = [FORK.Process(target=run) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    answers = [results.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    return answers


def test_cold_processes_get_one_creation(shared_region):
    """Eight processes without a value: one creates, all get its value."""
    runs = FORK.Value("i", 0)

    def create():
        with runs.get_lock():
            runs.value += 1
        time.sleep(0.2)
        return "made"

    def ask():
        return shared_region().get_or_create("k", create)

    assert in_processes(ask) == ["made"] * PROCESSES
    assert runs.value == 1


def test_a_stale_herd_of_processes_is_refreshed_once(shared_region):
    """Eight processes with an old value: one creates, seven are served meanwhile."""
    runs, served = FORK.Value("i", 0), FORK.Semaphore(0)

    def create():
        with runs.get_lock():
            runs.value += 1
            mine = runs.value
        if mine == 2:
            for _ in range(PROCESSES - 1):
                served.acquire(timeout=20)
        return mine

    shared = shared_region()
    shared.get_or_create("k", create)
    shared.invalidate(hard=False)

    def ask():
        answer = shared_region().get_or_create("k", create)
        served.release()
        return answer

    assert sorted(in_processes(ask)) == [1] * (PROCESSES - 1) + [2]
    assert runs.value == 2


def test_waiters_do_not_wait_for_ever(region):
    """A waiter whose time is over creates a value of his own, once per process."""
    shared = region(lease=LeaseTerms(wait=0.1))
    hold, creating = threading.Event(), threading.Event()

    def never():
        creating.set()
        hold.wait(30)
        return "late"

    holder = threading.Thread(target=shared.get_or_create, args=("k", never))
    holder.start()
    creating.wait(20)
    runs = []

    def own():
        runs.append(1)
        wait_until_joined(7)
        return len(runs)

    answers = at_once(8, lambda: shared.get_or_create("k", own))
    assert {value for value, _, _ in answers} == {1}
    assert runs == [1]
    hold.set()
    holder.join()
    assert shared.get("k") == "late"
