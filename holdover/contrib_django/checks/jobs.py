"""Checks of the settings for jobs."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured

from holdover.contrib_django.jobs import options
from holdover.contrib_django.jobs.queues import runner_for


def check_queue(**_: object) -> list[Any]:
    """Tell of a CACHEBACK_TASK_QUEUE that cannot work, or of a cache that is none."""
    found = []
    try:
        queue = options.task_queue()
        if queue is not None:
            runner_for(queue, ignore_results=options.ignores_results())
    except ImproperlyConfigured as error:
        hint = f"Known queues: {', '.join(options.QUEUES)}."
        found.append(checks.Error(str(error), hint=hint, id="holdover.E101"))
    alias = options.cache_alias()
    if alias not in settings.CACHES:
        found.append(
            checks.Error(
                f"CACHEBACK_CACHE_ALIAS is {alias!r}, which is not in CACHES",
                hint=f"Known caches: {', '.join(settings.CACHES)}.",
                id="holdover.E102",
            )
        )
    return found
