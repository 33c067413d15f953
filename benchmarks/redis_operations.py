"""What each operation on Redis costs: ours, its peers', and bare redis-py's.

    python benchmarks/redis_operations.py [--rounds 21] [--json]

All subjects run interleaved in one process: each round times every subject for some
milliseconds, in shuffled order, so that a change in the machine's speed meets all of
them alike. Read the ratios. "best" is the fastest round, "median" the middle one.

Then each subject is asked once more, through a relay before the server, which counts
round trips and the commands that are sent. "ran" is what the server itself counts
(``INFO commandstats``): there, the commands inside a script count too.

Missing values are asked for by keys that nobody has used, and their creator costs
nothing. "stale hit" is what the herd gets while one creates the next value. "delete" is
that of a key that has no value, but for the first time.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import django.conf
import redis
from counting_relay import CountingRelay
from redis_subjects import KEYS, LARGE, VALUE, Call, over, subjects

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from interleaved import Timed, measure
from servers import RedisServer

SLICE = 0.02  # seconds per subject and round
COUNTED = 5  # calls of which the commands are counted
OPERATIONS = (
    "hit", "hit, 100 KB", "stale hit", "miss", "set", "delete",
    "100 hits", "100 misses", "100 sets",
)  # fmt: skip
ONE_TRIP = ("hit", "hit, 100 KB", "stale hit", "100 hits")


@dataclass
class Case(Timed):
    operation: str
    subject: str
    call: Call
    times: list[float] = field(default_factory=list)
    counts: dict[str, object] = field(default_factory=dict)

    @property
    def at_once(self) -> int:
        return 1 if self.operation.startswith("100 ") else 20


def cases(url: str) -> list[Case]:
    made = subjects(url)
    return [
        Case(operation, subject, calls[operation])
        for operation in OPERATIONS
        for subject, calls in made.items()
        if operation in calls
    ]


def check(case: Case) -> None:
    """Stop if a subject gives something else than what was stored."""
    given = case.call()
    if case.operation == "hit, 100 KB":
        assert given == LARGE, case
    elif case.operation in ("100 hits", "100 misses"):
        assert given == [VALUE] * KEYS, case
    elif case.operation not in ("set", "delete", "100 sets"):
        assert given == VALUE, case


def count(case: Case, relay: CountingRelay, server: redis.Redis) -> dict[str, object]:
    """Say what one call asks of the server; a lease that is renewed does not count."""
    for _ in range(3):
        case.call()  # connects, loads scripts, and learns the region clock
    counted = [count_once(case, relay, server) for _ in range(COUNTED)]
    return min(counted, key=lambda one: (one["ran"], one["trips"]))


def count_once(
    case: Case, relay: CountingRelay, server: redis.Redis
) -> dict[str, object]:
    before, _ = ran(server), relay.reset()
    case.call()
    sent, after = relay.reset(), ran(server)
    return {"trips": sent.trips, "sent": sent.commands, "ran": after - before}


def ran(server: redis.Redis) -> int:
    """Give the number of commands that the server has carried out, but for this."""
    stats = server.info("commandstats")
    return sum(one["calls"] for name, one in stats.items() if name != "cmdstat_info")


def row(case: Case, floors: dict[str, Case], counted: Case) -> dict[str, object]:
    floor = floors.get(case.operation)
    return {
        "operation": case.operation,
        "subject": case.subject,
        "median_us": round(case.median, 1),
        "best_us": round(case.best, 1),
        "of_redis_py": floor and round(case.best / floor.best, 2),
        **counted.counts,
    }


@contextmanager
def servers() -> Iterator[tuple[RedisServer, CountingRelay]]:
    with (
        tempfile.TemporaryDirectory() as folder,
        RedisServer(folder) as server,
        CountingRelay(server.port) as relay,
    ):
        yield server, relay
        over.set()


def measured_rows(rounds: int) -> list[dict[str, object]]:
    with servers() as (server, relay):
        timed, counted = cases(server.url), cases(relay.url)
        for case in timed:
            check(case)
        measure(timed, rounds, SLICE)
        asking = redis.Redis.from_url(server.url)
        for case in counted:
            case.counts = count(case, relay, asking)
    floors = {one.operation: one for one in timed if one.subject == "redis-py"}
    return [row(one, floors, two) for one, two in zip(timed, counted, strict=True)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    django.conf.settings.configure()
    rows = measured_rows(options.rounds)
    if options.json:
        print(json.dumps({"python": sys.version.split()[0], "rows": rows}))
    else:
        show(rows)
    roundabout = [
        one
        for one in rows
        if one["subject"] in ("holdover", "holdover, decorator")
        and one["operation"] in ONE_TRIP
        and one["trips"] > 1
    ]
    return 1 if roundabout else 0


def show(rows: list[dict[str, object]]) -> None:
    head = ("", "median", "best", "x redis-py", "trips", "ran", "sent")
    for operation, group in itertools.groupby(rows, lambda one: one["operation"]):
        head = (operation, *head[1:])
        print("\n{:32} {:>8} {:>8} {:>10} {:>6} {:>6}  {}".format(*head))
        for one in group:
            print(
                f"{one['subject']:32} {one['median_us']:>8} {one['best_us']:>8} "
                f"{one['of_redis_py'] or '-':>10} {one['trips']:>6} "
                f"{one['ran']:>6}  {shown(one['sent'])}"
            )


def shown(sent: dict[str, int]) -> str:
    return " ".join(
        name if number == 1 else f"{number}x{name}" for name, number in sent.items()
    )


if __name__ == "__main__":
    sys.exit(main())
