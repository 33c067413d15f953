"""A worker's app that makes no runner: it serves, by Celery's shared tasks."""

import os

from celery import Celery

app = Celery(
    "server",
    broker=os.environ["FLEET_BROKER"],
    include=["shared_shop", "holdover.tasks"],
)
