"""Where jobs keep their values: the region of a cache, with runners of their own."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.cache import caches

from holdover import OrderTerms, Region
from holdover.contrib_django.jobs import options
from holdover.contrib_django.jobs.asked import key_of, refresh, timeout_of
from holdover.contrib_django.jobs.queues import runner_for
from holdover.contrib_django.jobs.stores import region_over
from holdover.contrib_django.project.closing import CONNECTIONS

log = logging.getLogger("holdover")


@dataclass(frozen=True, slots=True)
class Place:
    """Where the values of one cache's jobs are kept.

    Attributes:
        region: The region.
        function: What makes them, as the region's workers know it.
    """

    region: Region
    function: Any


# It grows by setdefault() alone, which needs no lock.
_places: dict[Hashable, Place] = {}


def place_of(alias: str) -> Place:
    """Give where the jobs of the cache *alias* keep their values.

    That is the cache's own region, so that ``clear()`` reaches them, with runners for
    jobs: those of CACHEBACK_TASK_QUEUE, or if that is not set those that the project
    has chosen for the cache, or Celery's, or threads.

    Raises:
        InvalidCacheBackendError: There is no such cache.
        ImproperlyConfigured: CACHEBACK_TASK_QUEUE is wrong.
    """
    cache = caches[alias]
    base: Region = getattr(cache, "region", None) or region_over(alias)
    key = (alias, base, options.task_queue(), options.ignores_results())
    place = _places.get(key)
    if place is None:
        keeps_runners = getattr(cache, "chooses_runners", False) and bool(base.runners)
        place = _places.setdefault(key, _made(alias, base, keeps_runners=keeps_runners))
    return place


def know_all_places() -> None:
    """Have this process carry out orders for the jobs of every cache."""
    for alias in settings.CACHES:
        place_of(alias)


def _made(alias: str, base: Region, *, keeps_runners: bool) -> Place:
    rules: dict[str, Any] = {"on_miss": "wait"}
    if options.task_queue() is not None or not keeps_runners:
        # A job's refresh_timeout says when an order is given up, and nothing else.
        rules["orders"] = OrderTerms(queue_wait=None)
        rules["runner"] = _reachable(alias, base)
    region = base.variant(order_context={"holdover.django": CONNECTIONS}, **rules)
    decorate = region.cache_on_arguments(
        namespace=alias,
        function_key_generator=_key_generator,
        refresh_timeout=timeout_of,
    )
    return Place(region, decorate(refresh))


def _reachable(alias: str, base: Region) -> Any:
    """Give the runner; this process itself if no other could find its values."""
    runner = runner_for(options.task_queue(), ignore_results=options.ignores_results())
    is_private = base.backend.capabilities.shared_by == "process"
    if not (is_private and getattr(runner, "leaves_process", False)):
        return runner
    if not runner.is_eager:
        log.warning(
            "jobs of the cache %r are refreshed by threads: it is in the memory of "
            "this process, where no worker of %r could reach it",
            alias,
            runner.name,
        )
        return "thread"
    return CallersRunner()


class CallersRunner:
    """Carries out at once what is ordered, as queues do that tests have made eager."""

    name = "caller"
    takes_orders = False
    leaves_process = False
    is_eager = True

    def bind(self, execute: object) -> None:
        """Nothing to keep: it gets no messages."""

    def submit(self, job: Any) -> None:
        """Carry *job* out."""
        job.carry_out()


def _key_generator(*_: object, **__: object) -> Callable[..., str]:
    return key_of
