"""A backend and a region's settings in one URL.

``redis://localhost/0?expiration_time=300&lease.ttl=10`` names the backend by its
scheme. Of the query, the region's settings are taken out for the region; what is left
belongs to the backend.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, unquote_plus, urlsplit

from holdover.regions.assembling import backend_maker, is_url
from holdover.regions.blaming import saying
from holdover.regions.errors import ConfigurationError, UnknownName, unknown
from holdover.regions.options import (
    ARGUMENTS,
    Options,
    Written,
    is_part,
    is_task_option,
    put_once,
    setting_types,
)
from holdover.regions.texts import is_readable, listed, masked

_ENCODING = (
    "has signs that must be encoded: '@' as %40, '#' as %23, '?' as %3F, '/' as %2F"
)
_UNREADABLE = "the URL {!r} cannot be read"
Query = list[tuple[str, str, str]]  # name, value, and how both are written


@dataclass(frozen=True, slots=True)
class Address:
    """A URL without its query.

    Attributes:
        whole: All of it, for errors and for clients that read URLs themselves.
        scheme: In lower case.
        host: What stands between the slashes, with user and port.
        path: As written, from the slash on.
    """

    whole: str
    scheme: str
    host: str
    path: str

    def refused(self, problem: str) -> ConfigurationError:
        """Make the error that says what is wrong with this URL."""
        return ConfigurationError(f"the URL {masked(self.whole)!r} {problem}")


@dataclass(frozen=True, slots=True)
class Scheme:
    """What a scheme stands for.

    Attributes:
        backend: The backend's name.
        read: Turns an address into the backend's arguments.
        parameters: None if all of the query goes to the backend as arguments. Else its
            client reads the URL, and these are the parameters that it knows; "*" are
            any.
    """

    backend: str
    read: Callable[[Address], dict[str, Any]]
    parameters: frozenset[str] | None = None


def _nothing(address: Address) -> dict[str, Any]:
    if address.host or address.path.strip("/"):
        raise address.refused(
            f"names a place, where there is none: write '{address.scheme}://', with "
            "arguments and settings in the query"
        )
    return {}


def _place(address: Address, kind: str) -> str:
    if address.host not in ("", "localhost"):  # RFC 8089 section 2
        raise address.refused(
            "is on another host: a path on this one has three slashes, "
            f"'{address.scheme}:///var/cache/shop'"
        )
    if not address.path.strip("/"):
        raise address.refused(
            f"names no {kind}, as '{address.scheme}:///var/cache/shop' does"
        )
    return unquote(address.path)


def _path(address: Address) -> dict[str, Any]:
    return {"path": _place(address, "directory")}


def _filename(address: Address) -> dict[str, Any]:
    return {"filename": _place(address, "file")}


def _url(address: Address) -> dict[str, Any]:
    return {"url": address.whole}


def _server(address: Address) -> dict[str, Any]:
    try:
        _ = urlsplit(address.whole).port
    except ValueError:  # its message shows what may be half a password
        raise address.refused(f"has a port that is no number, or {_ENCODING}") from None
    if "@" in address.path and address.scheme != "unix":
        raise address.refused(_ENCODING)
    number = unquote(address.path).strip("/")
    if address.scheme != "unix" and number and not number.isdecimal():
        # redis-py would take it for database 0.
        raise address.refused("must end with a database's number, as 'redis://host/0'")
    return _url(address)


def _hosts(address: Address) -> dict[str, Any]:
    hosts = listed(address.host)
    if "@" in address.host or address.path.strip("/") or not hosts:
        raise address.refused("must be hosts only, as 'memcached://one:11211,two'")
    return {"url": hosts}


def _nodes(address: Address) -> dict[str, Any]:
    if address.path.strip("/"):
        raise address.refused(
            f"must be hosts only, as '{address.scheme}://one:6379,two:6379'"
        )
    return {"startup_nodes": _members(address), **_account(address)}


def _sentinels(address: Address) -> dict[str, Any]:
    service = unquote(address.path).strip("/")
    found = {"sentinels": _members(address), **_account(address)}
    return {**found, "service_name": service} if service else found


def _members(address: Address) -> list[str]:
    hosts = listed(address.host.rpartition("@")[2])
    if "@" in address.path:
        raise address.refused(_ENCODING)
    if not hosts:
        raise address.refused("names no host")
    return hosts


def _account(address: Address) -> dict[str, Any]:
    user, _, password = address.host.rpartition("@")[0].partition(":")
    given = {"username": unquote(user), "password": unquote(password)}
    return {name: value for name, value in given.items() if value}


# redis.readthedocs.io, "Connecting to Redis": what from_url() reads of a query.
_REDIS_PARAMETERS = frozenset(
    listed(
        "client_name, db, decode_responses, health_check_interval, host, "
        "max_connections, password, port, protocol, retry_on_error, retry_on_timeout, "
        "socket_connect_timeout, socket_keepalive, socket_read_size, socket_timeout, "
        "ssl_ca_certs, ssl_ca_data, ssl_ca_path, ssl_cert_reqs, ssl_certfile, "
        "ssl_check_hostname, ssl_ciphers, ssl_keyfile, ssl_min_version, ssl_password, "
        "ssl_validate_ocsp, timeout, username, virtual_host"
    )
)
_PLACE = frozenset({"db", "host", "password", "port", "username"})
_ANY = frozenset("*")

SCHEMES = {
    "memory": Scheme("holdover.memory", _nothing),
    "null": Scheme("holdover.null", _nothing),
    "file": Scheme("holdover.file", _path),
    "dbm": Scheme("holdover.dbm", _filename),
    "redis": Scheme("holdover.redis", _server, _REDIS_PARAMETERS),
    "rediss": Scheme("holdover.redis", _server, _REDIS_PARAMETERS),
    "unix": Scheme("holdover.redis", _server, _REDIS_PARAMETERS),
    "valkey": Scheme("holdover.valkey", _server, _REDIS_PARAMETERS),
    "valkeys": Scheme("holdover.valkey", _server, _REDIS_PARAMETERS),
    "redis-sentinel": Scheme("holdover.redis_sentinel", _sentinels),
    "valkey-sentinel": Scheme("holdover.valkey_sentinel", _sentinels),
    "redis-cluster": Scheme("holdover.redis_cluster", _nodes),
    "valkey-cluster": Scheme("holdover.valkey_cluster", _nodes),
    "memcached": Scheme("holdover.memcached", _hosts),
    "sqlite": Scheme("holdover.sql", _url, _ANY),
    "postgresql": Scheme("holdover.sql", _url, _ANY),
    "mysql": Scheme("holdover.sql", _url, _ANY),
    "mariadb": Scheme("holdover.sql", _url, _ANY),
}
"""What a URL may begin with; "postgresql+psycopg" counts as "postgresql"."""


def read_url(url: str, where: str = "the URL") -> dict[str, Written]:
    """Give the options that *url* stands for, by their flat names.

    Args:
        url: The URL.
        where: What the user calls the option whose value it is, for errors.

    Raises:
        UnknownName: Nobody has registered its scheme, or the backend behind it.
        ConfigurationError: It cannot be read, or its query has parameters that nobody
            knows or that stand there twice.
    """
    url = url.strip()
    start, _, query = url.partition("?")
    address = _address(start, url)
    scheme = _scheme(address)
    maker = backend_maker(scheme.backend)
    settings = setting_types()
    found = {"backend": Written(where, scheme.backend, is_text=False)}
    kept = []
    for name, value, raw in _parameters(address, query):
        if name in settings or is_task_option(name):
            found[name] = Written(f"{name} in {where}", value, is_text=True)
        elif _stays_in_url(name, maker, scheme, where):
            kept.append(raw)
        else:
            key = ARGUMENTS + name
            found[key] = Written(f"{name} in {where}", value, is_text=True)
    for name, value in scheme.read(address).items():
        held = "?".join([value, "&".join(kept)]) if kept else value
        put_once(found, ARGUMENTS + name, Written(where, held, is_text=False))
    return found


def expanded(options: Options) -> dict[str, Written]:
    """Put what a URL says in the place of the URL, if the backend is given by one.

    Raises:
        UnknownName: See `read_url`.
        ConfigurationError: See `read_url`; or the URL says what is said beside it.
    """
    backend = options.get("backend")
    if backend is None or not is_url(backend.value):
        return dict(options)
    where = "the URL" if backend.key == "backend" else backend.key
    with saying(where):
        found = read_url(backend.value, where)
    for name, written in options.items():
        if name in found and name != "backend":
            raise ConfigurationError(
                f"{name} is given twice: in {where}, and as {written.key}"
            )
    return {**options, **found}


# -- small steps ---------------------------------------------------------------


def _address(start: str, url: str) -> Address:
    try:
        parts = urlsplit(start)
    except ValueError:  # its message may hold half a password
        raise ConfigurationError(_UNREADABLE.format(masked(url))) from None
    address = Address(start, parts.scheme, parts.netloc, parts.path)
    if "#" in url or "@" in url[len(start) :]:
        # All of it is masked: what stands before the "?" may be half a password.
        raise ConfigurationError(f"the URL {masked(url)!r} {_ENCODING}")
    return address


def _scheme(address: Address) -> Scheme:
    name, _, driver = address.scheme.partition("+")
    found = SCHEMES.get(name)
    if found is None or (driver and found.parameters != _ANY):
        raise UnknownName(unknown("kind of URL", address.scheme, SCHEMES))
    return found


def _parameters(address: Address, query: str) -> Query:
    found: Query = []
    for raw in filter(None, query.split("&")):
        name, _, value = raw.partition("=")
        name = unquote_plus(name)
        if any(name == other for other, _, _ in found):
            raise address.refused(f"says {name!r} twice")
        found.append((name, unquote_plus(value), raw))
    return found


def _stays_in_url(name: str, maker: object, scheme: Scheme, where: str) -> bool:
    """Say whether a parameter is for the client; refuse one that nobody knows."""
    arguments = getattr(maker, "known_arguments", None)
    if is_part(name, arguments or ()):
        return False
    # dogpile.cache ignores its arguments of these names where there is a URL.
    is_place = scheme.parameters is not None and name in _PLACE
    if name in (arguments or ()) and not is_place:
        return False
    if scheme.parameters is not None and scheme.parameters & {name, *_ANY}:
        return True
    if arguments is None:
        return False
    known = {*setting_types(), *(scheme.parameters or ())}
    known |= {one for one in arguments if is_readable(_type_of(one, arguments))}
    raise ConfigurationError(f"{where}: {unknown('option', name, known)}")


def _type_of(argument: str, arguments: Collection[str]) -> Any:
    return arguments[argument] if isinstance(arguments, Mapping) else str
