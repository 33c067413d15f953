"""Observing: what a region tells of itself, and of all processes that use it."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from holdover.regions import events
from holdover.regions.assembling import build_codec
from holdover.regions.errors import ConfigurationError
from holdover.regions.events import Listener
from holdover.regions.guarding import unpickles_unsigned
from holdover.regions.settings import Settings
from holdover.regions.warming import WarmingRegion

if TYPE_CHECKING:
    from holdover.regions.figures import Figures
    from holdover.regions.fleet import FleetFigures
    from holdover.regions.ledger import Ledger
    from holdover.regions.reporter import Reporter


class ObservedRegion(WarmingRegion):
    """The part of a region that tells what happens in it. See `Region`."""

    _ledger: Ledger | None = None
    _reporter: Reporter | None = None

    @property
    def codec(self) -> str | None:
        """By what its values become bytes: "json"; None if they stay objects.

        It is also None for a backend that knows only dogpile.cache's verbs.

        Raises:
            RegionNotConfigured: There is no backend yet.
        """
        backend = self.backend
        if self._tier is None or self._rules is None:
            return None
        made = build_codec(
            self._rules.codec,
            backend,
            self._user_defined_serializer,
            self._user_defined_deserializer,
        )
        return None if made is None else made.tag.decode("ascii", "replace")

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call *listener* with every event of this region (`holdover.events`).

        Returns:
            A function that ends it.
        """
        if not callable(listener):
            raise ConfigurationError(f"a listener is a function, got {listener!r}")
        self._listeners.add(listener)
        self.gate.close()  # a hit of what is at hand is not told of
        return lambda: self._listeners.remove(listener)

    def tell(self, event: events.Event) -> None:
        """Count *event*, and tell those who listen: for code that stores by a lease."""
        self._listeners.tell(event)

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
            from holdover.regions.recording import build_ledger

            rules = cast("Settings", self._rules)
            self._ledger = build_ledger(self.name, rules, self.backend, self._time)
        return self._ledger.fleet()

    @property
    def unpickles_unsigned(self) -> bool:
        """Whether whoever can write to its backend could run code in this process.

        That is so where unsigned pickles come over a network, even if it was said, by
        ``unsigned_pickle=True``, that nobody else can write there.
        """
        tier = self._tier
        return tier is not None and unpickles_unsigned(tier.sealing, tier.backend)

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
        if every is None:
            self._counters.on_use(None)
            return
        from holdover.regions.recording import build_ledger
        from holdover.regions.reporter import Reporter

        self._ledger = build_ledger(self.name, rules, self.backend, self._time)
        self._reporter = Reporter(self._ledger, _figures_of(self), every)
        self._counters.on_use(self._reporter.start)


def _figures_of(region: ObservedRegion) -> Callable[[], Figures | None]:
    """Give what gives them for as long as there is the region; it is not kept alive."""
    reference = weakref.ref(region)

    def figures() -> Figures | None:
        there = reference()
        return None if there is None else there.figures()

    return figures
