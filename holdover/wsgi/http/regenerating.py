"""Making a page anew for nobody in particular, here or in a worker."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

from holdover import Cached, errors
from holdover.wsgi.http.environ import clean_environ, variable
from holdover.wsgi.http.fields import Headers
from holdover.wsgi.http.filling import has_its_length
from holdover.wsgi.http.messages import Request, Response, Stored, Target
from holdover.wsgi.http.pages import Pages, Place
from holdover.wsgi.http.policy import Policy
from holdover.wsgi.http.steering import ENVIRON_KEY, ResponseCache
from holdover.wsgi.http.storing import read_storable
from holdover.wsgi.http.upstream import Upstream
from holdover.wsgi.http.validation import concerns, freshened, questions
from holdover.wsgi.http.variants import Variants, primary_key, selected, varied_names

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication, WSGIEnvironment

_SERVER_ERROR = 500
_NOT_MODIFIED = 304


class NotRegenerated(errors.HoldoverError):
    """A page was not made anew, for a reason that may pass."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A page that is to be made anew, as it travels in an order.

    Attributes:
        target: Its URI.
        script_name: Where the application is mounted.
        varied: Names of the request fields that it varies by.
        fields: What these are.
        generation: Of the variants that it belongs to; empty if it does not vary.
    """

    target: Target
    script_name: str
    varied: tuple[str, ...]
    fields: dict[str, str]
    generation: str

    @classmethod
    def by(cls, request: Request, script_name: str, place: Place) -> Self:
        """Want what answers *request*; only fields in the key go along."""
        variants = place.variants
        varied = () if variants is None else variants.varied
        given = {name: request.headers.joined(name) for name in varied}
        return cls(
            request.target,
            script_name,
            varied,
            {name: value for name, value in given.items() if value is not None},
            "" if variants is None else variants.generation,
        )

    def as_data(self) -> dict[str, Any]:
        """Give it as plain data."""
        return {**asdict(self), "varied": list(self.varied)}

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> Self:
        """Read plain data; raises TypeError or KeyError if it is something else."""
        varied = tuple(data["varied"])
        return cls(**{**data, "target": Target(**data["target"]), "varied": varied})

    def request(self) -> Request:
        """Give the request that nobody sent."""
        return Request("GET", self.target, Headers(self.fields.items()))

    def environ(self) -> WSGIEnvironment:
        """Give the same for the application."""
        return clean_environ(self.target, self.script_name, self.fields)


def make_page(site: str, wanted: dict[str, Any]) -> Any:
    """Make a page anew: what a refresh of the HTTP response cache runs.

    Args:
        site: The name of the middleware, which is there once its module is imported.
        wanted: See `Wanted`.
    """
    return _site(site).make(Wanted.from_data(wanted))


def _key_generator(*_: object, **__: object) -> Callable[..., str]:
    """Make the key from what the page is, so that no order can name another."""

    def key(site: str, wanted: dict[str, Any]) -> str:
        return _site(site).place(Wanted.from_data(wanted)).key

    return key


_sites: weakref.WeakValueDictionary[str, Regeneration] = weakref.WeakValueDictionary()


def _site(name: str) -> Regeneration:
    found = _sites.get(name)
    if found is None:
        raise errors.UnregisteredFunction(
            f"no HTTPCacheMiddleware {name!r} is in this process: has the worker "
            "imported the module that makes it?"
        )
    return found


class Regeneration:
    """Has an application's pages made anew.

    Args:
        app: The application.
        pages: Where they are kept.
        policy: The site's.
        name: By which a worker finds it.
    """

    def __init__(
        self, app: WSGIApplication, pages: Pages, policy: Policy, name: str
    ) -> None:
        self._app = app
        self._pages = pages
        self._policy = policy
        self._name = name
        self._cached: Callable[[str, dict[str, Any]], Any] | None = None
        _sites[name] = self
        if pages.region.is_configured:
            self._register()

    def order(self, request: Request, script_name: str, place: Place) -> None:
        """Have a stale page made anew by the region's runner."""
        cached = self._cached or self._register()
        cached(self._name, Wanted.by(request, script_name, place).as_data())

    def _register(self) -> Callable[[str, dict[str, Any]], Any]:
        self._cached = self._pages.region.cached(
            make_page, namespace=self._name, function_key_generator=_key_generator
        )
        return self._cached

    def place(self, wanted: Wanted) -> Place:
        """Give where a page is kept."""
        primary = primary_key(wanted.target)
        if not wanted.generation:
            return Place(primary, primary)
        variants = Variants(wanted.varied, wanted.generation)
        headers = Headers(wanted.fields.items())
        chosen = selected(wanted.varied, headers, self._policy.normalise)
        return Place(primary, variants.key(primary, chosen), variants, chosen)

    def make(self, wanted: Wanted) -> Cached[Any]:
        """Make a page anew.

        Returns:
            The page. If it may no longer be stored, or varies by other fields now,
            what was stored is removed, and nothing is.

        Raises:
            NotRegenerated: The application failed, or gave no whole page; the old one
                may still be served.
            Exception: Whatever the application raised.
        """
        held = self._pages.region.hold(self.place(wanted).key, stale=True)
        old = (
            held.value if held is not None and isinstance(held.value, Stored) else None
        )
        environ, steering = wanted.environ(), ResponseCache()
        environ[ENVIRON_KEY] = steering
        if old is not None:
            environ |= {variable(name): value for name, value in questions(old)}
        response, body = _updated(*self._called(environ, wanted), old)
        made = read_storable(wanted.request(), response, body, self._policy, steering)
        too_long = len(body) > self._policy.most_body
        if (
            isinstance(made, str)
            or too_long
            or varied_names(response.headers) != wanted.varied
        ):
            self._pages.remove(wanted.target)
            return Cached(None, store=False)
        return self._pages.cached(made)

    def _called(
        self, environ: WSGIEnvironment, wanted: Wanted
    ) -> tuple[Response, bytes]:
        upstream = Upstream(self._app, environ)
        try:
            body = b"".join(upstream.chunks())
        finally:
            upstream.close()
        response = upstream.response
        if response.status >= _SERVER_ERROR or not has_its_length(response, len(body)):
            raise NotRegenerated(
                f"{wanted.target} answered {response.status} {response.reason}"
            )
        return response, body


def _updated(
    response: Response, body: bytes, old: Stored | None
) -> tuple[Response, bytes]:
    """Give what answers now, where the application says that it is what it was."""
    if response.status != _NOT_MODIFIED:
        return response, body
    if old is None or not concerns(old, response):
        raise NotRegenerated("the application answered 304 about something else")
    return freshened(old, response), old.body
