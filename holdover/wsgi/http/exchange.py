"""One request, from the look at what is stored to the answer."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from holdover import KeyLease, errors
from holdover.wsgi.http.cache_status import Forwarded, cache_status
from holdover.wsgi.http.collapsing import waited_for
from holdover.wsgi.http.environ import variable, without_conditions
from holdover.wsgi.http.filling import Filling
from holdover.wsgi.http.freshness import initial_age
from holdover.wsgi.http.invalidation import SAFE, invalidated
from holdover.wsgi.http.messages import Request, Response, Stored
from holdover.wsgi.http.pages import Found, Pages, Place
from holdover.wsgi.http.policy import Policy
from holdover.wsgi.http.regenerating import Regeneration
from holdover.wsgi.http.reuse import Reuse, is_fresh, may_stand_in, reuse
from holdover.wsgi.http.serving import gateway_timeout, serve
from holdover.wsgi.http.steering import ResponseCache
from holdover.wsgi.http.storing import end_to_end, read_storable, why_not_looked_up
from holdover.wsgi.http.upstream import Upstream
from holdover.wsgi.http.validation import (
    concerns,
    freshened,
    is_confirmed,
    questions,
)

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

_OK, _NOT_MODIFIED = 200, 304
_OF_THE_REQUEST = frozenset({"authorization", "range", "request-no-store"})
"""Reasons not to store that say nothing of other requests for the same URL."""


@dataclass(slots=True, kw_only=True)
class Exchange:
    """One request and what is needed to answer it."""

    app: WSGIApplication
    pages: Pages
    policy: Policy
    regeneration: Regeneration
    environ: WSGIEnvironment
    start_response: StartResponse
    request: Request
    steering: ResponseCache

    def answer(self) -> Iterable[bytes]:
        """Answer from what is stored, or have the application do so."""
        request = self.request
        if request.method not in SAFE:
            return self._unsafe()
        why = why_not_looked_up(request, self.policy)
        if why is not None:
            forwarded: Forwarded = "method" if why == "method" else "bypass"
            return self._passed_by(forwarded, why)
        try:
            found = self.pages.find(request)
        except errors.BackendError:
            return self._passed_by("bypass", "backend")
        return self._found(found)

    def _found(self, found: Found) -> Iterable[bytes]:
        if found.stored is not None:
            how = self._reuse(found)
            if how is not Reuse.NOT_WITHOUT_ASKING:
                return self._from_stored(found, found.stored, how)
        return self._not_from_stored(found)

    def _not_from_stored(self, found: Found) -> Iterable[bytes]:
        request = self.request
        if request.directives.only_if_cached:
            return gateway_timeout(request, self.start_response)
        if request.method == "HEAD":
            return self._asked_for_the_head(found)
        if "range" in request.headers:
            return self._passed_by(self._forwarded(found), None)
        return self._fetched(found)

    def _may_stand_in(self, found: Found, status: int | None) -> bool:
        assert found.stored is not None  # noqa: S101 - for type checkers
        asked, now = self.request.directives, time.time()
        return may_stand_in(found.stored, asked, status, now, expired=found.expired)

    # -- from what is stored ---------------------------------------------------

    def _reuse(self, found: Found) -> Reuse:
        assert found.stored is not None  # noqa: S101 - for type checkers
        asked = self.request.directives
        return reuse(found.stored, asked, time.time(), expired=found.expired)

    def _from_stored(
        self,
        found: Found,
        stored: Stored,
        how: Reuse,
        *,
        forwarded: Forwarded | None = None,
        status: int | None = None,
        collapsed: bool = False,
    ) -> Iterable[bytes]:
        if how is Reuse.STALE_MEANWHILE:
            script_name = self.environ.get("SCRIPT_NAME", "")
            self.regeneration.order(self.request, script_name, found.place)
        age = stored.age(time.time())
        told = cache_status(
            self.policy.name,
            ttl=stored.lifetime - age,
            forwarded=forwarded,
            status=status,
            collapsed=collapsed,
        )
        return serve(stored, self.request, self.start_response, age, told)

    # -- from the application --------------------------------------------------

    def _unsafe(self) -> Iterable[bytes]:
        """Have it done, and forget what it changed (RFC 9111 section 4.4)."""
        upstream = Upstream(self.app, self.environ)
        for target in invalidated(self.request, upstream.response):
            self.pages.remove(target)
        return upstream.passed_on(self.start_response, [self._status("method")])

    def _passed_by(self, forwarded: Forwarded, why: str | None) -> Iterable[bytes]:
        upstream = Upstream(self.app, self.environ)
        status = self._status(forwarded, detail=why)
        return upstream.passed_on(self.start_response, [status])

    def _asked_for_the_head(self, found: Found) -> Iterable[bytes]:
        """Pass a HEAD on, and learn from the answer (RFC 9111 section 4.3.5)."""
        upstream = Upstream(self.app, self.environ)
        if found.stored is not None and upstream.response.status == _OK:
            self._learnt(found.place, found.stored, upstream.response)
        status = self._status(self._forwarded(found))
        return upstream.passed_on(self.start_response, [status])

    def _learnt(self, place: Place, stored: Stored, head: Response) -> None:
        region = self.pages.region
        if not is_confirmed(stored, head):
            region.delete(place.key)
            return
        lease = region.lease(place.key)
        if lease is not None:
            self._keep(place, lease, freshened(stored, head), stored.body)

    def _fetched(self, found: Found) -> Iterable[bytes]:
        """Ask the application, unless somebody else does so already."""
        lease = self.pages.region.lease(found.place.key)
        if lease is None and found.passed is None and self._may_wait():
            later = waited_for(self.pages, self.request, found, self.policy.wait)
            if later.stored is not None:
                found, how = later, self._reuse(later)
                if how is not Reuse.NOT_WITHOUT_ASKING:
                    return self._from_stored(
                        later,
                        later.stored,
                        how,
                        forwarded=_miss(found),
                        collapsed=True,
                    )
            lease = self.pages.region.lease(later.place.key)
            found = later
        if lease is None:
            return self._passed_by(_miss(found), found.passed)
        try:
            return self._fill(found, lease)
        except BaseException:
            lease.release()
            raise

    def _may_wait(self) -> bool:
        """Say whether an answer will do that was asked for before this request."""
        asked = self.request.directives
        return not asked.no_cache and asked.max_age != 0

    def _fill(self, found: Found, lease: KeyLease) -> Iterable[bytes]:
        without_conditions(self.environ)
        if found.stored is not None:
            for name, value in questions(found.stored):
                self.environ[variable(name.lower())] = value
            return self._asked_again(found, found.stored, lease)
        return self._kept(found, lease, Upstream(self.app, self.environ))

    def _asked_again(
        self, found: Found, stored: Stored, lease: KeyLease
    ) -> Iterable[bytes]:
        """Ask whether a stored response still holds (RFC 9111 section 4.3)."""
        try:
            upstream = Upstream(self.app, self.environ)
        except Exception:
            if not self._may_stand_in(found, None):
                raise
            lease.release()
            return self._from_stored(
                found, stored, Reuse.STALE, forwarded=self._forwarded(found)
            )
        status = upstream.response.status
        if status == _NOT_MODIFIED:
            upstream.close()
            if concerns(stored, upstream.response):
                return self._freshened(found, stored, lease, upstream)
            without_conditions(self.environ)
            upstream = Upstream(self.app, self.environ)
        elif self._may_stand_in(found, status):
            upstream.close()
            lease.release()
            return self._from_stored(
                found,
                stored,
                Reuse.STALE,
                forwarded=self._forwarded(found),
                status=status,
            )
        return self._kept(found, lease, upstream)

    def _freshened(
        self, found: Found, stored: Stored, lease: KeyLease, upstream: Upstream
    ) -> Iterable[bytes]:
        head = freshened(stored, upstream.response)
        newer = self._keep(found.place, lease, head, stored.body)
        sent = replace(
            newer or replace(stored, initial_age=initial_age(head)),
            # Who asked also gets what is not stored, such as a cookie.
            response=replace(head, headers=end_to_end(head.headers)),
        )
        return self._from_stored(
            found,
            sent,
            Reuse.FRESH,
            forwarded=self._forwarded(found),
            status=_NOT_MODIFIED,
        )

    def _kept(
        self, found: Found, lease: KeyLease, upstream: Upstream
    ) -> Iterable[bytes]:
        """Send the application's answer, and store it if it may be."""
        response, forwarded = upstream.response, self._forwarded(found)
        storable = read_storable(
            self.request, response, b"", self.policy, self.steering
        )
        if isinstance(storable, str):
            self._not_kept(found.place, lease, storable)
            status = self._status(forwarded, detail=storable)
            return upstream.passed_on(self.start_response, [status])

        def keep(body: bytes | None) -> None:
            if body is None:
                lease.release()
            else:
                self._store(found.place, lease, replace(storable, body=body))

        status = self._status(forwarded, stored=True)
        chunks = upstream.followed(self.start_response, [status])
        return Filling(upstream, chunks, keep, self.policy.most_body)

    def _keep(
        self, place: Place, lease: KeyLease, response: Response, body: bytes
    ) -> Stored | None:
        """Store a response that is whole; None if it may not be."""
        request = replace(self.request, method="GET")  # a HEAD has told of it, perhaps
        storable = read_storable(request, response, body, self.policy, self.steering)
        if isinstance(storable, str):
            self._not_kept(place, lease, storable)
            return None
        self._store(place, lease, storable)
        return storable

    def _store(self, place: Place, lease: KeyLease, stored: Stored) -> None:
        with lease, suppress(errors.BackendError):
            self.pages.keep(self.request, place, stored, lease)

    def _not_kept(self, place: Place, lease: KeyLease, why: str) -> None:
        with lease, suppress(errors.BackendError):
            if why not in _OF_THE_REQUEST:
                self.pages.keep_passing(place, why, lease)

    def _forwarded(self, found: Found) -> Forwarded:
        """Say why the application is asked (RFC 9211 section 2.2)."""
        if found.stored is None:
            return _miss(found)
        is_due = found.stored.needs_validation
        if is_due or not is_fresh(found.stored, time.time(), expired=found.expired):
            return "stale"
        return "request"

    def _status(
        self, forwarded: Forwarded, *, stored: bool = False, detail: str | None = None
    ) -> tuple[str, str]:
        told = cache_status(
            self.policy.name, forwarded=forwarded, stored=stored, detail=detail
        )
        return "Cache-Status", told


def _miss(found: Found) -> Forwarded:
    """Say what kind of miss it is (RFC 9211 section 2.2)."""
    return "uri-miss" if found.place.variants is None else "vary-miss"
