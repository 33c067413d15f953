"""Checks of what may be served stale."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as CheckWarning

from holdover.contrib_django.caches.known import entries_of_ours
from holdover.contrib_django.stale.keys import Staleness, read_staleness


def check_sessions(**_: Any) -> list[CheckMessage]:
    """Refuse sessions in a cache that could serve what has their keys stale."""
    prefix, alias = _session_prefix(), settings.SESSION_CACHE_ALIAS
    if prefix is None:
        return []
    return [
        Error(
            f"The sessions are in CACHES[{alias!r}], whose STALE_KEYS match keys that "
            f"begin with {prefix!r}.",
            hint="Whoever has logged out must not be let in again: name the prefixes "
            "of pages in STALE_KEYS, or give sessions a cache of their own.",
            id="holdover.E001",
        )
        for name, staleness in _stalenesses()
        if name == alias and staleness.could_match(prefix)
    ]


def check_stale_keys(**_: Any) -> list[CheckMessage]:
    """Warn of a cache that serves anything stale."""
    return [
        CheckWarning(
            f"All of CACHES[{alias!r}] but sessions may be served stale.",
            hint="Codes and tokens that are kept there would be good for longer than "
            "their timeout: STALE_KEYS should not hold the empty prefix.",
            id="holdover.W001",
        )
        for alias, staleness in _stalenesses()
        if not callable(staleness.keys) and "" in staleness.keys
    ]


def _stalenesses() -> Iterator[tuple[str, Staleness]]:
    """Give alias and staleness of each cache of ours that serves stale values."""
    for alias, params in entries_of_ours():
        staleness = read_staleness(params)
        if staleness is not None and staleness.window:
            yield alias, staleness


def _session_prefix() -> str | None:
    """Say how the keys of sessions begin; None if they are in no cache."""
    engine = import_module(settings.SESSION_ENGINE)
    return getattr(engine.SessionStore, "cache_key_prefix", None)
