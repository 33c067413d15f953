"""CACHEBACK_TASK_QUEUE, as runners; what they need is imported when they are used."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from holdover import ThreadRunner, errors


@cache
def runner_for(queue: str | None, *, ignore_results: bool) -> Any:
    """Give the runner for a queue, the same one in the whole process.

    Args:
        queue: CACHEBACK_TASK_QUEUE; None means Celery if that is installed.
        ignore_results: CACHEBACK_TASK_IGNORE_RESULT.

    Raises:
        ImproperlyConfigured: The queue's library is not installed, or configured in a
            way that cannot work.
    """
    if queue is None:
        queue = "celery" if find_spec("celery") else "thread"
    try:
        return _MAKERS[queue](ignore_results)
    except (ImportError, errors.ConfigurationError) as error:
        raise ImproperlyConfigured(
            f"CACHEBACK_TASK_QUEUE {queue!r}: {error}"
        ) from error


def _celery(ignore_results: bool) -> Any:  # noqa: FBT001 - one of several like it
    from celery import current_app  # noqa: PLC0415

    from holdover import CeleryRunner  # noqa: PLC0415

    app = current_app._get_current_object()
    kept = {} if ignore_results else {"ignore_result": False}
    return CeleryRunner(app, task_options=kept)


def _rq(ignore_results: bool) -> Any:  # noqa: FBT001
    from holdover.contrib_django.jobs.django_rq_runner import (  # noqa: PLC0415
        DjangoRqRunner,
    )

    return DjangoRqRunner(ignore_results=ignore_results)


def _django_tasks(_ignore_results: bool) -> Any:  # noqa: FBT001
    from holdover.contrib_django.jobs.django_tasks_runner import (  # noqa: PLC0415
        DjangoTasksRunner,
    )

    return DjangoTasksRunner()


_MAKERS: dict[str, Callable[[bool], Any]] = {
    "celery": _celery,
    "rq": _rq,
    "django-tasks": _django_tasks,
    "thread": lambda _ignore_results: ThreadRunner(),
}
