"""django-rq's queues as a runner: by name, with the settings in RQ_QUEUES."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import django_rq

from holdover import RqRunner, errors

_WORDS = {"name": "queue", "default_timeout": "timeout"}  # get_queue()'s, and RQ's


class _Queue(RqRunner):
    """One of django-rq's queues."""

    function: ClassVar[str] = "holdover.contrib_django.jobs.rq_jobs.refresh"


class DjangoRqRunner:
    """Has refreshes carried out by django-rq's workers, ``manage.py rqworker``.

    A queue's address, credentials, TLS and serializer are those that RQ_QUEUES gives
    it; ``rqworker`` wants to be told of the last (``--serializer``). Publishing is
    bounded, and independent of COMMIT_MODE. A queue with ``ASYNC=False`` has its orders
    carried out at once.

    Args:
        queue: Name of the queue, where *task_options* name none.
        task_options: ``name`` (or ``queue``), ``default_timeout`` (or ``timeout``) and
            the others of `holdover.RqRunner`; those of a job take precedence.
        ignore_results: Whether RQ keeps no record of what was carried out.
        publish_timeout: Seconds that Redis may take for each step of publishing.

    Raises:
        ConfigurationError: An option is wrong, or RQ_QUEUES has no such queue.
    """

    name = "django-rq"
    takes_orders = True
    leaves_process = True

    def __init__(
        self,
        queue: str = "default",
        *,
        task_options: Mapping[str, Any] | None = None,
        ignore_results: bool = True,
        publish_timeout: float = 0.2,
    ) -> None:
        self._queues: dict[str, _Queue] = {}
        self._options = {"queue": queue, **_in_words_of_rq(task_options or {})}
        self._ignore_results = ignore_results
        self._timeout = publish_timeout
        self._queue(self._options)

    @property
    def is_eager(self) -> bool:
        """Whether its queue has ``ASYNC=False``."""
        return not _is_async(self._options["queue"])

    def check_task_options(self, options: Mapping[str, Any]) -> None:
        """Refuse options that django-rq does not know.

        Raises:
            ConfigurationError: It names the option, or the queue.
        """
        given = {**self._options, **_in_words_of_rq(options)}
        self._queue(given).check_task_options(given)

    def place(self, task_options: Mapping[str, Any]) -> str:
        """Say where an order goes, without a password."""
        given = {**self._options, **_in_words_of_rq(task_options)}
        return self._queue(given).place(given)

    def worker_command(self, task_options: Mapping[str, Any]) -> str:
        """Give the command that starts a worker."""
        from django_rq.settings import QUEUES  # noqa: PLC0415 - read from the settings

        given = {**self._options, **_in_words_of_rq(task_options)}
        serializer = QUEUES[given["queue"]].get("SERIALIZER")
        read_by = f"--serializer {serializer} " if serializer else ""
        return f"manage.py rqworker {read_by}{given['queue']}"

    def bind(self, execute: object) -> None:
        """Nothing to keep: workers find what they run by its name."""

    def submit(self, job: Any) -> None:
        """Publish *job*; for the publisher's thread, since it may block.

        Raises:
            RunnerUnavailable: It cannot travel.
            Exception: Redis did not take it.
        """
        given = {**self._options, **_in_words_of_rq(job.task_options)}
        if not _is_async(given["queue"]):
            job.carry_out()
            return
        self._queue(given).submit(replace(job, task_options=given))

    def _queue(self, options: Mapping[str, Any]) -> _Queue:
        name = options["queue"]
        made = self._queues.get(name)
        if made is None:
            _is_async(name)  # which names those that there are
            made = self._queues.setdefault(
                name,
                _Queue(
                    django_rq.get_connection(name),
                    queue=name,
                    serializer=django_rq.get_queue(name).serializer,
                    result_ttl=0 if self._ignore_results else None,
                    publish_timeout=self._timeout,
                ),
            )
        return made


def _is_async(name: str) -> bool:
    from django_rq.settings import QUEUES  # noqa: PLC0415 - read from the settings

    if name not in QUEUES:
        raise errors.ConfigurationError(
            f"RQ_QUEUES has no queue {name!r}, but {', '.join(map(repr, QUEUES))}"
        )
    return bool(QUEUES[name].get("ASYNC", True))


def _in_words_of_rq(options: Mapping[str, Any]) -> dict[str, Any]:
    return {_WORDS.get(name, name): held for name, held in options.items()}
