"""An application with calls to warm, which the processes of the tests import.

The environment says where its cache and its notes are.
"""

import json
import os
import time
from pathlib import Path

from holdover import LeaseTerms, Registry

FOLDER = Path(os.environ["WARMHOUSE_FOLDER"])
CACHE = os.environ.get("WARMHOUSE_CACHE", f"file://{FOLDER}/cache")
COST = float(os.environ.get("WARMHOUSE_COST", "0"))

registry = Registry()
SETTINGS = {
    "lease": LeaseTerms(ttl=2.0),
    "codec": "json",
    "record_hot": 10,
    "schema": os.environ.get("WARMHOUSE_SCHEMA", "1"),
}
shop = registry.region("shop").configure(CACHE, 3600, **SETTINGS)
idle = registry.region("idle").configure("holdover.memory", 3600)


def note(name, what):
    """Note what was done where all processes see it."""
    with (FOLDER / name).open("a") as log:
        log.write(json.dumps(what) + "\n")


def notes(folder, name):
    """Read what was noted."""
    path = folder / name
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line) for line in lines]


@shop.warming(calls=[(number,) for number in range(20)], group="front")
@shop.cache_on_arguments()
def price(article):
    """Take a while."""
    note("made", article)
    time.sleep(COST)
    return article * 2


@shop.cache_on_arguments()
def picky(article):
    """Fail for most."""
    if article:
        raise ValueError(f"no article {article}")
    return article


def bestsellers():
    """Give calls one by one, and note how many were taken."""
    for number in range(100_000):
        note("taken", number)
        yield (1000 + number,)


shop.warming(picky, calls=[(0,), (1,), (2,)], group="picky")
if "WARMHOUSE_ENDLESS" in os.environ:
    shop.warming(price, calls=bestsellers, group="endless")
