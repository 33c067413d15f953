"""Celery, for a site that has a broker: web processes order, its worker refreshes."""

import os

from celery import Celery

from holdover import CeleryRunner

app = Celery("library", broker=os.environ["BROKER_URL"])
app.autodiscover_tasks()

RUNNER = CeleryRunner(app)
