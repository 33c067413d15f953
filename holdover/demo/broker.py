"""The Celery app of a run, on the user's broker, with a queue of the run's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from celery import Celery
from kombu.entity import Exchange, Queue
from kombu.exceptions import OperationalError

from holdover.demo.errors import Unreachable
from holdover.demo.means import Means

_PATIENCE = 0.4  # seconds for each step of the network while nobody visits the site
_HEARTBEAT = 10.0  # seconds
_LEFT_FOR = 300.0  # seconds: RabbitMQ's patience with a queue that nobody uses
_TASKS = "holdover.demo.site"
# Where Kombu notes, on a Redis server, what a worker has taken and not yet begun.
_REDIS_BOOKS = ("unacked", "unacked_index", "unacked_mutex")


def app_of(means: Means) -> Celery:
    """Make the app that the site and the worker processes share.

    Its name, its queue and all that it keeps on a Redis server bear the run's name.
    """
    app = Celery(means.run, broker=means.broker, include=[_TASKS], set_as_current=False)
    app.conf.update(
        task_queues=[_queue(means)],
        task_default_queue=means.run,
        task_ignore_result=True,
        accept_content=["json"],
        broker_transport_options=_redis_options(means),
        broker_connection_retry_on_startup=True,
        worker_prefetch_multiplier=1,
        worker_enable_remote_control=False,
        # On RabbitMQ a worker sees that it shall end when it next wakes up: in 1 s.
        broker_heartbeat=_HEARTBEAT,
        broker_heartbeat_checkrate=_HEARTBEAT,
    )
    return app


def check(means: Means) -> None:
    """See whether the broker takes connections, before anything is measured.

    Raises:
        Unreachable: It refuses, does not answer within 2 s, or needs a library that is
            not installed.
    """
    with _channel(means):
        pass


def remove(means: Means) -> None:
    """Delete the queue of the run, with the messages that are left in it.

    Raises:
        Unreachable: The broker does not answer.
    """
    with _channel(means) as channel:
        queue = _queue(means)(channel)
        queue.declare()  # of a queue that it has not declared, Kombu forgets nothing
        queue.delete()
        queue.exchange.delete()
        if _is_redis(means):
            channel.client.delete(*_REDIS_BOOKS)


def _queue(means: Means) -> Any:
    """Make the queue, and the exchange that Celery wants for it."""
    name = means.run
    # RabbitMQ's own way to forget both if we are killed; Kombu's, on Redis, would go
    # by a clock even while there are workers.
    expires = None if _is_redis(means) else _LEFT_FOR
    exchange = Exchange(name, auto_delete=True)  # type: ignore[no-untyped-call]
    return Queue(name, exchange, routing_key=name, expires=expires)  # type: ignore[no-untyped-call]


def _is_redis(means: Means) -> bool:
    return (means.broker or "").startswith("redis")


def _redis_options(means: Means) -> dict[str, Any]:
    """Part what Kombu keeps on a Redis server from what it keeps for others."""
    return {"global_keyprefix": f"{means.run}:"} if _is_redis(means) else {}


@contextmanager
def _channel(means: Means) -> Iterator[Any]:
    """Have a channel to the broker that waits for nothing as long as a worker's."""
    connection = app_of(means).connection_for_write(connect_timeout=_PATIENCE)
    try:
        connection.transport_options = _bounded(means, connection.transport_options)
        with connection:
            # By itself it tries again after 2 s.
            connection.ensure_connection(max_retries=1, interval_start=0)
            yield connection.default_channel
    except _troubles_of(connection) as error:
        told = " ".join(str(error).split()) or type(error).__name__
        where = connection.as_uri()  # without the password
        raise Unreachable(f"the broker {where} cannot be used: {told}") from error


def _bounded(means: Means, given: dict[str, Any] | None) -> dict[str, Any]:
    names = ["socket_timeout", "socket_connect_timeout"]
    if not _is_redis(means):
        names = ["read_timeout", "write_timeout"]
    return {**(given or {}), **dict.fromkeys(names, _PATIENCE), "max_retries": 0}


def _troubles_of(connection: Any) -> tuple[type[Exception], ...]:
    """Give what Kombu raises when the broker, or the library for it, is in trouble."""
    always = (OperationalError, OSError, ImportError)
    try:
        return (*connection.connection_errors, *connection.channel_errors, *always)
    except ImportError:  # the library is what is missing
        return always
