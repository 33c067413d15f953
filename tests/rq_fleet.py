"""An application whose orders RQ's workers carry out; see ``fleet.py``."""

import os
import signal
import time

import redis
from fleet_notes import note, notes

from holdover import LeaseTerms, RqRunner, make_region

TTL = 2.0
client = redis.Redis.from_url(os.environ["FLEET_BROKER"])
region = make_region("rq fleet").configure(
    os.environ["FLEET_CACHE"],
    60,
    lease=LeaseTerms(ttl=TTL, queue_ttl=30.0),
    runner=RqRunner(client, queue="refresh", publish_timeout=2.0),
)


@region.cache_on_arguments()
def price(article, cost=0.0):
    """Note who creates, take *cost* seconds, and say who did."""
    note(f"runs-{article}", os.getpid())
    time.sleep(cost)
    return [article, os.getpid(), time.time()]


@region.cache_on_arguments()
def doomed(article):
    """Create; the first who tries is killed as soon as the order is his."""
    note(f"runs-{article}", os.getpid())
    if len(notes(f"runs-{article}")) == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return [article, os.getpid()]


@region.cache_on_arguments(task_options={"queue": "held", "at_front": True})
def held_price(article):
    """Create; its orders stay in their queue."""
    note(f"runs-{article}", os.getpid())
    return article
