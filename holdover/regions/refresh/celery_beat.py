"""Schedules fired by Celery beat: entries for its table, and the task behind them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from celery import Celery
from celery.schedules import BaseSchedule, schedstate

from holdover.regions.due import Due
from holdover.regions.errors import ConfigurationError

RUN_TASK = "holdover.run"

Entry = tuple[str, str, Due]
"""Region, name of the schedule, and when it is due."""


class SlotSchedule(BaseSchedule):
    """The due times of a schedule, for beat.

    Beat and all other schedulers agree on them, which an interval that is counted from
    beat's start would not do.
    """

    def __init__(
        self,
        due: Due,
        nowfun: Callable[[], datetime] | None = None,
        app: Celery | None = None,
    ) -> None:
        super().__init__(nowfun=nowfun, app=app)
        self.due = due

    def is_due(self, last_run_at: datetime) -> Any:
        """Say whether a slot has come since *last_run_at*, and when the next one will.

        Returns:
            Celery's pair: the answer, and seconds until the next slot.
        """
        now = self._wall()
        last = self.maybe_make_aware(last_run_at).timestamp()
        return schedstate(self.due.latest(now) > last, self.due.next_after(now) - now)

    def remaining_estimate(self, last_run_at: datetime) -> timedelta:
        """Give the time until the first slot after *last_run_at*."""
        last = self.maybe_make_aware(last_run_at).timestamp()
        return timedelta(seconds=self.due.next_after(last) - self._wall())

    def _wall(self) -> float:
        return self.now().timestamp() if self.nowfun else time.time()

    def __repr__(self) -> str:
        return f"<{self.due}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SlotSchedule) and self.due == other.due

    def __hash__(self) -> int:
        return hash(self.due)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.due,)


def install(
    app: Celery,
    entries: Sequence[Entry],
    fire: Callable[[str, str], None],
    options: Mapping[str, Any],
) -> None:
    """Add entries to the app's beat schedule, and the task that they name to the app.

    Args:
        app: The application.
        entries: What beat is to fire.
        fire: Runs a schedule, in a worker, if it is due.
        options: Passed to ``apply_async``.

    Raises:
        ConfigurationError: *app* is no Celery app, or there are no entries.
    """
    if not hasattr(app, "conf"):
        raise ConfigurationError(
            f"a Celery app was wanted, got {type(app).__name__}: "
            "celery.Celery('shop', broker=...)"
        )
    if not entries:
        raise ConfigurationError(
            "there is no schedule for beat: declare them before install_in_beat(), and "
            "name regions that make_region() has made: install_in_beat(app, "
            "regions=region)"
        )
    if RUN_TASK not in app.tasks:
        app.task(name=RUN_TASK, shared=False, ignore_result=True)(fire)
    app.conf.beat_schedule = {
        **app.conf.beat_schedule,
        **{
            f"holdover: {region}/{name}": {
                "task": RUN_TASK,
                "schedule": SlotSchedule(due),
                "args": [region, name],
                "options": dict(options),
            }
            for region, name, due in entries
        },
    }
