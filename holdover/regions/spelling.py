"""Flat keys for several regions: ``cache.prices.lease.ttl`` and their kin."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from holdover.regions import beaker
from holdover.regions.errors import ConfigurationError, unknown
from holdover.regions.options import (
    ARGUMENTS,
    Options,
    Written,
    argument_names,
    is_known,
    option_types,
    put_once,
)
from holdover.regions.prefixed import check_source, with_backend

DEFAULTS = "defaults"
_BEAKER = "beaker."


@dataclass(slots=True)
class Layers:
    """What is said of several regions.

    Attributes:
        shared: Options of all that do not say otherwise.
        regions: Each region's own.
    """

    shared: dict[str, Written] = field(default_factory=dict)
    regions: dict[str, dict[str, Written]] = field(default_factory=dict)

    def put(self, region: str, option: str, written: Written) -> None:
        """Add an option of *region*, or of all if that is empty or "defaults".

        Raises:
            ConfigurationError: It is there already.
        """
        held = self.shared
        if region not in ("", DEFAULTS):
            held = self.regions.setdefault(region, {})
        put_once(held, option, written)

    def finished(self) -> Layers:
        """Give these with all backends under one name.

        Raises:
            ConfigurationError: A region has two.
        """
        regions = {name: with_backend(held) for name, held in self.regions.items()}
        return Layers(with_backend(self.shared), regions)


def read_flat(mapping: Mapping[str, Any], prefix: str) -> Layers:
    """Read keys in dogpile.cache's spelling or in Beaker's.

    Args:
        mapping: Options by key.
        prefix: What their keys begin with; a dot behind a word may be left out. If it
            is "cache.", keys with "beaker.cache." are read as well.

    Raises:
        ConfigurationError: A key is unknown or given twice, or there is none.
    """
    check_source(mapping, prefix)
    if prefix[-1:].isalnum():
        prefix += "."
    found = _under(mapping, prefix)
    if beaker.is_beakers(found):
        return _read_beaker(found, prefix)
    layers = Layers()
    for rest, written in found.items():
        region, option = _parted(rest, found, prefix)
        layers.put(region, option, written)
    if not layers.regions:
        raise ConfigurationError(
            f"no key names a region: write '{prefix}prices.expiration_time = 300', or "
            f"'{prefix}prices.backend = memory://'"
        )
    return layers.finished()


def _under(mapping: Mapping[str, Any], prefix: str) -> dict[str, Written]:
    found: dict[str, Written] = {}
    prefixes = [prefix, _BEAKER + prefix] if prefix == "cache." else [prefix]
    for key, value in mapping.items():
        start = next((one for one in prefixes if str(key).startswith(one)), None)
        if start is None or not isinstance(key, str):
            continue
        put_once(found, key[len(start) :], Written(key, value, is_text=True))
    return found


def _parted(rest: str, given: Options, prefix: str) -> tuple[str, str]:
    """Part a region's name from an option: the longest that there is."""
    parts = rest.split(".")
    for start in range(len(parts)):
        option = ".".join(parts[start:])
        if is_known(option):
            return ".".join(parts[:start]), option
    region = parts[0] if len(parts) > 1 else "prices"
    named = next(
        (key for key in (f"{region}.backend", f"{DEFAULTS}.backend") if key in given),
        "backend",
    )
    arguments = argument_names(given, named)
    raise _unknown(given[rest], f"{prefix}{region}.", arguments)


def _read_beaker(found: Mapping[str, Written], prefix: str) -> Layers:
    given = dict(found)
    names = beaker.region_names(given.pop(beaker.REGIONS, None), prefix)
    raw = Layers(regions={name: {} for name in names})
    for rest, written in given.items():
        region = next((one for one in names if rest.startswith(f"{one}.")), "")
        option = rest[len(region) + 1 :] if region else rest
        if option in beaker.WITHOUT_EFFECT:
            continue
        if not beaker.is_supported(option) and not is_known(option):
            near = region or _nearest(rest.split(".")[0], names)
            start = f"{prefix}{near}." if near else prefix
            raise _unknown(written, start, {*beaker.SUPPORTED, f"{ARGUMENTS}..."})
        raw.put(region, option, written)
    regions: dict[str, Options] = {
        name: beaker.translated(raw.shared, own, prefix)
        for name, own in raw.regions.items()
    }
    return Layers(
        regions={name: dict(held) for name, held in regions.items()}
    ).finished()


def _nearest(word: str, names: Iterable[str]) -> str:
    return next(iter(get_close_matches(word, list(names), n=1)), "")


def _unknown(written: Written, start: str, more: Iterable[str]) -> ConfigurationError:
    known = [start + option for option in {*option_types(), *more}]
    return ConfigurationError(unknown("option", written.key, known))
