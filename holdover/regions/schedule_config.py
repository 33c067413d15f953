"""Schedules from configuration: a list of mappings, or sections of an ini file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from holdover.regions.declared import imported, read_json
from holdover.regions.errors import ConfigurationError, unknown
from holdover.regions.schedule import (
    DEFAULT_HISTORY,
    Schedule,
    ScheduleOptions,
    read_schedule,
)
from holdover.regions.texts import read_text

DEFAULT_EVERY = 300.0
# django-dumbwaiter's names for them.
_ALSO = {"frequency": "every", "max_saved": "history"}
_TEXTS: dict[str, Any] = {
    "every": float,
    "frequency": float,
    "history": int,
    "max_saved": int,
    "jitter": float,
    "max_runtime": float,
    "retry_after": float,
    "value": bool,
}
_JSON = {"args", "kwargs"}


def read_scheduled(region: str, given: Mapping[str, Any]) -> tuple[str, Schedule]:
    """Read one mapping; give the schedule with the name of its *region*.

    Raises:
        ConfigurationError: Something is wrong; the message says what.
    """
    options = _translated(given)
    function = options.pop("function", None)
    if isinstance(function, str):
        function = imported(function)
    return region, read_schedule(function, options)


def _translated(given: Mapping[str, Any]) -> dict[str, Any]:
    """Give a mapping's options under our names, with the defaults of such lists."""
    known = {*ScheduleOptions.__annotations__, "function", "region", *_ALSO}
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


def read_schedule_text(key: str, text: str) -> Any:
    """Read an option as a file has it.

    Raises:
        ConfigurationError: It is not what the option wants.
    """
    if key in _JSON or (key == "command" and text.lstrip().startswith("[")):
        return read_json(key, text)
    return read_text(text, _TEXTS[key], key) if key in _TEXTS else text
