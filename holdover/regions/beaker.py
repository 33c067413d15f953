"""Beaker's options for its cache, told in ours.

``cache.regions = short, long`` names the regions; what stands at ``cache.expire``
holds for all of them, what stands at ``cache.short.expire`` for one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from holdover.regions.assembling import is_url
from holdover.regions.errors import (
    ConfigurationError,
    MissingDependency,
    UnknownName,
    unknown,
)
from holdover.regions.options import (
    ARGUMENTS,
    Options,
    Written,
    is_argument,
    put_once,
)
from holdover.regions.texts import listed, read_text, shown

REGIONS = "regions"
SUPPORTED = frozenset(
    {
        "type",
        "expire",
        "enabled",
        "data_dir",
        "dbm_dir",
        "file_dir",
        "url",
        "urls",
        "bind",
        "memcache_module",
        "sa_opts",
        "schema_name",
        "timeout",
    }
)
WITHOUT_EFFECT = {
    "dbmmodule": "files are kept without dbm",
    "digest_filenames": "file names are always digests",
    "invalidate_corrupt": "an entry that cannot be read is always a miss",
    "key_length": "long keys are shortened where the backend needs it",
    "lock_dir": "leases need no lock files",
    "log_file": "listen to the region's events, or to the logger 'holdover'",
    "protocol": "values have a codec",
    "table": "Holdover keeps a table of its own",
    "table_name": "Holdover keeps a table of its own; arguments.table names it",
}
"""Options that are read over: what they are for is always so, or needed by nobody."""

_OF_NO_BACKEND = {
    "ext:google": "that service of App Engine is gone",
    "ext:mongodb": "there is no backend for it; a plug-in may be one",
}
_FOLDERS = {"dbm": "dbm_dir", "file": "file_dir"}
_ENGINE = "sa."  # begins what SQLAlchemy is told of an engine
_PLACES = frozenset({
    "type", "data_dir", "dbm_dir", "file_dir", "url", "urls", "bind", "sa_opts",
    "schema_name",
})  # fmt: skip
_CREATE_TABLE = f"{ARGUMENTS}create_table"
_TABLE = "holdover_cache"  # as `holdover.sql` calls it
_BACKENDS = {
    "memory": "holdover.memory",
    "dbm": "holdover.file",
    "file": "holdover.file",
    "ext:database": "holdover.sql",
    "ext:sqla": "holdover.sql",
    "ext:memcached": "holdover.memcached",
    "ext:redis": "holdover.redis",
    "ext:rediscluster": "holdover.redis_cluster",
}
_CLIENTS = {
    "auto": None,
    "memcache": None,
    "cmemcache": None,
    "pymemcache": "pymemcache",
    "pylibmc": "pylibmc",
}
"""The clients that take the place of Beaker's for memcached; None: the usual one."""


def is_beakers(names: Mapping[str, object]) -> bool:
    """Say whether flat names, without their prefix, are in Beaker's spelling."""
    told = {REGIONS, *SUPPORTED, *WITHOUT_EFFECT} - {"url"}
    return not told.isdisjoint(names) or any(map(_is_of_engine, names))


def is_supported(option: str) -> bool:
    """Say whether an option of Beaker's has a counterpart here."""
    return option in SUPPORTED or _is_of_engine(option)


def region_names(given: Written | None, prefix: str) -> list[str]:
    """Read ``cache.regions``.

    Raises:
        ConfigurationError: It names none.
    """
    value = given.value if given is not None else ""
    names = listed(value) if isinstance(value, str) else list(value or ())
    if not names or not all(isinstance(name, str) for name in names):
        raise ConfigurationError(
            f"'{prefix}{REGIONS}' must name the regions, 'short, long', got {value!r}"
        )
    return names


def translated(shared: Options, own: Options, where: str) -> dict[str, Written]:
    """Give a region's options in our spelling.

    Args:
        shared: Those for all regions.
        own: The region's own.
        where: What to call them in errors.

    Raises:
        UnknownName: Its type is none that we have.
        ConfigurationError: An option lacks another, or is given twice.
    """
    found = _merged(shared, own)
    timeout, enabled = found.pop("timeout", None), found.pop("enabled", None)
    expire = found.pop("expire", timeout)
    client = found.pop("memcache_module", None)
    if expire is not None:
        put_once(found, "expiration_time", expire)
    if enabled is not None and not _is_true(enabled):
        return _without_place(found) | {"backend": _null(enabled)}
    if "type" not in found and found.keys() & {"backend", "url"}:
        return {k: v for k, v in found.items() if k == "url" or not _is_place(k)}
    kind = found.pop("type", Written(f"{where}type", "memory", is_text=False))
    given = {name: found.pop(name) for name in list(found) if _is_place(name)}
    put_once(found, "backend", Written(kind.key, _backend_for(kind), is_text=False))
    if kind.value == "ext:memcached" and client is not None:
        found |= _client(client)
    place = _place(kind, given, where)
    for own_word in (_CREATE_TABLE, f"{ARGUMENTS}table"):
        if own_word in found:
            place.pop(own_word, None)
    return found | place


def _merged(shared: Options, own: Options) -> dict[str, Written]:
    """Lay *own* over *shared*; who says where it is kept wants nothing of another."""
    kept = dict(shared)
    if own.keys() & {"backend", "type"}:
        kept = _without_place(kept, keeps_place="backend" not in own)
    return {**kept, **own}


def _without_place(
    options: Options, *, keeps_place: bool = False
) -> dict[str, Written]:
    """Leave out where it is kept; *keeps_place* leaves out the kind of place only."""
    return {
        name: held
        for name, held in options.items()
        if name not in ("backend", "type")
        and not is_argument(name)
        and (keeps_place or not _is_place(name))
    }


def _is_place(name: str) -> bool:
    return name in _PLACES or _is_of_engine(name)


def _is_of_engine(name: str) -> bool:
    return name.startswith(_ENGINE)


def _is_true(enabled: Written) -> bool:
    if isinstance(enabled.value, str):
        return bool(read_text(enabled.value, bool, enabled.key))
    return bool(enabled.value)


def _null(enabled: Written) -> Written:
    return Written(enabled.key, "holdover.null", is_text=False)


def _backend_for(kind: Written) -> str:
    if kind.value in _BACKENDS:
        return _BACKENDS[kind.value]
    said = unknown("Beaker type", kind.value, _BACKENDS)
    reason = _OF_NO_BACKEND.get(str(kind.value))
    raise UnknownName(f"{kind.key}: {said}" + (f" ({reason})" if reason else ""))


def _place(
    kind: Written, given: Mapping[str, Written], where: str
) -> dict[str, Written]:
    """Say where entries of that type are kept, as Beaker does; what it ignores, too."""
    if kind.value == "memory":
        return {}
    if kind.value in _FOLDERS:
        folder = given.get(_FOLDERS[kind.value]) or given.get("data_dir")
        return {f"{ARGUMENTS}path": _required(folder, f"{where}data_dir", kind)}
    if kind.value == "ext:sqla":
        engine = _required(given.get("bind"), f"{where}bind", kind)
        return _in_table("engine", engine) | _in_schema(given)
    if kind.value == "ext:database":
        return _in_database(kind, given, where) | _in_schema(given)
    url = given.get("url") or given.get("urls")
    return _at(_required(url, f"{where}url", kind), str(kind.value))


def _in_database(
    kind: Written, given: Mapping[str, Written], where: str
) -> dict[str, Written]:
    """Say which database it is, and what SQLAlchemy is told of it."""
    told = {name: held for name, held in given.items() if _is_of_engine(name)}
    if (several := given.get("sa_opts")) is not None:
        if not isinstance(several.value, Mapping):
            raise ConfigurationError(
                f"{several.key} must be a mapping, got {several.value!r:.80}"
            )
        within = {
            k: Written(several.key, v, is_text=False) for k, v in several.value.items()
        }
        told = {**within, **told}
    url = told.pop(f"{_ENGINE}url", None)
    url = _required(given.get("url") or url, f"{where}url", kind)
    return _in_table("engine", _engine(url, told)) if told else _in_table("url", url)


def _engine(url: Written, told: Mapping[str, Written]) -> Written:
    """Make the engine, as Beaker does."""
    options = {name: held.value for name, held in told.items()}
    try:
        from sqlalchemy import engine_from_config  # noqa: PLC0415
        from sqlalchemy.exc import ArgumentError  # noqa: PLC0415
    except ImportError as error:
        raise MissingDependency(
            "databases need SQLAlchemy: pip install 'holdover[sql]'"
        ) from error
    try:
        engine = engine_from_config({**options, f"{_ENGINE}url": url.value}, _ENGINE)
    except (ArgumentError, ImportError, TypeError, ValueError) as error:
        keys = ", ".join([url.key, *sorted({held.key for held in told.values()})])
        raise ConfigurationError(f"{keys}: SQLAlchemy refuses them: {error}") from error
    return Written(url.key, engine, is_text=False)


def _in_schema(given: Mapping[str, Written]) -> dict[str, Written]:
    """Keep Holdover's own table where Beaker's would be."""
    schema = given.get("schema_name")
    if schema is None:
        return {}
    table = f"{schema.value}.{_TABLE}"
    return {f"{ARGUMENTS}table": Written(schema.key, table, is_text=False)}


def _at(url: Written, kind: str) -> dict[str, Written]:
    """Say where the server is."""
    if kind == "ext:memcached":
        return {f"{ARGUMENTS}url": Written(url.key, _hosts(url), is_text=False)}
    whole = url.value
    if kind == "ext:rediscluster":
        urls = [host.removeprefix("redis://") for host in _hosts(url)]
        hosts = [host.partition("/")[0] for host in urls]  # a cluster has one database
        whole = f"redis-cluster://{','.join(hosts)}"
    elif not is_url(whole):
        whole = f"redis://{whole}"
    return {"backend": Written(url.key, whole, is_text=False)}


def _in_table(name: str, place: Written) -> dict[str, Written]:
    """Keep entries in a table, which Beaker makes where there is none."""
    return {
        f"{ARGUMENTS}{name}": Written(place.key, place.value, is_text=False),
        _CREATE_TABLE: Written(place.key, value=True, is_text=False),
    }


def _client(given: Written) -> dict[str, Written]:
    """Choose the client for memcached.

    Raises:
        ConfigurationError: There is none that could take its place.
    """
    if given.value not in _CLIENTS:
        raise ConfigurationError(
            f"{given.key} must be one of {', '.join(_CLIENTS)}, got {given.value!r}: "
            "no other client is known, and none that logs in by SASL"
        )
    client = _CLIENTS[given.value]
    if client is None:
        return {}
    return {f"{ARGUMENTS}client": Written(given.key, client, is_text=False)}


def _required(given: Written | None, key: str, kind: Written) -> Written:
    if given is None:
        raise ConfigurationError(f"{key!r} is not given, which {kind.value!r} needs")
    return given


def _hosts(url: Written) -> list[str]:
    if not isinstance(url.value, str):
        return list(url.value)
    hosts = [host for host in re.split(r"[;,\s]+", url.value) if host]
    if not hosts:
        raise ConfigurationError(
            f"{url.key} must name hosts, got {shown(url.key, url.value)}"
        )
    return hosts
