"""Making a page anew for nobody in particular, here or in a worker."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.core.signals import request_started
from django.http import HttpRequest
from django.urls import get_urlconf, set_urlconf
from django.utils import timezone, translation

from holdover import Cached, Region, errors
from holdover.contrib_django.pages.entries import Page, read_entry
from holdover.contrib_django.pages.store import Found, Pages, passed
from holdover.contrib_django.pages.turns import UNFIT
from holdover.contrib_django.pages.wanted import Wanted

if TYPE_CHECKING:
    from django.http.response import HttpResponseBase

log = logging.getLogger("holdover")

_SERVER_ERROR, _OK = 500, 200
_ASKED = "_holdover_page_asked"
_UNFIT_FOR = 3600.0  # seconds

Regenerate = Callable[[Any], Any]


class NotRegenerated(errors.HoldoverError):
    """A page was not made anew; the old one may still be served."""


@dataclass(slots=True)
class Asked:
    """What a request is told that is to make a page anew.

    Attributes:
        wanted: The page.
        made: What has become of it; None until the way to its view was gone.
    """

    wanted: Wanted
    made: Cached[Any] | None = None


def asked_by(request: HttpRequest) -> Asked | None:
    """Say which page a request is to make anew; None if it is anybody's."""
    asked: Asked | None = getattr(request, _ASKED, None)
    return asked


def order(pages: Pages, request: HttpRequest, found: Found) -> Page | None:
    """Have a stale page made anew by the region's runner.

    What tells who somebody is stays in this process: an order that is no plain data
    goes to its threads.

    Returns:
        The new page, if it is there already.
    """
    try:
        wanted = Wanted.by(request, found.place)
        given = wanted if wanted.is_private else wanted.as_data()
        page = read_entry(register(pages.region)(given))
    except Exception as error:  # noqa: BLE001 - the visitor has a page
        log.warning("%s is not made anew: %r", request.path, error)
        return None
    return page if isinstance(page, Page) else None


_registered: dict[int, tuple[Region, Regenerate]] = {}


def register(region: Region) -> Regenerate:
    """Have a region's runner, and its workers, know how pages are made.

    A worker knows by the name; no order can say anything but which page it is.
    """
    known = _registered.get(id(region))
    if known is None:
        made = region.cache_on_arguments(
            namespace="pages", function_key_generator=_key_generator
        )(regenerate)
        # With the region, which lives on: no other gets the same identity.
        known = _registered.setdefault(id(region), (region, made))
    return known[1]


def _key_generator(*_: object, **__: object) -> Callable[[Any], str]:
    return lambda given: _wanted(given).key


def _wanted(given: Any) -> Wanted:
    return given if isinstance(given, Wanted) else Wanted.from_data(given)


def regenerate(given: Any) -> Cached[Any]:
    """Make a page anew, by a request that nobody sent.

    Returns:
        The page, as it stands in a region. If there is none to keep any more, what says
        so; if it varies by other fields now, nothing that is stored.

    Raises:
        NotRegenerated: The view failed, or the request did not come to where the page
            is kept; the old page may still be served.
    """
    wanted = _wanted(given)
    environ = wanted.environ()
    with _surroundings(wanted):
        request_started.send(sender=WSGIHandler, environ=environ)
        request = WSGIRequest(environ)
        asked = Asked(wanted)
        setattr(request, _ASKED, asked)
        response = _handler().get_response(request)
        response.close()  # and with it the request's database connections
    if asked.made is not None and response.status_code < _SERVER_ERROR:
        return asked.made
    return _without_page(wanted, response)


def _without_page(wanted: Wanted, response: HttpResponseBase) -> Cached[Any]:
    answered = f"{wanted.path} answered {response.status_code}"
    if response.status_code >= _SERVER_ERROR:
        raise NotRegenerated(answered)
    if response.status_code == _OK:
        # It may depend on more than its key tells, the language from a cookie for one.
        # So whoever asks for it makes it.
        UNFIT.begin(wanted.key, _UNFIT_FOR)
        raise NotRegenerated(f"{answered}, but not as the page that was wanted")
    return passed(f"has status {response.status_code}")


@contextmanager
def _surroundings(wanted: Wanted) -> Iterator[None]:
    """Have the page be made in its language and time zone, and leave no trace."""
    urlconf = get_urlconf()
    try:
        with (
            translation.override(wanted.language or None),
            timezone.override(wanted.zone or None),
        ):
            yield
    finally:
        set_urlconf(urlconf)


@cache
def _handler() -> WSGIHandler:
    """The project's middleware and views, for requests that no server has."""
    return WSGIHandler()
