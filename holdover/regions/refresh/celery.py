"""`celery`: refreshes as Celery tasks, with a worker of its own if there is none.

The task takes one order, as JSON, and runs only what is registered. A message is a
hint: it may come twice, late or never, and the lease makes up for that.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from celery import Celery

from holdover.regions.errors import ConfigurationError, RunnerUnavailable
from holdover.regions.forks import renew_after_fork
from holdover.regions.lifetime import seconds
from holdover.regions.plugins import check_choice
from holdover.regions.refresh.base import TASK_NAME, Execute, Job, Report
from holdover.regions.refresh.celery_forks import KOMBU_LOCKS, import_worker
from holdover.regions.refresh.celery_process import WorkerProcess
from holdover.regions.refresh.celery_publishing import Publisher
from holdover.regions.refresh.celery_task import OnOutcome, registered

_POLL = 0.01  # seconds: how long the in-memory broker may sit on a message
_START_TIMEOUT = 10.0
_OURS = {"connection", "producer", "publisher", "retry", "retry_policy", "task_id"}


class CeleryRunner:
    """Has refreshes carried out by a Celery worker.

    With *app*, messages go to its broker, and its workers must import the modules that
    decorate (Celery's own ``include`` or ``autodiscover_tasks``); nothing else has to
    be registered there. They are sent over a connection of the runner's own, which
    takes from the app all but its patience. Without an app, the runner keeps a small
    worker of its own on Celery's in-memory broker, running the same task: in a thread
    of this process, or in a process of its own, which is the right choice for creators
    that compute for long.

    Args:
        app: The application's Celery app.
        worker: Without *app*: "thread" or "process".
        include: Modules that a worker process imports, so that their regions and
            functions are known there.
        task_options: With *app*, passed to ``apply_async``: ``queue``, ``priority`` and
            so on; those of a region, a function or a call take precedence.
        publish_timeout: Seconds that a broker may take for each step of publishing
            (with Redis and RabbitMQ). Callers never wait for it; when it is over, the
            next runner takes the order.
        on_outcome: Called, in this process, with a `Report` of each refresh that the
            runner's own worker has finished; with *app*, of each that the app's
            worker has in this process, whichever region it was for.
        nice: How much a worker process yields to others (``os.nice``).

    Raises:
        ConfigurationError: The options contradict each other, or the broker is one that
            loses messages, or that Celery does not know.
        InvalidLifetime: *publish_timeout* is no span of time.
        MissingDependency: The broker needs a library that is not installed.
    """

    name = "celery"
    takes_orders = True

    def __init__(
        self,
        app: Celery | None = None,
        *,
        worker: str = "thread",
        include: Sequence[str] = (),
        task_options: Mapping[str, Any] | None = None,
        publish_timeout: float = 0.2,
        on_outcome: OnOutcome | None = None,
        nice: int = 10,
    ) -> None:
        check_choice("worker", worker, ("thread", "process"))
        _check(app, worker, include)
        timeout = seconds(publish_timeout, "publish_timeout")
        self._app = app
        self._worker = worker
        self._include = list(include)
        self.check_task_options(task_options or {})
        self._options = dict(task_options or {})
        self._on_outcome = on_outcome
        self._nice = nice
        self._execute: Execute | None = None
        self.leaves_process = app is not None and not _is_memory(app)
        self.leaves_process |= worker == "process"
        self._lock = threading.Lock()  # guards the starting of a worker
        self._process: WorkerProcess | None = None
        self._thread: threading.Thread | None = None
        renew_after_fork(self)
        self._publisher: Publisher | None = None
        if app is not None:
            self._task = registered(app, self)
            if not _is_memory(app):
                self._publisher = Publisher(app, timeout)
        elif worker == "thread":
            import_worker()
        KOMBU_LOCKS.find()

    @property
    def app(self) -> Celery | None:
        """The application's, whose workers carry refreshes out; None: the runner's."""
        return self._app

    def after_fork(self) -> None:
        """Leave the worker and its queue to the parent."""
        self._lock = threading.Lock()
        self._process = None
        self._thread = None

    @property
    def modules(self) -> list[str]:
        """Modules that its worker imports, and from which it may take functions."""
        if self._app is None:
            return self._include
        return [*self._app.conf.include, *self._app.conf.imports]

    @property
    def is_eager(self) -> bool:
        """Whether the app's tasks run in their callers (``task_always_eager``)."""
        return self._app is not None and bool(self._app.conf.task_always_eager)

    def check_task_options(self, options: Mapping[str, Any]) -> None:
        """Refuse options that would undo what the runner does.

        Raises:
            ConfigurationError: It names the option.
        """
        for name in sorted(_OURS.intersection(options)):
            raise ConfigurationError(
                f"task_options says how an order is routed; {name!r} is up to the "
                "runner"
            )

    def place(self, task_options: Mapping[str, Any]) -> str:
        """Say where an order goes, without a password; nothing of a worker here."""
        if self._app is None:
            return ""
        address = self._app.connection_for_write().as_uri()
        return f"{address}, queue {self._queue(self._app, task_options)!r}"

    def worker_command(self, task_options: Mapping[str, Any]) -> str:
        """Give the command that starts a worker; nothing if the runner does."""
        if self._app is None:
            return ""
        return f"celery -A MODULE worker -Q {self._queue(self._app, task_options)}"

    def _queue(self, app: Celery, task_options: Mapping[str, Any]) -> str:
        options = {**self._options, **task_options}
        queue = app.amqp.router.route(options, TASK_NAME).get("queue")
        return str(getattr(queue, "name", queue))

    def close(self) -> None:
        """End the worker process and the connection; the next order makes others."""
        if self._publisher is not None:
            self._publisher.close()
        with self._lock:
            if self._process is not None:
                self._process.close()
            self._process = None

    def bind(self, execute: Execute) -> None:
        """Have the task carry messages out by *execute*."""
        self._execute = execute
        if self._app is not None:
            self._task.served.execute = execute

    def told(self, report: Report) -> None:
        """Hear what became of a refresh that this process carried out."""
        if self._on_outcome is not None:
            self._on_outcome(report)

    def submit(self, job: Job) -> None:
        """Publish *job* as a message; for the publisher's thread, since it may block.

        Raises:
            RunnerUnavailable: The worker could not be started or reached.
        """
        if job.order is None:
            raise RunnerUnavailable(f"{job.key!r} cannot travel as a message")
        message = job.order.to_message()
        if self._worker == "process":
            self._running_process().send(message)
            return
        self._start_thread_once()
        expires = max(0.1, job.order.not_after - time.time())
        self.publish(message, expires=expires, task_options=job.task_options)

    def publish(
        self,
        message: Mapping[str, Any],
        expires: float | None = None,
        task_options: Mapping[str, Any] | None = None,
    ) -> None:
        """Send *message* to the broker; the worker drops it after *expires* seconds."""
        options = {"retry": False, "expires": expires}
        if self._app is not None:  # the embedded worker serves one queue
            options |= {**self._options, **(task_options or {})}
        if self._publisher is None:  # an in-memory broker: nothing to wait for
            self._task.apply_async((dict(message),), **options)
        else:
            self._publisher.publish(self._task, dict(message), **options)

    def serve(self) -> None:
        """Start the embedded worker now, rather than with the first order.

        Raises:
            RunnerUnavailable: It could not be started.
        """
        if self._worker == "process":
            self._running_process()
        else:
            self._start_thread_once()

    # -- a worker in a process -------------------------------------------------

    def _running_process(self) -> WorkerProcess:
        with self._lock:
            if self._process is None or not self._process.is_alive():
                self._process = WorkerProcess(
                    self._include,
                    nice=self._nice,
                    on_report=self._on_outcome,
                    start_timeout=_START_TIMEOUT,
                )
            return self._process

    # -- a worker in a thread --------------------------------------------------

    def _start_thread_once(self) -> None:
        if self._app is not None:
            return
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._start_thread()

    def _start_thread(self) -> None:
        app = _embedded_app()
        self._task = registered(app, self)
        if self._execute is not None:
            self._task.served.execute = self._execute
        worker = app.WorkController(
            pool="solo",
            concurrency=1,
            hostname=f"{app.conf.task_default_queue}@localhost",
            without_heartbeat=True,
            without_mingle=True,
            without_gossip=True,
            send_events=False,
            quiet=True,
        )

        def serve() -> None:
            app.set_current()  # in this thread alone; Celery's tracer asks for it
            worker.start()

        thread = threading.Thread(target=serve, name="holdover-celery", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            raise RunnerUnavailable(f"no thread for a worker: {error}") from error
        self._thread = thread


def _embedded_app() -> Celery:
    """Make a Celery app that nobody else sees, with a queue of this process alone."""
    app = Celery("holdover", broker="memory://", set_as_current=False)
    app.conf.update(
        task_default_queue=f"holdover-{os.getpid()}-{secrets.token_hex(4)}",
        broker_transport_options={"polling_interval": _POLL},
        broker_connection_retry_on_startup=True,
        accept_content=["json"],
        task_ignore_result=True,
        worker_enable_remote_control=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
    )
    return app


def _check(app: Celery | None, worker: str, include: Sequence[str]) -> None:
    if app is None:
        if worker == "process" and not include:
            raise ConfigurationError(
                'CeleryRunner(worker="process") needs include=[...]: the modules that '
                "its process imports to know your regions and functions"
            )
        return
    if not hasattr(app, "conf"):
        raise ConfigurationError(
            f"CeleryRunner(app) needs your Celery app, got {type(app).__name__}: "
            "celery.Celery('shop', broker=...)"
        )
    if worker == "process" or include:
        raise ConfigurationError(
            "CeleryRunner(app) is served by the app's own workers: worker= and "
            "include= are for the embedded one"
        )
    if str(app.conf.broker_url or "").startswith("filesystem:"):
        raise ConfigurationError(
            "Celery's filesystem:// broker loses messages and ends its workers when "
            "two processes use it at once: use Redis or RabbitMQ, or CeleryRunner() "
            "without an app"
        )


def _is_memory(app: Celery) -> bool:
    return str(app.conf.broker_url or "").startswith("memory:")
