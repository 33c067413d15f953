"""From Beaker's options to Holdover's regions."""

from __future__ import annotations

import weakref
from collections.abc import Hashable, Iterable, Mapping
from typing import Any, Protocol

from holdover import Region, Registry, errors

UNNAMED = "beaker"
"""The name of the region of caches that were made without one."""

# A creator's error reaches its caller, and the next one tries again, as with Beaker.
_RULES = {"stale_if_error": 0, "backoff": 0}
# Both grow by setdefault() alone, which needs no lock: of two threads that make the
# same thing at once, one throws his away.
_unnamed: dict[Hashable, Region] = {}
_stores: dict[Hashable, Any] = {}


class Waiting(Protocol):
    """A function that was decorated before its region had options."""

    def bind_if_found(self) -> None:
        """Look for the region again."""


class RegionOptions(dict[str, Any]):
    """A region's options, and the region that was made of them.

    Attributes:
        region: The region.
    """

    def __init__(self, options: Mapping[str, Any], region: Region) -> None:
        super().__init__(options)
        self.region = region


class CacheRegions(dict[str, RegionOptions]):
    """The options of the regions that `cache_region` knows, by name.

    Whatever is assigned is made into a region at once.
    """

    def __init__(self) -> None:
        super().__init__()
        self.waiting: weakref.WeakSet[Waiting] = weakref.WeakSet()

    def __setitem__(self, name: str, options: Mapping[str, Any]) -> None:
        self.update({name: options})

    def update(self, *given: Any, **more: Any) -> None:
        """Configure regions; those that were there are replaced.

        Raises:
            ConfigurationError: An option is wrong. None of the regions is changed.
        """
        wanted = dict(*given, **more)
        made = {name: _with_region(name, held) for name, held in wanted.items()}
        super().update(made)
        for one in list(self.waiting):
            one.bind_if_found()

    def setdefault(self, name: str, options: Any = None) -> RegionOptions:
        """Configure a region unless it is there, and give its options."""
        if name not in self:
            self[name] = options or {}
        return self[name]

    def region(self, name: str) -> Region | None:
        """Give the region of that name, if there is one."""
        held = self.get(name)
        return None if held is None else held.region


cache_regions = CacheRegions()


def configured(regions: Mapping[str, Mapping[str, Any]]) -> Registry:
    """Make regions of their options, by name.

    Regions of one name in the same place share their values, in memory too.

    Raises:
        ConfigurationError: An option is wrong; the message names the region and it.
    """
    made = Registry()
    if regions:
        flat = {
            f"cache.{name}.{option}": value
            for name, options in regions.items()
            for option, value in {**_RULES, **_placed(_checked(name, options))}.items()
            if value is not None
        }
        made.configure_from_config({"cache.regions": list(regions), **flat})
    return made


def unnamed_region(options: Mapping[str, Any]) -> Region:
    """Give the region for caches without one: the same one for the same options.

    Raises:
        ConfigurationError: An option is wrong.
    """
    wanted = frozen({k: v for k, v in options.items() if v is not None})
    region = _unnamed.get(wanted)
    if region is None:
        made = configured({UNNAMED: options})[UNNAMED]
        region = _unnamed.setdefault(wanted, made)
    return region


def unknown_region(
    name: object, known: Iterable[str], wanted_by: str = ""
) -> errors.ConfigurationError:
    """Say that there is no region of that name, and which function wanted it."""
    names = ", ".join(sorted(set(known))) or "none"
    who = f", which {wanted_by} is cached in," if wanted_by else ""
    return errors.ConfigurationError(
        f"the cache region {name!r}{who} is not configured; known are: {names}"
    )


def _with_region(name: str, options: Mapping[str, Any]) -> RegionOptions:
    if isinstance(options, RegionOptions):
        return options
    return RegionOptions(options, configured({name: options})[name])


def _checked(name: str, options: object) -> Mapping[str, Any]:
    if not isinstance(options, Mapping):
        raise errors.ConfigurationError(
            f"the options of the region {name!r} are a mapping, got a "
            f"{type(options).__name__}"
        )
    return options


def _placed(options: Mapping[str, Any]) -> Mapping[str, Any]:
    """Let all that is kept in memory stand in one store of the process."""
    where = {name: options[name] for name in ("backend", "url") if options.get(name)}
    kind = options.get("type") or (None if where else "memory")
    if kind != "memory" or "backend" in where:
        return options
    arguments, rest = {}, {}
    for name, value in options.items():
        if name.startswith("arguments."):
            arguments[name] = value
        elif name not in ("type", "url"):
            rest[name] = value
    return {**rest, "backend": _store(arguments)}


def _store(arguments: Mapping[str, Any]) -> Any:
    wanted = frozen(arguments)
    if wanted not in _stores:
        flat = {f"cache.{name}": value for name, value in arguments.items()}
        made = Registry()
        made.configure_from_config({"cache.regions": [UNNAMED], **flat})
        _stores.setdefault(wanted, made[UNNAMED].backend)
    return _stores[wanted]


def frozen(value: Any) -> Hashable:
    """Make a key of options."""
    if isinstance(value, Mapping):
        return frozenset((name, frozen(held)) for name, held in value.items())
    if isinstance(value, list | tuple):
        return tuple(map(frozen, value))
    # An object without a hash counts as itself only. Its id is not used again, since
    # the region keeps it.
    return value if isinstance(value, Hashable) else id(value)
