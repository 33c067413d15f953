"""The warmer: computes declared calls in parallel, and tells what came of each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from holdover.regions.calls import Made
from holdover.regions.errors import (
    BackendError,
    ConfigurationError,
    HoldoverError,
    UnregisteredFunction,
    WarmingFailed,
    unknown,
)
from holdover.regions.gathering import Regions, gathered
from holdover.regions.lifetime import seconds_or_none
from holdover.regions.parallel import Parallel
from holdover.regions.runs import Failure
from holdover.regions.timesource import SYSTEM_TIME
from holdover.regions.warming import (
    HOT_GROUP,
    GivenCall,
    Warming,
    WarmingRegion,
    read_call,
)
from holdover.regions.warmth import Tally, WarmCall, Warmed, Warmth

DEFAULT_THREADS = 8
_MOST_THREADS = 256
_RAISED = (Exception, SystemExit)  # by the user's own code, in a thread of ours


@dataclass(frozen=True, slots=True, kw_only=True)
class _Item:
    """One call that is to be warmed, or what stands for a call that could not be had.

    Attributes:
        region: The region's name.
        group: The group's.
        function: The function's.
        given: The call, as it was written.
        warming: What warms it.
        problem: Why it cannot be warmed; None if it can.
        is_optional: Whether that is no failure, nor is it if the call fits no more.
    """

    region: str
    group: str
    function: str = ""
    given: GivenCall | None = None
    warming: Warming | None = None
    problem: BaseException | None = None
    is_optional: bool = False

    def warmed(self, *, force: bool) -> Warmed:
        """Warm it; nothing is raised."""
        if self.warming is None or self.given is None:
            return self.lost(self.problem)
        try:
            call = self.warming.checked(self.given)
        except _RAISED as error:  # what makes keys may be the user's own
            return self.lost(error)
        began = SYSTEM_TIME.steady()
        try:
            warmth, reason = _judged(self.warming.warm(call, force=force))
        except _RAISED as error:
            took = SYSTEM_TIME.steady() - began
            return self.told(Warmth.FAILED, call, took, _line(error), error)
        return self.told(warmth, call, SYSTEM_TIME.steady() - began, reason)

    def lost(self, error: BaseException | None) -> Warmed:
        """Tell that it could not even be tried."""
        call = None
        if self.given is not None:
            with suppress(ConfigurationError):
                call = read_call(self.given)
        reason = "" if error is None else _line(error)
        if self.is_optional:
            return self.told(Warmth.SKIPPED, call, 0.0, reason)
        return self.told(Warmth.FAILED, call, 0.0, reason, error)

    def told(
        self,
        warmth: Warmth,
        call: WarmCall | None,
        seconds: float,
        reason: str = "",
        error: BaseException | None = None,
    ) -> Warmed:
        """Tell what came of it."""
        return Warmed(
            region=self.region,
            group=self.group,
            function=self.function,
            call=call,
            warmth=warmth,
            seconds=seconds,
            reason=reason,
            error=error,
        )


class Warmer:
    """Computes the calls that regions declare, and replays those that are hot.

    What is fresh is left alone; what is not is created now, under the same leases as
    ever: of two warmers, each value is made by one. A failing creator is told of and
    keeps nothing else from being warmed; a pause after an earlier failure is not
    waited for. Nothing is made that could not be stored::

        for warmed in Warmer(registry, groups=["front"]).run():
            print(warmed)

    Args:
        regions: A registry, a region, or several.
        groups: The groups to warm; none means all. "hot" stands for what is recorded.
        hot: Whether to replay what is recorded, too, or, without *groups*, alone.
        threads: How many calls are computed at once.
        force: Whether to create anew what is fresh.
        timeout: Seconds for all of it; None means without a bound.

    Raises:
        ConfigurationError: An option is wrong, there is no such group, or nothing that
            could be warmed.
        RegionNotConfigured: One of the regions is not configured.
    """

    def __init__(
        self,
        regions: Regions[WarmingRegion] | WarmingRegion | Iterable[WarmingRegion],
        *,
        groups: Iterable[str] = (),
        hot: bool = False,
        threads: int = DEFAULT_THREADS,
        force: bool = False,
        timeout: float | None = None,
    ) -> None:
        _check_threads(threads)
        named = {groups} if isinstance(groups, str) else set(groups)
        self._hot = hot or HOT_GROUP in named
        self._groups = named - {HOT_GROUP}
        self._all = not self._groups and not self._hot
        self._threads = threads
        self._force = force
        self._timeout = seconds_or_none(timeout, "timeout")
        self._regions = gathered(regions, WarmingRegion)
        self._check()

    def _check(self) -> None:
        known = {one.group for region in self._regions for one in region.warmings}
        recorded = any(region.records_hot for region in self._regions)
        for group in sorted(self._groups - known):
            also = {HOT_GROUP} if recorded else set()
            raise ConfigurationError(unknown("group", group, known | also))
        if self._hot and not recorded:
            raise ConfigurationError(
                "no region records what is hot: configure one with record_hot=100"
            )
        if self._all and not known:
            more = f"; what is recorded is the group {HOT_GROUP!r}" if recorded else ""
            raise ConfigurationError(f"no region declares what is to be warmed{more}")
        for region in self._regions:
            region.check_warming()

    def run(self) -> Iterator[Warmed]:
        """Warm, and give what came of each call as soon as it is known.

        Calls are taken by a thread of their own, and only as they are needed. Whoever
        stops listening ends it: nothing more is begun, and what is under way goes on
        in its threads.
        """
        work = Parallel(self._items(), self._warm, self._threads)
        yield from work.results(self._timeout)
        if self._timeout is None:
            return
        left = work.stop()
        yield from work.finished()
        late = TimeoutError(f"not done after {self._timeout:g} s")
        yield from (one.lost(late) for one in left)
        if not work.has_taken_all:
            never = TimeoutError(f"not begun in {self._timeout:g} s, with what follows")
            yield _Item(region="", group="", problem=never).lost(never)

    def warm(self) -> Tally:
        """Warm, and count what came of it, as a schedule does.

        ::

            nightly = Warmer(region, groups=["front"])
            region.schedule(nightly.warm, cron="0 5 * * *", value=False, name="front")

        Raises:
            WarmingFailed: A call has failed; the message says how many, and why one.
        """
        tally, failed = Tally(), None
        for warmed in self.run():
            tally.add(warmed)
            failed = failed or (warmed if warmed.has_failed else None)
        if failed is not None:
            raise WarmingFailed(f"{tally}; such as {failed}") from failed.error
        return tally

    def total(self) -> int | None:
        """Tell how many calls there are; None if that is not known beforehand."""
        counts = [one.count for _, one in self._declared()]
        if self._hot or None in counts:
            return None
        return sum(count or 0 for count in counts)

    # -- small steps -----------------------------------------------------------

    def _warm(self, item: _Item) -> Warmed:
        return item.warmed(force=self._force)

    def _declared(self) -> Iterator[tuple[str, Warming]]:
        for region in self._regions:
            for one in region.warmings:
                if self._all or one.group in self._groups:
                    yield region.name or "", one

    def _items(self) -> Iterator[_Item]:
        for region, warming in self._declared():
            yield from _items_of(region, warming)
        for recording in self._regions if self._hot else ():
            yield from _hot_items(recording)


def _items_of(region: str, warming: Warming) -> Iterator[_Item]:
    """Give what was declared; if its calls cannot be had, what says so."""
    group, function = warming.group, warming.function
    try:
        for given in warming.given():
            yield _Item(
                region=region,
                group=group,
                function=function,
                given=given,
                warming=warming,
            )
    except _RAISED as error:
        yield _Item(region=region, group=group, function=function, problem=error)


def _hot_items(region: WarmingRegion) -> Iterator[_Item]:
    """Give what was recorded, but for what this release does not know."""
    name = region.name or ""
    try:
        calls = region.hot()
    except BackendError as error:
        yield _Item(region=name, group=HOT_GROUP, problem=error)
        return
    for one in calls:
        warming, problem = None, None
        try:
            warming = region.hot_warming(one)
        except UnregisteredFunction as error:
            problem = error
        yield _Item(
            region=name,
            group=HOT_GROUP,
            function=one.function,
            given=one.call,
            warming=warming,
            problem=problem,
            is_optional=True,
        )


def _judged(made: Sequence[Made]) -> tuple[Warmth, str]:
    """Say what came of a call for which *made* was made, and why if it is no help."""
    if any(one.wanted and not one.stored for one in made):
        return Warmth.FAILED, (
            "its value was not stored: it could not be encoded, was too large, or was "
            "invalidated meanwhile"
        )
    if any(one.stored for one in made):
        return Warmth.CREATED, ""
    if made:
        return Warmth.SKIPPED, "its function says that this value is not to be stored"
    return Warmth.FRESH, ""


def _line(error: BaseException) -> str:
    return str(error) if isinstance(error, HoldoverError) else Failure.of(error).error


def _check_threads(threads: object) -> None:
    is_count = isinstance(threads, int) and not isinstance(threads, bool)
    if not is_count or not 1 <= threads <= _MOST_THREADS:  # type: ignore[operator]
        raise ConfigurationError(
            f"threads must be from 1 to {_MOST_THREADS}, got {threads!r:.80}"
        )
