"""What is declared in configuration: lists of mappings, and sections of ini files."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import Any, TypeVar

from holdover.regions.blaming import saying
from holdover.regions.errors import ConfigurationError

T = TypeVar("T")


def read_declared(
    given: object,
    region: str | None,
    what: str,
    read: Callable[[str, Mapping[str, Any]], T],
) -> list[T]:
    """Read a list of mappings, each of which declares something for a region.

    Args:
        given: The mappings.
        region: The region of those that name none.
        what: What each of them is, for errors.
        read: Reads the options of one, but for its region, whose name it gets.

    Raises:
        ConfigurationError: One is wrong; the message says which.
    """
    if isinstance(given, str | Mapping) or not isinstance(given, Iterable):
        raise ConfigurationError(f"{what}s are a list of mappings, got {given!r:.80}")
    return [
        _read_one(f"{what} {number}", one, region, what, read)
        for number, one in enumerate(given, 1)
    ]


def _read_one(
    place: str,
    given: object,
    region: str | None,
    what: str,
    read: Callable[[str, Mapping[str, Any]], T],
) -> T:
    if not isinstance(given, Mapping):
        raise ConfigurationError(f"{place} must be a mapping: {given!r:.80}")
    name = given.get("name")
    with saying(place if name is None else f"{what} {name!r}"):
        where = given.get("region", region)
        if not isinstance(where, str) or not where:
            raise ConfigurationError("it names no region")
        options = {key: held for key, held in given.items() if key != "region"}
        return read(where, options)


def imported(path: str) -> Callable[..., Any]:
    """Find what a dotted path names: ``"time.time"``, ``"shop.jobs:Report.make"``.

    Raises:
        ConfigurationError: There is nothing of that name, or importing it failed.
    """
    module, colon, rest = path.partition(":")
    tries = [(module, rest)] if colon else _partings(path)
    for name, attributes in tries:
        found = _module(name, path)
        if found is None:
            continue
        for attribute in attributes.split("."):
            found = getattr(found, attribute, None)
        if callable(found):
            return found  # type: ignore[no-any-return]
    raise ConfigurationError(
        f"{path!r} is no function: write it as 'package.module.function'"
    )


def _partings(path: str) -> list[tuple[str, str]]:
    """Part a path into a module and the rest in all ways, longest module first."""
    parts = path.split(".")
    return [
        (".".join(parts[:end]), ".".join(parts[end:]))
        for end in range(len(parts) - 1, 0, -1)
    ]


def _module(name: str, path: str) -> Any:
    """Import a module; None if there is none."""
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            return None
        raise ConfigurationError(f"importing {path!r} failed: {error!r}") from error
    except (Exception, SystemExit) as error:  # whatever stands at its top
        raise ConfigurationError(f"importing {path!r} failed: {error!r}") from error


# -- ini files -----------------------------------------------------------------


def from_sections(
    sections: Mapping[str, Mapping[str, str]],
    path: str | os.PathLike[str],
    kind: str,
    read: Callable[[str, str], Any],
) -> list[dict[str, Any]]:
    """Give the mappings that an ini file's sections ``[KIND:NAME]`` say.

    Args:
        sections: All of the file.
        path: The file's name, for errors.
        kind: What the wanted sections begin with, before the colon.
        read: Reads the text of an option, which is named first.

    Raises:
        ConfigurationError: A value cannot be read; the message says where.
    """
    found = []
    for title, options in sections.items():
        if title.startswith(f"{kind}:"):
            with saying(f"{path}, [{title}]"):
                given = {key: read(key, text) for key, text in options.items()}
                given["name"] = title.removeprefix(f"{kind}:").strip()
                found.append(given)
    return found


def read_json(key: str, text: str) -> Any:
    """Read an option that is JSON.

    Raises:
        ConfigurationError: It is not.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{key} must be JSON: {error}") from None
