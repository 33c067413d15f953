"""The one task that workers of Django's tasks run: an order, carried out or dropped.

In a module of its own, since making a task wants TASKS to be configured; and not in
``tasks.py``, which Celery imports.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from holdover.contrib_django.jobs.django_tasks_runner import execute, tasks_module
from holdover.contrib_django.jobs.places import know_all_places


@tasks_module().task()
def refresh(message: Mapping[str, Any]) -> None:
    """Carry out *message*, if it is an order for what this worker knows."""
    know_all_places()
    execute(message)
