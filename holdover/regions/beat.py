"""Handing the schedules of an application to its Celery beat."""

from __future__ import annotations

from typing import Any

from holdover.regions import plugins
from holdover.regions.errors import HoldoverError
from holdover.regions.registry import Registry, registry
from holdover.regions.scheduling import attend_named


def install_in_beat(app: Any, *, regions: Registry = registry, **options: Any) -> None:
    """Have Celery beat fire the schedules of all regions, and its workers run them.

    Call it in the module of the app, which beat and its workers import, once the
    schedules are declared. Beat may run beside other schedulers, and more than once::

        app = Celery("shop", broker="redis://localhost/1")
        install_in_beat(app, queue="schedules")

    Args:
        app: The application's Celery app.
        regions: The registry that holds the regions.
        **options: Passed to ``apply_async``: ``queue``, ``priority`` and so on.

    Raises:
        ConfigurationError: *app* is no Celery app.
        MissingDependency: Celery is not installed.
    """
    install = plugins.load("schedule", "beat")
    entries = [
        (name, schedule.name, schedule.due)
        for name in regions
        for schedule in regions.region(name).schedules.values()
    ]
    install(app, entries, _fire, options)


def _fire(region: str, name: str) -> None:
    """Run a schedule if it is due and nobody else does."""
    attended = attend_named(region, name)
    if attended.run is not None and attended.run.has_failed:
        # So that beat's workers count it, as they do other tasks.
        raise HoldoverError(f"the schedule {name!r} failed: {attended.run.error}")
