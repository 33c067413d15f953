"""Lock files keep everyone else out, even where somebody removes them."""

import threading

import pytest

from holdover.errors import BackendError
from holdover.regions.backends import host_locks
from holdover.regions.backends.host_locks import FileLocks


@pytest.fixture
def path(tmp_path):
    """A lock file."""
    return tmp_path / "lock"


@pytest.fixture
def waits(monkeypatch):
    """Tells when somebody waits."""
    waiting, sleep = threading.Event(), host_locks.time.sleep

    def noted(seconds):
        waiting.set()
        sleep(seconds)

    monkeypatch.setattr(host_locks.time, "sleep", noted)
    return waiting


def test_a_lock_file_that_is_removed_while_somebody_waits(path, waits):
    """Who waited for the old one is kept out by whoever has locked its successor."""
    inside, tried = [], threading.Event()

    def wait_for_it():
        try:
            with FileLocks(0.5).hold(path):
                inside.append("waited")
        except BackendError:
            tried.set()

    waiter = threading.Thread(target=wait_for_it)
    with FileLocks(1.0).hold(path):
        waiter.start()
        assert waits.wait(20)
        path.unlink()
        successor = FileLocks(1.0).hold(path)
        successor.__enter__()
    waiter.join()
    successor.__exit__(None, None, None)
    assert tried.is_set()
    assert inside == []


def test_a_lock_file_that_is_always_removed(path, monkeypatch):
    """Nobody waits for ever, nor gets in."""
    open_private = host_locks.open_private

    def removed(*args):
        descriptor = open_private(*args)
        path.unlink()
        return descriptor

    monkeypatch.setattr(host_locks, "open_private", removed)
    with pytest.raises(BackendError, match="not free"), FileLocks(0.05).hold(path):
        raise AssertionError("it was let in")
