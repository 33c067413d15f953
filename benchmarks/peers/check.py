"""Whether a measurement is worse than the baseline, or misses a limit that was met.

What is compared are ratios of bests: ours to the floor, and to dogpile.cache's (at the
door, to Beaker's), if they were measured beside it. A machine that is slower than that
of the baseline is so for both.

How much a ratio may have grown follows from how well its four bests are known, two of
now and two of then: of each, how far off the end of the best quarter of its rounds is.
These add up as what is independent does, by their squares. Where rounds agree to a
percent, two runs still differ by more, since each process lies in memory in its own
way: in two runs in a row, of the same code, ratios were up to 16 % above what they had
been where no noise was seen. `LEAST` is a little more than that. And nothing excuses a
ratio that has doubled: `MOST`. On a machine that has ten times as much to do as it can,
some subjects are never undisturbed. So what fails is measured again: see `settled`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from peers.catalogue import DOGPILE, FLOOR, OURS
from peers.imports import DOGPILES
from peers.imports import OURS as OUR_IMPORT
from peers.limits import LIMITS, Limit, called
from peers.record import Key, Record, together

Group = tuple[str, str]

LEAST, MOST = 0.2, 1.0
AGAIN = 2  # times that what is worse is measured once more
BESIDE = (FLOOR, DOGPILE)


@dataclass(frozen=True)
class Ratio:
    """Ours, and what it is compared with."""

    ours: Key
    beside: Key

    def __str__(self) -> str:
        return f"{self.ours.case}, {self.ours.store}: {self.ours.name}"

    def of(self, record: Record) -> float:
        """Give how many times the other's best ours is."""
        return record.figures[self.ours].best / record.figures[self.beside].best

    def tolerance(self, *records: Record) -> float:
        """Say by which part of it it may have grown, for all that we know."""
        figures = [record.figures[key] for record in records for key in self._keys]
        return min(MOST, max(LEAST, together(*(one.noise for one in figures))))

    def is_in(self, record: Record) -> bool:
        """Say whether both were measured."""
        return all(key in record.figures for key in self._keys)

    @property
    def _keys(self) -> tuple[Key, Key]:
        return self.ours, self.beside


def ratios_in(record: Record) -> Iterator[Ratio]:
    """Give all that is compared."""
    for key in record.figures:
        names = ("Beaker",) if key.case == "door" else BESIDE
        if key.name.startswith(OURS):
            pairs = (Ratio(key, Key(key.case, key.store, name)) for name in names)
            yield from (pair for pair in pairs if pair.is_in(record))
    own = Key("import", "CPU ms", OUR_IMPORT)
    ratio = Ratio(own, Key("import", "CPU ms", DOGPILES))
    yield from [ratio] if ratio.is_in(record) else []


def grown(now: Record, then: Record) -> list[str]:
    """Say which ratios are worse than those of the baseline."""
    return [text for _, text in worse(now, then)]


def worse(now: Record, then: Record) -> Iterator[tuple[Ratio, str]]:
    """Give the ratios that are worse than those of the baseline, and what to say."""
    for ratio in ratios_in(now):
        if not ratio.is_in(then):
            continue
        known, found = ratio.of(then), ratio.of(now)
        tolerance = ratio.tolerance(now, then)
        most = known * (1 + tolerance)
        if found > most:
            text = (
                f"{ratio}: wanted at most {most:.2f} times "
                f"{called(ratio.beside.name)} "
                f"(baseline {known:.2f}, tolerance {tolerance:.0%}), found {found:.2f}"
            )
            yield ratio, text


def unknown(now: Record, then: Record) -> list[str]:
    """Say what the baseline does not know."""
    return [
        f"{ratio}: wanted one in the baseline, found none beside {ratio.beside.name}"
        for ratio in ratios_in(now)
        if not ratio.is_in(then)
    ]


def missed(now: Record, then: Record) -> list[str]:
    """Say which limits are missed without an excuse."""
    return [
        f"{told(limit, now)}; the baseline has met it"
        for limit in inexcusable(now, then)
    ]


def inexcusable(now: Record, then: Record) -> list[Limit]:
    """Give the limits that are missed without an excuse."""
    return [limit for limit in unmet(now) if not excuse(limit, now, then)]


def excused(now: Record, then: Record) -> list[str]:
    """Say which limits are missed, for which no check fails, and why it does not."""
    return [
        f"{told(limit, now)}; {reason}"
        for limit in unmet(now)
        if (reason := excuse(limit, now, then))
    ]


def unmet(record: Record) -> list[Limit]:
    """Give the limits that were measured, and are missed."""
    return [one for one in LIMITS if one.is_in(record) and not one.is_met(record)]


def excuse(limit: Limit, now: Record, then: Record) -> str:
    """Say why a limit that is missed fails no check; nothing if there is no reason."""
    if limit.is_in(then) and not limit.is_met(then):
        return "the baseline has not met it either"
    if limit.is_met(now, leniency=limit.noise(now)):
        return "noise may account for that"
    return ""


def told(limit: Limit, record: Record) -> str:
    """Say what a limit is about, what was wanted and what was found."""
    about = ", ".join(limit.ours)
    return f"{about}: wanted {limit.wanted}, found {limit.said(limit.found(record))}"


def failures(now: Record, then: Record) -> list[str]:
    """Say all that a check fails for."""
    return [*missed(now, then), *grown(now, then), *unknown(now, then)]


def doubtful(now: Record, then: Record) -> set[Group]:
    """Give the groups in which something is worse, by case and store."""
    keys = [ratio.ours for ratio, _ in worse(now, then)]
    keys += [limit.ours for limit in inexcusable(now, then)]
    return {(key.case, key.store) for key in keys}


def settled(now: Record, then: Record, again: Callable[[set[Group]], Record]) -> Record:
    """Measure again what is worse, and give what was found at last.

    Where a process has its memory is chance, too, and no round of that process shows
    it: 5 MB from Redis took twice as long in one run as in those before and after it.
    What is worse in itself is so each time.

    Args:
        now: What was measured.
        then: The baseline.
        again: Measures some groups, in new processes.
    """
    for _ in range(AGAIN):
        groups = doubtful(now, then)
        if not groups:
            break
        now = now.replaced_by(again(groups))
    return now
