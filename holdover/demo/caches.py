"""The four ways to come by an answer that the demonstration compares."""

from __future__ import annotations

import atexit
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from holdover.demo.answers import Answer, Lookup, make_answer
from holdover.demo.means import MEMORY, REDIS, Means
from holdover.demo.settings import Settings


@dataclass(frozen=True, slots=True)
class Way:
    """One of the four.

    Attributes:
        name: For programs.
        title: For people.
        note: What it is, in a few words.
        prepare: Makes the function that the site calls with a query.
        is_refreshed: Whether workers make its values anew.
    """

    name: str
    title: str
    note: str
    prepare: Callable[[Settings], Lookup]
    is_refreshed: bool = False


def _no_cache(_settings: Settings) -> Lookup:
    return make_answer


def _plain_expiry(settings: Settings) -> Lookup:
    """Get, compute, set: what one writes first, with a dictionary."""
    if settings.means.kind == REDIS:
        from holdover.demo import redis_pages

        return redis_pages.plain_lookup(settings)
    kept: dict[str, tuple[float, Answer]] = {}

    def lookup(query: str) -> Answer:
        if query in kept:
            expires_at, answer = kept[query]
            if time.time() < expires_at:
                return answer
        answer = make_answer(query)
        kept[query] = (answer.made_at + settings.expiration_time, answer)
        return answer

    return lookup


def _dogpile_cache(settings: Settings) -> Lookup:
    """dogpile.cache as its manual begins, on its fastest backend or on Redis."""
    if settings.means.kind == REDIS:
        from holdover.demo import redis_pages

        return redis_pages.dogpile_lookup(settings)
    from dogpile.cache import make_region

    region = make_region().configure(
        "dogpile.cache.memory", expiration_time=settings.expiration_time
    )
    lookup: Lookup = region.cache_on_arguments()(make_answer)
    return lookup


def _holdover(_settings: Settings) -> Lookup:
    """Holdover, its workers running before the first visitor comes."""
    from holdover.demo.site import runner, search

    runner.serve()
    atexit.register(runner.close)
    return search


HOLDOVER = Way(
    "holdover",
    "Holdover",
    "holdover.file, Celery worker process",
    _holdover,
    is_refreshed=True,
)
WAYS = (
    Way("no_cache", "no cache", "every page is searched anew", _no_cache),
    Way("plain_expiry", "plain expiry", "get, compute, set; in memory", _plain_expiry),
    Way("dogpile_cache", "dogpile.cache", "dogpile.cache.memory", _dogpile_cache),
    HOLDOVER,
)


def way_named(name: str) -> Way:
    """Find one of the ways by its name."""
    return next(way for way in WAYS if way.name == name)


def ways_with(means: Means) -> tuple[Way, ...]:
    """Give the four with notes that say what each of them works with."""
    notes = {HOLDOVER.name: f"holdover.{means.kind}, {_refreshers(means)}"}
    if means.kind == REDIS:
        notes["plain_expiry"] = "get, compute, set; in Redis"
        notes["dogpile_cache"] = "dogpile.cache.redis, distributed lock"
    return tuple(replace(way, note=notes.get(way.name, way.note)) for way in WAYS)


def _refreshers(means: Means) -> str:
    if means.broker is not None:
        kind = means.broker.partition("://")[0]
        return f"Celery worker processes on {kind}: {means.workers}"
    if means.kind == MEMORY:
        return "Celery worker thread"
    return "Celery worker process"
