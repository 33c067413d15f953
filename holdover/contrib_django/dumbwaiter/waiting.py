"""The functions of DUMBWAITER_FUNCTION_LIST, as schedules of a region."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from holdover import Region, Registry, errors
from holdover.contrib_django.dumbwaiter.serializers import codec_of_project
from holdover.contrib_django.project.configuring import (
    Wanted,
    is_done_for,
    project_registry,
)
from holdover.contrib_django.project.secrets import secrets_of_django

REGION = "dumbwaiter"
_FREQUENCY = 300  # seconds
_SAVED = 10  # runs
_MOST_THREADS = 256


def dumbwaiter_region() -> Region:
    """Give the region whose schedules they are."""
    return project_registry().region(REGION)


def declare() -> None:
    """Declare the list, as schedules of a region of their own.

    It has the backend of the region that DUMBWAITER_REGION names, or else HOLDOVER.

    Raises:
        ImproperlyConfigured: A setting is wrong.
    """
    wanted = Wanted.of_project()
    registry = wanted.found_registry()
    if is_done_for(registry, REGION):
        return
    region = registry.region(REGION)
    if region.is_configured:
        raise ImproperlyConfigured(
            f"the region {REGION!r} is made by the dumbwaiter, on the backend of "
            "another: name that otherwise, and in DUMBWAITER_REGION"
        )
    backend = _backend(registry, wanted)
    codec = codec_of_project()
    try:
        region.configure(backend, secret=secrets_of_django(), history_codec=codec)
        registry.schedule_from_config(_listed(), REGION)
    except errors.HoldoverError as error:
        raise ImproperlyConfigured(f"DUMBWAITER_FUNCTION_LIST: {error}") from error


def _backend(registry: Registry, wanted: Wanted) -> Any:
    """Give the backend that tells several daemons of each other."""
    given = getattr(settings, "DUMBWAITER_REGION", None)
    if given is not None and not isinstance(given, str):
        raise ImproperlyConfigured(
            f"DUMBWAITER_REGION is the name of a region, got {given!r:.80}"
        )
    name = given or wanted.default_region()
    try:
        return registry.region(name).backend
    except errors.HoldoverError as error:
        said = "DUMBWAITER_REGION" if given else "HOLDOVER"
        raise ImproperlyConfigured(f"{said}: {error}") from error


def threads_of_project() -> int:
    """Say how many functions may run at once; 0 means one after the other.

    Raises:
        ImproperlyConfigured: DUMBWAITER_THREADED is no truth value.
    """
    threaded = getattr(settings, "DUMBWAITER_THREADED", True)
    if not isinstance(threaded, bool):
        raise ImproperlyConfigured(
            f"DUMBWAITER_THREADED is True or False, got {threaded!r:.80}"
        )
    # So that a slow one never holds up the others.
    most = min(len(dumbwaiter_region().schedules), _MOST_THREADS)
    return most if threaded else 0


def _listed() -> list[Any]:
    given = getattr(settings, "DUMBWAITER_FUNCTION_LIST", ())
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise ImproperlyConfigured(
            f"DUMBWAITER_FUNCTION_LIST is a list of dicts, got {given!r:.80}"
        )
    every = getattr(settings, "DUMBWAITER_DEFAULT_FREQUENCY", _FREQUENCY)
    saved = getattr(settings, "DUMBWAITER_DEFAULT_SAVED", _SAVED)
    return [_with_defaults(one, every, saved) for one in given]


def _with_defaults(given: Any, every: Any, saved: Any) -> Any:
    if not isinstance(given, Mapping):
        return given  # of which the registry says what is wrong
    if "region" in given:
        # There, neither get_value() nor run_dumbwaiter would find it.
        raise ImproperlyConfigured(
            "DUMBWAITER_FUNCTION_LIST: no entry has a region of its own, got "
            f"{given['region']!r:.80}; DUMBWAITER_REGION is that of all"
        )
    made = dict(given)
    if made.keys().isdisjoint({"every", "frequency", "cron"}):
        made["every"] = every
    if made.keys().isdisjoint({"history", "max_saved"}):
        made["history"] = saved
    return made
