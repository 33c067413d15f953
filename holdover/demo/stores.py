"""Where the caching phases keep their pages, and how nothing of it stays there."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from holdover import Region, make_region
from holdover.demo.errors import Unreachable, WrongOption
from holdover.demo.means import FILE, MEMORY, REDIS
from holdover.demo.settings import Settings
from holdover.errors import BackendError, HoldoverError

LEFT_FOR = 600  # seconds for which a killed run may leave values on a server
_PROBE = "probe"
_SILENCE = logging.NullHandler()


def where(settings: Settings) -> dict[str, Any]:
    """Give the arguments of ``Region.configure`` that say where values are kept."""
    means = settings.means
    if means.backend == FILE:
        return {"backend": "holdover.file", "arguments": {"path": settings.values}}
    if means.backend == MEMORY:
        return {"backend": "holdover.memory"}
    if means.kind in (FILE, MEMORY):
        return {"backend": means.backend}
    return {
        "backend": means.backend,
        "keep_for": LEFT_FOR,
        "secret": means.secret,
    }


def region_of(settings: Settings) -> Region:
    """Make the Holdover region of a phase, to look after it from outside.

    Raises:
        WrongOption: There can be no region on that backend.
    """
    try:
        return make_region(settings.means.run).configure(
            expiration_time=settings.expiration_time, **where(settings)
        )
    except HoldoverError as error:
        raise WrongOption(f"--backend: {_line(error)}") from error


def check(settings: Settings) -> None:
    """See whether the backend works, before anything is measured.

    Raises:
        WrongOption: There is no such backend.
        Unreachable: It does not take values.
    """
    if settings.means.backend in (FILE, MEMORY):
        return
    logging.getLogger("holdover").addHandler(_SILENCE)  # our error will say it
    region = region_of(settings)
    try:
        region.set(_PROBE, 0, strict=True)
        region.delete(_PROBE, strict=True)
    except BackendError as error:
        raise Unreachable(f"the backend cannot be used: {_line(error)}") from error


def remove(settings: Settings, queries: Collection[str]) -> None:
    """Delete what the caching phases have kept outside of the run's own files.

    Args:
        settings: Of the Holdover phase.
        queries: All that were searched for.

    Raises:
        Unreachable: The backend does not answer.
    """
    means = settings.means
    if means.backend in (FILE, MEMORY):
        return
    if means.kind == FILE:
        folder = Path(unquote(urlsplit(means.backend).path))
        shutil.rmtree(folder, ignore_errors=True)
        return
    from holdover.demo.site import search

    try:
        keys = [search.key_for(query) for query in queries]
        region_of(settings).delete_multi(keys, strict=True)
        if means.kind == REDIS:
            from holdover.demo import redis_pages

            redis_pages.remove(settings, queries)
    except (BackendError, OSError) as error:
        raise Unreachable(f"the backend cannot be used: {_line(error)}") from error


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
