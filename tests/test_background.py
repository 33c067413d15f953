"""Work behind the caller's back: bounded, lazy, and nobody's trouble when it fails."""

import logging
import queue
import subprocess
import sys
import threading

import pytest

from holdover.regions.background import Pool

SOON = 20.0  # seconds: longer than any of these waits should take


@pytest.fixture
def new_pool():
    """Make a pool."""

    def make(threads=2, backlog=10):
        return Pool("test-pool", threads=threads, backlog=backlog)

    return make


class Blocking:
    """Work that says when it begins, and ends when it is told to."""

    def __init__(self):
        self.begun = threading.Event()
        self.may_end = threading.Event()

    def __call__(self):
        self.begun.set()
        assert self.may_end.wait(SOON)


def pool_threads():
    """Count the threads of the pools of this file."""
    return sum(thread.name == "test-pool" for thread in threading.enumerate())


def test_work_is_done(new_pool):
    """All that was taken on is done, once each."""
    pool, done = new_pool(), queue.Queue()
    for number in range(10):
        while not pool.submit(lambda number=number: done.put(number)):
            pass
    assert list(range(10)) == sorted(done.get(timeout=SOON) for _ in range(10))
    assert done.empty()


def test_one_thread_keeps_the_order(new_pool):
    """With one thread, work is done in the order in which it came."""
    pool, done = new_pool(threads=1, backlog=100), queue.Queue()
    for number in range(100):
        assert pool.submit(lambda number=number: done.put(number))
    assert list(range(100)) == [done.get(timeout=SOON) for _ in range(100)]


def test_no_thread_before_there_is_work(new_pool):
    """A pool that is never used costs no thread."""
    before = pool_threads()
    pool = new_pool()
    assert pool_threads() == before
    assert pool.waiting() == 0


def test_threads_are_few(new_pool):
    """However much waits, no more threads run than were allowed."""
    pool, before = new_pool(threads=2), pool_threads()
    work = [Blocking() for _ in range(5)]
    assert all(map(pool.submit, work))
    assert work[0].begun.wait(SOON)
    assert work[1].begun.wait(SOON)
    assert pool_threads() == before + 2
    assert pool.waiting() == 3
    assert not work[2].begun.is_set()
    for piece in work:
        piece.may_end.set()
    assert work[4].begun.wait(SOON)


def test_an_idle_thread_is_used_again(new_pool):
    """No thread is started while one has nothing to do."""
    pool, before = new_pool(threads=4), pool_threads()
    for _ in range(20):
        done = threading.Event()
        assert pool.submit(done.set)
        assert done.wait(SOON)
        while pool._unfinished:
            pass
    assert pool_threads() == before + 1


def test_the_backlog_is_bounded(new_pool):
    """What is too much is refused at once."""
    pool, first = new_pool(threads=1, backlog=2), Blocking()
    assert pool.submit(first)
    assert first.begun.wait(SOON)
    assert [pool.submit(lambda: None) for _ in range(3)] == [True, True, False]
    first.may_end.set()


def test_free_threads_do_not_stand_by(new_pool):
    """Work that comes just as an idle thread takes other work is not left waiting."""
    for _ in range(50):
        pool, first, second = new_pool(threads=2), Blocking(), Blocking()
        ready = threading.Event()
        pool.submit(ready.set)
        assert ready.wait(SOON)
        pool.submit(first)
        pool.submit(second)
        assert second.begun.wait(SOON)
        assert first.begun.wait(SOON)
        first.may_end.set()
        second.may_end.set()


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt])
def test_a_failure_ends_no_thread(new_pool, caplog, error):
    """Work that raises is logged, and the next is done by the same thread."""
    pool, done, before = new_pool(threads=1), threading.Event(), pool_threads()

    def fail():
        raise error("mine")

    with caplog.at_level(logging.ERROR, "holdover"):
        assert pool.submit(fail)
        assert pool.submit(done.set)
        assert done.wait(SOON)
    assert pool_threads() == before + 1
    assert "unexpected error" in caplog.text


def test_threads_are_daemons(new_pool):
    """No work keeps a process from ending."""
    pool, work = new_pool(), Blocking()
    pool.submit(work)
    assert work.begun.wait(SOON)
    assert all(t.daemon for t in threading.enumerate() if t.name == "test-pool")
    work.may_end.set()


def test_no_thread_to_be_had(new_pool, monkeypatch):
    """Where no thread can be started, work is refused; later ones may start again."""
    pool, done = new_pool(threads=1), threading.Event()

    def refuse(self):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as context:
        context.setattr(threading.Thread, "start", refuse)
        assert not pool.submit(lambda: None)
    assert pool.submit(done.set)
    assert done.wait(SOON)


def test_refused_work_is_not_done_all_the_same(new_pool, monkeypatch):
    """Whoever is told no will do it in another way; it must not be done twice."""
    pool, runs, done = new_pool(threads=1), [], threading.Event()

    def refuse(self):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as context:
        context.setattr(threading.Thread, "start", refuse)
        assert not pool.submit(lambda: runs.append("twice"))
    assert pool.submit(done.set)
    assert done.wait(SOON)
    assert runs == []


FORKED = """
import os, signal, sys, threading
from holdover.regions.background import Pool
pool = Pool("p", threads=1, backlog=10)
begun, end, ran = threading.Event(), threading.Event(), []
pool.submit(lambda: (begun.set(), end.wait()))
begun.wait()
pool.submit(lambda: ran.append("parent's"))
pool._lock.acquire()
child = os.fork()
if child == 0:
    signal.alarm(30)
    assert pool.waiting() == 0
    done = threading.Event()
    assert pool.submit(done.set)
    assert done.wait(20)
    assert ran == []
    os._exit(0)
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
pool._lock.release()
end.set()
done = threading.Event()
pool.submit(done.set)
assert done.wait(20)
assert ran == ["parent's"]
sys.exit(status)
"""


def test_a_fork_begins_anew():
    """A child has its own threads and queue; what waited is done by the parent."""
    done = subprocess.run([sys.executable, "-c", FORKED], timeout=60, check=False)
    assert done.returncode == 0
