"""What callers feel of a Celery broker that is well, refuses, or hangs.

    python benchmarks/broker.py [--broker redis rabbitmq] [--calls 2000] [--json]

A private server is the broker; it is killed or frozen while calls are made. There is no
worker, so that every order is a message or, once the broker is down, this process's own
thread's. Each stale hit orders a refresh.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from fleet_workers import application
from rabbit_server import RabbitServer
from servers import RedisServer

LIMIT = 0.05  # seconds that a stale hit may take longer than a hit


def timed(
    price: Callable[[int], object], articles: range, at_half: Callable[[], object] = int
) -> list[float]:
    """Ask for each article; in the middle of it, something happens to the broker."""
    took = []
    for number, article in enumerate(articles):
        if number == len(articles) // 2:
            at_half()
        began = time.perf_counter()
        price(article)
        took.append(time.perf_counter() - began)
    return took


def measure(broker: str, state: str, calls: int) -> list[dict[str, object]]:
    # The last refreshes may be under way at the end.
    temporary = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    with (
        temporary as folder,
        RedisServer(folder) if broker == "redis" else RabbitServer() as server,
        application(Path(folder), server) as app,
    ):
        articles = range(calls)
        for article in articles:
            app.price.set("old", article)
        rows = [row(broker, state, "hit", timed(app.price, articles))]
        app.fleet.invalidate(hard=False)
        event = {"refused": server.kill, "frozen": server.freeze}.get(state, int)
        rows.append(row(broker, state, "stale hit", timed(app.price, articles, event)))
        return rows


def row(broker: str, state: str, what: str, took: list[float]) -> dict[str, object]:
    ordered = sorted(took)
    at = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    spans = {
        f"{name}_ms": round(ordered[int((len(ordered) - 1) * part)] * 1e3, 3)
        for name, part in at.items()
    }
    return {"broker": broker, "state": state, "call": what, **spans}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    brokers = ("redis", "rabbitmq")
    parser.add_argument("--broker", nargs="+", choices=brokers, default=brokers)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    rows = [
        one
        for broker in options.broker
        for state in ("healthy", "refused", "frozen")
        for one in measure(broker, state, options.calls)
    ]
    if options.json:
        print(json.dumps({"python": sys.version.split()[0], "rows": rows}))
    else:
        show(rows)
    slow = [
        stale
        for hit, stale in zip(rows[::2], rows[1::2], strict=True)
        if stale["p99_ms"] > hit["p99_ms"] + LIMIT * 1e3
    ]
    return 1 if slow else 0


def show(rows: list[dict[str, object]]) -> None:
    print(
        f"{'broker':9} {'state':8} {'call':10} {'p50':>9} {'p99':>9} {'max':>9}   (ms)"
    )
    for one in rows:
        spans = " ".join(f"{one[name]:>9}" for name in ("p50_ms", "p99_ms", "max_ms"))
        print(f"{one['broker']:9} {one['state']:8} {one['call']:10} {spans}")


if __name__ == "__main__":
    sys.exit(main())
