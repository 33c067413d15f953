"""Making a page anew for nobody in particular, here or in a worker."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from holdover import Cached, errors
from holdover.regions.pauses import Pauses
from holdover.wsgi.http.environ import clean_environ, variable
from holdover.wsgi.http.fields import has_its_length
from holdover.wsgi.http.messages import Request, Response, Stored
from holdover.wsgi.http.pages import Pages, Place
from holdover.wsgi.http.policy import Policy
from holdover.wsgi.http.private import uses_session
from holdover.wsgi.http.steering import ENVIRON_KEY, ResponseCache
from holdover.wsgi.http.storing import read_storable
from holdover.wsgi.http.upstream import Upstream
from holdover.wsgi.http.validation import concerns, freshened, questions
from holdover.wsgi.http.variants import varied_names
from holdover.wsgi.http.wanted import Wanted

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication, WSGIEnvironment

log = logging.getLogger("holdover")

_SERVER_ERROR = 500
_NOT_MODIFIED = 304

Cache = Callable[[dict[str, Any]], Any]


class NotRegenerated(errors.HoldoverError):
    """A page was not made anew, for a reason that may pass."""


class Regeneration:
    """Has an application's pages made anew.

    Args:
        app: The application.
        pages: Where they are kept.
        policy: The site's.
        name: By which a worker finds it.
        script_name: Where the application is mounted for workers.
    """

    def __init__(
        self,
        app: WSGIApplication,
        pages: Pages,
        policy: Policy,
        *,
        name: str,
        script_name: str,
    ) -> None:
        self._app = app
        self._pages = pages
        self._policy = policy
        self._script_name = script_name
        self._pause = policy.pass_for
        self._failed = Pauses()
        self._cached = self._registered(name)

    def _registered(self, name: str) -> Cache:
        """Have the region's runner, and its workers, know how pages are made.

        A worker knows by the name; no order can say anything but which page it is.
        """

        def make_page(wanted: dict[str, Any]) -> Any:
            return self.make(Wanted.from_data(wanted), self._script_name)

        def key_generator(*_: object, **__: object) -> Callable[..., str]:
            return lambda wanted: self._place(Wanted.from_data(wanted)).key

        make_page.__qualname__ = make_page.__name__  # there is one of each name
        cached: Cache = self._pages.region.cache_on_arguments(
            namespace=name, function_key_generator=key_generator
        )(make_page)
        return cached

    def order(
        self, request: Request, environ: WSGIEnvironment, place: Place
    ) -> Callable[[], None] | None:
        """Have a stale page made anew.

        Returns:
            What is to be done after the response was sent, if nobody else makes it: the
            application is then called in the thread of its server.
        """
        try:
            wanted = Wanted.by(request, place)
            script_name = environ.get("SCRIPT_NAME", "")
            if not self._is_made_elsewhere(environ, script_name):
                return partial(self._make_here, wanted, script_name)
            self._cached(wanted.as_data())
        except Exception as error:  # noqa: BLE001 - the visitor has a page
            self._tell(request.target, error)
        return None

    def _is_made_elsewhere(self, environ: WSGIEnvironment, script_name: str) -> bool:
        if script_name != self._script_name:
            return False
        runners = self._pages.region.runners
        if any(runner.leaves_process for runner in runners):
            return True
        # An application that is never called by two threads need not bear it.
        return bool(environ.get("wsgi.multithread")) and any(
            not getattr(runner, "is_eager", False) for runner in runners
        )

    def _make_here(self, wanted: Wanted, script_name: str) -> None:
        """Make a page in this thread, unless somebody else does."""
        place = self._place(wanted)
        if place.key in self._failed:
            return
        try:
            lease = self._pages.region.lease(place.key)
            if lease is None:
                return
            with lease:
                if self._is_stale(place):
                    lease.commit(self.make(wanted, script_name))
        except Exception as error:  # noqa: BLE001 - the response was sent
            self._failed.begin(place.key, self._pause)
            self._tell(wanted.target, error)

    def _is_stale(self, place: Place) -> bool:
        held = self._pages.region.hold(place.key, stale=True)
        return held is not None and not held.is_fresh

    def _tell(self, target: object, error: Exception) -> None:
        log.warning("%s was not made anew: %r", target, error)

    def _place(self, wanted: Wanted) -> Place:
        return wanted.place(self._policy.normalise)

    # -- making ----------------------------------------------------------------

    def make(self, wanted: Wanted, script_name: str) -> Cached[Any]:
        """Make a page anew.

        Returns:
            The page. If it may no longer be stored, or varies by other fields now,
            what was stored is removed, and nothing is.

        Raises:
            NotRegenerated: The application failed, or gave no whole page; the old one
                may still be served.
            Exception: Whatever the application raised.
        """
        place = self._place(wanted)
        old = self._old(place)
        environ, steering = clean_environ(wanted, script_name), ResponseCache()
        environ[ENVIRON_KEY] = steering
        if old is not None:
            asked = questions(old)
            environ |= {variable(name.lower()): value for name, value in asked}
        response, body = self._called(environ, wanted)
        if body is not None:
            response, body = _updated(response, body, old)
            made = read_storable(
                wanted.request(), response, body, self._policy, steering
            )
            named = varied_names(response.headers)
            if (
                isinstance(made, Stored)
                and set(named) <= set(wanted.varied)
                and not uses_session(environ)
            ):
                return self._pages.cached(made)
        self._pages.forget(place)
        return Cached(None, store=False)

    def _old(self, place: Place) -> Stored | None:
        held = self._pages.region.hold(place.key, stale=True)
        if held is None or not isinstance(held.value, Stored):
            return None
        return held.value

    def _called(
        self, environ: WSGIEnvironment, wanted: Wanted
    ) -> tuple[Response, bytes | None]:
        """Ask the application; of a body that is too long, nothing is kept."""
        upstream = Upstream(self._app, environ)
        parts, length = [], 0
        try:
            for chunk in upstream.chunks():
                parts.append(chunk)
                length += len(chunk)
                if length > self._policy.most_body:
                    return upstream.response, None
        finally:
            upstream.close()
        response = upstream.response
        is_whole = has_its_length(response.headers, length)
        if response.status >= _SERVER_ERROR or not is_whole:
            raise NotRegenerated(
                f"{wanted.target} answered {response.status} {response.reason}"
            )
        return response, b"".join(parts)


def _updated(
    response: Response, body: bytes, old: Stored | None
) -> tuple[Response, bytes]:
    """Give what answers now, where the application says that it is what it was."""
    if response.status != _NOT_MODIFIED:
        return response, body
    if old is None or not concerns(old, response):
        raise NotRegenerated("the application answered 304 about something else")
    return freshened(old, response), old.body
