"""How many messages stale hits make: 8 processes that hit, 2 workers that refresh.

    python benchmarks/messages.py [--broker redis rabbitmq] [--hits 10000] [--json]

Private servers are broker and cache. Again and again all values expire together, and
all processes ask for them until they have been served so many old ones.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from fleet_workers import application, worker
from rabbit_server import RabbitServer
from servers import RedisServer

from holdover import events

FORK = multiprocessing.get_context("fork")
PROCESSES = 8
KEYS = range(100)
EVERY = 0.5  # seconds from one expiry to the next


def visit(app: ModuleType, hits: int, done: object) -> None:
    """Ask until *hits* old values were served."""
    stale = 0

    def count(event: events.Event) -> None:
        nonlocal stale
        stale += type(event) is events.StaleServed

    app.fleet.listen(count)
    while stale < hits:
        for key in KEYS:
            app.price(key)
    publisher = app.fleet._chain._links[0].publisher
    while publisher._unfinished:  # a thread of this process
        time.sleep(0.01)
    done.put(stale)


def measure(broker: str, hits: int) -> dict[str, object]:
    temporary = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    with temporary as folder, ExitStack() as stack:
        cache = stack.enter_context(RedisServer(folder))
        server = cache
        if broker == "rabbitmq":
            server = stack.enter_context(RabbitServer())
        app = stack.enter_context(application(Path(folder), server, cache.url))
        for name in ("one", "other"):
            stack.enter_context(worker(Path(folder), "prefork", name=name))
        for key in KEYS:
            app.price.set("old", key)
        return {"broker": broker, **fleet_of(app, hits // PROCESSES)}


def fleet_of(app: ModuleType, hits: int) -> dict[str, object]:
    done = FORK.SimpleQueue()
    children = [
        FORK.Process(target=visit, args=(app, hits, done)) for _ in range(PROCESSES)
    ]
    for child in children:
        child.start()
    generations = 0
    while any(child.is_alive() for child in children):
        app.fleet.invalidate(hard=False)
        generations += 1
        time.sleep(EVERY)
    served = [done.get() for _ in children]
    time.sleep(2.0)  # the last messages are still on their way
    messages = app.notes("reports")
    return {
        "stale_hits": sum(served),
        "expiries": generations * len(KEYS),
        "messages": len(messages),
        "refreshed": sum(done for _, _, done, _ in messages),
        "runs": sum(len(app.notes(f"runs-{key}")) for key in KEYS),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    brokers = ("redis", "rabbitmq")
    parser.add_argument("--broker", nargs="+", choices=brokers, default=brokers)
    parser.add_argument("--hits", type=int, default=10_000)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    rows = [measure(broker, options.hits) for broker in options.broker]
    if options.json:
        print(json.dumps({"python": sys.version.split()[0], "rows": rows}))
    else:
        names = list(rows[0])
        print(" ".join(f"{name:>10}" for name in names))
        for row in rows:
            print(" ".join(f"{row[name]:>10}" for name in names))
    return 1 if any(row["messages"] > row["expiries"] for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
