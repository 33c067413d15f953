"""One request, as far as the application is asked for its answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from holdover import errors
from holdover.wsgi.http.cache_status import Forwarded, cache_status
from holdover.wsgi.http.environ import variable, without_conditions
from holdover.wsgi.http.filling import (
    BROKEN_OFF,
    TOO_LARGE,
    Filling,
    says_too_long,
)
from holdover.wsgi.http.fills import Turn
from holdover.wsgi.http.freshness import initial_age
from holdover.wsgi.http.messages import Request, Response, Stored
from holdover.wsgi.http.pages import Found, Pages, Place
from holdover.wsgi.http.policy import Policy
from holdover.wsgi.http.private import names_user, uses_session
from holdover.wsgi.http.reflections import REFLECTED, reflected, warn_of
from holdover.wsgi.http.regenerating import Regeneration
from holdover.wsgi.http.reuse import Reuse, is_fresh, may_stand_in
from holdover.wsgi.http.serving import serve
from holdover.wsgi.http.steering import ResponseCache
from holdover.wsgi.http.storing import end_to_end, read_storable
from holdover.wsgi.http.upstream import (
    Afterwards,
    Finish,
    Upstream,
    called,
    passing,
)
from holdover.wsgi.http.validation import (
    concerns,
    freshened,
    is_confirmed,
    questions,
    says_which,
)

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

_OK, _NOT_MODIFIED, _SERVER_ERROR = 200, 304, 500
_OF_THE_REQUEST = frozenset(
    {"authorization", "range", "request-no-store", "session", REFLECTED}
)
"""Reasons not to store that say nothing of other requests for the same URL."""
_RAISED = "error"
_OVER = -1.0  # seconds that what was made to expire is fresh yet


@dataclass(slots=True, kw_only=True)
class Asking:
    """The part of an exchange that asks the application. See `Exchange`."""

    app: WSGIApplication
    pages: Pages
    policy: Policy
    regeneration: Regeneration
    environ: WSGIEnvironment
    start_response: StartResponse
    request: Request
    steering: ResponseCache

    def ask(self, found: Found, turn: Turn) -> Iterable[bytes]:
        """Ask the application on behalf of all who wait for its answer."""
        without_conditions(self.environ)
        stored = found.stored
        try:
            if stored is not None and self._may_be_of_use(found, stored):
                for name, value in questions(stored):
                    self.environ[variable(name.lower())] = value
                return self._asked_again(found, stored, turn)
            return called(self.app, self.environ, partial(self._decide, found, turn))
        except BaseException:
            self._not_kept(found, turn, _RAISED, has_failed=True)
            raise

    def pass_by(self, forwarded: Forwarded, why: str | None) -> Iterable[bytes]:
        """Have the application answer this request, and nobody else's."""
        status = self.status(forwarded, detail=why)
        return called(self.app, self.environ, passing(self.start_response, [status]))

    def from_stored(
        self,
        found: Found,
        stored: Stored,
        how: Reuse,
        *,
        forwarded: Forwarded | None = None,
        status: int | None = None,
        collapsed: bool = False,
    ) -> Iterable[bytes]:
        """Answer from what is stored."""
        age = stored.age(time.time())
        left = stored.lifetime - age
        told = cache_status(
            self.policy.name,
            ttl=left if how is Reuse.FRESH else min(left, _OVER),
            forwarded=forwarded,
            status=status,
            collapsed=collapsed,
        )
        act = None
        if how is Reuse.STALE_MEANWHILE:
            act = self.regeneration.order(self.request, self.environ, found.place)
        body = serve(stored, self.request, self.start_response, age, told)
        return body if act is None else Afterwards(body, act)

    def status(
        self, forwarded: Forwarded, *, stored: bool = False, detail: str | None = None
    ) -> tuple[str, str]:
        """Give the field that tells what was done."""
        told = cache_status(
            self.policy.name, forwarded=forwarded, stored=stored, detail=detail
        )
        return "Cache-Status", told

    # -- asking whether it still holds -----------------------------------------

    def _may_be_of_use(self, found: Found, stored: Stored) -> bool:
        """Say whether the answer may be that it holds, or one it may stand in for."""
        return bool(questions(stored)) or self._may_stand_in(found, stored, None)

    def _asked_again(self, found: Found, stored: Stored, turn: Turn) -> Iterable[bytes]:
        """Ask whether a stored response still holds (RFC 9111 section 4.3)."""
        decide = partial(self._decide, found, turn)

        def answer(upstream: Upstream) -> Iterable[bytes]:
            if upstream.response.status != _NOT_MODIFIED:
                return upstream.answer(decide)
            upstream.close()
            if concerns(stored, upstream.response):
                return self._freshened(found, stored, turn, upstream.response)
            without_conditions(self.environ)
            return called(self.app, self.environ, decide)

        return self._or_stand_in(found, stored, answer, turn.end_failed)

    def ask_alone(self, found: Found, stored: Stored) -> Iterable[bytes]:
        """Have the application answer nobody else; the old page stands in for it."""
        forwarded = forwarded_for(found)
        if not self._may_stand_in(found, stored, None):
            return self.pass_by(forwarded, None)
        decide = passing(self.start_response, [self.status(forwarded)])
        return self._or_stand_in(found, stored, lambda one: one.answer(decide))

    def _or_stand_in(
        self,
        found: Found,
        stored: Stored,
        answer: Callable[[Upstream], Iterable[bytes]],
        fail: Callable[[], None] = lambda: None,
    ) -> Iterable[bytes]:
        """Answer by what the application says, or by what is stored if it fails.

        Args:
            found: Where that was found.
            stored: What may stand in for an error.
            answer: Gives the answer, of anything else.
            fail: Called before what is stored is served in place of an error.
        """
        status = None
        try:
            upstream = Upstream(self.app, self.environ)
        except Exception:
            if not self._may_stand_in(found, stored, status):
                raise
        else:
            status = upstream.response.status
            if not self._may_stand_in(found, stored, status):
                return answer(upstream)
            upstream.close()
        fail()
        return self.from_stored(
            found, stored, Reuse.STALE, forwarded=forwarded_for(found), status=status
        )

    def _may_stand_in(self, found: Found, stored: Stored, status: int | None) -> bool:
        asked, now = self.request.directives, time.time()
        return may_stand_in(stored, asked, status, now, expired=found.expired)

    def _freshened(
        self, found: Found, stored: Stored, turn: Turn, fresher: Response
    ) -> Iterable[bytes]:
        head = freshened(stored, fresher)
        storable = self._storable(head, stored.body)
        if isinstance(storable, str):  # it holds, and may not be stored any more
            self._not_kept(found, turn, storable)
            newer = replace(stored, initial_age=initial_age(head))
        else:
            self._store(found, turn, storable)
            newer = storable
        # Who asked also gets what is not stored, such as a cookie.
        sent = replace(head, headers=end_to_end(head.headers))
        return self.from_stored(
            found,
            replace(newer, response=sent),
            Reuse.FRESH,
            forwarded=forwarded_for(found),
            status=_NOT_MODIFIED,
        )

    def ask_for_the_head(self, found: Found) -> Iterable[bytes]:
        """Pass a HEAD on, and learn from the answer (RFC 9111 section 4.3.5)."""

        def decide(upstream: Upstream) -> Finish:
            if found.stored is not None and upstream.response.status == _OK:
                with suppress(errors.HoldoverError):
                    self._learn(found.place, found.stored, upstream.response)
            status = self.status(forwarded_for(found))
            return passing(self.start_response, [status])(upstream)

        return called(self.app, self.environ, decide)

    def _learn(self, place: Place, stored: Stored, head: Response) -> None:
        if not is_confirmed(stored, head):
            self.pages.forget(place)
            return
        if not says_which(head):
            return
        lease = self.pages.region.lease(place.key)
        if lease is None:
            return
        with lease:
            request = replace(self.request, method="GET")
            storable = self._storable(freshened(stored, head), stored.body, request)
            if not isinstance(storable, str):
                self.pages.keep(request, place, storable, lease)

    # -- sending the answer, and storing it ------------------------------------

    def _decide(self, found: Found, turn: Turn, upstream: Upstream) -> Finish:
        """Send the application's answer, and store it if it may be."""
        forwarded, response = forwarded_for(found), upstream.response
        storable = self._storable(response, b"")
        if isinstance(storable, str):
            has_failed = response.status >= _SERVER_ERROR
            self._not_kept(found, turn, storable, has_failed=has_failed)
            status = self.status(forwarded, detail=storable)
            return passing(self.start_response, [status])(upstream)

        def done(body: bytes | None, reason: str) -> None:
            if body is None:
                self._not_kept(found, turn, reason)
            elif uses_session(self.environ):  # only its body was made from that
                self._not_kept(found, turn, "session")
            elif not self.steering.store:
                self._not_kept(found, turn, "no-store")
            elif name := self._reflected(whole := replace(storable, body=body)):
                self._not_kept(found, turn, REFLECTED)
                warn_of(name, self.request)
            else:
                self._store(found, turn, whole)

        def finish() -> Iterable[bytes]:
            return self._stored_at_once(upstream, filling) or filling

        filling = Filling(upstream, done, self.policy.most_body)
        upstream.send(
            self.start_response,
            [self.status(forwarded, stored=True)],
            if_broken=[self.status(forwarded)],
            note=filling.note,
        )
        return finish

    def _stored_at_once(
        self, upstream: Upstream, filling: Filling
    ) -> Iterable[bytes] | None:
        """Store a body that is whole already, whoever is slow to fetch it."""
        if not upstream.is_whole:
            return None
        for _ in filling:
            pass
        filling.close()
        return upstream.untouched()

    def _storable(
        self, response: Response, body: bytes, request: Request | None = None
    ) -> Stored | str:
        if says_too_long(response, self.policy.most_body):
            return TOO_LARGE
        request = request or self.request
        if names_user(self.environ):
            request = replace(request, is_of_somebody=True)
        storable = read_storable(request, response, body, self.policy, self.steering)
        if not isinstance(storable, str) and uses_session(self.environ):
            return "session"
        if not isinstance(storable, str) and (name := self._reflected(storable)):
            warn_of(name, self.request)
            return REFLECTED
        return storable

    def _reflected(self, storable: Stored) -> str | None:
        if not self.policy.find_reflections:
            return None
        return reflected(self.request, storable)

    def _store(self, found: Found, turn: Turn, stored: Stored) -> None:
        """Store it; whatever hinders that is no trouble of the visitor's."""
        with turn, suppress(errors.HoldoverError):
            if self.pages.keep(self.request, turn.place, stored, turn.lease):
                self._tell_if_new(found, turn)

    def _not_kept(
        self, found: Found, turn: Turn, why: str, *, has_failed: bool = False
    ) -> None:
        """Let those who wait ask for themselves; remember that for a while.

        What is stored stays if the answer says nothing of it.
        """
        with turn, suppress(errors.HoldoverError):
            if why == BROKEN_OFF or found.passed is not None:
                return
            if found.stored is None or not (has_failed or why in _OF_THE_REQUEST):
                if self.pages.keep_passing(turn.place, why, turn.lease):
                    self._tell_if_new(found, turn)
            else:
                turn.was_in_vain()

    def _tell_if_new(self, found: Found, turn: Turn) -> None:
        if found.is_new:
            self.pages.tell_of_new(turn.place)


def miss(found: Found) -> Forwarded:
    """Say what kind of miss it is (RFC 9211 section 2.2)."""
    return "uri-miss" if found.place.variants is None else "vary-miss"


def forwarded_for(found: Found) -> Forwarded:
    """Say why the application is asked, given what was found."""
    if found.stored is None:
        return miss(found)
    is_due = found.stored.needs_validation
    if is_due or not is_fresh(found.stored, time.time(), expired=found.expired):
        return "stale"
    return "request"
