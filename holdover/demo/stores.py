"""Where the caching phases keep their pages, and how nothing of it stays there."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from holdover import Region, make_region
from holdover.demo.errors import Unreachable, WrongOption
from holdover.demo.means import FILE, MEMORY
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
    bounds = {"keep_for": LEFT_FOR, "secret": means.secret}
    return {"backend": means.backend, **bounds}


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
    """See whether the backend of a URL works, before anything is measured.

    Raises:
        WrongOption: There is no such backend.
        Unreachable: It does not take values.
    """
    logging.getLogger("holdover").addHandler(_SILENCE)  # our error will say it
    region = region_of(settings)
    with reached():
        region.set(_PROBE, 0, strict=True)
        region.delete(_PROBE, strict=True)


def remove(settings: Settings, keys: Collection[str]) -> None:
    """Delete what Holdover has kept on the backend of a URL.

    Args:
        settings: Of the run.
        keys: Of all values that there may be.

    Raises:
        Unreachable: The backend does not answer.
    """
    means = settings.means
    if means.kind == FILE:
        folder = Path(unquote(urlsplit(means.backend).path))
        shutil.rmtree(folder, ignore_errors=True)
        return
    with reached():
        region_of(settings).delete_multi(keys, strict=True)


@contextmanager
def reached() -> Iterator[None]:
    """Have it said as `Unreachable` if the backend does not answer."""
    try:
        yield
    except (BackendError, OSError) as error:
        raise Unreachable(f"the backend cannot be used: {_line(error)}") from error


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
