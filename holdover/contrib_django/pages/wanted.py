"""A page that is to be made anew, as it travels in an order."""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self
from urllib.parse import urlsplit

from django.http import HttpRequest

from holdover.contrib_django.pages.places import Asker, Place, variable
from holdover.regions.numbers import LONGEST_TEXT

_SECRET = ("authorization", "cookie", "proxy-authorization")
_NOBODY = "0.0.0.0"  # noqa: S104 - an address that no application trusts
_PORTS = {"http": "80", "https": "443"}
_CONTROLS = {chr(code) for code in (*range(32), 127)} - {"\t"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """A page that is to be made anew. All are texts; fields may be absent.

    Attributes:
        primary: The key of its URL.
        generation: Of the index that it belongs to.
        scheme: Of its URL.
        host: Of its URL, with the port if that is in it.
        script: Where the project is mounted.
        path: The rest of its path, decoded.
        query: As it was sent.
        method: GET or HEAD.
        language: See `Asker`.
        zone: See `Asker`.
        fields: The request fields that it varies by; see `Asker`.

    Raises:
        TypeError: It is none: whoever can write to a queue has made it up.
    """

    primary: str
    generation: str
    scheme: str
    host: str
    script: str
    path: str
    query: str
    method: str
    language: str
    zone: str
    fields: Mapping[str, str | None]

    def __post_init__(self) -> None:
        texts = [
            *(getattr(self, name) for name in self.__slots__ if name != "fields"),
            *self.fields,
            *(value for value in self.fields.values() if value is not None),
        ]
        if not all(isinstance(one, str) and _is_line(one) for one in texts):
            raise TypeError("a page is wanted by lines of text")
        if self.method not in ("GET", "HEAD"):
            raise TypeError(f"no page is wanted by {self.method}")

    @classmethod
    def by(cls, request: HttpRequest, place: Place) -> Self:
        """Want what answers *request*; only fields in the key go along."""
        assert place.index is not None  # noqa: S101 - where there is a page, there is
        return cls(
            primary=place.primary,
            generation=place.index.generation,
            scheme=request.scheme or "http",
            host=request.get_host(),
            script=request.META.get("SCRIPT_NAME", ""),
            path=request.path_info,
            query=request.META.get("QUERY_STRING", ""),
            **asdict(place.asker),
        )

    @classmethod
    def from_data(cls, data: Any) -> Self:
        """Read plain data.

        Raises:
            TypeError: It is something else.
        """
        try:
            return cls(**data)
        except (AttributeError, ValueError) as error:
            raise TypeError(f"no page is wanted by {data!r:.200}") from error

    def as_data(self) -> dict[str, Any]:
        """Give it as plain data."""
        return asdict(self)

    @property
    def key(self) -> str:
        """The key of the page."""
        asker = Asker(self.method, self.language, self.zone, dict(self.fields))
        return asker.key(self.primary, self.generation)

    @property
    def is_private(self) -> bool:
        """Whether it tells who somebody is, and is not to leave this process."""
        return any(self.fields.get(name) is not None for name in _SECRET)

    def environ(self) -> dict[str, Any]:
        """Make the environ of a request that nobody sent."""
        given = {n: value for n, value in self.fields.items() if value is not None}
        if self.language:  # or else the project's default would be chosen
            given.setdefault("accept-language", self.language)
        parts = urlsplit(f"//{self.host}")
        return {
            "REQUEST_METHOD": self.method,
            "SCRIPT_NAME": self.script,
            "PATH_INFO": self.path.encode().decode("latin-1"),
            "QUERY_STRING": self.query,
            "REMOTE_ADDR": _NOBODY,
            "SERVER_NAME": parts.hostname or self.host,
            "SERVER_PORT": str(parts.port or _PORTS.get(self.scheme, "80")),
            "SERVER_PROTOCOL": "HTTP/1.1",
            "HTTP_HOST": self.host,
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": self.scheme,
            "wsgi.input": io.BytesIO(),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
            **{variable(name): value for name, value in given.items()},
        }


def _is_line(text: str) -> bool:
    return len(text) <= LONGEST_TEXT and not _CONTROLS & set(text)
