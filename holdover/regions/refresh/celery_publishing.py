"""Publishing to an application's broker: bounded, over a connection of our own.

The application's settings are made for its workers, which wait long for messages, and
for its own tasks, which are worth retrying. An order is a hint that gets cheaper to
lose than to wait for within a fraction of a second.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

from celery import Celery
from kombu.exceptions import OperationalError

from holdover.regions.errors import ConfigurationError, MissingDependency
from holdover.regions.forks import renew_after_fork


class Publisher:
    """Sends messages to an app's broker; gives up early.

    The connection is made with the first message, kept, closed after a failure, and
    left to the parent by the child of a fork. Routing, serializers and signals are the
    app's.

    Args:
        app: The application's Celery app.
        timeout: Seconds that each step of the network may take (connecting, sending,
            an answer), with Redis and RabbitMQ. Other brokers' clients have bounds of
            their own.

    Raises:
        MissingDependency: The library that the broker needs is not installed.
        ConfigurationError: Celery has no such kind of broker.
    """

    def __init__(self, app: Celery, timeout: float) -> None:
        self._app = app
        self._timeout = timeout
        _import_driver(app, timeout)
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Begin without a connection; the one that there was is the parent's."""
        self._lock = threading.Lock()  # guards the two below, and their use
        self._connection: Any = None  # Kombu's, without types
        self._producer: Any = None

    def publish(self, task: Any, message: Mapping[str, Any], **options: Any) -> None:
        """Send *message* to *task*.

        Args:
            task: The task, registered with the app.
            message: Its only argument.
            **options: More of ``apply_async``.

        Raises:
            Exception: The broker did not take it; with Redis and RabbitMQ, Kombu's
                ``OperationalError``.
        """
        if self._app.conf.task_always_eager:
            # Runs here and now: no connection is needed, and another thread must not
            # wait for a creator.
            task.apply_async((message,), **options)
            return
        with self._lock:
            self._publish(task, message, options)

    def close(self) -> None:
        """Close the connection; the next message makes another."""
        with self._lock:
            self._disconnect()

    def _publish(
        self, task: Any, message: Mapping[str, Any], options: Mapping[str, Any]
    ) -> None:
        is_old, begun_at = self._producer is not None, time.monotonic()
        try:
            self._send(task, message, options)
        except OperationalError:
            # A connection that the broker closed while it was idle fails at once, and
            # says nothing about the broker. One that times out does.
            if not is_old or time.monotonic() - begun_at > self._timeout / 2:
                raise
            self._send(task, message, options)

    def _send(
        self, task: Any, message: Mapping[str, Any], options: Mapping[str, Any]
    ) -> None:
        try:
            task.apply_async((message,), producer=self._connected(), **options)
        except BaseException:
            self._disconnect()
            if self._connection is not None:
                self._connection.maybe_switch_next()  # if the app names several brokers
            raise

    def _connected(self) -> Any:
        if self._producer is None:
            if self._connection is None:
                self._connection = bounded_connection(self._app, self._timeout)
            producer_of = self._app.amqp.Producer
            self._producer = producer_of(self._connection, auto_declare=False)
        return self._producer

    def _disconnect(self) -> None:
        self._producer = None
        if self._connection is None:
            return
        if self._connection.transport.driver_type == "amqp":
            self._connection.collect()  # AMQP's goodbye would wait for an answer
        else:
            self._connection.release()


def _import_driver(app: Celery, timeout: float) -> None:
    """Import what talks to the broker: in mid-flight that would hold up callers."""
    try:
        app.amqp.Producer(bounded_connection(app, timeout), auto_declare=False)
    except ImportError as error:
        raise MissingDependency(
            f"the broker of Celery app {app.main!r} needs a library: {error}. Celery "
            "has an extra for each kind of broker, such as: pip install 'celery[sqs]'"
        ) from error
    except KeyError as error:
        raise ConfigurationError(
            f"the broker of Celery app {app.main!r}: {error.args[0]}"
        ) from error


def bounded_connection(app: Celery, timeout: float) -> Any:
    """Make a connection to *app*'s broker, each step of which ends by *timeout*.

    Address, credentials, TLS and transport options are the app's, save those that let
    it wait or try again. It connects when it is first used.
    """
    connection = app.connection_for_write(connect_timeout=timeout)
    connection.transport_options = _bounded(
        connection.transport.driver_name, connection.transport_options, timeout
    )
    return connection


def _bounded(driver: str, given: Mapping[str, Any], timeout: float) -> dict[str, Any]:
    """Give a driver's transport options, with what lets it wait replaced."""
    options = {name: value for name, value in given.items() if name != _PATIENCE_OPTION}
    if driver == "redis":
        limits = {"socket_timeout": timeout, "socket_connect_timeout": timeout}
        options |= {**limits, "retry_on_timeout": False, "max_retries": 0}
        if options.get("sentinel_kwargs") is not None:
            options["sentinel_kwargs"] = {**options["sentinel_kwargs"], **limits}
    elif driver == "py-amqp":
        # Unconfirmed, a message to a frozen broker lies in a socket's buffer.
        options.setdefault("confirm_publish", True)
        options |= {"read_timeout": timeout, "write_timeout": timeout, "max_retries": 0}
    else:
        return dict(given)  # a driver may refuse what it does not know
    return options


_PATIENCE_OPTION = "connect_retries_timeout"
