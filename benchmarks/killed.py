"""How long after a worker was killed at work the new value is there.

    python benchmarks/killed.py [--queue redis rabbitmq rq] [--kills 10] [--json]

Private servers are broker and cache. Each time a worker process is killed while it
creates a value, and somebody asks for that value every few milliseconds.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from fleet_workers import application, rq_worker, runs, worker
from rabbit_server import RabbitServer
from servers import RedisServer

QUEUES = ("redis", "rabbitmq", "rq")
COST = 0.3  # seconds that the creator takes
PAUSE = 0.005  # seconds between two callers


def measure(queue: str, kills: int) -> dict[str, Any]:
    """Kill workers of one kind of queue; give the spans."""
    temporary = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    with temporary as folder, ExitStack() as stack:
        cache = stack.enter_context(RedisServer(folder))
        broker = stack.enter_context(RabbitServer()) if queue == "rabbitmq" else cache
        place = Path(folder)
        module = "rq_fleet" if queue == "rq" else "fleet"
        app = stack.enter_context(application(place, broker, cache.url, module=module))
        stack.enter_context(
            rq_worker(place, "Worker") if queue == "rq" else worker(place, "prefork")
        )
        spans = [killed(app, article) for article in range(kills)]
    return {
        "queue": queue,
        "lease_ttl": app.TTL,
        "least": round(min(spans), 2),
        "median": round(statistics.median(spans), 2),
        "most": round(max(spans), 2),
    }


def killed(app: ModuleType, article: int) -> float:
    """Kill who refreshes an article; give the seconds until it is new."""
    app.price.set("old", article, COST)
    app.price.expire(article, COST)
    victim = until(lambda: runs(app, article))[0]
    os.kill(victim, signal.SIGKILL)
    begun = time.monotonic()
    until(lambda: app.price(article, COST) != "old")
    return time.monotonic() - begun


def until(ready: Any) -> Any:
    """Ask again and again; give the answer."""
    while not (found := ready()):
        time.sleep(PAUSE)
    return found


def main() -> int:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--queue", nargs="+", choices=QUEUES, default=QUEUES)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    rows = [measure(queue, options.kills) for queue in options.queue]
    if options.json:
        print(json.dumps({"python": sys.version.split()[0], "rows": rows}))
    else:
        print(" ".join(f"{name:>10}" for name in rows[0]))
        for row in rows:
            print(" ".join(f"{value:>10}" for value in row.values()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
