"""django-cacheback's settings, as they are at the moment."""

from __future__ import annotations

from django.conf import settings
from django.core.cache import DEFAULT_CACHE_ALIAS
from django.core.exceptions import ImproperlyConfigured

QUEUES = ("celery", "rq", "django-tasks", "thread")


def cache_alias() -> str:
    """Give CACHEBACK_CACHE_ALIAS: the cache of jobs that name none."""
    return str(getattr(settings, "CACHEBACK_CACHE_ALIAS", DEFAULT_CACHE_ALIAS))


def verifies_writes() -> bool:
    """Give CACHEBACK_VERIFY_CACHE_WRITE: whether ``set()`` raises if it fails."""
    return bool(getattr(settings, "CACHEBACK_VERIFY_CACHE_WRITE", True))


def ignores_results() -> bool:
    """Give CACHEBACK_TASK_IGNORE_RESULT: whether queues keep nothing of a refresh."""
    return bool(getattr(settings, "CACHEBACK_TASK_IGNORE_RESULT", True))


def validates_refreshes() -> bool:
    """Give CACHEBACK_VALIDATE_JOB_REFRESH_NEEDED: whether fresh values are spared."""
    return bool(getattr(settings, "CACHEBACK_VALIDATE_JOB_REFRESH_NEEDED", False))


def task_queue() -> str | None:
    """Give CACHEBACK_TASK_QUEUE; None if it is not set.

    Raises:
        ImproperlyConfigured: There is no such queue.
    """
    given = getattr(settings, "CACHEBACK_TASK_QUEUE", None)
    if given is not None and given not in QUEUES:
        raise ImproperlyConfigured(
            f"CACHEBACK_TASK_QUEUE must be one of {', '.join(map(repr, QUEUES))}, got "
            f"{given!r:.80}"
        )
    return given
