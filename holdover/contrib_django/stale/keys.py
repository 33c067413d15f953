"""Which keys may be served stale, and for how long: what OPTIONS say of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from holdover import Lifetime
from holdover.errors import InvalidLifetime
from holdover.regions.lifetime import seconds_or_none

PAGES = "views.decorators.cache.cache_page."
FRAGMENTS = "template.cache."
HEADER_LISTS = "views.decorators.cache.cache_header."
SESSIONS = "django.contrib.sessions."

_WINDOW = "STALE_WHILE_REVALIDATE"
_KEYS = "STALE_KEYS"
# What a header list says decides whose page is served; a session, who somebody is.
_NEVER_STALE = (HEADER_LISTS, SESSIONS)
_SESSION_KEY = "0" * 32


@dataclass(frozen=True, slots=True)
class Staleness:
    """What is served after its timeout while one caller makes it anew.

    Attributes:
        window: For how many seconds after it; 0 means never.
        keys: Prefixes of the keys, as the cache's users know them, or a function that
            says it of a key.
    """

    window: float
    keys: tuple[str, ...] | Callable[[str], bool]

    def covers(self, key: object) -> bool:
        """Say whether *key* may be served stale."""
        text = str(key)
        return not text.startswith(_NEVER_STALE) and self._chooses(text)

    def lifetime(self, key: object, lifetime: Lifetime) -> Lifetime:
        """Give the lifetime for *key* where it would have been *lifetime*.

        A header list is found for as long as its page may be, since without it Django
        does not even look for the page, and is not stale before it is gone.
        """
        expiration_time = lifetime.expiration_time
        if expiration_time is None:
            return lifetime
        if self.covers(key):
            window = self.window
            return replace(lifetime, stale_while_revalidate=window, keep_for=window)
        if str(key).startswith(HEADER_LISTS):
            return replace(lifetime, expiration_time=expiration_time + self.window)
        return lifetime

    def could_match(self, prefix: str) -> bool:
        """Say whether the user's choice may take in keys of sessions with *prefix*."""
        if callable(self.keys):
            return self._chooses(prefix + _SESSION_KEY)
        return any(
            prefix.startswith(one) or one.startswith(prefix) for one in self.keys
        )

    def _chooses(self, key: str) -> bool:
        return (
            bool(self.keys(key)) if callable(self.keys) else key.startswith(self.keys)
        )


NEVER = Staleness(0.0, ())


def read_staleness(params: Mapping[str, Any]) -> Staleness | None:
    """Read a cache's settings; None if they say nothing of staleness.

    Raises:
        ImproperlyConfigured: They are wrong; the message says what was wanted.
    """
    given = _given(params)
    if not given:
        return None
    if _WINDOW not in given:
        raise ImproperlyConfigured(
            f"OPTIONS: {_KEYS} says nothing without {_WINDOW}, in seconds"
        )
    try:
        window = seconds_or_none(given[_WINDOW], _WINDOW, zero=True)
    except InvalidLifetime as error:
        raise ImproperlyConfigured(f"OPTIONS: {error}") from error
    return Staleness(window or 0.0, _read_keys(given.get(_KEYS, (PAGES, FRAGMENTS))))


def window_for(params: Mapping[str, Any], prefix: str) -> float | None:
    """Say for how many seconds a cache's keys with *prefix* are served stale.

    Args:
        params: The cache's settings.
        prefix: PAGES or FRAGMENTS.

    Returns:
        None if its settings do not say so, or say it of other keys only.

    Raises:
        ImproperlyConfigured: They are wrong.
    """
    staleness = read_staleness(params)
    if staleness is None or not staleness.covers(prefix):
        return None
    return staleness.window


def without_staleness(params: Mapping[str, Any]) -> dict[str, Any]:
    """Give the cache's settings that are about something else."""
    options = params.get("OPTIONS") or {}
    others = {name: held for name, held in options.items() if not _is_ours(name)}
    return {**params, "OPTIONS": others}


def _given(params: Mapping[str, Any]) -> dict[str, Any]:
    """Give the OPTIONS that are about staleness, by their names in capitals."""
    given: dict[str, Any] = {}
    for name, held in (params.get("OPTIONS") or {}).items():
        if not _is_ours(name):
            continue
        if name.upper() in given:
            raise ImproperlyConfigured(f"OPTIONS: {name.upper()} stands there twice")
        given[name.upper()] = held
    return given


def _is_ours(name: object) -> bool:
    return str(name).upper() in (_WINDOW, _KEYS)


def _read_keys(given: Any) -> tuple[str, ...] | Callable[[str], bool]:
    wanted = f"OPTIONS: {_KEYS} must be a list of prefixes, a function or its path"
    if isinstance(given, str):
        try:
            given = import_string(given)
        except ImportError as error:
            raise ImproperlyConfigured(f"{wanted}: {error}") from error
    if callable(given):
        return given  # type: ignore[no-any-return]
    if not isinstance(given, list | tuple | set | frozenset) or not all(
        isinstance(one, str) for one in given
    ):
        raise ImproperlyConfigured(f"{wanted}, got {given!r:.80}")
    return tuple(given)
