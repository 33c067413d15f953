"""Handing the schedules of an application to its Celery beat."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from holdover.regions import plugins
from holdover.regions.errors import HoldoverError
from holdover.regions.gathering import Regions, gathered
from holdover.regions.registry import registry
from holdover.regions.scheduling import SchedulingRegion, attend_named


def install_in_beat(
    app: Any,
    *,
    regions: Regions[SchedulingRegion]
    | SchedulingRegion
    | Iterable[SchedulingRegion] = registry,
    **options: Any,
) -> None:
    """Have Celery beat fire the schedules of regions, and its workers run them.

    Call it in the module of the app, which beat and its workers import, once the
    schedules are declared. Beat may run beside other schedulers, and more than once::

        app = Celery("shop", broker="redis://localhost/1")
        install_in_beat(app, regions=region, queue="schedules")

    Args:
        app: The application's Celery app.
        regions: A registry, a region or several; by default ``holdover.registry``,
            which knows the regions that it has made itself.
        **options: Passed to ``apply_async``: ``queue``, ``priority`` and so on.

    Raises:
        ConfigurationError: *app* is no Celery app, or there is no schedule yet.
        MissingDependency: Celery is not installed.
    """
    install = plugins.load("schedule", "beat")
    entries = [
        (region.name, schedule.name, schedule.due)
        for region in gathered(regions, SchedulingRegion)
        for schedule in region.schedules.values()
    ]
    install(app, entries, _fire, options)


def _fire(region: str, name: str) -> None:
    """Run a schedule if it is due and nobody else does."""
    attended = attend_named(region, name)
    if attended.run is not None and attended.run.has_failed:
        # So that beat's workers count it, as they do other tasks.
        raise HoldoverError(f"the schedule {name!r} failed: {attended.run.error}")
