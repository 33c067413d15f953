"""Keeping the pages of one view."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any, TypeVar, cast

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest

from holdover.contrib_django.pages.exchange import Exchange
from holdover.contrib_django.pages.policy import PagePolicy, Tags
from holdover.contrib_django.pages.steps import adriven, driven

View = TypeVar("View", bound=Callable[..., Any])


def cache_page(
    timeout: float | timedelta | None,
    *,
    cache: str | None = None,
    key_prefix: str | None = None,
    stale_while_revalidate: float | timedelta | None = None,
    stale_if_error: float | timedelta | None = None,
    tags: Tags = (),
) -> Callable[[View], View]:
    """Keep a view's pages, and never have visitors wait for one to be made anew.

    Takes the place of Django's ``cache_page``, with its arguments and rules, for
    functions, coroutine functions and, by ``method_decorator``, classes::

        @cache_page(900, stale_while_revalidate=86_400)
        def news(request): ...

    Of many requests for a page that is not there, one has it rendered and the others
    wait, in all processes that share the cache. A page that is older than *timeout* is
    served on while one request that nobody sent is put through the project's
    middleware and the view, by the runner of the cache's region.

    Args:
        timeout: Seconds for which a page is fresh; None means as its own ``max-age``
            says, or CACHE_MIDDLEWARE_SECONDS. 0 keeps nothing.
        cache: A name in CACHES, of a `RegionCache`; by default "default".
        key_prefix: Parts its pages from those of other uses.
        stale_while_revalidate: Seconds past that for which a page is served while the
            next is made; by default what the page's Cache-Control says, or else
            STALE_WHILE_REVALIDATE in the cache's OPTIONS, or else HOLDOVER_PAGES.
        stale_if_error: Seconds past *timeout* for which a page is served if the view
            fails; by default what Cache-Control or HOLDOVER_PAGES says. None: as long
            as it is served stale.
        tags: Names under which pages are invalidated, or a function that gives them
            for a request and its response.

    Raises:
        InvalidLifetime: A span is negative or no number.
        InvalidArgument: *tags* is no collection of texts.
        ImproperlyConfigured: When the view is called, if *cache* is none of ours.
    """
    policy = PagePolicy(
        alias=cache,
        key_prefix=key_prefix,
        timeout=timeout,  # type: ignore[arg-type] # it converts timedeltas
        stale_while_revalidate=stale_while_revalidate,  # type: ignore[arg-type]
        stale_if_error=stale_if_error,  # type: ignore[arg-type]
        tags=tags,
    )

    def decorate(view: View) -> View:
        keep = _kept_async if iscoroutinefunction(view) else _kept
        return cast("View", keep(view, policy))

    return decorate


def _kept(view: Any, policy: PagePolicy) -> Any:
    @wraps(view)
    def kept(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        steps = Exchange(policy, _checked(request)).steps()
        return driven(steps, lambda: view(request, *args, **kwargs))

    return kept


def _kept_async(view: Any, policy: PagePolicy) -> Any:
    @wraps(view)
    async def kept(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        steps = Exchange(policy, _checked(request)).steps()
        return await adriven(steps, lambda: view(request, *args, **kwargs))

    return kept


def _checked(request: Any) -> Any:
    if not hasattr(request, "META"):
        raise TypeError(
            f"cache_page wanted a request and got {type(request).__name__}: decorate "
            "methods with @method_decorator(cache_page(...))"
        )
    return request
