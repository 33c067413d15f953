"""Scheduling: what a region runs on its own, whether or not anyone asks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Unpack, cast

from dogpile.cache.api import NO_VALUE

from holdover.regions.bound import BoundMethod
from holdover.regions.crew import Crew
from holdover.regions.decorating import DecoratingRegion
from holdover.regions.errors import (
    BackendError,
    ConfigurationError,
    InvalidOrder,
    UnknownSchedule,
    UnregisteredFunction,
    unknown,
)
from holdover.regions.forks import ForkSafeLock
from holdover.regions.ordering import Chain
from holdover.regions.refresh.base import BatchOrder, Outcome, RefreshOrder
from holdover.regions.settings import Settings
from holdover.regions.worker import CATALOGUE

if TYPE_CHECKING:
    from holdover.regions.attendant import Attendant, Attended
    from holdover.regions.recording import Records
    from holdover.regions.runs import Run
    from holdover.regions.schedule import Schedule, ScheduleOptions

_KEY = "schedule:"
_building = ForkSafeLock()  # guards the making of a region's records


class SchedulingRegion(DecoratingRegion):
    """The part of a region that runs functions when they are due. See `Region`."""

    _records: Records | None = None
    _attending: Attendant | None = None

    @cached_property
    def _schedules(self) -> dict[str, Schedule]:
        """What was declared, by name."""
        return {}

    def schedule(
        self,
        function: Callable[..., Any] | None = None,
        /,
        **options: Unpack[ScheduleOptions],
    ) -> Schedule:
        """Have a function run again and again, and keep what it returns.

        Nothing runs before a scheduler does: `Scheduler`, ``holdover run``, or Celery
        beat. Any number of them, on any number of hosts, run each due time once as long
        as they share the region's backend and it keeps its state; what was missed is
        caught up once. If the process that runs it is killed, it is run once more.

        A function that this region caches is refreshed under its own key. Any other
        one's value is kept under the key ``"schedule:<name>"``.

        Args:
            function: What to run; None with ``command=``.
            **options: ``every``: seconds (or ``timedelta``) from one due time to the
                next, counted from the epoch. ``cron``: five fields by the rules of
                Celery's ``crontab``, in place of that, in ``timezone`` ("UTC"); or
                a list of such, each of which makes it due.
                ``name``: by default the function's module and name. ``args``,
                ``kwargs``: its arguments. ``history`` (10): how many runs are kept.
                ``jitter`` (0): up to how many seconds it is run later, by its name.
                ``max_runtime`` (3600): seconds after which a run counts as failed; a
                command is then ended. ``retry_after``: seconds after which a failed
                run is tried again, and again; None (the default) leaves it at that
                until the next due time. ``on_error``: a function that gets the failed
                `Run`, or "mailto:ops@example.org". ``value=False``: a job without a
                value. ``command``: a list of a program and its arguments, or a line
                for the shell, whose output is kept.

        Returns:
            The schedule, as it was understood.

        Raises:
            ConfigurationError: An option is wrong, or the name is taken.
            LazyValue: The function's values could be read only once.
            MissingDependency: ``cron`` needs a library that is not installed.
        """
        from holdover.regions.schedule import read_schedule

        made = read_schedule(function, options)
        self.add_schedules([made])
        return made

    @property
    def schedules(self) -> Mapping[str, Schedule]:
        """The region's schedules by name."""
        return MappingProxyType(self._schedules)

    def add_schedules(self, schedules: Sequence[Schedule]) -> None:
        """Add schedules that were read before: all, or none. For the registry.

        Raises:
            ConfigurationError: See `check_new_schedules`.
        """
        from holdover.regions.attendant import ORDER

        self.check_new_schedules(schedules)
        for one in schedules:
            self._schedules[one.name] = one
            if self.name is not None:
                CATALOGUE.register(
                    self.name, ORDER + one.name, _ScheduleOrders(self, one)
                )

    def check_new_schedules(self, schedules: Sequence[Schedule]) -> None:
        """Refuse what cannot be added. For the registry.

        Raises:
            ConfigurationError: A name is taken, or a function is another region's.
        """
        names = [*self._schedules, *(one.name for one in schedules)]
        for one in schedules:
            if names.count(one.name) > 1:
                raise ConfigurationError(
                    f"region {self.name!r} has two schedules of the name "
                    f"{one.name!r}: give one of them another name="
                )
            self._refuse_foreign(one)

    def value_of(self, name: str, *, strict: bool = False) -> Any:
        """Give a schedule's newest good value, without ever computing it.

        Args:
            name: The schedule's name.
            strict: Whether to raise if the history cannot be read.

        Returns:
            The value, or ``NO_VALUE`` if there is none yet.

        Raises:
            UnknownSchedule: There is no schedule of that name.
            BackendError: Only if *strict*.
        """
        records = self._kept_of(name)
        try:
            return records.history.newest_value(records.history_key(name), name)
        except BackendError:
            if strict:
                raise
            return NO_VALUE

    def history(self, name: str) -> list[Run]:
        """Give a schedule's last runs, newest first, with their values and errors.

        Raises:
            UnknownSchedule: There is no schedule of that name.
            BackendError: The history cannot be read.
        """
        records = self._kept_of(name)
        return records.history.runs(records.history_key(name), name)

    def key_of_schedule(self, name: str) -> str:
        """Give the key under which a schedule's value is kept, if it has one.

        Raises:
            UnknownSchedule: There is no schedule of that name.
        """
        schedule = self._schedule(name)
        function: Any = schedule.function
        if self._caches(function):
            key: str = function.key_for(*schedule.args, **schedule.kwargs)
            return key
        return _KEY + name

    # -- for schedulers --------------------------------------------------------

    def attend(self, name: str, *, here: bool = False) -> Attended:
        """Run a schedule if it is due and nobody else does. For schedulers.

        Args:
            name: The schedule's name.
            here: Whether to run it in this thread even if the region's runner is a
                queue.

        Raises:
            UnknownSchedule: There is no schedule of that name.
            ConfigurationError: The region cannot run schedules.
        """
        schedule = self._schedule(name)
        chain = Chain([]) if here or self.name is None else self._chain
        return self._attendant().attend(schedule, chain)

    def check_schedules(self) -> None:
        """Tell of what would keep schedules from running. For schedulers.

        Raises:
            ConfigurationError: It says what, and what to do.
            RegionNotConfigured: The region is not configured.
        """
        self._attendant()

    def fulfil_schedule(self, name: str, order: RefreshOrder) -> Outcome:
        """Carry out an order for a schedule, in a worker.

        Raises:
            RegionNotConfigured: This process has not configured the region.
            InvalidOrder: It came too late.
        """
        self._crew_for(order.not_after, order.key)
        return self._attendant().fulfil(self._schedule(name), order)

    # -- small steps -----------------------------------------------------------

    def _work(self, schedule: Schedule) -> Any:
        """Do what a schedule says; give its value, if it has one."""
        function: Any = schedule.function  # commands are run by themselves
        if self._caches(function):
            return function.refresh(*schedule.args, **schedule.kwargs)

        def create() -> Any:
            return function(*schedule.args, **schedule.kwargs)

        if not schedule.has_value:
            create()
            return NO_VALUE
        call = self._call(_KEY + schedule.name, create, None, None, None)
        return self.recreate_call(call)

    def _caches(self, function: Any) -> bool:
        """Say whether *function* is one that this region caches."""
        if isinstance(function, BoundMethod):
            function = function.__func__
        return self._inline.made(function)

    def _refuse_foreign(self, schedule: Schedule) -> None:
        function = schedule.function
        if hasattr(function, "key_for") and not self._caches(function):
            raise ConfigurationError(
                f"{schedule.name!r} is cached by another region than {self.name!r}: "
                "schedule it there, or schedule its .original here"
            )

    def _schedule(self, name: str) -> Schedule:
        if name not in self._schedules:
            what = unknown("schedule", name, self._schedules)
            raise UnknownSchedule(f"region {self.name!r}: {what}")
        return self._schedules[name]

    def _kept_of(self, name: str) -> Records:
        self._schedule(name)
        return self._records_of_schedules()

    def _records_of_schedules(self) -> Records:
        from holdover.regions.recording import build_records

        self._require_configured()
        with _building.held:
            if self._records is None:
                self._records = build_records(
                    self.name,
                    cast("Settings", self._rules),
                    self.backend,
                    (self._user_defined_serializer, self._user_defined_deserializer),
                    listeners=self._listeners,
                    time_source=self._time,
                )
            return self._records

    def _attendant(self) -> Attendant:
        from holdover.regions.attendant import Attendant

        records = self._records_of_schedules()
        with _building.held:
            if self._attending is None:
                crew = cast("Crew", self._crew)
                self._attending = Attendant(self.name or "", records, crew, self._work)
            return self._attending

    def _assemble(self, rules: Settings) -> None:
        super()._assemble(rules)
        self._records = self._attending = None


def attend_named(region: str, name: str) -> Attended:
    """Do as `SchedulingRegion.attend`, here, with what this process has registered.

    Raises:
        UnregisteredFunction: Nobody has declared it in this process.
    """
    from holdover.regions.attendant import ORDER

    found = CATALOGUE.find(region, ORDER + name)
    if not isinstance(found, _ScheduleOrders):
        raise UnregisteredFunction(f"{name!r} of region {region!r} is no schedule")
    return found.region.attend(found.schedule.name, here=True)


class _ScheduleOrders:
    """What an order for a schedule names."""

    def __init__(self, region: SchedulingRegion, schedule: Schedule) -> None:
        self.region = region
        self.schedule = schedule

    def fulfil(self, order: RefreshOrder | BatchOrder, task_id: str | None) -> Outcome:
        """Carry out an order for the schedule.

        Raises:
            InvalidOrder: It is none.
        """
        if not isinstance(order, RefreshOrder) or len(order.args) != 1:
            raise InvalidOrder(f"no order for the schedule {self.schedule.name!r}")
        return self.region.fulfil_schedule(self.schedule.name, order)
