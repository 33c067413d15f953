"""A module with a cached function, which worker processes of the tests import.

Its region is configured by the environment, so that both sides have the same one.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

from holdover import LeaseTerms, make_region

region = make_region("shop")
runs = os.environ.get("SHOP_RUNS", os.devnull)


@region.cache_on_arguments()
def price(article, *, currency="EUR", cost=0.0):
    """Note the run where other processes see it, take *cost* seconds, and return."""
    with Path(runs).open("a") as log:
        log.write(f"{os.getpid()}\n")
    time.sleep(cost)
    return [article, currency, os.getpid()]


@region.cache_on_arguments()
def behave(how):
    """Do, in a worker, what creators should not."""
    first_time = not Path(f"{runs}.{how}").exists()
    Path(f"{runs}.{how}").touch()
    if how == "quit" and not first_time:
        sys.exit(2)
    if how == "read":
        return subprocess.run(
            ["cat"], capture_output=True, text=True, check=True
        ).stdout
    return how


if "SHOP_CACHE" in os.environ:
    region.configure(
        "holdover.file",
        60,
        {"path": os.environ["SHOP_CACHE"]},
        lease=LeaseTerms(ttl=1.0, queue_ttl=2.0),
    )
