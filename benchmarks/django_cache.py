"""What Django's cache API costs: ours, and Django's own backends on the same stores.

    python benchmarks/django_cache.py [--rounds 151] [--json] [--only redis]

All subjects run interleaved in one process: each round times every subject for some
milliseconds, in shuffled order, so that a change in the machine's speed meets all of
them alike. Read the ratios. "best" is the fastest round, "median" the middle one.

Ours signs whatever leaves the process, which the others do not; "unsigned" tells what
that costs. "get_or_set" is of a
value that is there; "get_or_set, made" of one that is not, whose default costs nothing:
ours takes a lease for it.
"""

from __future__ import annotations

import argparse
import itertools
import json
import secrets
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import django
from django.conf import settings
from django.core.cache import caches
from django.core.cache.backends.base import BaseCache
from django.core.management import call_command

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from interleaved import Timed, measure
from servers import MemcachedServer, RedisServer
from sql_servers import PostgresServer

SLICE = 0.003  # seconds per subject and round: short, so that some are undisturbed
KEYS = 100
VALUE = {"name": "abcdefgh", "price": 12.5, "tags": ["a", "b", "c"], "id": 1234567}
OURS = "holdover.contrib_django.RegionCache"
DJANGOS = "django.core.cache.backends"
OPERATIONS = ("get", "set", "get_many(100)", "get_or_set", "get_or_set, made")

names = itertools.count()


@dataclass
class Case(Timed):
    operation: str
    store: str
    subject: str
    call: Callable[[], object]
    times: list[float] = field(default_factory=list)

    @property
    def at_once(self) -> int:
        return 1 if "100" in self.operation else 10


@dataclass(frozen=True)
class Places:
    """Where the stores are: a folder, and the servers."""

    folder: str
    redis: str
    memcached: str
    postgres: PostgresServer

    def caches(self) -> dict[str, dict[str, object]]:
        """Give CACHES: the store and the subject by alias."""
        redis, near = f"{self.redis}", {"near_ttl": 60}
        unsigned = {"secret": None, "unsigned_pickle": True}
        return {
            "memory: LocMemCache": cache(f"{DJANGOS}.locmem.LocMemCache"),
            "memory: holdover": cache(OURS, "memory://bench"),
            "memory: holdover, Redis behind near_ttl": cache(OURS, redis, near),
            "file: FileBasedCache": cache(
                f"{DJANGOS}.filebased.FileBasedCache", f"{self.folder}/theirs"
            ),
            "file: holdover": cache(OURS, f"{self.folder}/ours"),
            "file: holdover, unsigned": cache(
                OURS, f"{self.folder}/unsigned", unsigned
            ),
            "PostgreSQL: DatabaseCache": cache(
                f"{DJANGOS}.db.DatabaseCache", "django_cache"
            ),
            "PostgreSQL: holdover": cache(OURS, "django-db://default"),
            "Redis: RedisCache": cache(f"{DJANGOS}.redis.RedisCache", redis),
            "Redis: django-redis": cache("django_redis.cache.RedisCache", redis),
            "Redis: holdover": cache(OURS, redis),
            "Redis: holdover, unsigned": cache(OURS, redis, unsigned),
            "memcached: PyMemcacheCache": cache(
                f"{DJANGOS}.memcached.PyMemcacheCache", self.memcached
            ),
            "memcached: holdover": cache(OURS, self.memcached),
            "memcached: holdover, unsigned": cache(OURS, self.memcached, unsigned),
        }

    def databases(self) -> dict[str, dict[str, object]]:
        return {
            "default": {
                "ENGINE": "django.db.backends.postgresql",
                "NAME": "postgres",
                "HOST": "127.0.0.1",
                "PORT": self.postgres.port,
                "USER": "holdover",
            }
        }


def cache(
    backend: str, location: str = "", options: dict[str, object] | None = None
) -> dict[str, object]:
    # Of another cache in the same store, nothing is to be seen or thrown away.
    prefix = f"p{next(names)}"
    more = {"MAX_ENTRIES": 100_000} if backend.startswith(f"{DJANGOS}.") else {}
    more = {} if "redis" in backend or "memcached" in backend else more
    return {
        "BACKEND": backend,
        "LOCATION": location,
        "KEY_PREFIX": prefix,
        "OPTIONS": {**more, **(options or {})},
    }


@contextmanager
def places() -> Iterator[Places]:
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        redis = stack.enter_context(RedisServer(Path(folder)))
        memcached = stack.enter_context(MemcachedServer())
        postgres = stack.enter_context(PostgresServer())
        yield Places(folder, redis.url, memcached.url, postgres)


def operations(cache: BaseCache) -> dict[str, Callable[[], object]]:
    kept = [f"kept{number}" for number in range(KEYS)]
    cache.set_many(dict.fromkeys(kept, VALUE))
    cache.set("key", VALUE)
    assert cache.get("key") == cache.get_or_set("key", never) == VALUE
    assert cache.get_many(kept) == dict.fromkeys(kept, VALUE)
    return {
        "get": lambda: cache.get("key"),
        "set": lambda: cache.set("key", VALUE),
        "get_many(100)": lambda: cache.get_many(kept),
        "get_or_set": lambda: cache.get_or_set("key", never),
        "get_or_set, made": lambda: cache.get_or_set(f"new{next(names)}", make, 60),
    }


def make() -> object:
    return VALUE


def never() -> object:
    raise AssertionError("the value is there")


def cases(only: str) -> list[Case]:
    found = []
    for alias in settings.CACHES:
        store, _, subject = alias.partition(": ")
        if store != "default" and only.lower() in store.lower():
            calls = operations(caches[alias])
            found += [Case(name, store, subject, calls[name]) for name in OPERATIONS]
    return found


def rows(cases: list[Case]) -> list[dict[str, object]]:
    by = sorted(cases, key=lambda one: (OPERATIONS.index(one.operation), one.store))
    return [
        {
            "operation": one.operation,
            "store": one.store,
            "subject": one.subject,
            "median_us": round(one.median, 1),
            "best_us": round(one.best, 1),
        }
        for one in by
    ]


def slower(found: list[dict[str, object]]) -> list[str]:
    """Name what took longer with us than with a peer on the same store."""
    told = []
    for one in found:
        if not str(one["subject"]).startswith("holdover"):
            continue
        peers = [
            other
            for other in found
            if (other["operation"], other["store"]) == (one["operation"], one["store"])
            and not str(other["subject"]).startswith("holdover")
        ]
        told += [
            f"{one['operation']}, {one['store']}: {one['subject']} {one['median_us']} "
            f"us, {peer['subject']} {peer['median_us']} us"
            for peer in peers
            if one["median_us"] > peer["median_us"]  # type: ignore[operator]
        ]
    return told


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=151)
    parser.add_argument("--only", default="", help="a store, by a part of its name")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    with places() as found:
        known = found.caches()
        settings.configure(
            CACHES={"default": known["memory: LocMemCache"], **known},
            DATABASES=found.databases(),
            INSTALLED_APPS=["holdover.contrib_django"],
            SECRET_KEY=secrets.token_hex(32),
        )
        django.setup()
        for command in ("createcachetable", "holdover_createtable"):
            call_command(command, verbosity=0, stdout=sys.stderr)
        measured = cases(options.only)
        measure(measured, options.rounds, SLICE)
        table = rows(measured)
    if options.json:
        print(json.dumps({"python": sys.version.split()[0], "rows": table}))
    else:
        show(table)
    return 0


def show(table: list[dict[str, object]]) -> None:
    for operation, group in itertools.groupby(table, lambda one: one["operation"]):
        print(f"\n{operation:50} {'median':>9} {'best':>9}")
        for one in group:
            name = f"{one['store']}: {one['subject']}"
            print(f"{name:50} {one['median_us']:>9} {one['best_us']:>9}")
    print("\nslower than a peer:", *(slower(table) or ["none"]), sep="\n  ")


if __name__ == "__main__":
    sys.exit(main())
