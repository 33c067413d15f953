"""Beaker's options for its cache, told in ours.

``cache.regions = short, long`` names the regions; what stands at ``cache.expire``
holds for all of them, what stands at ``cache.short.expire`` for one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from holdover.regions.errors import ConfigurationError, UnknownName, unknown
from holdover.regions.options import (
    ARGUMENTS,
    Options,
    Written,
    is_argument,
    put_once,
)
from holdover.regions.texts import listed, read_text, shown
from holdover.regions.urls import is_url

REGIONS = "regions"
SUPPORTED = frozenset({"type", "expire", "data_dir", "url", "enabled"})
UNSUPPORTED = {
    "dbm_dir": "give data_dir",
    "dbmmodule": "files are kept without dbm",
    "digest_filenames": "file names are always digests",
    "file_dir": "give data_dir",
    "invalidate_corrupt": "an entry that cannot be read is always a miss",
    "key_length": "long keys are shortened where the backend needs it",
    "lock_dir": "leases need no lock files",
    "log_file": "listen to the region's events, or to the logger 'holdover'",
    "memcache_module": "choose with arguments.client",
    "protocol": "choose with codec",
    "sa": "give url",
    "sa_opts": "give url",
    "schema_name": "name Holdover's own table with arguments.table",
    "table_name": "name Holdover's own table with arguments.table",
}
_IN_FILES = ("dbm", "file")
_BACKENDS = {
    "memory": "holdover.memory",
    "dbm": "holdover.file",
    "file": "holdover.file",
    "ext:database": "holdover.sql",
    "ext:memcached": "holdover.memcached",
    "ext:redis": "holdover.redis",
}


def is_beakers(names: Mapping[str, object]) -> bool:
    """Say whether flat names, without their prefix, are in Beaker's spelling."""
    marks = {REGIONS, "type", "expire", "data_dir", "enabled", *UNSUPPORTED}
    return not marks.isdisjoint(names)


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


def check_supported(option: str, written: Written) -> None:
    """Refuse an option of Beaker's that has no counterpart.

    Raises:
        ConfigurationError: It says what to do without.
    """
    reason = UNSUPPORTED.get(option.partition(".")[0])
    if reason is not None:
        raise ConfigurationError(
            f"Beaker's option {written.key!r} is not supported: {reason}; remove it"
        )


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
    kind, expire = found.pop("type", None), found.pop("expire", None)
    enabled, data_dir = found.pop("enabled", None), found.pop("data_dir", None)
    if expire is not None:
        put_once(found, "expiration_time", expire)
    if enabled is not None and not _is_true(enabled):
        return _without_place(found) | {"backend": _null(enabled)}
    if kind is None and not found.keys() & {"backend", "url"}:
        kind = Written(f"{where}type", "memory", is_text=False)
    if kind is None:
        return found
    url = found.pop("url", None)
    put_once(found, "backend", Written(kind.key, _backend_for(kind), is_text=False))
    return found | _place(kind, data_dir, url, where)


def _merged(shared: Options, own: Options) -> dict[str, Written]:
    """Lay *own* over *shared*; who says where it is kept wants nothing of another."""
    kept = dict(shared)
    if own.keys() & {"backend", "type"}:
        kept = _without_place(kept, but=() if "backend" in own else ("url", "data_dir"))
    return {**kept, **own}


def _without_place(options: Options, but: tuple[str, ...] = ()) -> dict[str, Written]:
    place = {"backend", "type", "url", "data_dir"} - set(but)
    return {
        name: held
        for name, held in options.items()
        if name not in place and not is_argument(name)
    }


def _is_true(enabled: Written) -> bool:
    if isinstance(enabled.value, str):
        return bool(read_text(enabled.value, bool, enabled.key))
    return bool(enabled.value)


def _null(enabled: Written) -> Written:
    return Written(enabled.key, "holdover.null", is_text=False)


def _backend_for(kind: Written) -> str:
    if kind.value not in _BACKENDS:
        said = unknown("Beaker type", kind.value, _BACKENDS)
        raise UnknownName(f"{kind.key}: {said}")
    return _BACKENDS[kind.value]


def _place(
    kind: Written, data_dir: Written | None, url: Written | None, where: str
) -> dict[str, Written]:
    """Say where entries of that type are kept, as Beaker does; what it ignores, too."""
    if kind.value == "memory":
        return {}
    if kind.value in _IN_FILES:
        place = _required(data_dir, f"{where}data_dir", kind)
        return {f"{ARGUMENTS}path": place}
    place = _required(url, f"{where}url", kind)
    if kind.value == "ext:memcached":
        return {f"{ARGUMENTS}url": Written(place.key, _hosts(place), is_text=False)}
    if kind.value == "ext:redis":
        whole = place.value if is_url(place.value) else f"redis://{place.value}"
        return {"backend": Written(place.key, whole, is_text=False)}
    return {f"{ARGUMENTS}url": Written(place.key, place.value, is_text=False)}


def _required(given: Written | None, key: str, kind: Written) -> Written:
    if given is None:
        raise ConfigurationError(f"{key!r} is not given, which {kind.value!r} needs")
    return given


def _hosts(url: Written) -> Any:
    if not isinstance(url.value, str):
        return url.value
    hosts = [host for host in re.split(r"[;,\s]+", url.value) if host]
    if not hosts:
        raise ConfigurationError(
            f"{url.key} must name hosts, got {shown(url.key, url.value)}"
        )
    return hosts
