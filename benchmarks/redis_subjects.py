"""Who is measured on Redis: bare redis-py, its users, and ours; what each can do."""

from __future__ import annotations

import itertools
import pickle
import threading
import time
from collections.abc import Callable

import redis
from django.core.cache.backends.base import BaseCache
from django.core.cache.backends.redis import RedisCache as DjangoRedisCache
from django_redis.cache import RedisCache as OtherRedisCache
from dogpile.cache import make_region as dogpile_region

from holdover import make_region, registry
from holdover.contrib_django import RegionCache

VALUE = {"name": "abcdefgh", "price": 12.5, "tags": ["a", "b", "c"], "id": 1234567}
LARGE = bytes(range(250)) * 400  # 100,000 of them
KEYS = 100
FRESH_FOR = 3600
BRIEFLY = 0.01  # for how long what shall be stale is fresh

Call = Callable[[], object]
Calls = dict[str, Call]

names = itertools.count()
over = threading.Event()  # until then, whoever refreshes a stale value is at it


def unused() -> str:
    return f"key{next(names)}"


def many_unused() -> list[str]:
    return [unused() for _ in range(KEYS)]


def make() -> object:
    return VALUE


def make_many(*keys: str) -> list[object]:
    return [VALUE] * len(keys)


def redis_py(url: str) -> Calls:
    """The least that a careful user of the client would do."""
    client = redis.Redis.from_url(url)
    key, large, kept = unused(), unused(), many_unused()
    client.set(key, pickle.dumps(VALUE))
    client.set(large, pickle.dumps(LARGE))
    client.mset(dict.fromkeys(kept, pickle.dumps(VALUE)))

    def read_many(wanted: list[str]) -> list[object]:
        return [one and pickle.loads(one) for one in client.mget(wanted)]

    def set_many(wanted: list[str]) -> None:
        pipeline = client.pipeline(transaction=False)
        for one in wanted:
            pipeline.set(one, pickle.dumps(VALUE), ex=FRESH_FOR)
        pipeline.execute()

    def miss() -> object:
        wanted = unused()
        assert client.get(wanted) is None
        client.set(wanted, pickle.dumps(make()), ex=FRESH_FOR)
        return VALUE

    def misses() -> list[object]:
        wanted = many_unused()
        assert not any(read_many(wanted))
        set_many(wanted)
        return make_many(*wanted)

    return {
        "hit": lambda: pickle.loads(client.get(key)),
        "hit, 100 KB": lambda: pickle.loads(client.get(large)),
        "miss": miss,
        "set": lambda: client.set(key, pickle.dumps(VALUE), ex=FRESH_FOR),
        "delete": lambda: client.delete("deleted"),
        "100 hits": lambda: read_many(kept),
        "100 misses": misses,
        "100 sets": lambda: set_many(kept),
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
        "100 sets": lambda: region.set_multi(dict.fromkeys(kept, VALUE)),
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
        "100 sets": lambda: cache.set_many(dict.fromkeys(kept, VALUE)),
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
