"""The region clocks of `holdover.memcached`.

A region's whole clock, with its marks, is one item on one of the servers: whoever
changes that item has invalidated. Its tick alone is on every server, so that any value
is read together with it; it is brought up to date there before an invalidation is
acknowledged::

    whole clock:  gets ... cas                         one server
    tick:                      gets, whole clock, cas  every server, the first one last

A tick is written only over what was there before the whole clock was read. So of two
who write at the same time, the one with the older tick has to read again. Where nothing
is there, something is put first over which to write.

If the whole clock is lost between its ``cas`` and the reading for one of the servers,
that server has not been told, though a clock that somebody began anew may have been
shown to the next ones. Then the invalidation begins again with the new clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from holdover.regions.backends.memcached_link import Connection, Link
from holdover.regions.backends.memcached_names import clock_name, tick_name
from holdover.regions.backends.memcached_records import (
    NO_TICK,
    clock_record,
    state_of,
    tick_of,
    tick_record,
)
from holdover.regions.backends.memcached_servers import Servers
from holdover.regions.errors import BackendError
from holdover.regions.ticks import EPOCH_MASK, MOST_TICK, ClockState, Reach
from holdover.regions.timesource import TimeSource

_MOST_TRIES = 100  # while others change the same clock
_REPAIR_EVERY = 1.0  # seconds


class MemcachedClocks:
    """Reads and advances clocks, making those that are new or were lost.

    Args:
        servers: Where they are kept.
        max_bytes: How large an item may be.
        time_source: The clocks to go by.
    """

    def __init__(
        self, servers: Servers, max_bytes: int, time_source: TimeSource
    ) -> None:
        self._servers = servers
        self._time = time_source
        self._max_bytes = max_bytes
        self._repair_at = 0.0  # steady clock

    def state(self, region: str, *, since: int = 0) -> ClockState:
        """Read a clock, making it if it is new or lost.

        Args:
            region: Whose clock.
            since: The tick of a state that the caller knows, and which some server
                did not show.

        Raises:
            BackendError: The server that has it does not answer.
        """
        whole, tick = clock_name(region), tick_name(region)
        for _ in range(_MOST_TRIES):
            found = self._home(region).fetch([whole, tick])
            state = state_of(found.get(whole))
            if state is None:
                self._seed(region)
            elif tick_of(found.get(tick)) == state.tick != since:
                return state
            else:
                self._repair(region)
                return state
        raise _changing(region)

    def restored(self, region: str, link: Link) -> int:
        """Give the tick after it was missed on a server, having put it there again."""
        for _ in range(_MOST_TRIES):
            state = self.state(region)
            if self._publish_at(link, region):
                return state.tick
        raise _changing(region)

    def advance(
        self, region: str, *, hard: bool, reaches: Sequence[Reach]
    ) -> ClockState:
        """Invalidate; give the clock's new state.

        Raises:
            BackendError: Not all servers know of it.
        """
        for _ in range(_MOST_TRIES):
            state = self._advance(region, hard=hard, reaches=reaches)
            if self._publish(region):
                return state
        raise _changing(region)

    # -- the whole clock -------------------------------------------------------

    def _home(self, region: str) -> Link:
        return self._servers.link_for(clock_name(region))

    def _advance(
        self, region: str, *, hard: bool, reaches: Sequence[Reach]
    ) -> ClockState:
        for _ in range(_MOST_TRIES):
            with self._home(region).conversation() as server:
                data, version = server.gets(clock_name(region))
                state = state_of(data) or self._seeded(server, region)
                state = state.advanced(self._time.wall(), hard=hard, reaches=reaches)
                if self._replace(server, region, data, version, state):
                    return state
        raise _changing(region)

    def _seed(self, region: str) -> None:
        """Begin a clock anew, unless somebody else has, and let all servers know."""
        with self._home(region).conversation() as server:
            data, version = server.gets(clock_name(region))
            if state_of(data) is not None:
                return
            state = self._seeded(server, region)
            if not self._replace(server, region, data, version, state):
                return
        self._repair(region)

    def _seeded(self, server: Connection, region: str) -> ClockState:
        """Make a clock that is later than the lost one, whatever the time of day."""
        name, home = tick_name(region), self._home(region)
        known = [_shown(server.gets(name)[0])]
        for link in self._servers.links:
            if link is not home:
                with suppress(BackendError):  # it can be told later
                    known.append(_shown(link.fetch([name]).get(name)))
        least = (max(known) + EPOCH_MASK + 1) / 1e6
        return ClockState.seeded(max(self._time.wall(), least))

    def _replace(
        self,
        server: Connection,
        region: str,
        data: bytes | None,
        version: int,
        state: ClockState,
    ) -> bool:
        name, record = clock_name(region), clock_record(state, most=self._max_bytes)
        if data is None:
            return server.add(name, record, 0)
        return server.cas(name, record, version, 0)

    # -- its tick, on every server ---------------------------------------------

    def _repair(self, region: str) -> None:
        """Finish what somebody has begun who died before all servers knew of it.

        Nobody waits for that to be acknowledged; so if it cannot be done now, it is
        left alone for a while.
        """
        if self._time.steady() < self._repair_at:
            return
        try:
            self._publish(region)
        except BackendError:
            self._repair_at = self._time.steady() + _REPAIR_EVERY

    def _publish(self, region: str) -> bool:
        """Bring the tick up to date on all servers.

        The one that has the whole clock comes last: until it is right there, whoever
        reads the clock does this, too.

        Returns:
            False if the whole clock was lost meanwhile, so that some may not know.

        Raises:
            BackendError: Not all servers know of it; those that answer do.
        """
        home, known, failure = self._home(region), True, None
        for link in self._servers.links:
            if link is not home:
                try:
                    known &= self._publish_at(link, region)
                except BackendError as error:
                    failure = error
        if failure is not None:
            raise failure
        return known and self._publish_at(home, region)

    def _publish_at(self, link: Link, region: str) -> bool:
        name = tick_name(region)
        for _ in range(_MOST_TRIES):
            with link.conversation() as server:
                shown, version = server.gets(name)
                if shown is None:
                    server.add(name, NO_TICK, 0)
                    continue
                state = self._read_again(server, link, region)
                if state is None:
                    return False
                record = tick_record(state.tick)
                if shown == record or server.cas(name, record, version, 0):
                    return True
        raise _changing(region)

    def _read_again(
        self, server: Connection, link: Link, region: str
    ) -> ClockState | None:
        home, name = self._home(region), clock_name(region)
        if link is home:
            return state_of(server.get_multi([name]).get(name))
        return state_of(home.fetch([name]).get(name))


def _shown(data: bytes | None) -> int:
    """Read a tick above which there is room for that of a new clock; 0 if none is."""
    tick = tick_of(data)
    return tick if tick is not None and tick < MOST_TICK // 2 else 0


def _changing(region: str) -> BackendError:
    return BackendError(f"the clock of region {region!r:.80} keeps changing")
