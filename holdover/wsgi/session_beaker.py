"""Beaker's options for its sessions, told in ours.

What is unsafe, or has no counterpart, is refused with its reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from holdover import Registry, errors
from holdover.regions.texts import read_text, shown
from holdover.wsgi.flat_options import Names, put_once

_RENAMED = {"key": "cookie_name", "timeout": "idle_timeout"}
_PLACE = ("type", "url", "data_dir")
_HAS_TO_BE = {
    "httponly": (True, "no script has business with the cookie"),
    "invalidate_corrupt": (True, "what cannot be read is always a new session"),
    "save_accessed_time": (True, "the timeout is judged by it"),
    "use_cookies": (True, "without a web server, use Sessions(...).open()"),
}
UNSUPPORTED = {
    "crypto_type": "cookies are sealed by AES-256-GCM",
    "encrypt_key": "give secret, of which all keys are derived",
    "encrypt_nonce_bits": "cookies are sealed by AES-256-GCM, with 96 bits",
    "id": "nobody but the middleware chooses ids",
    "lock_dir": "nothing is locked while a request runs",
    "log_file": "listen to the region's events, or to the logger 'holdover'",
    "memcache_module": "give store a region with arguments.client",
    "namespace_class": "give store a region",
    "sa": "give url",
    "sa_opts": "give url",
    "schema_name": "give store a region with arguments.table",
    "session_class": "sessions are all of one class",
    "table_name": "give store a region with arguments.table",
    "validate_key": "give secret, of which all keys are derived",
    "webtest_varname": "look into the environ",
}
_SAFE = ("json", "msgpack")


def translated(names: Names) -> Names:
    """Give options in our spelling, whichever they were in.

    Raises:
        ConfigurationError: One of Beaker's is unsafe or has no counterpart, or an
            option is given twice.
    """
    found: Names = {}
    place: Names = {}
    for name, (key, value) in names.items():
        if name in _PLACE:
            place[name] = (key, value)
        elif name == "data_serializer":
            put_once(found, "codec", key, _codec(key, value))
        elif name in _HAS_TO_BE:
            _check_is(name, key, value)
        elif name.partition(".")[0] in UNSUPPORTED:
            _refuse(key, UNSUPPORTED[name.partition(".")[0]])
        else:
            put_once(found, _RENAMED.get(name, name), key, value)
    if place:
        key, _ = next(iter(place.values()))
        put_once(found, "store", key, _store(place, found))
    _check_secret(found)
    return found


def _refuse(key: str, reason: str) -> None:
    raise errors.ConfigurationError(
        f"Beaker's option {key!r} is not supported: {reason}; remove it"
    )


def _check_is(name: str, key: str, value: Any) -> None:
    """Refuse what would switch off what is always on."""
    wanted, reason = _HAS_TO_BE[name]
    given = read_text(value, bool, key) if isinstance(value, str) else value
    if given is not wanted:
        raise errors.ConfigurationError(f"{key} must be {wanted}: {reason}")


def _codec(key: str, value: Any) -> Any:
    if value not in _SAFE:
        raise errors.ConfigurationError(
            f"{key} must be one of {', '.join(_SAFE)}, got {value!r}: who can write "
            "where pickles are kept can run code here"
        )
    return value


def _store(place: Names, found: Mapping[str, tuple[str, Any]]) -> Any:
    """Make the region that Beaker's type, url and data_dir speak of."""
    type_key, kind = place.get("type", ("session.type", "memory"))
    if kind == "cookie":
        return "cookie"
    prefix = type_key.removesuffix("type")
    options = {f"{prefix}{name}": value for name, (_, value) in place.items()}
    options |= {f"{prefix}type": kind, f"{prefix}regions": "sessions"}
    options[f"{prefix}codec"] = found["codec"][1] if "codec" in found else "json"
    made = Registry()
    made.configure_from_config(options, prefix=prefix)
    return made["sessions"]


def _check_secret(found: Names) -> None:
    """Say where a secret has no use, rather than to let it seem to protect."""
    if "secret" in found and found.get("store", ("", None))[1] != "cookie":
        key, value = found["secret"]
        raise errors.ConfigurationError(
            f"{key}={shown(key, value)} has no effect: ids that the store does not "
            "know are never adopted, signed or not; remove it"
        )
