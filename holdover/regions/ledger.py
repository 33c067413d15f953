"""Where the processes of a fleet write their figures, for whoever wants to sum them up.

Each writes a record of its own, now and then. A roster says which records there are,
and what those had counted who have ended; it is only ever replaced by comparing, so
that a process that has ended is added to the past exactly once::

    A: writes its record, puts its name on the roster, writes, writes ... is killed
    B: finds A's record old, replaces the roster: past + A's figures, A's name is gone
    A: (was only frozen) finds itself gone, and counts on under a new name from there

Nobody looks for records, and what is written lapses if nobody writes it again.
"""

from __future__ import annotations

import os
import random
import secrets
import socket
from collections.abc import Sequence

from holdover.regions.envelope import ABSENT, Entry
from holdover.regions.errors import BackendError
from holdover.regions.figures import NO_FIGURES, Figures, NoFigures
from holdover.regions.fleet import (
    MOST_MEMBERS,
    FleetFigures,
    ProcessFigures,
    Roster,
    sum_of,
)
from holdover.regions.freshness import Freshness
from holdover.regions.keys import bounded
from holdover.regions.lifetime import Lifetime
from holdover.regions.outcomes import Found
from holdover.regions.tier import Tier
from holdover.regions.timesource import TimeSource

_KEPT = Lifetime(expiration_time=None)
_SWAPS = 100  # tries against others who change the roster
_DAY = 86400.0
_LAPSES_AFTER = 100.0  # intervals; long after others have added it to the past
_DICE = random.SystemRandom()  # no state that a fork could share


class Ledger:
    """The figures of one region's processes, in its backend.

    Args:
        tier: Where the records are; out of reach of the region's invalidations.
        prefix: What their keys begin with.
        time_source: The clocks to go by.
    """

    def __init__(self, tier: Tier, prefix: str, time_source: TimeSource) -> None:
        self._tier = tier
        self._prefix = prefix
        self.now = time_source.wall
        self.steady = time_source.steady

    def fleet(self) -> FleetFigures:
        """Sum up what is there.

        Raises:
            BackendError: The backend cannot be reached.
        """
        roster = self.roster() or Roster(token="")
        held = self._records(roster.members)
        there = tuple(one for one in held if one is not None)
        return FleetFigures(at=self.now(), past=roster.past, processes=there)

    def roster(self) -> Roster | None:
        """Read the roster; None if there is none, or none that could be read.

        Raises:
            BackendError: The backend cannot be reached.
        """
        return self._roster()[1]

    def _roster(self) -> tuple[Found, Roster | None]:
        found = self._tier.look(self._key(""), _KEPT, strict=True)
        if found.freshness is Freshness.GONE:
            return found, None
        try:
            return found, Roster.from_plain(found.entry.value)
        except NoFigures:
            return found, None

    def _records(self, names: Sequence[str]) -> list[ProcessFigures | None]:
        keys = [self._key(name) for name in names]
        founds = self._tier.look_multi(keys, _KEPT, strict=True) if keys else []
        return [_process_in(found) for found in founds]

    def _key(self, name: str) -> str:
        return bounded(self._prefix + name)

    # -- writing ---------------------------------------------------------------

    def write(self, name: str, held: Entry, process: ProcessFigures) -> Entry:
        """Replace a process's record, which nobody else writes; give what is held now.

        Raises:
            BackendError: The backend could not do it, or maybe could.
        """
        ttl = max(_DAY, _LAPSES_AFTER * process.every)
        kept = Lifetime(expiration_time=ttl, keep_for=0.0)
        for _ in range(_SWAPS):
            entry = self._tier.entry(process.as_dict(), kept, clock=self._tier.tick())
            if self._tier.swap(self._key(name), held, entry):
                return entry
            # An earlier write has come after all, or the record was evicted.
            held = self._tier.look(self._key(name), _KEPT, strict=True).entry
        raise BackendError("a process's figures kept changing")

    def add(self, name: str) -> str | None:
        """Put a process on the roster; give its token, or None if that is full.

        Raises:
            BackendError: The backend could not do it.
        """
        for _ in range(_SWAPS):
            found, roster = self._roster()
            roster = roster or Roster(token=secrets.token_hex(8))
            if name in roster.members:
                return roster.token
            if len(roster.members) >= MOST_MEMBERS:
                return None
            grown = (*roster.members, name)
            if self._replace(found, roster.token, roster.past, grown):
                return roster.token
        raise BackendError("the roster kept changing")

    def fold(self) -> None:
        """Add those who have ended to the past.

        Raises:
            BackendError: The backend could not do it.
        """
        found, roster = self._roster()
        if roster is None:
            return
        held = dict(zip(roster.members, self._records(roster.members), strict=True))
        now = self.now()
        staying = [n for n, one in held.items() if one and not one.has_ended(now)]
        if len(staying) == len(held):
            return
        ended = [name for name in held if name not in staying]
        figures = [one.figures for name in ended if (one := held[name]) is not None]
        past = roster.past + sum_of(figures)
        if self._replace(found, roster.token, past, staying):
            self._tier.remove_multi([self._key(name) for name in ended])

    def _replace(
        self, found: Found, token: str, past: Figures, members: Sequence[str]
    ) -> bool:
        roster = Roster(token=token, past=past, members=tuple(members))
        entry = self._tier.entry(roster.as_dict(), _KEPT, clock=self._tier.tick())
        return self._tier.swap(self._key(""), found.entry, entry)


class Membership:
    """What one process has written of its figures, and will write next.

    Args:
        ledger: Where it writes.
        every: Seconds from one time to the next.
    """

    def __init__(self, ledger: Ledger, every: float) -> None:
        self._ledger = ledger
        self._every = every
        self._name = secrets.token_hex(8)
        self._token: str | None = None  # of the roster on which it stands
        self._held: Entry = ABSENT
        self._base = NO_FIGURES  # what is in the past already
        self._told = NO_FIGURES  # what was written last, or maybe was
        self._seen = NO_FIGURES
        self._seen_at: float | None = None

    def write(self, figures: Figures) -> None:
        """Write *figures*, which only ever grow.

        Raises:
            BackendError: The backend could not do it.
        """
        roster = self._ledger.roster()
        if roster is None or roster.token != self._token:
            self._base, self._token = NO_FIGURES, None
        elif self._name not in roster.members:
            # What was told is counted there, so that it may not be told again; it may
            # have come only in part, but nothing is counted twice.
            self._base += self._told
            self._name, self._token, self._held = secrets.token_hex(8), None, ABSENT
        process = self._process(figures)
        self._told = process.figures
        self._held = self._ledger.write(self._name, self._held, process)
        self._seen, self._seen_at = figures, self._ledger.steady()
        if self._token is None:
            self._token = self._ledger.add(self._name)
        # On average one of all.
        if roster is None or _DICE.random() * len(roster.members) < 1.0:
            self._ledger.fold()

    def _process(self, figures: Figures) -> ProcessFigures:
        since = self._seen_at
        span = 0.0 if since is None else self._ledger.steady() - since
        return ProcessFigures(
            host=socket.gethostname(),
            pid=os.getpid(),
            figures=figures.since(self._base),
            recent=NO_FIGURES if since is None else figures.since(self._seen),
            recent_for=span,
            written_at=self._ledger.now(),
            every=self._every,
        )


def _process_in(found: Found) -> ProcessFigures | None:
    if found.freshness is Freshness.GONE:
        return None
    try:
        return ProcessFigures.from_plain(found.entry.value)
    except NoFigures:
        return None
