"""A site behind the HTTP response cache, whose clock a test moves."""

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

import http_sf

from holdover import make_region
from holdover.testing import FakeClock
from holdover.wsgi.http.fields import Headers
from holdover.wsgi.http.messages import Request, Response, Stored, Target
from holdover.wsgi.http.middleware import HTTPCacheMiddleware
from holdover.wsgi.http.policy import Policy
from holdover.wsgi.http.steering import ResponseCache
from holdover.wsgi.http.storing import read_storable

NOW = 1_000_000_000.0
PAGE = Target("http", "site.test", "/page")
Fields = dict[str, str | list[str]]


def date(at: float = 0) -> str:
    """Write a date as HTTP has it, so many seconds from the beginning of a test."""
    return formatdate(NOW + at, usegmt=True)


def fields_of(given: Fields) -> list[tuple[str, str]]:
    """Give a field for each value, in order."""
    lines = [
        (name, [one] if isinstance(one, str) else one) for name, one in given.items()
    ]
    return [(name, value) for name, values in lines for value in values]


def response(fields=(), status=200):
    """Give the head of a response that came now."""
    return Response(status, "OK", Headers(fields), NOW, NOW)


def stored(control="max-age=60", fields=(), body=b"page", policy=None):
    """Give what is stored of a response."""
    head = response([("Cache-Control", control), *fields])
    found = read_storable(
        Request("GET", PAGE), head, body, policy or Policy(), ResponseCache()
    )
    assert isinstance(found, Stored), found
    return found


@dataclass
class Reply:
    """What the application answers: its fields, and how long it takes for it."""

    fields: Fields = field(default_factory=dict)
    status: str = "200 OK"
    body: bytes = b"page"
    takes: float = 0.0


@dataclass
class Answer:
    """What a client gets."""

    status: int
    headers: Headers
    body: bytes

    def __getitem__(self, name: str) -> str | None:
        return self.headers.joined(name.lower())

    @property
    def told(self) -> dict[str, Any]:
        """What the last member of ``Cache-Status`` says."""
        said = http_sf.parse((self["cache-status"] or "").encode(), tltype="list")[-1][
            1
        ]
        return {
            name: str(one) if isinstance(one, http_sf.Token) else one
            for name, one in said.items()
        }

    @property
    def is_hit(self) -> bool:
        return self.told.get("hit") is True


class Site:
    """One application, and clients that ask for its pages.

    Args:
        policy: The cache's.

    Attributes:
        reply: What is answered now; or a function of the environ that gives it.
        asked: The requests that the application got.
    """

    def __init__(self, policy: Policy | None = None) -> None:
        self.clock = FakeClock(NOW)
        self.region = make_region("pages", time_source=self.clock).configure(
            "holdover.memory",
            arguments={"time_source": self.clock},
            runner="inline",
        )
        self.reply: Reply | Callable[[dict[str, Any]], Reply] = Reply()
        self.asked: list[dict[str, Any]] = []
        self.door = HTTPCacheMiddleware(self._answer, self.region, policy=policy)

    def says(self, fields: Fields | None = None, /, **more: Any) -> "Site":
        """Have the application answer so from now on."""
        self.reply = Reply(fields or {}, **more)
        return self

    def caches(
        self, control: str, /, fields: Fields | None = None, **more: Any
    ) -> "Site":
        """Have it answer with this ``Cache-Control``."""
        return self.says({"Cache-Control": control, **(fields or {})}, **more)

    def _answer(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        self.asked.append(dict(environ))
        reply = self.reply(environ) if callable(self.reply) else self.reply
        self.clock.advance(reply.takes)
        start_response(reply.status, fields_of(reply.fields))
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [reply.body]

    def ask(
        self,
        path: str = "/page",
        method: str = "GET",
        fields: Fields | None = None,
        **more: Any,
    ) -> Answer:
        """Send a request, and read what comes."""
        path, _, query = path.partition("?")
        environ = {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": "",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "SERVER_NAME": "site.test",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "HTTP_HOST": "site.test",
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(),
            **{
                "HTTP_" + name.upper().replace("-", "_"): value
                for name, value in (fields or {}).items()
            },
            **more,
        }
        got: list[Any] = []
        chunks = self.door(
            environ, lambda status, headers, *_: got.extend((status, headers))
        )
        try:
            body = b"".join(chunks)
        finally:
            close = getattr(chunks, "close", None)
            if close is not None:
                close()
        return Answer(int(got[0][:3]), Headers(got[1]), body)

    def passes(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.advance(seconds)

    @property
    def times_asked(self) -> int:
        """How often the application has been asked."""
        return len(self.asked)

    def stores(
        self, control: str, /, fields: Fields | None = None, **more: Any
    ) -> bool:
        """Say whether such a response is used for the next request, too."""
        self.caches(control, fields, **more).ask()
        before = self.times_asked
        self.ask()
        return self.times_asked == before
