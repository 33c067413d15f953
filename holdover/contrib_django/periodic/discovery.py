"""Finding what installed apps declare: their regions, schedules and jobs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import import_module
from types import ModuleType

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string, module_has_submodule

from holdover.contrib_django.periodic.job import PeriodicJob
from holdover.contrib_django.project.configuring import SETTING, Wanted


def autodiscover(modules: Sequence[str] | None = None) -> list[str]:
    """Import ``regions.py`` and ``cron.py`` of all installed apps; declare their jobs.

    Every process does so when Django is set up, unless
    ``HOLDOVER["autodiscover"]`` is False. Calling it again does nothing more.

    Args:
        modules: What to look for; None means ``HOLDOVER["modules"]``.

    Returns:
        The full names of the modules that there are.

    Raises:
        ImproperlyConfigured: A job is wrong, or HOLDOVER is.
        Exception: Whatever a module raises while it is imported. Only one that is
            absent is passed over; one that imports something absent is not.
    """
    wanted = Wanted.of_project()
    found = list(_imported(wanted.modules if modules is None else modules))
    for module in found:
        for job in _jobs_in(module):
            job.declare()
    for path in wanted.jobs:
        _job_at(path).declare()
    return [module.__name__ for module in found]


def _imported(modules: Sequence[str]) -> Iterator[ModuleType]:
    # All regions before the first job, which may name one.
    for name in modules:
        for app in apps.get_app_configs():
            # An ImportError may be about what a module imports, and not about itself:
            # so nobody tries before it is known to be there.
            if module_has_submodule(app.module, name):
                yield import_module(f"{app.name}.{name}")


def _jobs_in(module: ModuleType) -> list[type[PeriodicJob]]:
    """Give the jobs that a module defines, in its order."""
    return [
        one
        for one in vars(module).values()
        if isinstance(one, type)
        and issubclass(one, PeriodicJob)
        and one.__module__ == module.__name__
        and one.is_complete()
    ]


def _job_at(path: str) -> type[PeriodicJob]:
    try:
        found = import_string(path)
    except ImportError as error:
        raise ImproperlyConfigured(f"{SETTING} 'jobs': {error}") from error
    if not isinstance(found, type) or not issubclass(found, PeriodicJob):
        raise ImproperlyConfigured(f"{SETTING} 'jobs': {path!r} is no PeriodicJob")
    return found
