"""Reading what stands in Beaker's files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from holdover.errors import ConfigurationError
from holdover.wsgi.beaker.naming import namespace_of as func_namespace
from holdover.wsgi.flat_options import CACHE, below

__all__ = ["coerce_cache_params", "func_namespace", "parse_cache_config_options"]

_DEFAULTS = {"type": "memory", "data_dir": None, "expire": None, "enabled": True}
_TRUTHS = {"true": True, "yes": True, "on": True, "y": True, "t": True, "1": True}
_TRUTHS |= {"false": False, "no": False, "off": False, "n": False, "f": False}
_TRUTHS |= {"0": False}


def parse_cache_config_options(
    config: Mapping[Any, Any],
    include_defaults: bool = True,  # noqa: FBT001, FBT002 - Beaker's signature
) -> dict[str, Any]:
    """Give the options under ``cache.`` and ``beaker.cache.``, for `CacheManager`.

    Args:
        config: Options by key; those with other prefixes are left alone.
        include_defaults: Whether to add what Beaker adds where nothing is said.

    Returns:
        Options by name, and under "cache_regions" those of each region, with what is
        said for all where the region says nothing else.

    Raises:
        ConfigurationError: A number or a truth is none, the regions are no list, or
            an option is given twice.
    """
    written = below(config, CACHE)
    given = coerce_cache_params({name: held for name, (_, held) in written.items()})
    names = given.pop("regions", None)
    of_region: dict[str, dict[str, Any]] = {name: {} for name in names or ()}
    options: dict[str, Any] = dict(_DEFAULTS) if include_defaults else {}
    for key, value in given.items():
        region = next((name for name in of_region if key.startswith(f"{name}.")), None)
        if region is None:
            options[key] = value
        else:
            of_region[region][key[len(region) + 1 :]] = value
    if names is not None:
        options["cache_regions"] = {
            name: laid_over(options, coerce_cache_params(own))
            for name, own in of_region.items()
        }
    return options


def coerce_cache_params(params: dict[str, Any]) -> dict[str, Any]:
    """Read the texts of Beaker's own options as what they want, and give them.

    Raises:
        ConfigurationError: One of them is something else.
    """
    for name, read in _READERS.items():
        if params.get(name) is not None:
            params[name] = read(name, params[name])
    return params


def laid_over(shared: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Lay a region's *own* options over the *shared* ones.

    Who has a type or a backend of his own wants no arguments of another.
    """
    kept = dict(shared)
    if own.keys() & {"backend", "type"} and own.get("type") != shared.get("type"):
        kept = {
            name: value
            for name, value in shared.items()
            if name not in ("backend", "type") and not name.startswith("arguments.")
        }
    return {**kept, **own}


def _number(name: str, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return int(value) if value.strip().lstrip("+-").isdigit() else float(value)
    except ValueError:
        raise ConfigurationError(f"{name} must be seconds, got {value!r}") from None


def _truth(name: str, value: Any) -> bool:
    found = value
    if isinstance(value, str):
        found = _TRUTHS.get(value.strip().lower())
    if not isinstance(found, bool | int):
        raise ConfigurationError(f"{name} must be true or false, got {value!r}")
    return bool(found)


def _names(name: str, value: Any) -> list[str]:
    names = value
    if isinstance(value, str):
        names = [part.strip() for part in value.split(",") if part.strip()]
    if not isinstance(names, list | tuple) or not all(
        isinstance(one, str) for one in names
    ):
        raise ConfigurationError(
            f"{name} must name the regions, 'short, long', got {value!r}"
        )
    return list(names)


_READERS: dict[str, Callable[[str, Any], Any]] = {
    "expire": _number,
    "enabled": _truth,
    "regions": _names,
}
