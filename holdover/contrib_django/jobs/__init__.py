"""Jobs: values that a worker keeps warm, with django-cacheback's API.

``from cacheback...`` becomes ``from holdover.contrib_django.jobs...``, and the modules
``base``, ``jobs`` and ``decorators`` are where they were.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from holdover.contrib_django.jobs.asked import NotWritten
    from holdover.contrib_django.jobs.base import Call, Job
    from holdover.contrib_django.jobs.decorators import cacheback
    from holdover.contrib_django.jobs.django_rq_runner import DjangoRqRunner
    from holdover.contrib_django.jobs.django_tasks_runner import DjangoTasksRunner
    from holdover.contrib_django.jobs.jobs import (
        FunctionJob,
        QuerySetFilterJob,
        QuerySetGetJob,
        QuerySetJob,
    )

__all__ = [
    "Call",
    "DjangoRqRunner",
    "DjangoTasksRunner",
    "FunctionJob",
    "Job",
    "NotWritten",
    "QuerySetFilterJob",
    "QuerySetGetJob",
    "QuerySetJob",
    "cacheback",
]

_HOMES = {
    "Call": "base",
    "DjangoRqRunner": "django_rq_runner",
    "DjangoTasksRunner": "django_tasks_runner",
    "FunctionJob": "jobs",
    "Job": "base",
    "NotWritten": "asked",
    "QuerySetFilterJob": "jobs",
    "QuerySetGetJob": "jobs",
    "QuerySetJob": "jobs",
    "cacheback": "decorators",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
