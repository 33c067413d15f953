"""Requests and stored responses, as the rules of the HTTP response cache see them."""

from __future__ import annotations

from dataclasses import dataclass, field

from holdover.wsgi.http.directives import RequestDirectives
from holdover.wsgi.http.fields import Headers

PORTS = {"http": ":80", "https": ":443"}
"""What a host may end with, and means the same without."""


def host_of(authority: str, scheme: str) -> str:
    """Give host and port in the one spelling that is used here."""
    return authority.lower().removesuffix(PORTS.get(scheme, ":"))


@dataclass(frozen=True, slots=True)
class Target:
    """What a request is for: its URI, nothing decoded and nothing put in order."""

    scheme: str
    host: str
    path: str
    query: str = ""

    def __str__(self) -> str:
        query = f"?{self.query}" if self.query else ""
        return f"{self.scheme}://{self.host}{self.path}{query}"


@dataclass(frozen=True, slots=True)
class Request:
    """A request.

    Attributes:
        method: As it was sent; methods differ by case.
        target: Its URI.
        headers: Its header fields.
        directives: What it asks of caches.
        has_body: Whether there is, or may be, a body.
        is_of_somebody: Whether the server or a middleware knows who has sent it.
        is_odd: Whether its first line says something that *target* does not, and an
            application can see: an authority, or a fragment.
    """

    method: str
    target: Target
    headers: Headers = field(default_factory=Headers)
    directives: RequestDirectives = field(default_factory=RequestDirectives)
    has_body: bool = False
    is_of_somebody: bool = False
    is_odd: bool = False


@dataclass(frozen=True, slots=True)
class Response:
    """The head of a response, as it came from the application.

    Attributes:
        status: The code.
        reason: The phrase behind it.
        headers: Its header fields.
        requested_at: When it was asked for; Unix time.
        received_at: When it began to come; Unix time.
    """

    status: int
    reason: str
    headers: Headers
    requested_at: float
    received_at: float


@dataclass(frozen=True, slots=True)
class Stored:
    """A response that may be used again.

    Attributes:
        response: Its head, without the fields that are not stored.
        body: The whole of it.
        lifetime: Seconds for which it is fresh, counted from its making.
        initial_age: How old it was when it came, in seconds (RFC 9111 section 4.2.3).
        stale_while_revalidate: Seconds for which it may be served while one that is
            stale is made anew (RFC 5861 section 3).
        stale_if_error: Seconds for which it may stand in for an error (section 4).
        needs_validation: Whether it is never used without asking the origin.
        no_stale: Whether it is never used once it is stale, whatever anybody asks.
        immutable: Whether it does not change while it is fresh (RFC 8246).
        tags: By which it may be invalidated.
    """

    response: Response
    body: bytes
    lifetime: float
    initial_age: float
    stale_while_revalidate: float = 0.0
    stale_if_error: float = 0.0
    needs_validation: bool = False
    no_stale: bool = False
    immutable: bool = False
    tags: tuple[str, ...] = ()

    def age(self, now: float) -> float:
        """Tell how old it is (RFC 9111 section 4.2.3), in seconds.

        A clock that went back does not make it younger than it came.
        """
        return self.initial_age + max(0.0, now - self.response.received_at)
