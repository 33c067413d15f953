"""The last runs of schedules, in a store of their own.

Per schedule an index tells of the runs, newest first; each value lies under a key of
its own, so that reading the newest does not read them all. The newest good value stays
however many failures follow it.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from dogpile.cache.api import NO_VALUE

from holdover.regions.errors import UncacheableValue, ValueTooLarge
from holdover.regions.freshness import Freshness
from holdover.regions.lifetime import Lifetime
from holdover.regions.numbers import is_instant, is_span
from holdover.regions.runs import Failure, Run
from holdover.regions.shared_records import KEPT, TRIES, KeptChanging, SharedRecords
from holdover.regions.tier import Tier

_MOST = 2**63  # runs
_PROBE = Lifetime(expiration_time=60.0, keep_for=60.0)  # lapses if it was left
_TEXTS = ("error", "details")
_INSTANTS = ("slot_at", "begun_at")
_TOLD = (*_INSTANTS, "duration", *_TEXTS)


@dataclass(frozen=True, slots=True)
class _Noted:
    """What an index tells of one run.

    Attributes:
        number: By which its value is found.
        has_value: Whether it has one.
        told: All else, as JSON values.
    """

    number: int
    has_value: bool
    told: dict[str, Any]

    @property
    def is_good(self) -> bool:
        """Whether it has not failed, and there is a value."""
        return self.has_value and not self.told["error"]


class History:
    """The last runs of one region's schedules.

    Args:
        tier: Where their values are kept.
        indexes: The same place, for what is JSON: not every codec takes it.
        region: The region's name, for what is given back.
    """

    def __init__(self, tier: Tier, indexes: Tier, region: str) -> None:
        self._tier = tier
        self._region = region
        self._indexes = SharedRecords(indexes, _read, _written, "index of a history")

    @property
    def place(self) -> str:
        """What keeps them, for people."""
        backend = self._tier.backend
        return f"{type(backend).__name__} {backend.place()}".strip()

    def check(self, key: str) -> None:
        """See whether runs can be kept.

        Args:
            key: A probe's key.

        Raises:
            BackendError: The store cannot be reached, or written to.
        """
        entry = self._tier.entry(
            "written", _PROBE, clock=self._tier.tick(), own_lifetime=True
        )
        with suppress(UncacheableValue):  # a codec for other values than texts
            self._tier.store(key, entry, strict=True)
        self._tier.remove(key, strict=True)

    def add(self, key: str, run: Run, keep: int) -> Run:
        """Note a run, and forget what is beyond the last *keep*.

        Args:
            key: The schedule's.
            run: The run.
            keep: How many are kept.

        Returns:
            The run as it was kept: a value that cannot be is a failure.

        Raises:
            BackendError: The store cannot be reached, or refused the run.
        """
        clock = self._tier.tick()
        # By lot, since whoever counts on may do so beside others who count the same.
        number = secrets.randbelow(_MOST - 1) + 1
        run = self._keep_value(f"{key}:{number}", run, clock)
        told = {name: getattr(run, name) for name in _TOLD}
        newest = _Noted(number, run.has_value, told)
        try:
            self._keep_noted(key, newest, keep, clock)
        except (ValueTooLarge, KeptChanging):  # of other failures nobody can be sure
            self._tier.remove(f"{key}:{number}")
            raise
        return run

    def _keep_noted(self, key: str, newest: _Noted, keep: int, clock: int) -> None:
        """Put a run into the index; remove the values of those that it is too many."""
        for _ in range(TRIES):
            seen = self._indexes.look(key)
            noted = seen.value or []
            kept = _kept([newest, *noted], keep)
            if self._indexes.replace(key, seen.entry, kept, clock=clock) is not None:
                gone = {one.number for one in noted} - {one.number for one in kept}
                self._tier.remove_multi([f"{key}:{number}" for number in gone])
                return
        raise self._indexes.kept_changing()

    def _keep_value(self, key: str, run: Run, clock: int) -> Run:
        """Store a run's value, before anybody can read of it."""
        if not run.has_value:
            return run
        entry = self._tier.entry(run.value, KEPT, clock=clock)
        try:
            self._tier.store(key, entry, strict=True)
        except (UncacheableValue, ValueTooLarge) as error:
            return run.failed_by(Failure.of(error))
        return run

    def newest_value(self, key: str, name: str) -> Any:
        """Give the newest good value; ``NO_VALUE`` if there is none.

        Raises:
            BackendError: The store cannot be reached.
        """
        noted = self._noted(key)
        good = next((one for one in noted if one.is_good), None)
        return NO_VALUE if good is None else self._values(key, [good])[0]

    def runs(self, key: str, name: str) -> list[Run]:
        """Give the runs that are kept, newest first.

        Raises:
            BackendError: The store cannot be reached.
        """
        noted = self._noted(key)
        values = self._values(key, noted)
        return [
            Run(region=self._region, name=name, value=value, **one.told)
            for one, value in zip(noted, values, strict=True)
        ]

    def _noted(self, key: str) -> list[_Noted]:
        return self._indexes.look(key).value or []

    def _values(self, key: str, noted: Sequence[_Noted]) -> list[Any]:
        """Read the values of runs, in their order; ``NO_VALUE`` where there is none."""
        keys = {one.number: f"{key}:{one.number}" for one in noted if one.has_value}
        found = self._tier.look_multi(list(keys.values()), KEPT, strict=True)
        held = {
            number: one.entry.value
            for number, one in zip(keys, found, strict=True)
            if one.freshness is not Freshness.GONE
        }
        return [held.get(one.number, NO_VALUE) for one in noted]


def _written(noted: Sequence[_Noted]) -> list[Any]:
    return [[one.number, one.has_value, one.told] for one in noted]


def _read(held: object) -> list[_Noted] | None:
    """Read an index; None if it is one of another release, or none at all."""
    if not isinstance(held, list) or not all(map(_is_noted, held)):
        return None
    return [_Noted(*one) for one in held]


def _is_noted(held: object) -> bool:
    """Say whether *held* is what an index tells of one run."""
    if not isinstance(held, list) or [type(part) for part in held] != [int, bool, dict]:
        return False
    number, _, told = held
    return (
        0 < number < _MOST
        and told.keys() == set(_TOLD)
        and all(isinstance(told[name], str) for name in _TEXTS)
        and all(is_instant(told[name]) for name in _INSTANTS)
        and is_span(told["duration"])
    )


def _kept(noted: Sequence[_Noted], keep: int) -> list[_Noted]:
    """Choose what is kept: the last few, and the newest good one whatever its age."""
    last = list(noted[:keep])
    if any(one.is_good for one in last):
        return last
    return [*last, *(one for one in noted[keep:] if one.is_good)][: keep + 1]
