"""The HTTP response cache in front of a WSGI application."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from holdover import Delivery, Region
from holdover.wsgi.checking import check_middleware
from holdover.wsgi.http.clients import Newcomers
from holdover.wsgi.http.collapsing import Collapsing
from holdover.wsgi.http.environ import read_request
from holdover.wsgi.http.exchange import Exchange
from holdover.wsgi.http.messages import Request
from holdover.wsgi.http.pages import Pages
from holdover.wsgi.http.policy import Policy
from holdover.wsgi.http.purging import (
    METHOD,
    is_soft,
    outcome,
    read_networks,
    refusal,
)
from holdover.wsgi.http.regenerating import Regeneration
from holdover.wsgi.http.serving import short
from holdover.wsgi.http.site import (
    NamedApplication,
    check_region,
    name_for,
    read_target,
    region_for,
)
from holdover.wsgi.http.steering import ENVIRON_KEY, ResponseCache

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment


class HTTPCacheMiddleware:
    """A shared cache (RFC 9111) in front of a WSGI application.

    ::

        app = HTTPCacheMiddleware(app, "redis://localhost/0")

    What the application's responses say is done: how long they are fresh
    (``Cache-Control: max-age=60``), and for how long they are served stale while one
    worker makes the next (``stale-while-revalidate=600``, RFC 5861), which is the
    region's runner. Of requests for a page that is not there, one reaches the
    application, and the others wait for its answer. Responses that say nothing are not
    stored.

    ``Cache-Status`` (RFC 9211) tells in each response what was done. What stands in the
    way of storing or finding a page is no trouble of the visitor's: the application
    answers.

    Args:
        app: The application; or its name, "shop.wsgi:application", which is imported
            when it is first called, so that a worker can import what makes this.
        region: Where responses are kept: a URL; or a region with
            ``codec=PageCodec()``, unless its backend keeps objects, and the runner that
            makes stale pages anew. Without a runner, that is done when a response was
            sent, in the thread of the server.
        policy: What responses do not say; see `HTTPCachePolicy`.
        name: By which a worker finds the application; the region's, if there is only
            one for it.
        script_name: Where the server mounts the application, for pages that a worker
            makes anew.
        purge_from: Addresses and networks that may send PURGE requests, directly; none:
            they are refused.

    Raises:
        ConfigurationError: *app* is no application, *region* cannot keep responses, or
            *purge_from* names something else than networks.
    """

    def __init__(
        self,
        app: WSGIApplication | str,
        region: Region | str,
        *,
        policy: Policy | None = None,
        name: str | None = None,
        script_name: str = "",
        purge_from: Iterable[str] = (),
    ) -> None:
        self._app = NamedApplication(app) if isinstance(app, str) else app
        check_middleware(self._app, ENVIRON_KEY)
        self.region = region_for(region, name)
        self._is_checked = self.region.is_configured
        self._policy = policy or Policy()
        self._networks = read_networks(purge_from)
        self._pages = Pages(self.region, self._policy)
        self._collapsing = Collapsing(self._pages, self._policy)
        self._newcomers = Newcomers(self._policy)
        self._regeneration = Regeneration(
            self._app,
            self._pages,
            self._policy,
            name=name_for(name, self.region),
            script_name=script_name,
        )

    def __call__(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        """Answer a request, from what is stored or from the application."""
        if not self._is_checked:
            check_region(self.region)
            self._is_checked = self.region.is_configured
        request = read_request(environ, self._policy)
        if request.method == METHOD:
            return self._purged(request, environ, start_response)
        steering = environ[ENVIRON_KEY] = ResponseCache()
        exchange = Exchange(
            app=self._app,
            pages=self._pages,
            policy=self._policy,
            collapsing=self._collapsing,
            newcomers=self._newcomers,
            regeneration=self._regeneration,
            environ=environ,
            start_response=start_response,
            request=request,
            steering=steering,
        )
        return exchange.answer()

    def purge(self, url: str, *, soft: bool = False, strict: bool = False) -> Delivery:
        """Remove the page at a URL, all its variants, for everyone who shares them.

        What is under way is not stored either.

        Args:
            url: With scheme and host, spelled as clients do.
            soft: Whether it only expires: it is then served stale as it allows, and
                made anew.
            strict: Whether to raise if the backend cannot be reached.

        Raises:
            InvalidArgument: It is no URL.
            BackendError: Only if *strict*.
        """
        return self._pages.remove(read_target(url), soft=soft, strict=strict)

    def purge_prefix(
        self, url: str, *, soft: bool = False, strict: bool = False
    ) -> Delivery:
        """Do as `purge` for all URLs that begin so, whatever their query.

        Of a very long one only the beginning counts.
        """
        return self._pages.remove_prefix(read_target(url), soft=soft, strict=strict)

    def purge_tags(
        self, *tags: str, soft: bool = False, strict: bool = False
    ) -> Delivery:
        """Do as `purge` for all pages that carry one of some tags.

        Tags come from the response fields ``Cache-Tag`` and ``Surrogate-Key``, and from
        `ResponseCache`.

        Raises:
            InvalidArgument: A tag is no text, or empty; or there is none.
            BackendError: Only if *strict*.
        """
        return self._pages.remove_tags(tags, soft=soft, strict=strict)

    def _purged(
        self,
        request: Request,
        environ: WSGIEnvironment,
        start_response: StartResponse,
    ) -> Iterable[bytes]:
        refused = refusal(request, environ, self._networks)
        if refused is not None:
            return short(request, start_response, *refused)
        removed = self._pages.remove(request.target, soft=is_soft(request))
        return short(request, start_response, outcome(removed))
