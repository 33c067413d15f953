"""How far a schedule has come, and what is to be done next: pure decisions.

The record is kept in the region's backend. Whoever replaces it, by comparing, has
begun the slot that it names; nobody else can begin that one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Self

from holdover.regions.due import Due
from holdover.regions.numbers import is_count, is_instant

MOST_TRIES = 2
"""How often one slot is begun at most: again only if its runner died."""

_LONGEST_BACKOFF = 3600.0  # seconds
_WRONG_CLOCK = 86_400.0  # seconds; nobody's clock goes that far ahead


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a schedule has come. Instants are seconds of the wall clock.

    Attributes:
        slot_at: The newest slot that was begun, or that came before all that counts.
        begun_at: When it was begun.
        tries: How often; 0 if it was, and could not be handed to anybody.
        has_ended: Whether its run has ended, one way or another.
        failures: How many slots in a row have failed.
        rests_until: Before when nothing is begun, since it has failed.
    """

    slot_at: float
    begun_at: float
    tries: int = 1
    has_ended: bool = False
    failures: int = 0
    rests_until: float = 0.0

    @property
    def is_lost(self) -> bool:
        """Whether its runner died, if nobody is at work."""
        return self.tries > 0 and not self.has_ended

    def returned(self) -> Self:
        """Give what follows if nobody could be told to run it."""
        return replace(self, tries=self.tries - 1)

    def ended(
        self,
        *,
        now: float,
        failed: bool,
        backoff: float,
        retry_after: float | None = None,
    ) -> Self:
        """Give what follows the end of a run.

        Args:
            now: When it ended.
            failed: Whether it failed.
            backoff: Seconds to rest after a first failure, doubled by each further
                one up to an hour.
            retry_after: Seconds to rest after any failure in place of that.
        """
        if not failed:
            return replace(self, has_ended=True, failures=0, rests_until=0.0)
        # Bounded, or a schedule that fails for months makes a number without end.
        rest = min(backoff * 2 ** min(self.failures, 40), _LONGEST_BACKOFF)
        if retry_after is not None:
            rest = retry_after
        return replace(
            self, has_ended=True, failures=self.failures + 1, rests_until=now + rest
        )

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, held: object) -> Self | None:
        """Read what `as_dict` gave; None if it is something else."""
        if not isinstance(held, dict) or held.keys() != _CHECKS.keys():
            return None
        if not all(_CHECKS[name](value) for name, value in held.items()):
            return None
        return cls(**held)


_KINDS: dict[str, Callable[[object], bool]] = {
    "float": is_instant,
    "int": is_count,
    "bool": lambda value: isinstance(value, bool),
}
_CHECKS = {one.name: _KINDS[str(one.type)] for one in fields(Progress)}


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing is to be done.

    Attributes:
        until: When to look again (wall clock).
    """

    until: float


@dataclass(frozen=True, slots=True)
class Note:
    """Nothing is due yet, but from now on what comes due counts.

    Attributes:
        progress: The record to keep.
    """

    progress: Progress


@dataclass(frozen=True, slots=True)
class Begin:
    """A slot is to be begun, by whoever can claim it.

    Attributes:
        progress: The record that says so.
        lost: The run before it, if its runner died without a word.
    """

    progress: Progress
    lost: Progress | None = None


@dataclass(frozen=True, slots=True)
class GiveUp:
    """A slot's runners died each time: it is left, and its failure is told.

    Attributes:
        progress: The run that was lost.
    """

    progress: Progress


Step = Wait | Note | Begin | GiveUp


def next_step(
    progress: Progress | None, due: Due, now: float, *, retries: bool = False
) -> Step:
    """Decide what is to be done, by one who finds that nobody is at work.

    Args:
        progress: How far the schedule has come; None if nobody knows.
        due: When it is due.
        now: The time of day.
        retries: Whether a slot whose run has failed is begun again after its rest.
    """
    latest = max(due.latest(now), 0.0)
    if progress is None or _is_of_a_wrong_clock(progress, now):
        if due.is_due_when_new:
            return Begin(Progress(slot_at=latest, begun_at=now))
        return Note(Progress(slot_at=latest, begun_at=now, has_ended=True))
    if latest > progress.slot_at and now >= progress.rests_until:
        return Begin(_begun(progress, latest, now), _lost(progress))
    if progress.has_ended:
        return _after_its_end(progress, due, now, retries=retries)
    if progress.tries >= MOST_TRIES:
        return GiveUp(progress)
    again = replace(progress, begun_at=now, tries=progress.tries + 1)
    return Begin(again, _lost(progress))


def look_again_at(progress: Progress, due: Due, now: float, *, retries: bool) -> float:
    """Give when there may be something to do after a run's end (wall clock)."""
    if retries and progress.failures:
        return progress.rests_until
    return max(due.next_after(now), progress.rests_until)


def _after_its_end(
    progress: Progress, due: Due, now: float, *, retries: bool
) -> Wait | Begin:
    """Go on after a slot whose run has ended, and no newer one has come due."""
    if retries and progress.failures and now >= progress.rests_until:
        return Begin(_begun(progress, progress.slot_at, now))
    return Wait(look_again_at(progress, due, now, retries=retries))


def _begun(progress: Progress, slot_at: float, now: float) -> Progress:
    """Begin the newest slot; those between count for nothing."""
    failures = progress.failures + progress.is_lost
    return Progress(slot_at=slot_at, begun_at=now, failures=failures)


def _lost(progress: Progress) -> Progress | None:
    return progress if progress.is_lost else None


def _is_of_a_wrong_clock(progress: Progress, now: float) -> bool:
    """Say whether a record would stop the schedule, since a clock was far ahead."""
    return max(progress.slot_at, progress.rests_until) > now + _WRONG_CLOCK
