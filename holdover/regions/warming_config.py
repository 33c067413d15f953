"""Calls to warm from configuration: a list of mappings, or sections of an ini file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from holdover.regions.declared import imported, read_json
from holdover.regions.defaults import DEFAULT_GROUP
from holdover.regions.errors import ConfigurationError, unknown
from holdover.regions.warm_calls import GivenCalls

_KNOWN = {"function", "calls", "group", "name", "region"}


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmingOptions:
    """What one mapping says, once what it names was imported.

    Attributes:
        region: The region's name.
        function: What it caches.
        calls: The calls, or what gives them.
        group: The group that they belong to.
    """

    region: str
    function: Callable[..., Any]
    calls: GivenCalls
    group: str


def read_warming_options(region: str, given: Mapping[str, Any]) -> WarmingOptions:
    """Read one mapping.

    Raises:
        ConfigurationError: Something is wrong; the message says what.
    """
    for option in given:
        if option not in _KNOWN:
            raise ConfigurationError(unknown("option of a warming", option, _KNOWN))
    for option in ("function", "calls"):
        if option not in given:
            raise ConfigurationError(f"it says no {option!r}")
    return WarmingOptions(
        region=region,
        function=_found(given["function"]),
        calls=_found(given["calls"]),
        group=given.get("group", given.get("name", DEFAULT_GROUP)),
    )


def _found(given: Any) -> Any:
    return imported(given) if isinstance(given, str) else given


def read_warming_text(key: str, text: str) -> Any:
    """Read an option as a file has it.

    Raises:
        ConfigurationError: It is not what the option wants.
    """
    is_json = key == "calls" and text.lstrip().startswith("[")
    return read_json(key, text) if is_json else text
