"""What operators ask of a region: is it well, and is there something to be cleared?"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from holdover.regions.errors import ConfigurationError, InvalidOrder
from holdover.regions.keys import PROBE
from holdover.regions.lifetime import seconds
from holdover.regions.observing import ObservedRegion
from holdover.regions.refresh.base import BatchOrder, Origin, Outcome, RefreshOrder
from holdover.regions.settings import Settings
from holdover.regions.tier import Tier
from holdover.regions.worker import Refreshable

if TYPE_CHECKING:
    from holdover.regions.findings import Finding

DEFAULT_TIMEOUT = 10.0


class ProbedRegion(ObservedRegion):
    """The part of a region that operators look after. See `Region`."""

    def purge(self) -> int:
        """Remove what is past its ttl from the region's backend, whosever it is.

        Other regions that share the backend are purged with it. Nothing that may still
        be served goes.

        Returns:
            How many entries were removed; 0 of backends that do so by themselves.

        Raises:
            BackendError: The backend could not do it.
            ConfigurationError: It knows only dogpile.cache's verbs.
            RegionNotConfigured: There is none yet.
        """
        self._require_configured()
        return self._entries.backend.purge()

    def diagnose(self, *, timeout: float = DEFAULT_TIMEOUT) -> Iterator[Finding]:
        """Look whether all that the region needs is there, and as it should be.

        Probes are written under the region's own prefix, and removed; a worker gets a
        real order, whose message stays in its queue until one takes it. Nothing that
        is told contains a secret.

        Args:
            timeout: Seconds to wait for a broker, and then for a worker.

        Yields:
            What each check has found, as soon as it has.

        Raises:
            InvalidLifetime: *timeout* is no span of time.
        """
        from holdover.regions.findings import Finding, Health

        timeout = seconds(timeout, "timeout")
        if not self.is_configured:
            advice = "call region.configure() where the application starts"
            yield Finding("backend", Health.FAIL, "none is configured", advice)
        elif self._tier is None:
            kind = type(self.actual_backend)
            found = f"{kind.__module__}.{kind.__qualname__} knows no leases"
            advice = "name one of Holdover's backends, and wrap it in no proxies"
            yield Finding("backend", Health.WARN, found, advice)
        else:
            yield from self._diagnosed(self._tier, timeout)

    def _diagnosed(self, tier: Tier, timeout: float) -> Iterator[Finding]:
        from holdover.regions import diagnosing
        from holdover.regions.findings import Health

        rules = cast("Settings", self._rules)
        _, key = self._new_probe()
        reach = diagnosing.check_reach(tier, key, self._time)
        yield reach
        yield diagnosing.check_sealing(tier, unsigned_is_meant=rules.unsigned_pickle)
        answers = reach.health is not Health.FAIL
        if answers or tier.backend.capabilities.shared_by != "fleet":
            # Of a host's files it can be seen what keeps them from being read.
            lasting = bool(self.schedules)
            yield from diagnosing.check_surroundings(tier.backend, lasting=lasting)
        if not answers:
            return
        yield diagnosing.check_clock(
            tier.backend, self._time, harmful=rules.lease.queue_ttl
        )
        yield diagnosing.check_verbs(tier, key)
        yield from diagnosing.check_entries(self._readable())
        yield from self._check_workers(tier, rules, timeout)
        yield from self._check_schedules()

    def _check_workers(
        self, tier: Tier, rules: Settings, timeout: float
    ) -> Iterator[Finding]:
        from holdover.regions.worker_probe import WorkerProbe

        for runner in self._chain.runners:
            if not runner.takes_orders:
                continue
            user_key, key = self._new_probe()
            probe = WorkerProbe(
                tier=tier,
                listeners=self._listeners,
                time=self._time,
                user_key=user_key,
                key=key,
                task_options=rules.terms.task_options,
            )
            yield from probe.examine(runner, timeout)

    def _check_schedules(self) -> Iterator[Finding]:
        if not self.schedules:
            return
        from holdover.regions import diagnosing
        from holdover.regions.findings import Finding, Health

        try:
            records = self._records_of_schedules()
        except ConfigurationError as error:
            advice = "say where they are to be kept"
            yield Finding("schedules", Health.FAIL, str(error), advice)
            return
        user_key, _ = self._new_probe()
        key = records.history_key(user_key)
        yield diagnosing.check_history(records.history, key)
        schedules = list(self.schedules.values())
        yield from diagnosing.check_schedules(schedules, records, self._time)

    def _readable(self) -> dict[str, str]:
        """Tell which of the keys that can be known are stored, and can be read here."""
        told = [self.inspect(key) for key in self._known_keys()]
        return {one.key: one.unreadable for one in told if one.is_known}

    def _known_keys(self) -> Iterator[str]:
        """Give the keys of schedules, and of functions without arguments."""
        for schedule in self.schedules.values():
            yield self.key_of_schedule(schedule.name)
        for function in self.functions.values():
            try:
                yield function.key_for()
            except Exception:  # noqa: BLE001, S112 - it needs arguments; maybe a key generator's own
                continue

    def _new_probe(self) -> tuple[str, str]:
        """Give a key that nobody has, as a user would, and as it is stored."""
        key = PROBE + secrets.token_hex(16)
        return key, self._address(key)

    # -- in a worker -----------------------------------------------------------

    def find_for_order(self, name: str) -> Refreshable:
        """Find what an order names, for a worker: a function, or the probe."""
        return _Probed(self) if name == PROBE else super().find_for_order(name)

    def fulfil_probe(self, order: RefreshOrder, task_id: str | None) -> Outcome:
        """Answer a probe, in a worker.

        Raises:
            RegionNotConfigured: This process has not configured the region.
            InvalidOrder: It came too late, or is for another key than a probe's.
        """
        if not order.key.startswith(PROBE):
            raise InvalidOrder("a probe's order for a key that is none of a probe")
        from holdover.regions.diagnosing import PROBE_LIFETIME

        crew = self._crew_for(order.not_after, order.key)
        call = self._call(order.key, self._answer, None, None, None)
        call.lifetime, call.own_lifetime = PROBE_LIFETIME, True
        return crew.fulfiller.fulfil(call, order.token, Origin.of(order, task_id))

    def _answer(self) -> Any:
        from holdover.regions.worker_probe import answer

        return answer(self._time.wall())


class _Probed:
    """What a probe's order names."""

    def __init__(self, region: ProbedRegion) -> None:
        self._region = region

    def fulfil(self, order: RefreshOrder | BatchOrder, task_id: str | None) -> Outcome:
        """Carry out a probe's order.

        Raises:
            InvalidOrder: It is none.
        """
        if not isinstance(order, RefreshOrder):
            raise InvalidOrder("a probe is ordered one at a time")
        return self._region.fulfil_probe(order, task_id)
