"""One phase: a site in its own process, visitors in theirs, and what came of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from holdover.demo import journal
from holdover.demo.answers import Run
from holdover.demo.caches import Way
from holdover.demo.errors import DemoError
from holdover.demo.figures import Figures, figures_of
from holdover.demo.load import Load, Request
from holdover.demo.machine import Elsewhere
from holdover.demo.processes import Child
from holdover.demo.settings import Settings

_START_WITHIN = 30.0  # seconds for a site to read the corpus
_END_WITHIN = 60.0  # seconds for the visitors, once they should have gone


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How large the demonstration is.

    Attributes:
        seconds: For which the visitors of each phase keep coming.
        expiration_time: Seconds for which a search result is fresh.
        queries: How many different ones are asked.
    """

    seconds: float
    expiration_time: float
    queries: int


DEFAULT = Plan(seconds=10.5, expiration_time=3.0, queries=40)
QUICK = Plan(seconds=2.4, expiration_time=1.0, queries=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refresh:
    """What the Celery worker reported of one order.

    Attributes:
        task_id: Celery's name for it.
        done: Whether a value was created and stored.
    """

    task_id: str
    done: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of a phase.

    Attributes:
        way: How the site came by its answers.
        requests: All requests, in the order in which they were answered.
        first_pass_ended_at: When each query had been answered once (wall clock).
        refreshes: What the Celery worker reported.
        worker_pids: The processes in which Celery tasks ran the creator.
        foreground_runs: Creator runs in the web process after the first pass, but by
            no Celery task.
        elsewhere: Processors that other programs kept busy; None if unknown.
        whole: Figures of the whole phase.
        later: Figures of what began after the first pass.
    """

    way: Way
    requests: Sequence[Request]
    first_pass_ended_at: float
    refreshes: Sequence[Refresh]
    worker_pids: Sequence[int]
    foreground_runs: int
    elsewhere: float | None
    whole: Figures
    later: Figures

    @property
    def task_ids(self) -> list[str]:
        """The Celery tasks that refreshed a value."""
        return [refresh.task_id for refresh in self.refreshes if refresh.done]


class Watcher(Protocol):
    """Who wants to see a phase while it runs."""

    def saw(self, latencies: Sequence[float], creator_runs: int) -> None:
        """Take note of more requests, and of all runs of the creator so far."""


@dataclass(frozen=True, slots=True)
class Site:
    """A running web process.

    Attributes:
        url: Where it answers.
        pid: Its process id.
    """

    url: str
    pid: int


@contextmanager
def running_site(way: Way, settings: Settings) -> Iterator[Site]:
    """Have a site running, on a free port of the loopback interface.

    If its values are refreshed over a broker, the workers run, too.

    Raises:
        DemoError: It, or one of its workers, did not start.
    """
    settings.directory.mkdir(parents=True, exist_ok=True)
    log = settings.directory / "server.log"
    with (
        _running_workers(way, settings),
        Child("server", way.name, settings.to_environment(), log) as server,
    ):
        url = server.first_message(_START_WITHIN)["url"]
        yield Site(url, server.pid)


@contextmanager
def _running_workers(way: Way, settings: Settings) -> Iterator[None]:
    """Have the worker processes of a broker running, if *way* has any."""
    count = settings.means.workers if way.is_refreshed else 0
    with ExitStack() as running:
        workers = [
            running.enter_context(_worker(number, settings)) for number in range(count)
        ]
        for worker in workers:
            worker.first_message(_START_WITHIN)
        try:
            yield
        finally:
            for worker in workers:  # all at once; each takes up to a second to end
                worker.let_go()


def _worker(number: int, settings: Settings) -> Child:
    log = settings.directory / f"worker-{number}.log"
    return Child("worker", str(number), settings.to_environment(), log)


def run_phase(way: Way, plan: Plan, settings: Settings, watcher: Watcher) -> Result:
    """Let visitors loose on a site, and sum up.

    Raises:
        DemoError: A process did not start, or ended before its time.
    """
    elsewhere = Elsewhere()
    with running_site(way, settings) as site:
        load = Load(url=site.url, seconds=plan.seconds, queries=plan.queries)
        requests, first_pass_ended_at = _visit(load, settings, watcher)
    # Only now is everything written that the site and its worker have to say.
    runs = [Run(**record) for record in journal.read(settings.runs)]
    later = [run for run in runs if run.started_at >= first_pass_ended_at]
    sum_up = partial(
        figures_of, requests, runs, expiration_time=settings.expiration_time
    )
    return Result(
        way=way,
        requests=requests,
        first_pass_ended_at=first_pass_ended_at,
        refreshes=_refreshes(settings),
        worker_pids=sorted({run.pid for run in runs if run.task_id is not None}),
        foreground_runs=sum(
            run.pid == site.pid and run.task_id is None for run in later
        ),
        elsewhere=elsewhere.processors(),
        whole=sum_up(),
        later=sum_up(since=first_pass_ended_at),
    )


def _refreshes(settings: Settings) -> list[Refresh]:
    return [
        Refresh(task_id=record["task_id"], done=record["done"])
        for record in journal.read(settings.refreshes)
    ]


def _visit(
    load: Load, settings: Settings, watcher: Watcher
) -> tuple[list[Request], float]:
    """Run the load generator; give all requests, and when the first pass ended."""
    log = settings.directory / "visitors.log"
    with Child("visitors", load.to_json(), {}, log) as visitors:
        for message in visitors.messages(within=load.seconds + _END_WITHIN):
            if "requests" in message:
                requests = [Request(*record) for record in message["requests"]]
                return requests, message["first_pass_ended_at"]
            watcher.saw(message["latencies"], len(journal.read(settings.runs)))
    raise DemoError("the visitors went without telling what they saw")
