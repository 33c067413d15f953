"""The region clock of `holdover.memcached`, whatever comes between two commands.

Every command is a step. Before each of them in turn, servers forget what they have and
others do what they do, completely or up to any step of theirs, where they die.
"""

import contextlib
import itertools

import pytest

from holdover.regions.backends.memcached import MemcachedBackend
from holdover.regions.backends.memcached_names import clock_name, tick_name
from holdover.regions.clocks import RegionClock
from holdover.regions.envelope import FOREVER, Entry
from holdover.regions.freshness import Standing
from holdover.testing.contract_leases import REGION, sealed, won


class Died(BaseException):
    """What ends a process between two commands."""


def die():
    """End the process here."""
    raise Died


class Stepped:
    """A connection that has something done before its commands."""

    def __init__(self, connection, step):
        self._connection = connection
        self._step = step

    def __getattr__(self, name):
        """Give a command, with its step before it."""
        method = getattr(self._connection, name)
        if name in ("close", "has_ended"):
            return method

        def stepped(*arguments):
            self._step()
            return method(*arguments)

        return stepped


class Process:
    """A backend of its own, of which each command can be preceded by something.

    Args:
        servers: The memcached servers.
    """

    def __init__(self, servers):
        self.backend = MemcachedBackend({"url": [one.url for one in servers]})
        self._before = {}
        self._steps = itertools.count()
        for link in self.backend._servers.links:
            link._connect = self._stepping(link._connect)

    def _stepping(self, connect):
        return lambda: Stepped(connect(), self._step)

    def _step(self):
        self._before.pop(next(self._steps), lambda: None)()

    def run(self, work, before):
        """Do *work*, with things *before* steps; who dies does so quietly."""
        self._before, self._steps = dict(before), itertools.count()
        with contextlib.suppress(Died):
            work()

    def steps_of(self, work):
        """Count the commands of *work*, left alone."""
        self.run(work, {})
        return next(self._steps)


@pytest.fixture
def one(memcached_servers):
    """The process that is interrupted."""
    return Process(memcached_servers)


@pytest.fixture
def two(memcached_servers):
    """The process that comes in between."""
    return Process(memcached_servers)


@pytest.fixture
def backend(memcached_servers):
    """Somebody who reads in the end."""
    return MemcachedBackend({"url": [one.url for one in memcached_servers]})


@pytest.fixture
def home(memcached_servers, backend):
    """The server that has the region's whole clock."""
    link = backend._servers.link_for(clock_name(REGION))
    return memcached_servers[backend._servers.links.index(link)]


@pytest.fixture
def keys(backend):
    """A key of each server."""
    found = {backend._servers.link_for(b"k%d" % n): f"k{n}" for n in range(50)}
    assert len(found) == len(backend._servers.links)
    return list(found.values())


class Reader:
    """Somebody who reads one key, and knows the clock by that alone.

    Args:
        backend: Where he reads.
        key: The key.
        tick: That of the entry that he reads.
    """

    def __init__(self, backend, key, tick):
        self._backend = backend
        self._key = key
        self._entry = Entry("old", 0.0, FOREVER, fence=1, clock=tick)
        self._clock = RegionClock(backend, REGION)

    def standing(self):
        """Say how the entry stands."""
        _, tick = self._backend.read(self._key, REGION)
        return self._clock.standing(self._entry, self._key, tick)


@pytest.fixture
def standings(backend, keys):
    """Say how an entry of a tick stands to one who has been there, on each server."""

    def watch(tick):
        readers = [Reader(backend, key, tick) for key in keys]

        def ask():
            return {reader.standing() for reader in readers}

        assert ask() == {Standing.CURRENT}
        return ask

    return watch


def test_a_clock_that_is_lost_while_somebody_invalidates(
    one, two, backend, home, standings
):
    """What is acknowledged is known to all servers, whoever begins the clock anew.

    The clock is lost before one step. Before a later one somebody makes it anew, and
    dies before all servers know.
    """
    backend.clock(REGION)
    steps = one.steps_of(lambda: one.backend.advance(REGION, hard=True))
    for (lost_at, made_at), dies_at in itertools.product(
        itertools.combinations(range(steps), 2), range(3, 9)
    ):
        ask = standings(backend.clock(REGION).tick)

        def make_anew(dies_at=dies_at):
            two.run(lambda: two.backend.clock(REGION), {dies_at: die})

        before = {lost_at: lambda: home.ask("flush_all"), made_at: make_anew}
        one.run(lambda: one.backend.advance(REGION, hard=True), before)
        assert ask() == {Standing.HARD}, (lost_at, made_at, dies_at)


def test_a_tick_that_is_evicted_again_and_again(one, two, backend, keys, standings):
    """Nobody puts back a tick that he has read before an invalidation."""

    def evict():
        for link in backend._servers.links:
            with link.conversation() as server:
                server.delete(tick_name(REGION))

    def invalidate():
        two.backend.advance(REGION, hard=True)
        evict()
        invalidated.append(True)

    def read():
        one.backend.read(key, REGION)

    backend.clock(REGION)
    evict()
    steps = one.steps_of(lambda: one.backend.read(keys[0], REGION))
    for key, at, more in itertools.product(keys, range(steps), range(1, 5)):
        invalidated = []
        ask = standings(backend.clock(REGION).tick)
        evict()
        one.run(read, {at: invalidate, at + more: die})
        expected = Standing.HARD if invalidated else Standing.CURRENT
        assert ask() == {expected}, (key, at, more)


def test_an_invalidation_that_one_server_has_not_heard_of(one, two, backend, keys):
    """Whoever begins it may die, and others may show it where the whole clock is.

    The server that does not know it is told by who notices, so that it has hits again.
    """

    def invalidate(process):
        return lambda: process.backend.advance(REGION, hard=True)

    def begin():
        two.run(invalidate(two), {dies_at: die})

    backend.clock(REGION)
    steps = one.steps_of(invalidate(one))
    for at, dies_at in itertools.product(range(steps), range(2, steps)):
        one.run(invalidate(one), {at: begin})
        tick = backend.clock(REGION).tick
        for key in keys:
            reader = Reader(backend, key, tick)
            reader.standing()
            reader.standing()
        assert {backend.read(key, REGION)[1] for key in keys} == {tick}, (at, dies_at)


def test_what_is_stored_while_a_clock_is_lost(one, two, keys, memcached_servers):
    """Who invalidates between acquire and commit is noticed, whatever is lost then."""
    for key, at, server in itertools.product(keys, range(6), memcached_servers):
        lease, shown = won(one.backend, key), []
        two.backend.advance(REGION, hard=True)

        def commit(lease=lease, shown=shown):
            stored = sealed("old", lease.key, fence=lease.fence)
            shown.append(one.backend.commit(lease, stored, REGION, ttl=None))

        one.run(commit, {at: lambda server=server: server.ask("flush_all")})
        assert shown
        assert shown != [lease.clock], (key, at)
        one.backend.remove(key)
