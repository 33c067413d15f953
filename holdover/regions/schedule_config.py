"""Schedules from configuration: a list of mappings, or sections of an ini file."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import Any

from holdover.regions.blaming import saying
from holdover.regions.errors import ConfigurationError, unknown
from holdover.regions.schedule import (
    DEFAULT_HISTORY,
    Schedule,
    ScheduleOptions,
    read_schedule,
)
from holdover.regions.texts import read_text

DEFAULT_EVERY = 300.0
SECTION = "schedule:"
# django-dumbwaiter's names for them.
_ALSO = {"frequency": "every", "max_saved": "history"}
_OWN = {"function", "region"}


def read_schedules(given: object, region: str | None) -> list[tuple[str, Schedule]]:
    """Read a list of mappings; give schedules, each with the name of its region.

    Args:
        given: The mappings.
        region: The region of those that name none.

    Raises:
        ConfigurationError: One is wrong; the message says which.
    """
    if isinstance(given, str | Mapping) or not isinstance(given, Iterable):
        raise ConfigurationError(f"schedules are a list of mappings, got {given!r:.80}")
    return [_read(number, one, region) for number, one in enumerate(given, 1)]


def _read(number: int, given: object, region: str | None) -> tuple[str, Schedule]:
    if not isinstance(given, Mapping):
        raise ConfigurationError(f"schedule {number} must be a mapping: {given!r:.80}")
    with saying(f"schedule {given.get('name', number)!r}"):
        options = _translated(given)
        function = options.pop("function", None)
        where = options.pop("region", region)
        if not isinstance(where, str) or not where:
            raise ConfigurationError("it names no region")
        if isinstance(function, str):
            function = imported(function)
        return where, read_schedule(function, options)


def _translated(given: Mapping[str, Any]) -> dict[str, Any]:
    """Give a mapping's options under our names, with the defaults of such lists."""
    known = {*ScheduleOptions.__annotations__, *_OWN, *_ALSO}
    options: dict[str, Any] = {}
    for option, value in given.items():
        if option not in known:
            raise ConfigurationError(unknown("option of a schedule", option, known))
        name = _ALSO.get(option, option)
        if name in options:
            raise ConfigurationError(f"{name!r} is given twice, once as {option!r}")
        options[name] = value
    if options.keys().isdisjoint({"every", "cron"}):
        options["every"] = DEFAULT_EVERY
    return {"history": DEFAULT_HISTORY, **options}


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

_TEXTS: dict[str, Any] = {
    "every": float,
    "frequency": float,
    "history": int,
    "max_saved": int,
    "jitter": float,
    "max_runtime": float,
    "value": bool,
}
_JSON = {"args", "kwargs"}


def from_sections(
    sections: Mapping[str, Mapping[str, str]], path: str | os.PathLike[str]
) -> list[dict[str, Any]]:
    """Give the mappings that an ini file's sections ``[schedule:NAME]`` say.

    Raises:
        ConfigurationError: A value cannot be read; the message says where.
    """
    found = []
    for title, options in sections.items():
        if title.startswith(SECTION):
            with saying(f"{path}, [{title}]"):
                given = {key: _value(key, text) for key, text in options.items()}
                given["name"] = title.removeprefix(SECTION).strip()
                found.append(given)
    return found


def _value(key: str, text: str) -> Any:
    if key in _JSON or (key == "command" and text.lstrip().startswith("[")):
        try:
            return json.loads(text)
        except ValueError as error:
            raise ConfigurationError(f"{key} must be JSON: {error}") from None
    return read_text(text, _TEXTS[key], key) if key in _TEXTS else text
