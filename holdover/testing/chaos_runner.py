"""A runner that loses, doubles, delays and refuses what it is given."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Any

from holdover.regions import plugins
from holdover.regions.errors import ConfigurationError, RunnerUnavailable
from holdover.regions.lifetime import lease_span
from holdover.regions.refresh.base import Execute, Job, Runner
from holdover.testing.chances import Chances, Chaos, Fate


class ChaosRunner(Chaos):
    """Stands before a runner: ``configure(..., runner=ChaosRunner("rq", losing=0.1))``.

    One of these befalls a refresh, with the chance that is given (0.0 to 1.0):

    - ``refusing``: it is refused, as by a full queue (`RunnerUnavailable`).
    - ``losing``: it is taken, and never heard of again.
    - ``doubling``: it is handed on twice.
    - ``late``: it is handed on *delay* seconds later, behind the caller's back.

    Args:
        runner: The runner, or its name.
        seed: Makes chance repeatable.
        delay: Seconds by which a late one is late.
        **chances: See above.

    Attributes:
        runner: The one behind it; what it has besides a runner's own, this has, too.

    Raises:
        ConfigurationError: There is no such trouble or runner, or a chance is none.
    """

    fates = frozenset({Fate.REFUSING, Fate.LOSING, Fate.DOUBLING, Fate.LATE})
    verbs = ("submit",)

    def __init__(
        self,
        runner: Runner | str = "thread",
        *,
        seed: int = 0,
        delay: float = 0.05,
        **chances: float,
    ) -> None:
        made: Any = (
            plugins.load("runner", runner)() if isinstance(runner, str) else runner
        )
        if not hasattr(made, "submit"):
            raise ConfigurationError(f"ChaosRunner needs a runner, got {runner!r:.80}")
        self.runner: Runner = made
        self.name = made.name
        self.takes_orders = made.takes_orders
        self.leaves_process = made.leaves_process
        self._delay = lease_span(delay, "delay", zero=True)
        self._chances = Chances(type(self), seed, None, chances)

    def bind(self, execute: Execute) -> None:
        """See `Runner.bind`."""
        self.runner.bind(execute)

    def submit(self, job: Job) -> None:
        """See `Runner.submit`."""
        fate = self._chances.draw("submit")
        if fate is Fate.REFUSING:
            raise RunnerUnavailable("ChaosRunner: the queue is full")
        if fate is Fate.LOSING:
            return
        if fate is Fate.LATE:
            self._submit_late(job)
            return
        self.runner.submit(job)
        if fate is Fate.DOUBLING:
            self.runner.submit(job)

    def _submit_late(self, job: Job) -> None:
        timer = threading.Timer(self._delay, self._try, [job])
        timer.daemon = True
        timer.start()

    def _try(self, job: Job) -> None:
        # Nobody waits for the answer: what is refused now, with whatever error the
        # queue has for it, is lost.
        with suppress(Exception):
            self.runner.submit(job)

    def __getattr__(self, name: str) -> Any:
        if name == "runner":  # of one that is not made yet, such as a copy
            raise AttributeError(name)
        return getattr(self.runner, name)
