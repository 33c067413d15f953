"""The HTTP response cache in front of a WSGI application."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from holdover import Region
from holdover.wsgi.checking import check_middleware
from holdover.wsgi.http.environ import read_request
from holdover.wsgi.http.exchange import Exchange
from holdover.wsgi.http.pages import Pages, check_region
from holdover.wsgi.http.policy import Policy
from holdover.wsgi.http.regenerating import Regeneration
from holdover.wsgi.http.steering import ENVIRON_KEY, ResponseCache

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment


class HTTPCacheMiddleware:
    """A shared cache (RFC 9111) in front of a WSGI application.

    ::

        pages = make_region("pages").configure(
            "redis://localhost/0", codec=PageCodec(), runner="thread"
        )
        app = HTTPCacheMiddleware(app, pages)

    What the application's responses say is done: how long they are fresh
    (``Cache-Control: max-age=60``), and for how long they are served stale while one
    worker makes the next (``stale-while-revalidate=600``, RFC 5861), which is the
    region's runner. Of requests for a page that is not there, one reaches the
    application, and the others wait for its answer. Responses that say nothing are not
    stored.

    ``Cache-Status`` (RFC 9211) tells in each response what was done.

    Args:
        app: The application.
        region: Where responses are kept. With ``codec=PageCodec()``, unless its backend
            keeps objects.
        policy: What responses do not say; see `Policy`.
        name: By which a worker process finds the application; the region's, if there is
            only one for it.

    Raises:
        ConfigurationError: *app* is no application, or *region* cannot keep
            responses.
    """

    def __init__(
        self,
        app: WSGIApplication,
        region: Region,
        *,
        policy: Policy | None = None,
        name: str | None = None,
    ) -> None:
        check_middleware(app, ENVIRON_KEY)
        check_region(region)
        self._app = app
        self._policy = policy or Policy()
        self._pages = Pages(region, self._policy)
        self._regeneration = Regeneration(
            app, self._pages, self._policy, name or region.name or "pages"
        )

    def __call__(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        """Answer a request, from what is stored or from the application."""
        steering = environ[ENVIRON_KEY] = ResponseCache()
        exchange = Exchange(
            app=self._app,
            pages=self._pages,
            policy=self._policy,
            regeneration=self._regeneration,
            environ=environ,
            start_response=start_response,
            request=read_request(environ, self._policy),
            steering=steering,
        )
        return exchange.answer()
