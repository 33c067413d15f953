"""Creators that die, hang or are overtaken, and forks in the middle of it."""

import multiprocessing
import os
import signal
import threading
import time

import pytest
from waiting import PATIENCE, wait_until

from holdover import LeaseTerms, make_region

FORK = multiprocessing.get_context("fork")
TTL = 2.0
TERMS = LeaseTerms(ttl=TTL, wait=20.0)


def file_region(path, **settings):
    """Configure a region on files, with short leases."""
    settings.setdefault("lease", TERMS)
    return make_region("faults").configure(
        "holdover.file", 60, {"path": path}, **settings
    )


@pytest.fixture
def start_doomed(tmp_path):
    """Start a process that creates "k" and never ends by itself; give its pid."""
    started = FORK.Event()
    processes = []

    def run(ttl):
        def never():
            started.set()
            time.sleep(60)

        terms = LeaseTerms(ttl=ttl)
        file_region(tmp_path / "cache", lease=terms).get_or_create("k", never)

    def start(ttl=TTL):
        process = FORK.Process(target=run, args=(ttl,), daemon=True)
        processes.append(process)
        process.start()
        assert started.wait(PATIENCE)
        return process.pid

    yield start
    for process in processes:
        process.kill()
        process.join()


def test_a_killed_creator_is_replaced(tmp_path, start_doomed):
    """After SIGKILL the next creator starts within the lease's ttl and one poll."""
    shared, doomed = file_region(tmp_path / "cache"), start_doomed()
    assert shared.key_is_locked("k")
    os.kill(doomed, signal.SIGKILL)
    killed = time.monotonic()
    began = []

    def create():
        began.append(time.monotonic() - killed)
        return "next"

    assert shared.get_or_create("k", create) == "next"
    # Renewed at most a moment before the kill; the rest is a poll on a busy machine.
    assert began[0] <= TTL + 5.0  # whoever does not see that it lapsed waits for 20 s


def test_stale_is_served_while_nobody_creates(tmp_path, start_doomed):
    """While a dead creator's lease has not lapsed, the old value is served at once."""
    shared = file_region(tmp_path / "cache")
    shared.set("k", "old")
    shared.invalidate(hard=False)
    os.kill(start_doomed(ttl=20.0), signal.SIGKILL)
    asked = time.monotonic()
    assert shared.get_or_create("k", lambda: "new") == "old"
    assert time.monotonic() - asked < 5.0


def test_a_stopped_creator_is_refused(tmp_path):
    """A creator stopped for longer than its lease does not overwrite its successor."""
    results = FORK.Queue()
    started, go_on = FORK.Event(), FORK.Event()

    def run():
        def slow():
            started.set()
            go_on.wait(PATIENCE)  # in which it is stopped
            return "late"

        results.put(file_region(tmp_path / "cache").get_or_create("k", slow))

    process = FORK.Process(target=run)
    process.start()
    assert started.wait(PATIENCE)
    os.kill(process.pid, signal.SIGSTOP)
    shared = file_region(tmp_path / "cache")
    assert shared.get_or_create("k", lambda: "next") == "next"
    os.kill(process.pid, signal.SIGCONT)
    go_on.set()
    assert results.get(timeout=PATIENCE) == "late"
    process.join()
    assert shared.get("k") == "next"


def test_a_long_creator_keeps_its_lease(tmp_path):
    """A living creator may take much longer than the ttl: its lease is renewed."""
    terms = LeaseTerms(ttl=1.5)
    shared = file_region(tmp_path / "cache", lease=terms)
    runs = []

    def create():
        runs.append(1)
        time.sleep(2 * terms.ttl)
        return "made"

    other = file_region(tmp_path / "cache", lease=terms)
    thread = threading.Thread(target=shared.get_or_create, args=("k", create))
    thread.start()
    wait_until(lambda: runs)
    assert other.get_or_create("k", create) == "made"
    thread.join()
    assert len(runs) == 1


def test_a_base_exception_is_the_owners_alone(tmp_path):
    """Ctrl-C in one creator ends that call; those who waited elect another."""
    shared = file_region(tmp_path / "cache")
    creating, go_on = threading.Event(), threading.Event()
    outcomes = []

    def interrupted():
        creating.set()
        go_on.wait(PATIENCE)
        raise KeyboardInterrupt

    def owner():
        try:
            shared.get_or_create("k", interrupted)
        except KeyboardInterrupt:
            outcomes.append("interrupted")

    def waiter():
        outcomes.append(shared.get_or_create("k", lambda: "mine"))

    first = threading.Thread(target=owner)
    first.start()
    creating.wait(PATIENCE)
    second = threading.Thread(target=waiter)
    second.start()
    time.sleep(0.05)  # let it join the flight; joining later is right, too
    go_on.set()
    first.join()
    second.join()
    assert sorted(outcomes) == ["interrupted", "mine"]


def test_two_keys_that_need_each_other(tmp_path):
    """Threads that create A from B and B from A do not wait for each other."""
    shared = file_region(tmp_path / "cache", lease=LeaseTerms(wait=20.0))
    both = threading.Barrier(2)

    def create(mine, other):
        both.wait()
        return mine + shared.get_or_create(other, other.lower)

    answers = {}

    def run(mine, other):
        answers[mine] = shared.get_or_create(mine, lambda: create(mine, other))

    threads = [
        threading.Thread(target=run, args=pair) for pair in (("A", "B"), ("B", "A"))
    ]
    asked = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.monotonic() - asked < 10.0
    assert set(answers) == {"A", "B"}


def test_the_child_of_a_fork_is_not_held_up(tmp_path):
    """A fork while threads create leaves nothing locked or awaited in the child."""
    regions = [
        file_region(tmp_path / "cache", runner="thread"),
        make_region("memory").configure("holdover.memory", 60, runner="thread"),
    ]
    creating, go_on = threading.Event(), threading.Event()

    def slow():
        creating.set()
        go_on.wait(30)
        return "parent's"

    threads = []
    for shared in regions:
        creating.clear()
        thread = threading.Thread(target=shared.get_or_create, args=("k", slow))
        thread.start()
        threads.append(thread)
        assert creating.wait(PATIENCE)
    results = FORK.Queue()

    def child():
        # The file's lease is the parent's, who lives: that key is not asked for.
        answers = [regions[0].get_or_create("other", lambda: "child's")]
        answers.append(regions[1].get_or_create("k", lambda: "child's"))
        regions[1].invalidate(hard=False)
        answers.append(regions[1].get_or_create("k", lambda: "refreshed"))
        deadline = time.monotonic() + PATIENCE
        while regions[1].get("k") != "refreshed" and time.monotonic() < deadline:
            time.sleep(0.01)
        answers.append(regions[1].get("k"))
        results.put(answers)

    process = FORK.Process(target=child)
    process.start()
    expected = ["child's", "child's", "child's", "refreshed"]
    assert results.get(timeout=2 * PATIENCE) == expected
    process.join()
    go_on.set()
    for thread in threads:
        thread.join()
