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
import pickle
import random
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import django.conf
import redis
from django.core.cache.backends.base import BaseCache
from django.core.cache.backends.redis import RedisCache as DjangoRedisCache
from django_redis.cache import RedisCache as OtherRedisCache
from dogpile.cache import make_region as dogpile_region

from holdover import make_region, registry
from holdover.contrib_django import RegionCache

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from relay import CountingRelay
from servers import RedisServer

VALUE = {"name": "abcdefgh", "price": 12.5, "tags": ["a", "b", "c"], "id": 1234567}
LARGE = bytes(range(250)) * 400  # 100,000 of them
SLICE = 0.02  # seconds per subject and round
KEYS = 100
COUNTED = 5  # calls of which the commands are counted
FRESH_FOR = 3600
BRIEFLY = 0.01  # for how long what shall be stale is fresh
OPERATIONS = (
    "hit", "hit, 100 KB", "stale hit", "miss", "set", "delete",
    "100 hits", "100 misses",
)  # fmt: skip
ONE_TRIP = ("hit", "hit, 100 KB", "stale hit", "100 hits")

Call = Callable[[], object]
Calls = dict[str, Call]

names = itertools.count()
over = threading.Event()  # until then, whoever refreshes a stale value is at it


@dataclass
class Case:
    operation: str
    subject: str
    call: Call
    times: list[float] = field(default_factory=list)
    counts: dict[str, object] = field(default_factory=dict)

    @property
    def best(self) -> float:
        return min(self.times)

    @property
    def median(self) -> float:
        return statistics.median(self.times)


def unused() -> str:
    return f"key{next(names)}"


def many_unused() -> list[str]:
    return [unused() for _ in range(KEYS)]


def make() -> object:
    return VALUE


def make_many(*keys: str) -> list[object]:
    return [VALUE] * len(keys)


# -- the subjects ------------------------------------------------------------------


def redis_py(url: str) -> Calls:
    """The least that a careful user of the client would do."""
    client = redis.Redis.from_url(url)
    key, large, kept = unused(), unused(), many_unused()
    client.set(key, pickle.dumps(VALUE))
    client.set(large, pickle.dumps(LARGE))
    client.mset(dict.fromkeys(kept, pickle.dumps(VALUE)))

    def read_many(wanted: list[str]) -> list[object]:
        return [one and pickle.loads(one) for one in client.mget(wanted)]

    def miss() -> object:
        wanted = unused()
        assert client.get(wanted) is None
        client.set(wanted, pickle.dumps(make()), ex=FRESH_FOR)
        return VALUE

    def misses() -> list[object]:
        wanted = many_unused()
        assert not any(read_many(wanted))
        pipeline = client.pipeline(transaction=False)
        for one, value in zip(wanted, make_many(*wanted), strict=True):
            pipeline.set(one, pickle.dumps(value), ex=FRESH_FOR)
        pipeline.execute()
        return make_many(*wanted)

    return {
        "hit": lambda: pickle.loads(client.get(key)),
        "hit, 100 KB": lambda: pickle.loads(client.get(large)),
        "miss": miss,
        "set": lambda: client.set(key, pickle.dumps(VALUE), ex=FRESH_FOR),
        "delete": lambda: client.delete("deleted"),
        "100 hits": lambda: read_many(kept),
        "100 misses": misses,
    }


def of_region(region) -> Calls:
    """The operations of a region, which are the same for dogpile.cache and us."""
    key, large, kept = unused(), unused(), many_unused()
    region.set_multi({**dict.fromkeys(kept, VALUE), key: VALUE, large: LARGE})
    return {
        "hit": lambda: region.get_or_create(key, make),
        "hit, 100 KB": lambda: region.get_or_create(large, make),
        "miss": lambda: region.get_or_create(unused(), make),
        "set": lambda: region.set(key, VALUE),
        "delete": lambda: region.delete("deleted"),
        "100 hits": lambda: region.get_multi(kept),
        "100 misses": lambda: region.get_or_create_multi(many_unused(), make_many),
    }


def decorated(region) -> Calls:
    @region.cache_on_arguments()
    def price(article, shop, name="x"):
        return VALUE

    return {
        "hit": lambda: price(1, 2, "abcdefgh"),
        "miss": lambda: price(1, 2, unused()),
    }


def stale(region) -> Calls:
    """Have somebody refresh a value for as long as the benchmark runs."""
    key, refreshing = unused(), threading.Event()
    region.set(key, VALUE)
    time.sleep(2 * BRIEFLY)

    def refresh() -> object:
        refreshing.set()
        over.wait()
        return VALUE

    def ask() -> object:
        return region.get_or_create(key, refresh)

    threading.Thread(target=ask, daemon=True).start()
    assert refreshing.wait(10)
    return {"stale hit": ask}


def of_django(cache: BaseCache) -> Calls:
    key, large, kept = unused(), unused(), many_unused()
    cache.set_many({**dict.fromkeys(kept, VALUE), key: VALUE, large: LARGE})

    def misses() -> list[object]:
        wanted = many_unused()
        assert not cache.get_many(wanted)
        made = make_many(*wanted)
        cache.set_many(dict(zip(wanted, made, strict=True)))
        return made

    return {
        "hit": lambda: cache.get(key),
        "hit, 100 KB": lambda: cache.get(large),
        "miss": lambda: cache.get_or_set(unused(), make),
        "set": lambda: cache.set(key, VALUE),
        "delete": lambda: cache.delete("deleted"),
        "100 hits": lambda: list(cache.get_many(kept).values()),
        "100 misses": misses,
    }


def ours(url: str, region=None, fresh_for: float = FRESH_FOR, **rules):
    region = region or make_region(unused())
    return region.configure(
        "holdover.redis", fresh_for, {"url": url}, unsigned_pickle=True, **rules
    )


def dogpiles(url: str, fresh_for: float = FRESH_FOR, **arguments):
    return dogpile_region().configure(
        "dogpile.cache.redis", fresh_for, arguments={"url": url, **arguments}
    )


def region_cache(url: str) -> RegionCache:
    """The Django cache on a region that the application configures.

    A LOCATION of its own cannot name Redis.
    """
    name = unused()
    ours(url, registry.region(name))
    return RegionCache(f"region://{name}", {})


def subjects(url: str) -> dict[str, Calls]:
    locked = {"distributed_lock": True, "thread_local_lock": False}
    plain, crowded = dogpiles(url), dogpiles(url, **locked)
    on_locks = of_region(crowded)
    return {
        "redis-py": redis_py(url),
        "dogpile.cache": {**of_region(plain), **stale(dogpiles(url, BRIEFLY))},
        "dogpile.cache, decorator": decorated(plain),
        "dogpile.cache, distributed_lock": {
            "miss": on_locks["miss"],
            "100 misses": on_locks["100 misses"],
            **stale(dogpiles(url, BRIEFLY, **locked)),
        },
        "django-redis": of_django(OtherRedisCache(url, {})),
        "Django's RedisCache": of_django(DjangoRedisCache(url, {})),
        "holdover": {
            **of_region(ours(url)),
            **stale(ours(url, fresh_for=BRIEFLY, runner="thread")),
        },
        "holdover, decorator": decorated(ours(url)),
        "holdover, RegionCache": of_django(region_cache(url)),
    }


def cases(url: str) -> list[Case]:
    made = subjects(url)
    return [
        Case(operation, subject, calls[operation])
        for operation in OPERATIONS
        for subject, calls in made.items()
        if operation in calls
    ]


# -- the measurement ---------------------------------------------------------------


def check(case: Case) -> None:
    """Stop if a subject gives something else than what was stored."""
    given = case.call()
    if case.operation == "hit, 100 KB":
        assert given == LARGE, case
    elif case.operation.startswith("100 "):
        assert given == [VALUE] * KEYS, case
    elif case.operation not in ("set", "delete"):
        assert given == VALUE, case


def time_one(case: Case) -> None:
    """Time as many calls as fit into a slice, and note the microseconds of one."""
    call, count = case.call, 0
    at_once = 1 if case.operation.startswith("100 ") else 20
    started = now = time.perf_counter()
    while now - started < SLICE:
        for _ in range(at_once):
            call()
        count += at_once
        now = time.perf_counter()
    case.times.append((now - started) / count * 1e6)


def measure(measured: list[Case], rounds: int) -> None:
    for case in measured:
        check(case)
        time_one(case)  # warms up
        case.times.clear()
    for _ in range(rounds):
        for case in random.sample(measured, len(measured)):
            time_one(case)


def count(case: Case, relay: CountingRelay, server: redis.Redis) -> dict[str, object]:
    """Say what one call asks of the server."""
    for _ in range(3):
        case.call()  # connects, loads scripts, and learns the region clock
    before, _ = ran(server), relay.reset()
    for _ in range(COUNTED):
        case.call()
    sent, after = relay.reset(), ran(server)
    return {
        "trips": sent.trips / COUNTED,
        "sent": {name: one / COUNTED for name, one in sent.commands.items()},
        "ran": (after - before) / COUNTED,
    }


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
        measure(timed, rounds)
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
                f"{one['of_redis_py'] or '-':>10} {one['trips']:>6g} "
                f"{one['ran']:>6g}  {shown(one['sent'])}"
            )


def shown(sent: dict[str, float]) -> str:
    return " ".join(
        name if number == 1 else f"{number:g}x{name}" for name, number in sent.items()
    )


if __name__ == "__main__":
    sys.exit(main())
