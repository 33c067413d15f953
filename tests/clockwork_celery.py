"""The application of `clockwork`, with Celery: its beat, and a queue for orders."""

import os

from celery import Celery
from clockwork import GIVEN, here, registry, tick

from holdover import CeleryRunner, install_in_beat

app = Celery("clockwork", broker=os.environ["CLOCKWORK_BROKER"], set_as_current=False)
app.conf.update(
    broker_connection_retry_on_startup=True,
    worker_enable_remote_control=False,
)
registry.configure(
    {"queued": GIVEN | {"runner": CeleryRunner(app, publish_timeout=2.0)}}
)
queued = registry.region("queued")
queued.schedule(tick, every=0.5, name="queued tick", history=1000)
install_in_beat(app, regions=registry, priority=3)

__all__ = ["app", "here", "queued", "registry"]
