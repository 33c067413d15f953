"""A program that ends, or forks, in the middle of refreshing: ``ending.py RUNNER HOW``.

It prints the time at which it begins to end. The environment says where its cache, its
notes and its broker are.
"""

import multiprocessing
import os
import sys
import threading
import time
from functools import partial
from pathlib import Path

import shop
from celery import Celery

from holdover import CeleryRunner, LeaseTerms

COUNT = 50
SLOW = 5.0
PATIENCE = 20.0  # until a worker process of a child has begun, on a busy machine
OLD = "old"


def runner(name):
    """Make the runner of that name."""
    if name == "process":
        return CeleryRunner(worker="process", include=["shop"])
    if name == "broker":
        url = os.environ["SHOP_BROKER"]
        return CeleryRunner(Celery("x", broker=url, set_as_current=False))
    return {"thread": "thread", "celery": CeleryRunner()}[name]


def configure(name):
    """Give the shop's region a runner and some stale values."""
    shop.region.configure(
        "holdover.file",
        60,
        {"path": os.environ["SHOP_CACHE"]},
        lease=LeaseTerms(ttl=1.0, queue_ttl=2.0),
        runner=runner(name),
        replace_existing_backend=True,
    )
    for number in range(COUNT):
        shop.price.set(OLD, number)
    shop.price.set(OLD, 0, cost=SLOW)
    shop.region.invalidate(hard=False)


def visit_for_ever():
    """Make orders as fast as it goes."""
    while True:
        shop.region.invalidate(hard=False)
        for number in range(COUNT):
            shop.price(number)


def refresh_in_a_child(number):
    """See a value of one's own refreshed; the exit code says whether it was."""
    shop.price.set(OLD, number)
    shop.region.invalidate(hard=False)
    deadline = time.monotonic() + PATIENCE
    while shop.price(number) == OLD:
        if time.monotonic() > deadline:
            sys.exit(9)
        time.sleep(0.005)


def at_once():
    """End while the first order is on its way."""
    shop.price(1)


def creating():
    """End while a creator runs behind the caller's back."""
    while not Path(os.environ["SHOP_RUNS"]).exists():
        shop.price(0, cost=SLOW)  # again, lest the first order came too late
        time.sleep(0.005)


def ordering():
    """End while four threads make orders."""
    for _ in range(4):
        threading.Thread(target=visit_for_ever, daemon=True).start()
    time.sleep(0.2)  # in the middle of it, wherever that is


def exiting():
    """End while a thread of the application is itself in ``sys.exit``."""
    shop.price(1)
    threading.Thread(target=sys.exit, args=(1,)).start()


def children_of(method, count):
    """Have children use the region that their parent made and uses."""
    context = multiprocessing.get_context(method)
    for group in range(count):
        children = [
            context.Process(
                target=refresh_in_a_child, args=(1000 * os.getpid() + 10 * group + one,)
            )
            for one in range(2)
        ]
        for child in children:
            child.start()
        for child in children:
            child.join(2 * PATIENCE)
        if any(child.exitcode for child in children):
            sys.exit(8)


def forking():
    """Fork while orders are made, unless that would starve a nice worker process."""
    if sys.argv[1] == "process":
        shop.price(1)
        children_of("fork", 1)
    else:
        ordering()
        children_of("fork", 6)


def locked():
    """Fork while a thread holds what each that uses Celery holds for an instant."""
    thread = threading.Thread(target=vars(Celery)["amqp"].lock.acquire)
    thread.start()
    thread.join()
    children_of("fork", 1)


ENDS = {
    "once": at_once,
    "creating": creating,
    "ordering": ordering,
    "exiting": exiting,
    "fork": forking,
    "locked": locked,
    "spawn": partial(children_of, "spawn", 1),
}

if __name__ == "__main__":
    configure(sys.argv[1])
    ENDS[sys.argv[2]]()
    sys.stdout.write(f"{time.time()}\n")
    sys.stdout.flush()
    sys.exit(3)
