"""Beaker's options for its sessions, told in ours.

What would make sessions unsafe is refused with its reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, get_args

from holdover import Registry, errors
from holdover.regions.texts import read_text, shown
from holdover.regions.warnings import warn_caller
from holdover.wsgi.flat_options import Names, put_once
from holdover.wsgi.sessions.cookie import SameSite
from holdover.wsgi.sessions.errors import BeakerSecretWarning

_RENAMED = {"key": "cookie_name", "timeout": "idle_timeout"}
_PLACE = frozenset({
    "type", "url", "urls", "data_dir", "file_dir", "dbm_dir", "bind", "sa_opts",
    "schema_name", "memcache_module",
})  # fmt: skip
_KEYS = frozenset({"encrypt_key", "validate_key"})
_HAS_TO_BE = {
    "httponly": (True, "no script has business with the cookie"),
    "invalidate_corrupt": (True, "no cookie, however damaged, makes a request fail"),
    "use_cookies": (True, "without a web server, use Sessions(...).open()"),
}
WITHOUT_EFFECT = {
    "crypto_type": "cookies are sealed by AES-256-GCM",
    "dbmmodule": "files are kept without dbm",
    "encrypt_nonce_bits": "cookies are sealed by AES-256-GCM, with 96 bits",
    "lock_dir": "nothing is locked while a request runs",
    "log_file": "listen to the region's events, or to the logger 'holdover'",
    "table": "Holdover keeps a table of its own",
    "table_name": "Holdover keeps a table of its own",
}
"""Options that are read over: what they are for is always so, or needed by nobody."""

UNSUPPORTED = {
    "id": "nobody but the middleware chooses ids",
    "namespace_class": "give store a region",
    "session_class": "sessions are all of one class",
}
_SAFE = ("json", "msgpack")
_SHORTEST_KEYS = 32  # bytes, as of any secret


def translated(names: Names) -> Names:
    """Give options in our spelling, whichever they were in.

    Raises:
        ConfigurationError: One of Beaker's is unsafe, or an option is given twice.
    """
    found, place, keys = Names(), Names(), Names()
    for name, (key, value) in names.items():
        if _is_place(name):
            place[name] = (key, value)
        elif name in _KEYS:
            keys[name] = (key, value)
        elif name in _READERS:
            renamed, read = _READERS[name]
            put_once(found, renamed, key, read(key, value))
        elif name == "save_accessed_time":
            _check_accessed(key, value, names)
        elif name in _HAS_TO_BE:
            _check_is(name, key, value)
        elif name in UNSUPPORTED:
            _check_none(name, key, value)
        elif name not in WITHOUT_EFFECT:
            put_once(found, _RENAMED.get(name, name), key, value)
    if place:
        key, _ = next(iter(place.values()))
        put_once(found, "store", key, _store(place, found))
    _take_keys(found, keys)
    _check_secret(found, is_beakers=bool(place) or "beaker" in found)
    return found


def _check_none(name: str, key: str, value: Any) -> None:
    if value is not None:
        raise errors.ConfigurationError(
            f"Beaker's option {key!r} is not supported: {UNSUPPORTED[name]}; remove it"
        )


def _is_place(name: str) -> bool:
    """Say whether an option tells where sessions are kept."""
    return name in _PLACE or name.startswith("sa.")


def _check_accessed(key: str, value: Any, names: Names) -> None:
    """Refuse, as Beaker does, a timeout that nothing could be judged by."""
    if not _truth(key, value) and names.get("timeout", ("", None))[1] is not None:
        raise errors.ConfigurationError(
            f"{key} must be True, since there is a timeout, which is judged by it"
        )


def _check_is(name: str, key: str, value: Any) -> None:
    """Refuse what would switch off what is always on."""
    wanted, reason = _HAS_TO_BE[name]
    if _truth(key, value) is not wanted:
        raise errors.ConfigurationError(f"{key} must be {wanted}: {reason}")


def _truth(key: str, value: Any) -> Any:
    return read_text(value, bool, key) if isinstance(value, str) else value


def _site(key: str, value: Any) -> Any:
    """Read Beaker's SameSite, whose None sends none."""
    if value is None or value == "":
        raise errors.ConfigurationError(
            f"{key} must be Lax, Strict or None, as a text, got {value!r}: not all "
            "browsers protect a cookie that says nothing; leave it out for Lax"
        )
    named = value.title() if isinstance(value, str) else value
    return named if named in get_args(SameSite) else value


def _codec(key: str, value: Any) -> Any:
    if value not in _SAFE:
        raise errors.ConfigurationError(
            f"{key} must be one of {', '.join(_SAFE)}, got {value!r}: who can write "
            "where pickles are kept can run code here"
        )
    return value


_READERS: dict[str, tuple[str, Callable[[str, Any], Any]]] = {
    "data_serializer": ("codec", _codec),
    "samesite": ("samesite", _site),
}


def _store(place: Names, found: Mapping[str, tuple[str, Any]]) -> Any:
    """Make the region that Beaker's type, url and data_dir speak of."""
    type_key, kind = place.get("type", ("session.type", None))
    if kind is None:
        kind = "file" if place.get("data_dir", ("", None))[1] else "memory"
    if kind == "cookie":
        return "cookie"
    prefix = type_key.removesuffix("type")
    options = {
        f"{prefix}{name}": value
        for name, (_, value) in place.items()
        if value is not None
    }
    options |= {f"{prefix}type": kind, f"{prefix}regions": "sessions"}
    options[f"{prefix}codec"] = found["codec"][1] if "codec" in found else "json"
    made = Registry()
    made.configure_from_config(options, prefix=prefix)
    return made["sessions"]


def _take_keys(found: Names, keys: Names) -> None:
    """Make the secret of cookies of the keys that Beaker had.

    Raises:
        ConfigurationError: They are too short, or sessions that Beaker encrypted
            would be stored as they are.
    """
    given = {name: held for name, held in keys.items() if held[1]}
    if not given or "secret" in found:
        return
    key, _ = next(iter(given.values()))
    if found.get("store", ("", None))[1] == "cookie":
        secret = "".join(str(given[name][1]) for name in sorted(given))
        if len(secret.encode()) < _SHORTEST_KEYS:
            written = " and ".join(held[0] for held in given.values())
            raise errors.ConfigurationError(
                f"{written} must have at least {_SHORTEST_KEYS} bytes "
                "together: what seals cookies is made of them"
            )
        found["secret"] = (key, [secret])
    elif "encrypt_key" in given:
        raise errors.ConfigurationError(
            f"{given['encrypt_key'][0]} is for sessions in cookies: what is kept "
            "elsewhere would not be encrypted here; remove it if that will do, or keep "
            "sessions in cookies"
        )


def _check_secret(found: Names, *, is_beakers: bool) -> None:
    """Say where a secret has no use, rather than to let it seem to protect."""
    if "secret" not in found or found.get("store", ("", None))[1] == "cookie":
        return
    key, value = found["secret"]
    if not is_beakers:
        raise errors.ConfigurationError(
            f"{key}={shown(key, value)} has no effect: ids that the store does not "
            "know are never adopted, signed or not; remove it"
        )
    del found["secret"]
    if value:
        warn_caller(
            f"{key} has no effect: ids need no signature, since they cannot be guessed "
            "and unknown ones are not adopted. To change it ends no session",
            BeakerSecretWarning,
        )
