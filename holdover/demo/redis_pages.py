"""The two other caches of the comparison, on a Redis server."""

from __future__ import annotations

import pickle
from collections.abc import Collection, Iterator
from typing import cast

import redis
from dogpile.cache import make_region
from dogpile.cache.util import function_key_generator

from holdover.demo import stores
from holdover.demo.answers import Answer, Lookup, make_answer
from holdover.demo.errors import Unreachable
from holdover.demo.settings import Settings

_LOCK_TIMEOUT = 30  # seconds, for a lock that its process left behind


def plain_lookup(settings: Settings) -> Lookup:
    """Get, compute, set: what one writes first, with a Redis server."""
    client = redis.Redis.from_url(_url(settings))
    fresh_for = round(settings.expiration_time * 1000)

    def lookup(query: str) -> Answer:
        name = _plain_name(settings, query)
        kept = client.get(name)
        if kept is not None:
            # As dogpile.cache does.
            return cast("Answer", pickle.loads(cast("bytes", kept)))  # noqa: S301
        answer = make_answer(query)
        client.set(name, pickle.dumps(answer), px=fresh_for)
        return answer

    return lookup


def dogpile_lookup(settings: Settings) -> Lookup:
    """dogpile.cache on its Redis backend, with the lock that its processes share."""
    region = make_region().configure(
        "dogpile.cache.redis",
        expiration_time=settings.expiration_time,
        arguments={
            "url": _url(settings),
            "distributed_lock": True,
            "thread_local_lock": False,
            "lock_timeout": _LOCK_TIMEOUT,
            "redis_expiration_time": stores.LEFT_FOR,
        },
    )
    lookup: Lookup = region.cache_on_arguments(settings.means.run)(make_answer)
    return lookup


def remove(settings: Settings, queries: Collection[str]) -> None:
    """Delete what all caches have put on the server, by name.

    But for Holdover's values, which are its own to delete.

    Raises:
        Unreachable: It does not answer.
    """
    client = stores.region_of(settings).backend.writer_client
    try:
        client.delete(*_names(settings, queries))
    except redis.RedisError as error:
        raise Unreachable(f"the Redis server cannot be used: {error}") from error


def _url(settings: Settings) -> str:
    """Give the part of the user's URL that redis-py understands."""
    url: str = stores.region_of(settings).backend.url
    return url


def _plain_name(settings: Settings, query: str) -> str:
    return f"{settings.means.run}:plain:{query}"


def _names(settings: Settings, queries: Collection[str]) -> Iterator[str]:
    run = settings.means.run
    yield f"holdover:clock:{run}"  # see docs/backends.rst
    yield f"holdover:marks:{run}"
    dogpile_key = function_key_generator(run, make_answer)
    for query in queries:
        yield _plain_name(settings, query)
        yield dogpile_key(query)
        yield f"_lock{dogpile_key(query)}"
