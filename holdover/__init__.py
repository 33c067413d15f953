"""Holdover keeps serving the value you have while one worker makes the next one.

The public names are loaded when they are first used; importing this package imports
nothing else.
"""

from __future__ import annotations

from _thread import RLock
from importlib import import_module
from typing import TYPE_CHECKING, Any

from holdover._version import __version__

if TYPE_CHECKING:
    from dogpile.cache.api import NO_VALUE

    from holdover import errors, events
    from holdover.regions.backends.keyed import KeyedBackend
    from holdover.regions.backends.sql_commit import invalidate_after_commit
    from holdover.regions.beat import install_in_beat
    from holdover.regions.claims import KeyLease, Looked
    from holdover.regions.clearing import clear_up_after_work
    from holdover.regions.compression import Compression
    from holdover.regions.contexts import OrderContext
    from holdover.regions.defaults import Defaults
    from holdover.regions.figures import Figures, Histogram
    from holdover.regions.findings import Finding, Health
    from holdover.regions.fleet import FleetFigures, ProcessFigures
    from holdover.regions.freshness import Freshness
    from holdover.regions.holding import Held
    from holdover.regions.importing import allow_imports
    from holdover.regions.inspecting import Inspection
    from holdover.regions.lifetime import LeaseTerms, Lifetime, OrderTerms
    from holdover.regions.mailing import MailTo
    from holdover.regions.outcomes import Delivery
    from holdover.regions.recording import keep_runs_in
    from holdover.regions.refresh.base import Report
    from holdover.regions.refresh.celery import CeleryRunner
    from holdover.regions.refresh.rq import RqRunner
    from holdover.regions.refresh.thread import ThreadRunner
    from holdover.regions.region import Region
    from holdover.regions.registry import Registry, make_region, registry
    from holdover.regions.returned import Cached
    from holdover.regions.run_store import KeptRun, RunStore
    from holdover.regions.runs import Run
    from holdover.regions.schedule import Schedule
    from holdover.regions.scheduler import Scheduler
    from holdover.regions.warm_calls import Warming
    from holdover.regions.warmer import Warmer
    from holdover.regions.warmth import HotCall, Tally, WarmCall, Warmed, Warmth

__all__ = [
    "NO_VALUE",
    "Cached",
    "CeleryRunner",
    "Compression",
    "Defaults",
    "Delivery",
    "Figures",
    "Finding",
    "FleetFigures",
    "Freshness",
    "Health",
    "Held",
    "Histogram",
    "HotCall",
    "Inspection",
    "KeptRun",
    "KeyLease",
    "KeyedBackend",
    "LeaseTerms",
    "Lifetime",
    "Looked",
    "MailTo",
    "OrderContext",
    "OrderTerms",
    "ProcessFigures",
    "Region",
    "Registry",
    "Report",
    "RqRunner",
    "Run",
    "RunStore",
    "Schedule",
    "Scheduler",
    "Tally",
    "ThreadRunner",
    "WarmCall",
    "Warmed",
    "Warmer",
    "Warming",
    "Warmth",
    "__version__",
    "allow_imports",
    "clear_up_after_work",
    "errors",
    "events",
    "install_in_beat",
    "invalidate_after_commit",
    "keep_runs_in",
    "make_region",
    "registry",
]

_HOMES = {
    "NO_VALUE": "dogpile.cache.api",
    "Cached": "holdover.regions.returned",
    "CeleryRunner": "holdover.regions.refresh.celery",
    "Compression": "holdover.regions.compression",
    "Defaults": "holdover.regions.defaults",
    "Delivery": "holdover.regions.outcomes",
    "Figures": "holdover.regions.figures",
    "Finding": "holdover.regions.findings",
    "FleetFigures": "holdover.regions.fleet",
    "Freshness": "holdover.regions.freshness",
    "Held": "holdover.regions.holding",
    "Health": "holdover.regions.findings",
    "Histogram": "holdover.regions.figures",
    "HotCall": "holdover.regions.warmth",
    "Inspection": "holdover.regions.inspecting",
    "KeptRun": "holdover.regions.run_store",
    "KeyLease": "holdover.regions.claims",
    "KeyedBackend": "holdover.regions.backends.keyed",
    "LeaseTerms": "holdover.regions.lifetime",
    "Lifetime": "holdover.regions.lifetime",
    "Looked": "holdover.regions.claims",
    "MailTo": "holdover.regions.mailing",
    "OrderContext": "holdover.regions.contexts",
    "OrderTerms": "holdover.regions.lifetime",
    "ProcessFigures": "holdover.regions.fleet",
    "Region": "holdover.regions.region",
    "Registry": "holdover.regions.registry",
    "Report": "holdover.regions.refresh.base",
    "RqRunner": "holdover.regions.refresh.rq",
    "Run": "holdover.regions.runs",
    "RunStore": "holdover.regions.run_store",
    "Schedule": "holdover.regions.schedule",
    "Scheduler": "holdover.regions.scheduler",
    "Tally": "holdover.regions.warmth",
    "ThreadRunner": "holdover.regions.refresh.thread",
    "WarmCall": "holdover.regions.warmth",
    "Warmed": "holdover.regions.warmth",
    "Warmer": "holdover.regions.warmer",
    "Warming": "holdover.regions.warm_calls",
    "Warmth": "holdover.regions.warmth",
    "allow_imports": "holdover.regions.importing",
    "clear_up_after_work": "holdover.regions.clearing",
    "install_in_beat": "holdover.regions.beat",
    "invalidate_after_commit": "holdover.regions.backends.sql_commit",
    "keep_runs_in": "holdover.regions.recording",
    "make_region": "holdover.regions.registry",
    "registry": "holdover.regions.registry",
}


# Threads that are the first to import different parts of dogpile.cache, which import
# each other, fail each other's imports (CPython's _DeadlockError). So one at a time.
_loading = RLock()


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'holdover' has no attribute {name!r}")
    with _loading:
        if name not in _HOMES:
            return import_module(f"holdover.{name}")
        return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
