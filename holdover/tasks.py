"""Celery's shared task, for workers whose app has no `CeleryRunner`.

``app.autodiscover_tasks(["holdover"])`` finds it, and so does ``include``::

    app = Celery("worker", broker="redis://...", include=["holdover.tasks", "shop"])

What such a worker imports besides must decorate and configure, as everywhere.
"""

from __future__ import annotations

from holdover.regions.refresh.celery_task import share
from holdover.regions.worker import carry_out

refresh = share(carry_out)
