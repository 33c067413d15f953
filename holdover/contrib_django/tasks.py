"""Celery's task, for ``app.autodiscover_tasks()``, which finds it by this name.

Importing it has the process know the jobs of every cache, as a worker must.
"""

from __future__ import annotations

from holdover import tasks
from holdover.contrib_django.jobs.places import know_all_places

refresh = tasks.refresh

know_all_places()
