"""`thread`: a few threads of this process refresh, behind a bounded queue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdover.regions.background import Pool
from holdover.regions.errors import ConfigurationError, RunnerUnavailable

if TYPE_CHECKING:
    from holdover.regions.refresh.base import Execute, Job


class ThreadRunner:
    """Carries refreshes out in this process, in threads of its own.

    A creator that computes for long in Python makes every other thread of the process
    wait for the interpreter lock; use a queue with a worker process for those.

    Args:
        threads: How many refreshes may run at once.
        backlog: How many may wait.
    """

    name = "thread"
    takes_orders = False
    leaves_process = False

    def __init__(self, threads: int = 4, backlog: int = 1000) -> None:
        if threads < 1 or backlog < 1:
            raise ConfigurationError(
                f"ThreadRunner needs threads and backlog above 0, got {threads} and "
                f"{backlog}"
            )
        self._pool = Pool("holdover-refresh", threads=threads, backlog=backlog)

    def bind(self, execute: Execute) -> None:
        """Nothing to keep: a job knows how to carry itself out."""

    def submit(self, job: Job) -> None:
        """Queue *job*.

        Raises:
            RunnerUnavailable: Too many are waiting, or no thread can be started.
        """
        if not self._pool.submit(job.carry_out):
            raise RunnerUnavailable("the refresh threads have too much waiting")
