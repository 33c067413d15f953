"""A job that is a class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from django.core.exceptions import ImproperlyConfigured

from holdover import NO_VALUE, Region, Run, errors
from holdover import Schedule as Declared
from holdover.contrib_django.periodic.timetable import Schedule
from holdover.contrib_django.project.configuring import Wanted

_UNSUPPORTED = {
    "ALLOW_PARALLEL_RUNS": "no job runs twice at once; one that may is two jobs",
}


class PeriodicJob:
    """Work that is done when it is due, once in all processes, and remembered.

    ::

        from holdover.contrib_django.periodic import PeriodicJob, Schedule

        class Rates(PeriodicJob):
            name = "rates"
            schedule = Schedule(every=15)

            def do(self):
                return fetch_rates()

    Those in an app's ``cron.py`` or ``regions.py`` are found by `autodiscover`; others
    stand in ``HOLDOVER["jobs"]``, or are declared by `declare`. ``manage.py
    holdover_run`` runs them; database connections are closed after each run.

    Attributes:
        name: Its name in the region; "" for the class's module and name.
        code: django-cron's word for *name*.
        region: A `Region`, or the name of one in the project's registry; "" for
            ``HOLDOVER["region"]``, or the only one in ``HOLDOVER["regions"]``.
        schedule: When it is due.
        history: How many runs are kept.
        jitter: Seconds; it is run later by a share of them that follows from its name.
        max_runtime: Seconds after which a run counts as failed.
        on_error: A function that gets the failed `Run`, or "mailto:ops@example.org".
        value: Whether what `do` returns is kept in the region, besides the history.
    """

    name: ClassVar[str] = ""
    code: ClassVar[str] = ""
    region: ClassVar[str | Region] = ""
    schedule: ClassVar[Schedule | None] = None
    history: ClassVar[int] = 10
    jitter: ClassVar[float] = 0.0
    max_runtime: ClassVar[float] = 3600.0
    on_error: ClassVar[str | Callable[[Run], object] | None] = None
    value: ClassVar[bool] = True

    def do(self) -> Any:
        """Do the work, in an object that is made for this run; its value is kept."""
        raise NotImplementedError

    # -- what came of it -------------------------------------------------------

    @classmethod
    def runs(cls) -> list[Run]:
        """Give the last runs, newest first, with their values and errors.

        Raises:
            BackendError: The history cannot be read.
            UnknownSchedule: The job was not declared in this process.
        """
        return cls.found_region().history(cls.full_name())

    @classmethod
    def newest_value(cls, default: Any = NO_VALUE) -> Any:
        """Give what the newest good run returned, without ever running it.

        Args:
            default: Given if there is none yet.

        Raises:
            UnknownSchedule: The job was not declared in this process.
        """
        found = cls.found_region().value_of(cls.full_name())
        return default if found is NO_VALUE else found

    # -- declaring -------------------------------------------------------------

    @classmethod
    def is_complete(cls) -> bool:
        """Whether it can be run: a base for others lacks `do`, or a schedule."""
        return cls.schedule is not None and cls.do is not PeriodicJob.do

    @classmethod
    def full_name(cls) -> str:
        """Give the name under which the region knows it."""
        return cls.name or cls.code or f"{cls.__module__}.{cls.__qualname__}"

    @classmethod
    def found_region(cls) -> Region:
        """Give the region whose schedule it is.

        Raises:
            ImproperlyConfigured: Nobody says which.
        """
        if isinstance(cls.region, Region):
            return cls.region
        wanted = Wanted.of_project()
        return wanted.found_registry().region(cls.region or wanted.default_region())

    @classmethod
    def declare(cls) -> Declared:
        """Make it a schedule of its region, unless it is one already.

        Returns:
            The schedule, as it was understood.

        Raises:
            ImproperlyConfigured: The class is wrong, or another schedule has its name.
        """
        cls._check()
        region, name = cls.found_region(), cls.full_name()
        known = region.schedules.get(name)
        if known is not None and getattr(known.function, "job", None) is cls:
            return known
        try:
            return region.schedule(_Runner(cls), name=name, **cls._options())
        except errors.ConfigurationError as error:
            raise _wrong(cls, str(error)) from error

    @classmethod
    def _check(cls) -> None:
        """Refuse what would be ignored.

        Raises:
            ImproperlyConfigured: It says what.
        """
        given: object = cls.schedule
        if not isinstance(given, Schedule):
            raise _wrong(cls, f"schedule must be a Schedule, got {given!r:.80}")
        if cls.do is PeriodicJob.do:
            raise _wrong(cls, "it has no do()")
        if cls.name and cls.code and cls.name != cls.code:
            raise _wrong(cls, "name and code say the same: give one")
        for attribute, reason in _UNSUPPORTED.items():
            if getattr(cls, attribute, False):
                raise _wrong(cls, f"{attribute}: {reason}")

    @classmethod
    def _options(cls) -> dict[str, Any]:
        # From the class, where a plain function has not become a method.
        on_error = cls.on_error
        names = ("history", "jitter", "max_runtime", "value")
        options = {name: getattr(cls, name) for name in names}
        when = {} if cls.schedule is None else cls.schedule.options()
        return {**options, "on_error": on_error, **when}


class _Runner:
    """What a region runs for a job."""

    def __init__(self, job: type[PeriodicJob]) -> None:
        self.job = job

    def __call__(self) -> Any:
        return self.job().do()


def _wrong(job: type[PeriodicJob], problem: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(f"{job.__module__}.{job.__qualname__}: {problem}")
