"""The task that Celery's workers run: one order, carried out or dropped.

An app has it from a runner that was made with the app; or, as one of Celery's shared
tasks, from `holdover.tasks`, which a worker may import that makes no runner.
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable, Mapping
from typing import Any

from celery import Celery, shared_task

from holdover.regions.refresh.base import TASK_NAME, Execute, Outcome, Report

OnOutcome = Callable[[Report], object]


class Served:
    """Whom an app's task serves: all runners that were made with the app."""

    def __init__(self, execute: Execute | None = None) -> None:
        self.execute: Execute = execute or _not_bound
        self._listeners: weakref.WeakSet[Any] = weakref.WeakSet()

    def add(self, runner: Any) -> None:
        """Call ``runner.told`` with each `Report`, for as long as *runner* exists."""
        self._listeners.add(runner)

    def carry_out(self, message: object, task_id: str) -> None:
        """Carry out *message*, and tell what became of it."""
        outcome = self.execute(message, task_id)
        report = _report(task_id, message, outcome)
        for runner in list(self._listeners):
            runner.told(report)


def registered(app: Celery, runner: Any) -> Any:
    """Give *app*'s task, which serves *runner* from now on."""
    task = app.tasks.get(TASK_NAME)
    if task is None:
        # Not shared: other apps of this process are none of our business.
        task = app.task(shared=False, served=Served(), is_shared=False, **_SETTINGS)(
            _refresh
        )
    elif task.is_shared:
        # From here on it is the app's own, and hears of no other's orders.
        task.served, task.is_shared = Served(task.served.execute), False
    task.serializer = _serializer(app)
    task.served.add(runner)
    return task


def share(execute: Execute) -> Any:
    """Give every app of this process the task, and carry its messages out so."""
    return shared_task(served=Served(execute), is_shared=True, **_SETTINGS)(_refresh)


def _refresh(task: Any, message: object) -> None:
    task.served.carry_out(message, task.request.id)


_SETTINGS: dict[str, Any] = {
    "name": TASK_NAME,
    "bind": True,
    "ignore_result": True,
    "serializer": "json",
}


def _serializer(app: Celery) -> str:
    """Choose JSON, unless the app's workers would refuse it."""
    if {"json", "application/json"}.isdisjoint(app.conf.accept_content):
        return str(app.conf.task_serializer)
    return "json"


def _not_bound(_message: object, _task_id: str | None) -> Outcome:
    return Outcome(done=False, reason="no region uses this runner")


def _report(task_id: str, message: object, outcome: Outcome) -> Report:
    told: Mapping[str, Any] = {}
    with contextlib.suppress(TypeError, ValueError):
        told = dict(message)  # type: ignore[call-overload]
    return Report(
        task_id=task_id,
        region=str(told.get("region", "")),
        key=str(told.get("key", "")),
        done=outcome.done,
        reason=outcome.reason,
        cost=outcome.cost,
        lag=outcome.lag,
    )
