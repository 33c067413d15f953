"""What LOCATION in CACHES may say."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from urllib.parse import unquote

from django.core.exceptions import ImproperlyConfigured

_KNOWN = (
    "memory://name (or just a name), file:///absolute/path (or just the path), "
    "region://name"
)
_PLAIN_NAME = re.compile(r"[\w.-]*")


@dataclass(frozen=True, slots=True)
class Location:
    """Where a cache keeps its entries.

    Attributes:
        scheme: "memory", "file" or "region".
        name: The store's name, the directory's absolute path, or the region's name.
    """

    scheme: str
    name: str

    def __str__(self) -> str:
        return f"{self.scheme}://{self.name}"


def read_location(given: object) -> Location:
    """Read a LOCATION.

    A plain name, or none at all, is a store in memory; an absolute path is a
    directory; all else says with a scheme what it is. Names with other characters than
    letters, digits, ``_``, ``.`` and ``-`` need one too, so that a ``host:port`` left
    from another backend is not taken for a name.

    Raises:
        ImproperlyConfigured: It is none of these; the message lists what is known.
    """
    text = os.fspath(given) if isinstance(given, os.PathLike) else given
    if not isinstance(text, str):
        raise _wrong(given, "is no text")
    if text.startswith("/"):
        return Location("file", os.path.normpath(text))
    if _PLAIN_NAME.fullmatch(text):
        return Location("memory", text)
    scheme, separator, rest = text.partition("://")
    if not separator:
        raise _wrong(given, "is neither a name nor an absolute path")
    return _with_scheme(given, scheme, unquote(rest))


def _with_scheme(given: object, scheme: str, rest: str) -> Location:
    if "?" in rest:
        raise _wrong(given, "has a query: options belong in OPTIONS")
    if scheme == "memory":
        return Location(scheme, rest)
    if scheme == "file":
        path = rest.removeprefix("localhost")  # RFC 8089 section 2
        if not path.startswith("/"):
            raise _wrong(given, "is no absolute path")
        return Location(scheme, os.path.normpath(path))
    if scheme != "region":
        raise ImproperlyConfigured(  # without LOCATION, which may hold a password
            f"LOCATION has the unknown scheme {scheme!r}. Known are: {_KNOWN}. For any "
            "other backend, configure a region of holdover.registry and name that"
        )
    if not rest:
        raise _wrong(given, "names no region")
    return Location(scheme, rest)


def _wrong(given: object, problem: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(f"LOCATION {given!r} {problem}. Known are: {_KNOWN}")
