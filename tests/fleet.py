"""An application with a Celery app of its own, which web and worker processes import.

The environment says where its broker, its cache and its notes are.
"""

import os
import signal
import time
from functools import partial

from celery import Celery, signals
from fleet_notes import note, notes

from holdover import CeleryRunner, LeaseTerms, make_region

TTL = 2.0
CACHE = os.environ["FLEET_CACHE"]
if CACHE.startswith("redis://"):
    CACHE += "?socket_timeout=5&socket_connect_timeout=5"  # on a busy machine

app = Celery("fleet", broker=os.environ["FLEET_BROKER"], set_as_current=False)
app.conf.update(
    broker_connection_retry_on_startup=True,
    worker_enable_remote_control=False,
    task_default_queue_type=os.environ.get("FLEET_QUEUES", "classic"),
)


def told(report):
    """Note what became of an order."""
    note("reports", [report.region, report.key, report.done, report.reason])
    note("lags", report.lag)


def signalled(name, sender, **_):
    """Note a signal of Celery's."""
    note("signals", [name, sender.name])


for each in ("task_prerun", "task_postrun", "task_success"):
    getattr(signals, each).connect(partial(signalled, each), weak=False)


def region(name, queue_ttl=30.0, orders=None, **runner):
    """Make a region whose orders take the app's broker."""
    return make_region(name).configure(
        CACHE,
        60,
        unsigned_pickle=True,
        lease=LeaseTerms(ttl=TTL, queue_ttl=queue_ttl),
        runner=CeleryRunner(app, **{"publish_timeout": 2.0, **runner}),
        orders=orders or {},
        figures_every=0.5,
    )


def create(article, cost=0.0):
    """Note who creates, take *cost* seconds, and say who did."""
    note(f"runs-{article}", os.getpid())
    time.sleep(cost)
    return [article, os.getpid(), time.time()]


fleet = region("fleet", on_outcome=told)  # of all orders that the app carries out
held = region("held", task_options={"queue": "held", "priority": 3})  # served by none
# Any caller who waited for this one's broker would be late by seconds; what its broker
# loses is ordered again soon.
patient = region("patient", queue_ttl=2.0, publish_timeout=5.0)
RATE = {"per_second": 100.0, "burst": 200}
limited = region("limited", queue_ttl=300.0, orders=RATE)


@fleet.cache_on_arguments()
def price(article, cost=0.0):
    """Create; refreshed by the workers."""
    return create(article, cost)


@fleet.cache_on_arguments()
def doomed(article):
    """Create; the first who tries is killed as soon as the order is his."""
    made = create(article)
    if len(notes(f"runs-{article}")) == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return made


@held.cache_on_arguments()
def held_price(article, cost=0.0):
    """Create; its orders stay in their queue."""
    return create(article, cost)


@patient.cache_on_arguments()
def patient_price(article, cost=0.0):
    """Create; its orders may take long to publish."""
    return create(article, cost)


@limited.cache_on_arguments()
def limited_price(article):
    """Create; its orders are limited."""
    return ["new", article]
