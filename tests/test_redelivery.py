"""What a backend has not heard of is told to it, come what may."""

import os
import threading

import pytest

from holdover import NO_VALUE, make_region
from holdover.errors import BackendError
from holdover.regions.backends.memory import MemoryBackend
from holdover.regions.redelivery import Redelivery
from holdover.testing import FakeClock, ToxicProxy, toxics

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


class Frozen(Outage):
    """A backend that carries out late what it was told while it was down."""

    def __init__(self):
        super().__init__()
        self.late = []

    def write(self, key, stored, *, ttl):
        """See `Backend.write`."""
        if self.is_down:
            self.late.append((key, stored, ttl))
        self._refuse()
        super().write(key, stored, ttl=ttl)

    def write_multi(self, stored, *, ttl):
        """See `Backend.write_multi`."""
        if self.is_down:
            self.late += [(key, one, ttl) for key, one in stored.items()]
        self._refuse()
        super().write_multi(stored, ttl=ttl)

    def compare_and_set(self, key, stored, *, seen, ttl):
        """See `Backend.compare_and_set`."""
        if self.is_down:
            assert seen is None  # what is to be replaced is there only once
            self.late.append((key, stored, ttl))
        self._refuse()
        return super().compare_and_set(key, stored, seen=seen, ttl=ttl)

    def go_on(self):
        """Carry it out."""
        for key, stored, ttl in self.late:
            super().write(key, stored, ttl=ttl)


@pytest.mark.parametrize("verb", ["set", "set_multi"])
def test_a_write_that_comes_after_its_removal_is_removed(verb):
    """Nobody is served what was given up, though the backend did not give it up."""
    backend, clock = Frozen(), FakeClock()
    region = make_region("late", time_source=clock).configure(backend, 60)
    another = make_region("late", time_source=clock).configure(backend, 60)
    backend.is_down = True
    if verb == "set":
        assert region.set("k", "old").pending
    else:
        assert region.set_multi({"k": "old", "j": "old"}).pending
    backend.is_down = False
    clock.advance(5)  # since Holdover lets a backend alone that has failed
    assert region.get("k") is NO_VALUE
    assert not region.inspect("k").pending
    backend.go_on()
    assert another.get("k") == "old"
    assert region.get("k") is NO_VALUE
    assert another.get("k") is NO_VALUE
    for _ in range(2):
        clock.advance(2)
        assert region.get_multi(["k", "j"]) == [NO_VALUE] * 2
    assert not region._tier._guard.undelivered


def test_what_was_to_be_added_is_removed_too():
    """An `add` that failed may come after the removal that was to follow it."""
    backend, clock = Frozen(), FakeClock()
    region = make_region("late", time_source=clock).configure(backend, 60)
    backend.is_down = True
    with pytest.raises(BackendError):
        region.add("k", "old")
    backend.is_down = False
    clock.advance(5)
    assert not region.delete("k").pending
    backend.go_on()
    assert region.get("k") is NO_VALUE
    assert backend.read("k", "late")[0] is None


@pytest.mark.parametrize("ask", ["get", "get_or_create"])
def test_a_write_that_comes_right_after_it_was_looked_for(ask, monkeypatch):
    """What is known to be late is not served, whenever it comes."""
    backend, clock = Frozen(), FakeClock()
    region = make_region("late", time_source=clock).configure(backend, 60)
    backend.is_down = True
    assert region.set("k", "old").pending
    backend.is_down = False
    clock.advance(5)
    assert not region.set("k", "new").pending
    reads, read, acquire = [], backend.read, backend.acquire

    def read_late(*args):
        reads.append(args)
        if len(reads) == 2:
            backend.go_on()
        return read(*args)

    def acquire_late(*args, **kwargs):
        backend.go_on()
        return acquire(*args, **kwargs)

    monkeypatch.setattr(backend, "read", read_late)
    monkeypatch.setattr(backend, "acquire", acquire_late)
    if ask == "get":
        assert region.get("k") is NO_VALUE
    else:
        assert region.get_or_create("k", lambda: "newer") == "newer"
        assert region.get("k") == "newer"
    assert len(reads) > 1


def test_what_is_set_again_is_kept():
    """Only what was given up is removed, and it is looked for for a second."""
    backend, clock = Frozen(), FakeClock()
    region = make_region("late", time_source=clock).configure(backend, 60)
    backend.is_down = True
    assert region.set("k", "old").pending
    backend.is_down = False
    clock.advance(5)
    assert not region.set("k", "new").pending
    assert region.get("k") == "new"
    assert region._tier._guard.undelivered
    clock.advance(2)
    assert region.get("k") == "new"
    assert not region._tier._guard.undelivered


@pytest.mark.parametrize("kind", ["memcached", "redis"])
def test_a_server_that_reads_late_what_it_was_sent(kind, request, monkeypatch):
    """A `set` timed out, was removed, and then stored: it is removed once more."""
    monkeypatch.setattr(Redelivery, "start", lambda self: None)  # so that we see it
    server = request.getfixturevalue(f"{kind}_server")
    late = threading.Event()

    def hold(stream, data):
        toxic = toxics.stall(late) if b"the old one" in data else toxics.clean
        return toxic(stream, data)

    with ToxicProxy(server.port) as proxy:
        region, another = (
            make_region("late").configure(
                f"holdover.{kind}",
                60,
                {"url": f"redis://{url}" if kind == "redis" else url},
                unsigned_pickle=True,
            )
            for url in (proxy.address, f"127.0.0.1:{server.port}")
        )
        region.set("k", "before")
        proxy.requests = hold
        assert region.set("k", "the old one").pending
        assert region.get("k") is NO_VALUE
        assert another.get("k") is NO_VALUE
        late.set()
        wait_until(lambda: another.get("k") == "the old one")
        assert region.get("k") is NO_VALUE
        assert another.get("k") is NO_VALUE


def test_late_writes_are_looked_for_behind_the_caller_s_back():
    """Until the backend has answered for a second; then the thread ends."""
    before, backend = set(redelivering()), Frozen()
    region = make_region("late").configure(backend, 60)
    backend.is_down = True
    assert region.set("k", "old").pending
    backend.is_down = False
    wait_until(lambda: not region._tier.is_pending("k"))
    backend.go_on()
    another = make_region("late").configure(backend, 60)
    wait_until(lambda: another.get("k") is NO_VALUE)
    wait_until(lambda: not set(redelivering()) - before)
    assert not region._tier._guard.undelivered


@pytest.mark.usefixtures("default_timeouts")
def test_additions_that_were_not_tried_leave_the_others_alone(own_redis):
    """Django tries 10,000 keys for a session that the cache cannot store."""
    region = make_region("sessions").configure(own_redis.url, 60, unsigned_pickle=True)
    region.set("kept", 1)
    own_redis.freeze()
    for number in range(10_100):
        with pytest.raises(BackendError):
            region.add(str(number), 2)
    own_redis.thaw()
    wait_until(lambda: region.get("kept") == 1)
