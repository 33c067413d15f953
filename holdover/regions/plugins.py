"""Names and what they load: nothing is imported before it is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from holdover.regions.errors import (
    ConfigurationError,
    MissingDependency,
    UnknownName,
    unknown,
)
from holdover.regions.values import frozen


@frozen
class Plugin:
    """Where something named lives.

    Attributes:
        target: ``module:attribute``.
        extra: The extra of this distribution that installs what it needs, if any.
    """

    target: str
    extra: str = ""


_REDIS = Plugin("holdover.regions.backends.redis:RedisBackend", "redis")
_SENTINEL = Plugin(
    "holdover.regions.backends.redis_sentinel:RedisSentinelBackend", "redis"
)
_CLUSTER = Plugin(
    "holdover.regions.backends.redis_cluster:RedisClusterBackend", "redis"
)

BACKENDS = {
    "holdover.memory": Plugin("holdover.regions.backends.memory:MemoryBackend"),
    "holdover.file": Plugin("holdover.regions.backends.file:FileBackend"),
    "holdover.dbm": Plugin("holdover.regions.backends.dbm:DbmBackend"),
    "holdover.null": Plugin("holdover.regions.backends.null:NullBackend"),
    "holdover.redis": _REDIS,
    "holdover.redis_sentinel": _SENTINEL,
    "holdover.redis_cluster": _CLUSTER,
    "holdover.valkey": _REDIS,
    "holdover.valkey_sentinel": _SENTINEL,
    "holdover.valkey_cluster": _CLUSTER,
    "holdover.memcached": Plugin(
        "holdover.regions.backends.memcached:MemcachedBackend", "memcached"
    ),
    "holdover.sql": Plugin("holdover.regions.backends.sql:SqlBackend", "sql"),
}
RUNNERS = {
    "inline": Plugin("holdover.regions.refresh.inline:InlineRunner"),
    "thread": Plugin("holdover.regions.refresh.thread:ThreadRunner"),
    "celery": Plugin("holdover.regions.refresh.celery:CeleryRunner", "celery"),
    "rq": Plugin("holdover.regions.refresh.rq:RqRunner", "rq"),
}
CODECS = {
    "pickle": Plugin("holdover.regions.codecs:PickleCodec"),
    "json": Plugin("holdover.regions.codecs:JsonCodec"),
    "msgpack": Plugin("holdover.regions.codecs_msgpack:MsgpackCodec", "msgpack"),
}
SCHEDULES = {
    "cron": Plugin("holdover.regions.due_cron:Cron", "schedules"),
    "beat": Plugin("holdover.regions.refresh.celery_beat:install", "celery"),
}
_BUILT_IN: dict[str, Mapping[str, Plugin]] = {
    "backend": BACKENDS,
    "runner": RUNNERS,
    "codec": CODECS,
    "schedule": SCHEDULES,
}


def load(kind: str, name: str, *, also_known: Iterable[str] = ()) -> Any:
    """Load the *kind* ("backend", "runner", "codec", "schedule") that goes by *name*.

    Other distributions offer theirs by the entry point groups ``holdover.backends``,
    ``holdover.runners`` and ``holdover.codecs``; a built-in name cannot be taken over.

    Raises:
        UnknownName: Nothing goes by it; the message lists what does.
        MissingDependency: What it needs is not installed; the message says how.
    """
    built_in = _BUILT_IN[kind]
    if name in built_in:
        return _load(kind, name, built_in[name])
    outside = {found.name: found for found in entry_points(group=f"holdover.{kind}s")}
    if name in outside:
        with advising(f"the {kind} {name!r}"):
            return outside[name].load()
    raise UnknownName(unknown(kind, name, {*built_in, *outside, *also_known}))


@contextmanager
def advising(what: str) -> Iterator[None]:
    """Say who needs a library that is missing, if importing one fails.

    Raises:
        MissingDependency: It names *what* needs it.
    """
    try:
        yield
    except MissingDependency:
        raise
    except ModuleNotFoundError as error:
        raise MissingDependency(
            f"{what} needs {error.name!r}, which is not installed"
        ) from error


def check_choice(option: str, value: object, choices: Iterable[str]) -> None:
    """Refuse a *value* that is none of the *choices*.

    Raises:
        ConfigurationError: It names the option and the choices.
    """
    choices = list(choices)
    if value not in choices:
        raise ConfigurationError(unknown(f"{option} setting", value, choices))


def _load(kind: str, name: str, plugin: Plugin) -> Any:
    module, _, attribute = plugin.target.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except ModuleNotFoundError as error:
        if not plugin.extra or (error.name or "").startswith("holdover"):
            raise
        raise MissingDependency(
            f"the {kind} {name!r} needs {error.name!r}: "
            f"pip install holdover[{plugin.extra}]"
        ) from error
