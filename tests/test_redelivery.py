"""What a backend has not heard of is told to it, come what may."""

import os
import threading

from holdover import NO_VALUE, make_region
from holdover.errors import BackendError
from holdover.regions.backends.memory import MemoryBackend
from holdover.regions.redelivery import Redelivery

SOON = 10


class Outage(MemoryBackend):
    """A backend that can be switched off, and counts what it is told."""

    def __init__(self):
        super().__init__({})
        self.is_down = False
        self.advances = 0

    def remove(self, key):
        """See `Backend.remove`."""
        self._refuse()
        return super().remove(key)

    def remove_multi(self, keys):
        """See `Backend.remove_multi`."""
        self._refuse()
        return super().remove_multi(keys)

    def advance(self, region, *, hard, reaches=()):
        """See `Backend.advance`."""
        self._refuse()
        self.advances += 1
        return super().advance(region, hard=hard, reaches=reaches)

    def _refuse(self):
        if self.is_down:
            raise BackendError("down")


def redelivering():
    """Give the threads that redeliver."""
    return [t for t in threading.enumerate() if t.name == "holdover-redelivery"]


def wait_until(condition):
    """Wait for another thread to get somewhere."""
    for _ in range(SOON * 100):
        if condition():
            return
        threading.Event().wait(0.01)
    raise AssertionError("nothing happened")


def test_it_can_start_again_when_it_ended_at_once(monkeypatch):
    """A thread that finds nothing left to do is no reason never to start another."""
    left, delivered = [], threading.Event()
    redelivery = Redelivery(lambda: bool(left), lambda: (left.clear(), delivered.set()))
    with monkeypatch.context() as context:
        # As if the thread had ended before its starter went on.
        context.setattr(threading.Thread, "start", lambda self: self.run())
        redelivery.start()
    left.append("something")
    redelivery.start()
    assert delivered.wait(SOON)


def test_its_thread_ends():
    """No thread stays behind once all is delivered."""
    before = set(redelivering())
    backend = Outage()
    region = make_region("back").configure(backend, 60)
    region.set("k", 1)
    backend.is_down = True
    assert region.delete("k").pending
    assert set(redelivering()) - before
    backend.is_down = False
    wait_until(lambda: not set(redelivering()) - before)
    assert region.get("k") is NO_VALUE


def test_a_forks_child_delivers_too():
    """A child does not leave what is undelivered to its parent alone."""
    backend = Outage()
    region = make_region("back").configure(backend, 60)
    region.set_multi({"k": 1, "other": 2})
    backend.is_down = True
    region.delete("k")
    child = os.fork()
    if child == 0:
        backend.is_down = False
        region.get("other")  # which does not deliver "k" by itself
        wait_until(lambda: not region._tier.is_pending("k"))
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    backend.is_down = False


def test_many_tags_are_delivered_in_few_steps():
    """Hundreds of tags that wait do not cost a reader a step each."""
    backend = Outage()
    region = make_region("back").configure(backend, 60)
    region.set("k", 1, tags=["tag7"])
    backend.is_down = True
    for number in range(600):
        assert region.invalidate(tags=[f"tag{number}"]).pending
    backend.is_down = False
    region._tier._guard.removing.succeeded()
    assert region.get("k") is NO_VALUE
    assert backend.advances <= 3
