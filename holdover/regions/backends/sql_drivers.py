"""What the drivers of `holdover.sql` need to be told, each in its own words."""

from __future__ import annotations

import math
import os
import select
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Engine, create_engine, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError
from sqlalchemy.pool import NullPool

from holdover.regions.backends.capabilities import Capabilities
from holdover.regions.backends.sql_parameters import refuse_unknown
from holdover.regions.backends.sql_pragmas import settle_sqlite
from holdover.regions.errors import ConfigurationError, MissingDependency, unknown

T = TypeVar("T")
DEFAULT_MAX_BYTES = 64 << 20

_PREFERRED = {
    "postgresql": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
}
_PACKAGES = {"psycopg": "psycopg[binary]", "pymysql": "pymysql"}
_OF_SERVER = 0.8  # of the time, so that a server's own answer arrives before it is over
_FROZEN = "the server has not answered for {:g} s"


class TookTooLong(Exception):
    """The client gave up; the connection is of no more use."""


def declared(dialect: str, *, pushes: bool = False) -> Capabilities:
    """Tell what `holdover.sql` can do in a database of that kind."""
    is_server = dialect != "sqlite"
    return Capabilities(
        shared_by="fleet" if is_server else "host",
        durable=True,
        keeps_objects=False,
        bounded_by=("nothing",),
        clock="server" if is_server else "host",
        expires_by_itself=True,
        may_lose=("failover",) if is_server else (),
        largest_value=DEFAULT_MAX_BYTES,
        transactional=True,
        pushes=pushes,
    )


def parsed(url: object) -> URL:
    """Read a URL of SQLAlchemy's; without a driver, the one that is tested is meant.

    Raises:
        ConfigurationError: It is none.
    """
    if not isinstance(url, str | URL):
        raise ConfigurationError(f"url must be a str, got {type(url).__name__}")
    try:
        found = make_url(url)
    except (ArgumentError, ValueError):  # its message may hold a password
        raise ConfigurationError(
            "url must be a database's, as SQLAlchemy writes it, such as "
            "'sqlite:////var/cache/shop.db' or 'postgresql://user@host/shop'"
        ) from None
    return found.set(drivername=_PREFERRED.get(found.drivername, found.drivername))


def engine_for(url: URL, *, timeout: float, connect_timeout: float) -> Engine:
    """Make an engine that bounds what it can.

    Raises:
        ConfigurationError: SQLAlchemy does not know the database, or not its options.
        MissingDependency: The driver is not installed.
    """
    try:
        refuse_unknown(url)
        arguments = _connect_arguments(url, timeout, connect_timeout)
        return create_engine(url, poolclass=NullPool, connect_args=arguments)
    except ModuleNotFoundError as error:
        package = _PACKAGES.get(error.name or "", error.name)
        raise MissingDependency(
            f"{url.drivername!r} needs {error.name!r}: pip install {package!r}"
        ) from error
    except NoSuchModuleError as error:
        said = unknown("database", url.drivername, ("sqlite", *_PREFERRED))
        raise ConfigurationError(f"holdover.sql: {said}") from error
    except ConfigurationError:
        raise
    except (ArgumentError, TypeError, ValueError) as error:
        raise ConfigurationError(f"holdover.sql: {error}") from error


def refuse_memory(url: URL) -> None:
    """Refuse a database that every connection would have for itself.

    Raises:
        ConfigurationError: It says what to use instead.
    """
    if url.get_backend_name() != "sqlite":
        return
    if url.database in (None, "", ":memory:") or "mode=memory" in str(url):
        raise ConfigurationError(
            f"{str(url)!r} is a database in memory, which every connection has for "
            "itself: use 'holdover.memory', or a file, 'sqlite:////var/cache/shop.db'"
        )


def _connect_arguments(url: URL, timeout: float, connect: float) -> dict[str, Any]:
    driver = url.get_driver_name()
    if driver == "pysqlite":
        return {"timeout": timeout, "check_same_thread": False}
    if driver == "pymysql":
        return {
            "connect_timeout": connect,
            "read_timeout": timeout,
            "write_timeout": timeout,
        }
    if driver == "psycopg":  # nobody waits for that long; the connecting thread does
        return {"connect_timeout": max(2, math.ceil(connect))}
    return {}


# -- once per connection -------------------------------------------------------


def settle(dialect: Any, connection: Any, timeout: float) -> Any:
    """Prepare a driver's new connection; give the cursor to work with."""
    dialect.set_isolation_level(connection, "AUTOCOMMIT")
    return _SETTLERS[dialect.name](dialect, connection, timeout)


def _settle_postgresql(dialect: Any, connection: Any, timeout: float) -> Any:
    is_psycopg = dialect.driver == "psycopg"
    if is_psycopg:
        wait = dialect.loaded_dbapi.waiting.wait
        connection.wait = _bounded_wait(wait, connection.pgconn, timeout)
    cursor = connection.cursor(binary=True) if is_psycopg else connection.cursor()
    limit = f"{max(1, round(timeout * _OF_SERVER * 1000))}ms"
    # Behind a pooler the session is not ours alone, and its process has another number
    # than the connection was told: there, strangers would get our settings.
    cursor.execute(
        "SELECT set_config('statement_timeout', %s, false), "
        "set_config('lock_timeout', %s, false) WHERE pg_backend_pid() = %s",
        (limit, limit, connection.info.backend_pid),
    )
    if cursor.fetchone() is None and is_psycopg:
        connection.prepare_threshold = None  # and would meet our prepared statements
    return cursor


def _settle_mysql(dialect: Any, connection: Any, timeout: float) -> Any:
    cursor = connection.cursor()
    limit = timeout * _OF_SERVER
    spoken = (
        f"max_statement_time = {limit:.3f}"
        if dialect.is_mariadb
        else f"max_execution_time = {max(1, round(limit * 1000))}"
    )
    cursor.execute(
        f"SET SESSION {spoken}, innodb_lock_wait_timeout = 1, time_zone = '+00:00', "
        "sql_mode = 'STRICT_ALL_TABLES'"
    )
    # Gap locks would make strangers' keys wait for each other.
    cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
    return cursor


_SETTLERS: Mapping[str, Callable[[Any, Any, float], Any]] = {
    "sqlite": settle_sqlite,
    "postgresql": _settle_postgresql,
    "mysql": _settle_mysql,
    "mariadb": _settle_mysql,
}


def _bounded_wait(wait: Any, pgconn: Any, timeout: float) -> Callable[..., Any]:
    """Have psycopg give up on a server that has frozen, for which libpq waits."""

    def bounded(steps: Generator[Any, Any, Any], *_: Any, **__: Any) -> Any:
        return wait(_giving_up(steps, timeout), pgconn.socket, interval=timeout)

    return bounded


def _giving_up(
    steps: Generator[Any, Any, Any], timeout: float
) -> Generator[Any, Any, Any]:
    wanted = next(steps, _OVER)
    if wanted is _OVER:
        return None
    try:
        while True:
            ready = yield wanted
            if not ready:  # nothing came within the interval
                raise TookTooLong(_FROZEN.format(timeout))
            wanted = steps.send(ready)
    except StopIteration as end:
        return end.value


_OVER = object()


# -- several statements --------------------------------------------------------


def run_each(
    dialect: Any,
    wire: Any,
    sql: str,
    parameters: Sequence[Sequence[Any]],
    outcome: Callable[[Any], T],
) -> list[T]:
    """Run a statement with each of *parameters*; in one round trip, if it can be had.

    Returns:
        What *outcome* makes of the cursor after each.
    """
    if dialect.driver != "psycopg":
        return [_after(wire, sql, one, outcome) for one in parameters]
    with wire.raw.pipeline():
        cursors = [wire.raw.cursor(binary=True).execute(sql, one) for one in parameters]
    return list(map(outcome, cursors))


def _after(
    wire: Any, sql: str, parameters: Sequence[Any], outcome: Callable[[Any], T]
) -> T:
    wire.execute(sql, parameters)
    return outcome(wire.cursor)


# -- SQLite's file -------------------------------------------------------------


def path_of(url: URL) -> str | None:
    """Give where SQLite's file is; None if it is not for us to know."""
    path = url.database
    if url.get_backend_name() != "sqlite" or not path or path.startswith("file:"):
        return None
    return str(Path(path).absolute())  # the working directory may change


def make_private(path: str) -> None:
    """Make SQLite's file, if it is missing, so that nobody else may read it."""
    with suppress(OSError):  # it is there; or SQLite will say what ails it
        os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o600))


def file_at(path: str) -> tuple[int, int] | None:
    """Tell apart the file at *path* from others that may take its place."""
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


# -- what ails a connection ----------------------------------------------------


def said(error: Exception) -> str:
    """Give what a driver said, in one line, without what SQLAlchemy adds."""
    return " ".join(str(getattr(error, "orig", None) or error).split())


def has_ended(dialect: Any, connection: Any) -> bool:
    """Say whether the server has closed a connection that lay idle.

    Looked for before sending what must not be sent twice.
    """
    if dialect.name == "sqlite":
        return False
    try:
        if hasattr(connection, "fileno"):  # an idle server has nothing to say
            return has_something_to_say(connection.fileno(), 0.0)
        return not dialect.do_ping(connection)
    except Exception:  # noqa: BLE001 - it is not usable, whatever ails it
        return True


def has_something_to_say(descriptor: int, wait: float) -> bool:
    """Say whether something is to be read, now or within *wait* seconds."""
    poll = select.poll()  # since select() knows no numbers above 1023
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(wait * 1000))


def is_broken(dialect: Any, connection: Any, error: BaseException) -> bool:
    """Say whether a connection is of no more use after *error*."""
    if not isinstance(error, dialect.loaded_dbapi.Error):
        return True
    if getattr(error, "sqlstate", None) in _SHUTDOWNS:  # psycopg may not know it yet
        return True
    return bool(dialect.is_disconnect(error, connection, None))


def timed_out(error: BaseException) -> bool:
    """Say whether it broke because the client would not wait any longer."""
    return isinstance(error, TookTooLong) or isinstance(
        error.__cause__ or error.__context__, TimeoutError
    )


def may_be_repeated(error: BaseException) -> bool:
    """Say whether the database undid the statement, so that others could proceed."""
    if getattr(error, "sqlstate", None) in ("40001", "40P01"):
        return True
    return bool(error.args) and error.args[0] == _MYSQL_DEADLOCK


_MYSQL_DEADLOCK = 1213
_SHUTDOWNS = ("57P01", "57P02", "57P03")
