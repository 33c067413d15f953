"""The last runs of schedules in a store that is no backend: see `RunStore`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from dogpile.cache.api import NO_VALUE

from holdover.regions.decoding import Unreadable
from holdover.regions.envelope import Entry
from holdover.regions.errands import Errand
from holdover.regions.errors import BackendError, UncacheableValue, ValueTooLarge
from holdover.regions.run_store import RunStore
from holdover.regions.runs import Failure, Run
from holdover.regions.sealing import Sealing
from holdover.regions.timesource import TimeSource

_LONGEST = 10.0  # seconds for keeping one run


class RunHistory:
    """The last runs of one region's schedules; for its methods see `History`.

    Args:
        store: Where they are kept.
        sealing: How their values become bytes.
        region: The region's name.
        time_source: The clock to go by.
    """

    def __init__(
        self, store: RunStore, sealing: Sealing, region: str, time_source: TimeSource
    ) -> None:
        self._store = store
        self._sealing = sealing
        self._region = region
        self._time = time_source

    @property
    def place(self) -> str:
        """What keeps them, for people."""
        return f"{type(self._store).__name__} {self._store.place()}".strip()

    def check(self, key: str) -> None:
        """See `History.check`."""
        self._store.check()

    def add(self, key: str, run: Run, keep: int) -> Run:
        """See `History.add`."""
        payload: bytes | None = None
        if run.has_value:
            try:
                entry = Entry(run.value, created_at=self._time.wall())
                # Bytes: only a backend that keeps objects is given copies.
                payload = cast("bytes", self._sealing.seal(entry, key))
            except (UncacheableValue, ValueTooLarge) as error:
                run = run.failed_by(Failure.of(error))
        self._add(run, payload, keep)
        return run

    def _add(self, run: Run, payload: bytes | None, keep: int) -> None:
        """Have it kept; wait for that no longer than is good for the next run."""

        def work() -> None:
            self._store.add(run, payload, keep)

        if self._store.needs_this_thread():
            return work()
        try:
            errand = Errand(work, lambda _: None)
        except RuntimeError:  # a server without threads: nobody could look at a clock
            return work()
        if not errand.is_done_within(_LONGEST):
            raise BackendError(f"{self.place} takes longer than {_LONGEST:g} s")
        return errand.outcome()

    def newest_value(self, key: str, name: str) -> Any:
        """See `History.newest_value`."""
        return self._opened(key, self._store.newest(self._region, name))

    def runs(self, key: str, name: str) -> list[Run]:
        """See `History.runs`."""
        return [
            replace(one.run, value=self._opened(key, one.payload))
            for one in self._store.runs(self._region, name)
        ]

    def _opened(self, key: str, payload: bytes | None) -> Any:
        """Read a value; ``NO_VALUE`` if there is none that this region may read."""
        if payload is None:
            return NO_VALUE
        try:
            return self._sealing.open(payload, key).value
        except Unreadable:
            return NO_VALUE
