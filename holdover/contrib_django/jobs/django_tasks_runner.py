"""Django's own tasks as a runner (``django.tasks``, or its back-port for 5.2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from django.utils.module_loading import import_string

from holdover import errors
from holdover.regions.errors import unknown

_TASK = "holdover.contrib_django.jobs.django_task.refresh"  # what its workers run
_OPTIONS = {"backend", "queue_name", "priority"}
_execute: Callable[[object, str | None], object] | None = None


def tasks_module() -> Any:
    """Give the module that has ``task`` and ``task_backends``.

    Raises:
        MissingDependency: There is none.
    """
    for name in ("django.tasks", "django_tasks"):
        if find_spec(name) is not None:
            return import_module(name)
    raise errors.MissingDependency(
        "django.tasks comes with Django 6.0; for Django 5.2 install django-tasks"
    )


def is_immediate(backend: Any) -> bool:
    """Say whether a backend of tasks runs them in whoever enqueues them."""
    return any(kind.__name__ == "ImmediateBackend" for kind in type(backend).__mro__)


WHY_NOT_IMMEDIATE = (
    "the immediate backend runs a task in whoever enqueues it, so that what refreshes "
    "behind a visitor's back would not be behind it"
)


class DjangoTasksRunner:
    """Has refreshes carried out by the workers of Django's tasks.

    Args:
        task_options: ``backend`` (an alias in TASKS), ``queue_name`` and ``priority``;
            those of a region, a function or a job take precedence.

    Raises:
        ConfigurationError: An option is wrong, or the backend is the immediate one.
        MissingDependency: There is neither ``django.tasks`` nor ``django-tasks``.
    """

    name = "django-tasks"
    takes_orders = True
    leaves_process = True

    def __init__(self, task_options: Mapping[str, Any] | None = None) -> None:
        self._options = dict(task_options or {})
        self._backends = tasks_module().task_backends
        self.check_task_options({})

    def check_task_options(self, options: Mapping[str, Any]) -> None:
        """Refuse options that would undo what the runner does.

        Raises:
            ConfigurationError: It names the option.
        """
        given = {**self._options, **options}
        for name in given:
            if name not in _OPTIONS:
                raise errors.ConfigurationError(unknown("task option", name, _OPTIONS))
        alias = given.get("backend", "default")
        try:
            backend = self._backends[alias]
        except Exception as error:  # Django's and the back-port's are not the same
            raise errors.ConfigurationError(f"TASKS, {alias!r}: {error}") from error
        if is_immediate(backend):
            raise errors.ConfigurationError(f"TASKS, {alias!r}: {WHY_NOT_IMMEDIATE}")

    def place(self, task_options: Mapping[str, Any]) -> str:
        """Say where an order goes."""
        given = {"backend": "default", **self._options, **task_options}
        return (
            f"TASKS {given['backend']!r}, queue {given.get('queue_name', 'default')!r}"
        )

    def bind(self, execute: Callable[[object, str | None], object]) -> None:
        """Have the task carry messages out by *execute*."""
        global _execute  # noqa: PLW0603 - a task is a function of its module
        _execute = execute

    def submit(self, job: Any) -> None:
        """Enqueue *job*; for the publisher's thread, since it may block.

        Raises:
            RunnerUnavailable: It cannot travel.
            Exception: The backend did not take it.
        """
        if job.order is None:
            raise errors.RunnerUnavailable(f"{job.key!r} cannot travel as a message")
        given = {**self._options, **job.task_options}
        task = import_string(_TASK)
        (task.using(**given) if given else task).enqueue(job.order.to_message())


def execute(message: object) -> None:
    """Carry out *message* by what the runner was bound to."""
    if _execute is not None:
        _execute(message, None)
