"""Observing: what a region tells of itself, and of all processes that use it."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import cast

from holdover.regions.assembling import Settings
from holdover.regions.figures import Figures
from holdover.regions.fleet import FleetFigures
from holdover.regions.ledger import Ledger
from holdover.regions.recording import build_ledger
from holdover.regions.reporter import Reporter
from holdover.regions.warming import WarmingRegion


class ObservedRegion(WarmingRegion):
    """The part of a region that tells what happens in it. See `Region`."""

    _ledger: Ledger | None = None
    _reporter: Reporter | None = None

    def figures(self) -> Figures:
        """Give what has been counted in this process, since it began or was forked.

        Returns:
            Hits, misses, stale values served, creations and so on; see `Figures`.
        """
        degraded_for = 0.0 if self._tier is None else self._tier.degraded_for()
        return self._counters.figures(degraded_for)

    def fleet_figures(self) -> FleetFigures:
        """Give what all processes have counted that have set ``figures_every``.

        They write so often, so this is behind by that many seconds; and the last of a
        process that ends are not in it.

        Returns:
            Their sum, and who wrote lately; see `FleetFigures`.

        Raises:
            BackendError: The backend cannot be reached.
            ConfigurationError: It is one of dogpile.cache's.
        """
        self._require_configured()
        if self._ledger is None:
            rules = cast("Settings", self._rules)
            self._ledger = build_ledger(self.name, rules, self.backend, self._time)
        return self._ledger.fleet()

    def ping(self) -> float:
        """Ask the backend for next to nothing.

        Returns:
            Seconds that the answer took.

        Raises:
            BackendError: There was none.
            ConfigurationError: The backend is one of dogpile.cache's.
        """
        backend = self._entries.backend
        begun = self._time.steady()
        backend.tick(self.name or "")
        return self._time.steady() - begun

    def _assemble(self, rules: Settings) -> None:
        if self._tier is not None:
            self._counters.degraded(self._tier.degraded_for())
        super()._assemble(rules)
        if self._reporter is not None:
            self._reporter.stop()
        self._ledger = self._reporter = None
        every = rules.figures_every
        if every is not None:
            ledger = build_ledger(self.name, rules, self.backend, self._time)
            self._ledger = ledger
            self._reporter = Reporter(ledger, _figures_of(self), every)
        self._counters.on_use(_reporting(self))

    def report(self) -> None:
        """Begin to write figures, where that is wanted. For its counters."""
        if self._reporter is not None:
            self._reporter.start()


# Neither a thread nor its own counters keep a region alive.


def _figures_of(region: ObservedRegion) -> Callable[[], Figures | None]:
    reference = weakref.ref(region)

    def figures() -> Figures | None:
        there = reference()
        return None if there is None else there.figures()

    return figures


def _reporting(region: ObservedRegion) -> Callable[[], None]:
    reference = weakref.ref(region)

    def report() -> None:
        there = reference()
        if there is not None:
            there.report()

    return report
