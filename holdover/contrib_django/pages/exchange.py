"""One request's way: to a page that is kept, or to the view and back."""

from __future__ import annotations

import logging
import time
import weakref
from collections.abc import Generator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from django.core.exceptions import BadRequest, PermissionDenied, SuspiciousOperation
from django.core.signals import got_request_exception
from django.http import Http404, HttpRequest, HttpResponse
from django.http.multipartparser import MultiPartParserError
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response
from django.utils.http import parse_http_date_safe

from holdover import Cached, Freshness, errors
from holdover.contrib_django.pages import regenerating, status
from holdover.contrib_django.pages.places import Asker
from holdover.contrib_django.pages.policy import PagePolicy, site_seconds
from holdover.contrib_django.pages.rules import Verdict, judge
from holdover.contrib_django.pages.steps import Render, Steps
from holdover.contrib_django.pages.store import Found, Pages, passed
from holdover.contrib_django.pages.turns import FAILED, UNFIT, Settled, Turn, Waiting
from holdover.contrib_django.pages.wanted import Wanted

log = logging.getLogger("holdover")

_METHODS = ("GET", "HEAD")
_SERVER_ERROR = 500
_QUESTIONS = ("HTTP_IF_NONE_MATCH", "HTTP_IF_MODIFIED_SINCE")
_CONDITIONS = (
    *_QUESTIONS,
    "HTTP_IF_MATCH",
    "HTTP_IF_UNMODIFIED_SINCE",
    "HTTP_IF_RANGE",
    "HTTP_RANGE",
)
# What a view says of its request, rather than that it is broken.
_NO_FAILURES = (
    Http404,
    PermissionDenied,
    SuspiciousOperation,
    BadRequest,
    MultiPartParserError,
)
_LED = "_holdover_pages_led"

Asking = Generator[Render, Any, HttpResponseBase]


class Exchange:
    """One request, and what a policy makes of it.

    Args:
        policy: The policy.
        request: The request.

    Raises:
        ImproperlyConfigured: The policy's cache is none of ours.
    """

    def __init__(self, policy: PagePolicy, request: HttpRequest) -> None:
        self._request = request
        self._pages = Pages(policy)
        self._waiting = Waiting(self._pages, request)

    def steps(self) -> Steps:
        """Go to the page, or to the view; see `Steps`."""
        request = self._request
        if request.method not in _METHODS or _has_body(request):
            return self._told((yield Render()), status.bypass("method"))
        asked = regenerating.asked_by(request)
        if asked is not None:
            return (yield from self._regenerated(asked))
        try:
            found = self._pages.find(request)
            if found.place.key in self._led:  # by this request itself, further out
                return (yield Render())
            settled = yield from self._waiting.settled(found)
        except errors.BackendError as error:
            log.warning("pages are rendered for one request each: %r", error)
            return (yield from self._alone("the cache is away"))
        return (yield from self._answered(settled))

    def _answered(self, settled: Settled) -> Steps:
        found, turn = settled.found, settled.turn
        if turn is not None:
            return (yield from self._rendered(found, turn))
        if found.page is None:
            return (yield from self._alone(found.passed or "waited in vain"))
        if found.freshness is Freshness.STALE:
            return (yield from self._stale(found, collapsed=settled.has_waited))
        return self._served(found, collapsed=settled.has_waited)

    # -- a page is at hand -----------------------------------------------------

    def _stale(self, found: Found, *, collapsed: bool) -> Steps:
        """Serve it, and have the next one made: by others, if they can."""
        if self._pages.region.runners and found.place.key not in UNFIT:
            page = regenerating.order(self._pages, self._request, found)
            if page is not None:
                found = Found(found.place, page, Freshness.FRESH)
        elif self._waiting.key(found) not in FAILED:
            turn = None
            with suppress(errors.BackendError):
                turn = self._waiting.turn_at_once(found)
            if turn is not None:
                return (yield from self._rendered(found, turn))
        return self._served(found, collapsed=collapsed)

    def _served(self, found: Found, *, collapsed: bool = False) -> HttpResponseBase:
        assert found.page is not None  # noqa: S101 - for type checkers
        now = time.time()
        response = found.page.response(now)
        said = status.hit(found.page, now, collapsed=collapsed)
        return self._told(self._conditional(response), said)

    def _conditional(self, response: HttpResponseBase) -> HttpResponseBase:
        """Answer 304 to a client that has the page already."""
        asked = any(name in self._request.META for name in _QUESTIONS)
        etag, date = response.get("ETag"), response.get("Last-Modified")
        if not asked or not (etag or date):
            return response
        modified = parse_http_date_safe(date) if date else None
        answer: HttpResponseBase | None = get_conditional_response(
            self._request, etag=etag, last_modified=modified, response=response
        )
        return answer or response

    # -- the view is asked -----------------------------------------------------

    def _alone(self, reason: str) -> Steps:
        """Have the view answer this request alone."""
        response = yield Render()
        _when_rendered(response, self._marked)
        return self._told(response, status.miss(detail=reason))

    def _marked(self, response: HttpResponse) -> None:
        """Tell other caches what they may do with it."""
        judge(self._request, response, self._pages.policy)

    def _rendered(self, found: Found, turn: Turn) -> Steps:
        """Have the view answer for all who wait; if it fails, an old page may do."""
        is_late = False
        try:
            response = yield from self._asked(turn.place.key)
            is_late = _is_unrendered(response)
            if is_late:
                return self._to_be_rendered(found, turn, response)
            return self._conditional(self._kept(found, turn, response))
        except Exception as error:  # noqa: BLE001 - the view's own
            return self._excused(found, turn, error)
        finally:
            if not is_late:
                turn.end()

    def _to_be_rendered(
        self, found: Found, turn: Turn, response: Any
    ) -> HttpResponseBase:
        """Go on as soon as Django has the template rendered, after other middleware."""
        # Held by itself, it would live on for a while when it is thrown away.
        by_class, itself = type(response).render, weakref.ref(response)

        def render() -> HttpResponseBase:
            try:
                rendered: HttpResponseBase = by_class(itself())
                return self._kept(found, turn, rendered)
            except Exception as error:  # noqa: BLE001 - the template's own
                return self._excused(found, turn, error)
            finally:
                turn.end()

        response.render = render
        weakref.finalize(response, turn.end)
        return response

    def _kept(
        self, found: Found, turn: Turn, response: HttpResponseBase
    ) -> HttpResponseBase:
        """Keep what the view answers; if that is an error, an old page may do."""
        if response.status_code < _SERVER_ERROR:
            self._keep(turn, response)
            return response
        return self._in_place_of_error(found, turn, response.status_code) or response

    def _excused(self, found: Found, turn: Turn, error: Exception) -> HttpResponseBase:
        """Give the old page in place of what the view raised.

        Raises:
            Exception: There is none, or it was no failure.
        """
        if isinstance(error, _NO_FAILURES):
            self._pass(turn, f"raised {type(error).__name__}")
            raise error
        old = self._in_place_of_error(found, turn, error)
        if old is None:
            raise error
        got_request_exception.send(sender=type(self), request=self._request)
        return old

    def _asked(self, key: str) -> Asking:
        """Have the view answer in full, whatever its client has already."""
        request = self._request
        conditions = {
            name: request.META.pop(name) for name in _CONDITIONS if name in request.META
        }
        request.__dict__.pop("headers", None)  # which Django makes of META, once
        led = self._led
        setattr(request, _LED, led | {key})
        try:
            return (yield Render())
        finally:
            setattr(request, _LED, led)
            request.META.update(conditions)
            request.__dict__.pop("headers", None)

    @property
    def _led(self) -> frozenset[str]:
        return getattr(self._request, _LED, frozenset())

    def _keep(self, turn: Turn, response: HttpResponseBase) -> None:
        """Keep what was rendered, if it may be; trouble with that is nobody's."""
        try:
            verdict = self._judged(response, turn.place.asker)
            is_kept = False
            if verdict.against is None or site_seconds("PASS_FOR"):
                is_kept = self._pages.keep(
                    self._request, response, verdict, turn.lease, turn.place
                )
            self._told(response, status.miss(stored=is_kept, detail=verdict.against))
        except errors.HoldoverError as error:
            log.warning("%s was not kept: %r", self._request.path, error)
        finally:
            turn.end()

    def _judged(self, response: HttpResponse, place: Asker | Wanted) -> Verdict:
        verdict = judge(self._request, response, self._pages.policy)
        now = Asker.of(self._request, ())
        if (now.language, now.zone) == (place.language, place.zone):
            return verdict
        # The next request is looked up before anybody knows its language.
        return replace(verdict, against="chose its language or time zone itself")

    def _in_place_of_error(
        self, found: Found, turn: Turn, problem: object
    ) -> HttpResponseBase | None:
        """Give the old page, if there is one; those who wait render for themselves."""
        FAILED.begin(self._waiting.key(found), site_seconds("PASS_FOR"))
        if found.page is None:
            self._pass(turn, "failed")
            return None
        log.warning(
            "%s failed, and an old page is served: %r", self._request.path, problem,
            exc_info=problem if isinstance(problem, Exception) else None,
        )  # fmt: skip
        return self._served(found)

    def _pass(self, turn: Turn, reason: str) -> None:
        """Let those who wait go at once, and nobody wait for a while."""
        try:
            if site_seconds("PASS_FOR"):
                turn.lease.commit(passed(reason))
        except errors.HoldoverError as error:
            log.warning("%s could not be noted: %r", self._request.path, error)

    # -- nobody has asked ------------------------------------------------------

    def _is_place_of(self, asked: regenerating.Asked) -> bool:
        """Say whether this is where a page is to be made anew."""
        wanted = asked.wanted
        key = Asker.of(self._request, tuple(wanted.fields)).key(
            self._pages.primary(self._request), wanted.generation
        )
        return key == wanted.key

    def _regenerated(self, asked: regenerating.Asked) -> Steps:
        # What is kept further out or in would stand between the request and its page.
        response = yield Render()
        if self._is_place_of(asked):
            _when_rendered(response, partial(self._hand_over, asked))
        return response

    def _hand_over(self, asked: regenerating.Asked, response: HttpResponse) -> None:
        if response.status_code >= _SERVER_ERROR:
            return
        verdict = self._judged(response, asked.wanted)
        if set(verdict.varied) <= set(asked.wanted.fields):
            asked.made = self._pages.entry(response, verdict)
        else:
            place = self._pages.place(self._request)
            self._pages.widen(place, verdict.varied)
            asked.made = Cached(None, store=False)

    def _told(self, response: HttpResponseBase, said: str) -> HttpResponseBase:
        status.tell(response, said)
        return response


def _has_body(request: HttpRequest) -> bool:
    """Say whether a request has a body, which no key tells."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    return length != "0" or "HTTP_TRANSFER_ENCODING" in request.META


def _is_unrendered(response: HttpResponseBase) -> bool:
    return not getattr(response, "is_rendered", True)


def _when_rendered(response: Any, do: Any) -> None:
    """Do something with a response as soon as its content is there."""
    if _is_unrendered(response):
        response.add_post_render_callback(do)
    else:
        do(response)
