"""From what was seen to the figures that are compared. Pure functions and values."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from holdover.demo.answers import Run
from holdover.demo.load import Request

SLOW = 0.1  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What a phase, or a part of it, comes to. Times in seconds.

    Attributes:
        requests: How many there were.
        failed: How many of them had no proper answer.
        median: Latency that half of them did not exceed.
        median_hit: The same for those that got a fresh value without waiting for it.
        p99: Latency that 99 of 100 did not exceed.
        maximum: The longest latency.
        slow: How many took more than `SLOW`.
        creator_runs: How often the creator ran.
        duplicate_runs: How many of these runs were for a query of which another run was
            under way or a fresh value was there.
        stale_served: How many got a value that had expired.
        oldest: Age of the oldest value served.
    """

    requests: int
    failed: int
    median: float
    median_hit: float
    p99: float
    maximum: float
    slow: int
    creator_runs: int
    duplicate_runs: int
    stale_served: int
    oldest: float


def figures_of(
    requests: Sequence[Request],
    runs: Sequence[Run],
    *,
    expiration_time: float,
    since: float = 0.0,
) -> Figures:
    """Sum up what began at *since* or later.

    Args:
        requests: All requests of the phase.
        runs: All runs of the creator in the phase.
        expiration_time: Seconds for which a value is fresh.
        since: An instant (wall clock, seconds); the duplicates among later runs may be
            so on account of earlier ones.
    """
    seen = [request for request in requests if request.started_at >= since]
    latencies = [request.latency for request in seen]
    hits = [one.latency for one in seen if 0 < one.age <= expiration_time]
    made = [run for run in runs if run.started_at >= since]
    duplicates = duplicates_among(runs, expiration_time)
    return Figures(
        requests=len(seen),
        failed=sum(request.failed for request in seen),
        median=percentile(latencies, 50),
        median_hit=percentile(hits, 50),
        p99=percentile(latencies, 99),
        maximum=max(latencies, default=0.0),
        slow=sum(latency > SLOW for latency in latencies),
        creator_runs=len(made),
        duplicate_runs=sum(run.started_at >= since for run in duplicates),
        stale_served=sum(request.age > expiration_time for request in seen),
        oldest=max((request.age for request in seen), default=0.0),
    )


def percentile(values: Iterable[float], percent: float) -> float:
    """Give the smallest value that *percent* of all do not exceed; 0 of none."""
    ranked = sorted(values)
    if not ranked:
        return 0.0
    return ranked[max(0, math.ceil(len(ranked) * percent / 100) - 1)]


def duplicates_among(runs: Iterable[Run], expiration_time: float) -> list[Run]:
    """Give the runs that began while another made the same or its value was fresh."""
    fresh_until: dict[str, float] = {}
    duplicates = []
    for run in sorted(runs, key=lambda run: run.started_at):
        # Of a run that is under way its value will be fresh even later than this.
        if run.started_at < fresh_until.get(run.query, 0.0):
            duplicates.append(run)
        until = max(fresh_until.get(run.query, 0.0), run.ended_at + expiration_time)
        fresh_until[run.query] = until
    return duplicates
