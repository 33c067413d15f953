"""The threads that open connections, beside forks and servers that do not answer."""

import os
import threading

import pytest
from waiting import at_once, wait_until

from holdover.errors import BackendError
from holdover.regions.backends import sql_opening
from holdover.regions.backends.sql_opening import opened_within


class _Cursor:
    execute = fetchone = None


class _Raw:
    def close(self):
        pass


def wire():
    """Make what a driver would."""
    return sql_opening.Wire(_Raw(), _Cursor())


def opened_by():
    """Open a connection; give the thread that did."""
    threads = []

    def make():
        threads.append(threading.current_thread())
        return wire()

    opened_within(20.0, make)
    return threads[0]


def test_the_threads_stay():
    """One that ends holds locks of the TLS library while it does."""
    threads = {opened_by() for _ in range(5)}
    assert all(thread.is_alive() for thread in threads)


def test_a_fork_waits_for_connections_that_are_being_opened():
    """What the driver holds meanwhile, the child would never get."""
    amid, go_on, opened = threading.Event(), threading.Event(), []

    def make():
        amid.set()
        go_on.wait(20)
        opened.append(1)
        return wire()

    def fork():
        amid.wait(20)
        child = os.fork()
        if child == 0:
            os._exit(len(opened))
        forked.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

    def let_go_on():
        wait_until(lambda: not sql_opening._pause._over.is_set())  # the fork has begun
        go_on.set()

    forked = []
    at_once(lambda: opened_within(20.0, make), fork, let_go_on)
    assert forked == [1]


def test_a_server_that_does_not_answer_holds_no_fork_up(monkeypatch):
    """The child begins anew, and opens its own."""
    monkeypatch.setattr(sql_opening._pause, "_most", 0.05)
    go_on = threading.Event()

    def make():
        go_on.wait(20.0)
        return wire()

    with pytest.raises(BackendError, match=r"no connection .* within 0\.01 s"):
        opened_within(0.01, make)
    child = os.fork()
    if child == 0:
        opened_by()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    go_on.set()
    assert opened_by().is_alive()


def test_what_comes_too_late_is_closed():
    """Nobody has it, so nobody would close it."""
    go_on, made = threading.Event(), []

    def make():
        go_on.wait(20.0)
        late = wire()
        made.append(late.use)
        return late

    with pytest.raises(BackendError, match="no connection"):
        opened_within(0.01, make)
    go_on.set()
    wait_until(lambda: made and made[0].is_over)


def test_more_than_can_be_opened(monkeypatch):
    """Those who come when very many wait are told at once."""
    monkeypatch.setattr(sql_opening._threads, "_backlog", 0)
    with pytest.raises(BackendError, match="too many connections"):
        opened_within(5.0, wire)
