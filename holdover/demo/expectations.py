"""What the Holdover phase has to show after its first pass over the queries."""

from __future__ import annotations

from dataclasses import dataclass

from holdover.demo.figures import SLOW
from holdover.demo.phases import Result

_TIMES_MEDIAN = 3
_ALLOWANCE = 0.005  # seconds
_NOTABLE = 0.1  # of a processor


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """One of them, and whether it held.

    Attributes:
        text: What was expected.
        held: Whether it was so.
        seen: What was seen, in words.
    """

    text: str
    held: bool
    seen: str


def expectations_of(result: Result) -> list[Expectation]:
    """Judge a phase."""
    return [_p99(result), _slow(result), _duplicates(result), _refreshes(result)]


def _p99(result: Result) -> Expectation:
    figures = result.later
    limit = _TIMES_MEDIAN * figures.median_hit + _ALLOWANCE
    return Expectation(
        text="p99 is at most 3 times the median hit, plus 5 ms",
        held=figures.p99 <= limit,
        seen=f"{figures.p99 * 1000:.2f} ms of at most {limit * 1000:.2f} ms"
        + _excuse(result),
    )


def _excuse(result: Result) -> str:
    """Other programs make everybody wait: worth knowing before one doubts the site."""
    if result.elsewhere is None or result.elsewhere < _NOTABLE:
        return ""
    return f", while other programs took {result.elsewhere:.0%} of a processor"


def _slow(result: Result) -> Expectation:
    figures = result.later
    return Expectation(
        text=f"no request takes over {SLOW * 1000:.0f} ms",
        held=figures.slow == 0,
        seen=f"{figures.slow}; the longest took {figures.maximum * 1000:.1f} ms",
    )


def _duplicates(result: Result) -> Expectation:
    return Expectation(
        text="no value is created twice",
        held=result.later.duplicate_runs == 0,
        seen=f"{result.later.duplicate_runs} of {result.later.creator_runs} runs",
    )


def _refreshes(result: Result) -> Expectation:
    tasks = result.task_ids
    return Expectation(
        text="every refresh is a Celery task, and no visitor creates a value",
        held=0 < len(tasks) == len(set(tasks)) and result.foreground_runs == 0,
        seen=f"{len(tasks)} refreshes by {len(set(tasks))} Celery tasks, "
        f"{result.foreground_runs} creator runs in the web process",
    )
