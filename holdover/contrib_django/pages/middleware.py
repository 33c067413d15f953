"""Keeping the pages of a whole site."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from holdover.contrib_django.pages.exchange import Exchange
from holdover.contrib_django.pages.policy import PagePolicy
from holdover.contrib_django.pages.steps import adriven, driven


class PageCacheMiddleware:
    """Keep all pages of a site that may be; see `cache_page`.

    One for Django's two, UpdateCacheMiddleware and FetchFromCacheMiddleware. It stands
    where the second stood, last in MIDDLEWARE: what stands before it chooses language
    and time zone first, and sees all responses, those from the cache too. Whatever
    makes pages differ, and says so by ``Vary`` afterwards, stands behind it. It goes by
    CACHE_MIDDLEWARE_ALIAS, CACHE_MIDDLEWARE_SECONDS and CACHE_MIDDLEWARE_KEY_PREFIX,
    and by HOLDOVER_PAGES.

    Args:
        get_response: What comes next, sync or async.
    """

    sync_capable = True
    async_capable = True

    policy = PagePolicy(of_site=True)

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self._get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(
        self, request: HttpRequest
    ) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Answer a request."""
        steps = Exchange(self.policy, request).steps()
        if self._is_async:
            return adriven(steps, lambda: self._get_response(request))
        return driven(steps, lambda: self._get_response(request))
