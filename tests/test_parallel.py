"""Doing many things at once: what ends it, and what is left behind."""

import itertools
import threading

import pytest
from waiting import wait_until

from holdover.regions.parallel import Parallel


def are_gone():
    """Say whether no thread is left."""
    return not any(one.name == "holdover-parallel" for one in threading.enumerate())


@pytest.mark.parametrize("threads", [1, 8])
def test_all_is_done(threads):
    """Each thing once, and the end is the end."""
    work = Parallel(iter(range(500)), lambda number: number * 2, threads)
    assert sorted(work.results(None)) == [number * 2 for number in range(500)]
    assert work.has_taken_all
    wait_until(are_gone)


def test_nothing_to_do():
    """It ends at once."""
    assert list(Parallel(iter(()), str, 4).results(None)) == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_mistake_of_ours_hangs_nobody():
    """What raises after all ends its thread, and whoever listens goes on."""

    def numbers():
        yield 1
        raise RuntimeError

    work = Parallel(numbers(), str, 4)
    assert list(work.results(None)) == ["1"]
    assert not work.has_taken_all
    work = Parallel(iter([0, 1]), lambda number: 1 // number, 4)
    assert list(work.results(None)) == [1]
    wait_until(are_gone)


def test_somebody_listens_no_more():
    """Nothing more is taken or begun."""
    taken = itertools.count()
    work = Parallel(taken, str, 2)
    results = work.results(None)
    assert next(results) in {"0", "1"}
    results.close()
    wait_until(are_gone)
    assert next(taken) <= 1 + 2 * 2 + 1


def test_time_is_over():
    """What is under way is told of, and what had come is not lost."""
    go_on = threading.Event()
    work = Parallel(iter(range(9)), lambda n: go_on.wait(20) if n == 3 else n, 1)
    assert list(work.results(0.2)) == [0, 1, 2]
    assert work.stop() == [3]
    assert list(work.finished()) == []
    go_on.set()
    wait_until(are_gone)
    assert list(work.finished()) == []


def test_no_threads_to_be_had(monkeypatch):
    """It says so, and leaves none behind."""
    start, started = threading.Thread.start, []

    def few(thread):
        if len(started) == 3:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", few)
    with pytest.raises(RuntimeError):
        list(Parallel(iter(range(100)), str, 8).results(None))
    wait_until(are_gone)
