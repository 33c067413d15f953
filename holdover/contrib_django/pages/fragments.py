"""Parts of templates in a cache."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Sequence
from copy import copy
from typing import Any

from django.conf import settings
from django.core.cache import DEFAULT_CACHE_ALIAS
from django.template import Context, NodeList
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language

from holdover import Delivery, Lifetime
from holdover.contrib_django.caches.cache import RegionCache
from holdover.contrib_django.caches.known import region_cache
from holdover.contrib_django.stale.keys import FRAGMENTS, window_for

_ALIAS = "template_fragments"


def fragment_alias(given: str | None) -> str:
    """Give the cache of fragments: "template_fragments", if there is one, or "default".

    Args:
        given: Its alias in CACHES, if somebody has said which.
    """
    if given is not None:
        return given
    return _ALIAS if _ALIAS in settings.CACHES else DEFAULT_CACHE_ALIAS


def fragment_cache(given: str | None) -> RegionCache:
    """Give the cache of that alias; see `fragment_alias`.

    Raises:
        ImproperlyConfigured: It is none of ours.
    """
    return region_cache(fragment_alias(given))


def fragment_window(alias: str) -> float:
    """Say for how many seconds a cache's fragments are stale that say nothing of it.

    Raises:
        ImproperlyConfigured: The cache's OPTIONS are wrong.
    """
    return window_for(settings.CACHES[alias], FRAGMENTS) or 0.0


def fragment_key(
    cache: RegionCache, name: str, vary_on: Sequence[object], language: str
) -> str:
    """Give the key of a fragment: another for each name, language and list of values.

    As in URLs, 1 and "1" are the same value; None and "None" are not.
    """
    values = [None if one is None else str(one) for one in vary_on]
    said = json.dumps([name, language, values])
    return str(cache.make_key(f"holdover.fragment.{said}"))


def invalidate_fragment(
    name: str, *vary_on: object, using: str | None = None, strict: bool = False
) -> Delivery:
    """Remove a fragment, in all languages.

    Once this has returned without ``pending``, nobody gets one whose rendering began
    earlier.

    Args:
        name: Its name in ``{% cached %}``.
        *vary_on: What it varies by there, in the same order.
        using: The cache's name in CACHES, as there.
        strict: Whether to raise if the backend cannot be reached.

    Raises:
        ImproperlyConfigured: The cache is none of ours.
        BackendError: Only if *strict*.
    """
    cache = fragment_cache(using)
    languages = {"", settings.LANGUAGE_CODE, *(code for code, _ in settings.LANGUAGES)}
    keys = [fragment_key(cache, name, vary_on, one) for one in sorted(languages)]
    return cache.region.delete_multi(keys, strict=strict)


def rendered_fragment(
    cache: RegionCache,
    key: str,
    render: tuple[NodeList, Context],
    *,
    lifetime: Lifetime,
    tags: Iterable[str],
) -> SafeString:
    """Give a fragment, rendered once by whoever needs it first.

    A fragment needs the context of its page, so no runner can make it: a stale one is
    rendered anew by the first who finds it, and the others get the old one meanwhile.

    One with a CSRF token is nobody else's: in its place stands None for as long, and
    each visitor has one rendered for himself.

    Raises:
        Exception: Whatever the template raised, if there is no old one to be served.
    """
    nodelist, context = render
    own: list[str] = []
    text = cache.region.get_or_create(
        key,
        _creator(nodelist, context, own),
        lifetime=lifetime,
        tags=tags,
        foreground=True,
    )
    if text is None:
        text = own[0] if own else nodelist.render(context)
    # Templates give safe text, and codecs do not keep that it is.
    return mark_safe(text)  # noqa: S308


def _creator(
    nodelist: NodeList, context: Context, own: list[str]
) -> Callable[[], str | None]:
    caller = threading.get_ident()

    def render() -> str | None:
        # With a creator_timeout it goes on in a thread of its own, while the page's
        # other parts use the context.
        used = context if threading.get_ident() == caller else copy(context)
        text = str.__str__(nodelist.render(used))
        if not _has_token(text, used):
            return text
        own.append(text)
        return None

    return render


def _has_token(text: str, context: Context) -> bool:
    request = getattr(context, "request", None)
    if request is None or not request.META.get("CSRF_COOKIE_NEEDS_UPDATE"):
        return False  # nobody has asked for one
    token = str(context.get("csrf_token", ""))
    return bool(token) and token in text


def active_language() -> str:
    """Give the language that fragments are rendered in; empty where there is one."""
    return (get_language() or "") if settings.USE_I18N else ""


def fragment_lifetime(timeout: Any, stale: Any, stale_if_error: Any) -> Lifetime:
    """Give the lifetime that a tag says.

    Raises:
        InvalidLifetime: A span is negative or no number.
    """
    return Lifetime(
        expiration_time=timeout,
        stale_while_revalidate=stale,
        stale_if_error=stale_if_error,
        keep_for=0.0,
    )
