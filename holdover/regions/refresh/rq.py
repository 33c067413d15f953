"""`rq`: refreshes as jobs of RQ, for its workers.

RQ's messages name any function that a worker can import. Ours name one, which carries
out an order and runs only what is registered.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping
from typing import Any, ClassVar

from redis import BlockingConnectionPool, ConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from rq import Queue

from holdover.regions.errors import ConfigurationError, RunnerUnavailable, unknown
from holdover.regions.forks import renew_after_fork
from holdover.regions.lifetime import seconds
from holdover.regions.refresh.base import Execute, Job

_URL = "redis://localhost:6379/0"
_FAILURES_KEPT_FOR = 3600  # seconds: a killed worker is all that fails here
_OPTIONS = {"queue", "at_front", "timeout", "description", "meta", "failure_ttl"}


class RqRunner:
    """Has refreshes carried out by RQ's workers.

    They must import the modules that decorate and configure, which ``rq worker -c
    shop.caching`` does, and read what the runner writes: ``--serializer json``.

    Args:
        connection: A client of Redis, or a URL; None: the environment's
            ``RQ_REDIS_URL``, or Redis on this host. Of a client, the runner takes the
            address, credentials and TLS, and connects for itself.
        queue: Name of the queue.
        serializer: RQ's name for one, or a class, as the workers have it.
        task_options: Of RQ's own: ``at_front``, ``timeout``, ``description``, ``meta``
            and ``failure_ttl``, and another ``queue``; those of a region, a function or
            a call take precedence.
        publish_timeout: Seconds that Redis may take for each step of publishing.
            Callers never wait for it; when it is over, the next runner takes the order.
        result_ttl: Seconds for which RQ remembers an order that was carried out; None
            means as RQ does by default.

    Raises:
        ConfigurationError: An option is wrong.
        InvalidLifetime: *publish_timeout* is no span of time.
    """

    name = "rq"
    function: ClassVar[str] = "holdover.rq_jobs.refresh"  # what its workers call
    takes_orders = True
    leaves_process = True

    def __init__(
        self,
        connection: Redis | str | None = None,
        *,
        queue: str = "default",
        serializer: Any = "json",
        task_options: Mapping[str, Any] | None = None,
        publish_timeout: float = 0.2,
        result_ttl: int | None = 0,
    ) -> None:
        wanted: object = queue
        if not wanted or not isinstance(wanted, str):
            raise ConfigurationError(f"queue must be the name of one, got {queue!r}")
        self.check_task_options(task_options or {})
        self._timeout = seconds(publish_timeout, "publish_timeout")
        self._given = _client(connection)
        self._serializer = serializer
        self._result_ttl = result_ttl
        self._options = {"queue": queue, **(task_options or {})}
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Leave the connections to the parent."""
        self._connection = _bounded(self._given, self._timeout)

    def check_task_options(self, options: Mapping[str, Any]) -> None:
        """Refuse options that RQ does not know, or that are up to the runner.

        Raises:
            ConfigurationError: It names the option, and those that there are.
        """
        for name in options:
            if name not in _OPTIONS:
                raise ConfigurationError(unknown("task option", name, _OPTIONS))

    def place(self, task_options: Mapping[str, Any]) -> str:
        """Say where an order goes, without a password."""
        known = self._connection.connection_pool.connection_kwargs
        server = known.get("path") or f"{known.get('host')}:{known.get('port')}"
        queue = self._queue(task_options)
        return f"Redis {server} db {known.get('db', 0)}, queue {queue!r}"

    def worker_command(self, task_options: Mapping[str, Any]) -> str:
        """Give the command that starts a worker."""
        read_by = self._serializer if isinstance(self._serializer, str) else "CLASS"
        queue = self._queue(task_options)
        return f"rq worker --config MODULE --serializer {read_by} {queue}"

    def _queue(self, task_options: Mapping[str, Any]) -> str:
        return str({**self._options, **task_options}["queue"])

    def bind(self, execute: Execute) -> None:
        """Nothing to keep: RQ's workers find what they run by its name."""

    def submit(self, job: Job) -> None:
        """Publish *job*; for the publisher's thread, since it may block.

        Raises:
            RunnerUnavailable: It cannot travel.
            Exception: Redis did not take it.
        """
        if job.order is None:
            raise RunnerUnavailable(f"{job.key!r} cannot travel as a message")
        options = {
            # Else RQ stores the whole call as text.
            "description": f"holdover: {job.key:.200}",
            "failure_ttl": _FAILURES_KEPT_FOR,
            **self._options,
            **job.task_options,
        }
        queue = Queue(
            options.pop("queue"),
            connection=self._connection,
            serializer=self._serializer,
        )
        queue.enqueue_call(
            self.function,
            args=(job.order.to_message(),),
            result_ttl=self._result_ttl,
            ttl=max(1, math.ceil(job.order.not_after - time.time())),
            **options,
        )

    def close(self) -> None:
        """Close the connections; the next order makes others."""
        self._connection.close()


def _client(given: Any) -> Redis:
    if given is None:
        given = os.environ.get("RQ_REDIS_URL", _URL)
    if isinstance(given, str):
        try:
            return Redis.from_url(given)
        except ValueError as error:
            raise ConfigurationError(f"connection: {error}") from error
    if not isinstance(given, Redis):
        raise ConfigurationError(
            f"RqRunner needs a client of Redis or a URL, got {type(given).__name__}"
        )
    return given


def _bounded(client: Redis, timeout: float) -> Redis:
    """Give a client of the same server, each step of which ends by *timeout*."""
    pool = client.connection_pool
    if type(pool) not in (ConnectionPool, BlockingConnectionPool):
        return client  # Sentinel's find their server by themselves
    limits = {
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        "retry": Retry(NoBackoff(), 0),
        "retry_on_timeout": False,
    }
    options = {**pool.connection_kwargs, **limits}
    return Redis(
        connection_pool=ConnectionPool(
            connection_class=pool.connection_class, **options
        )
    )
