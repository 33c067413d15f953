"""The Celery app of a project whose jobs Celery refreshes."""

import os

from celery import Celery

app = Celery("jobs", broker=os.environ["JOBS_REDIS"])
app.autodiscover_tasks()
