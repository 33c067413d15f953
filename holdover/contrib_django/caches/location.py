"""What LOCATION in CACHES may say."""

from __future__ import annotations

import os
import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote

from django.core.exceptions import ImproperlyConfigured

from holdover.regions.texts import masked

DEFAULT_TABLE = "holdover_cache"
_KNOWN = (
    "name or memory://name, region://name, /absolute/path or file:///absolute/path, "
    "host:port or a list of them (memcached), redis://, rediss://, unix://, valkey://, "
    "redis-sentinel://, redis-cluster://, memcached://, sqlite://, postgresql://, "
    "mysql://, dbm://, null://, django-db://alias/table"
)
_PLAIN_NAME = re.compile(r"[\w.-]*")
_SERVER = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[\w.-]+):\d+|unix:/(?!/).+")
_REPLICATED = {"redis", "rediss", "unix", "valkey", "valkeys"}
_DATABASES = {"django-db", "mariadb", "mysql", "postgresql", "sqlite"}
_QUERIES = "has a query: options belong in OPTIONS"


@dataclass(frozen=True, slots=True)
class Location:
    """Where a cache keeps its entries.

    Attributes:
        scheme: What its URL begins with; "" for a plain name, which may be a region's
            or a store's.
        name: For people: without passwords.
        backend: The backend's name or its URL; "" for regions and plain names.
        arguments: What the backend is told of the place, besides.
    """

    scheme: str
    name: str
    backend: str = field(default="", repr=False)  # may have a password
    arguments: tuple[tuple[str, Hashable], ...] = ()

    @property
    def kind(self) -> str:
        """Its scheme, without the driver that may stand behind it."""
        return self.scheme.partition("+")[0]

    @property
    def is_in_database(self) -> bool:
        """Whether the entries are in a table."""
        return self.kind in _DATABASES

    def __str__(self) -> str:
        return f"{self.scheme}://{self.name}" if self.scheme else repr(self.name)


def read_location(given: object) -> Location:
    """Read a LOCATION.

    Names with other characters than letters, digits, ``_``, ``.`` and ``-`` need a
    scheme. Of several URLs, as Django's Redis cache takes them, the first is the one
    that is written to; it is read from, too, and the others are left alone.

    Raises:
        ImproperlyConfigured: It is none; the message lists what is known.
    """
    if isinstance(given, os.PathLike):
        given = os.fspath(given)
    if isinstance(given, str):
        return _one(given) if _is_single(given) else _several(_split(given))
    if isinstance(given, Sequence) and not isinstance(given, bytes):
        return _several(given)
    raise _wrong(given, "is neither a text nor a list of them")


def memory(name: str) -> Location:
    """Give the store of that name in this process's memory."""
    return Location("memory", name, "holdover.memory")


# -- small steps ---------------------------------------------------------------


def _split(text: str) -> list[str]:
    """Part what Django's own backends part: several servers, or several URLs."""
    # The hosts of one URL have commas between them, too.
    between = r"[;,](?=\s*[\w+-]+://)" if "://" in text else "[;,]"
    return [part.strip() for part in re.split(between, text) if part.strip()]


def _is_single(text: str) -> bool:
    return text.startswith("/") or len(_split(text)) < 2  # noqa: PLR2004 - one or none


def _several(given: Sequence[object]) -> Location:
    if not given or not all(isinstance(one, str) and one for one in given):
        raise _wrong(given, "is a list with other things in it than texts, or empty")
    texts = [str(one) for one in given]
    if not any("://" in one for one in texts):
        return _servers(texts)
    found = [_one(one) for one in texts]
    if len(found) > 1 and not {one.scheme for one in found} <= _REPLICATED:
        raise _wrong(texts, "has several URLs, and only Redis can have replicas")
    return found[0]


def _one(text: str) -> Location:
    if text.startswith("/"):
        return _directory(text)
    if _PLAIN_NAME.fullmatch(text):
        return Location("", text)
    if _SERVER.fullmatch(text):
        return _servers([text])
    scheme, separator, rest = text.partition("://")
    if not separator:
        raise _wrong(text, "is neither a name, nor an absolute path, nor host:port")
    scheme = scheme.lower()
    read = _READERS.get(scheme)
    if read is not None:
        return read(text, unquote(rest))
    return Location(scheme, masked(text).partition("://")[2], text)


def _servers(texts: Sequence[str]) -> Location:
    servers = tuple(one.removeprefix("unix:") for one in texts)
    name = ",".join(servers)
    return Location("memcached", name, "holdover.memcached", (("url", servers),))


def _directory(path: str) -> Location:
    path = os.path.normpath(path)
    return Location("file", path, "holdover.file", (("path", path),))


def _memory(text: str, rest: str) -> Location:
    if "?" in rest:
        raise _wrong(text, _QUERIES)
    return memory(rest)


def _file(text: str, rest: str) -> Location:
    if "?" in rest:
        raise _wrong(text, _QUERIES)
    path = rest.removeprefix("localhost")  # RFC 8089 section 2
    if not path.startswith("/"):
        raise _wrong(text, "is no absolute path")
    return _directory(path)


def _region(text: str, rest: str) -> Location:
    if not rest or "?" in rest:
        raise _wrong(text, "names no region" if not rest else _QUERIES)
    return Location("region", rest)


def _database(text: str, rest: str) -> Location:
    alias, _, table = rest.partition("/")
    if "?" in rest or "/" in table:
        raise _wrong(text, "is to be 'django-db://alias/table', and no more")
    alias, table = alias or "default", table or DEFAULT_TABLE
    return Location(
        "django-db", f"{alias}/{table}", "holdover.sql", (("table", table),)
    )


_READERS = {
    "memory": _memory,
    "file": _file,
    "region": _region,
    "django-db": _database,
}


def _wrong(given: object, problem: str) -> ImproperlyConfigured:
    # What has no scheme may yet have a password.
    shown = re.sub(r"[^'\"]*@", "***@", masked(repr(given)))
    return ImproperlyConfigured(f"LOCATION {shown} {problem}. Known are: {_KNOWN}")
