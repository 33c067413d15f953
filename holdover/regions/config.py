"""Several regions at once, from a mapping, an ini file or the environment."""

from __future__ import annotations

import configparser
import os
import re
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from holdover.regions.blaming import blamed_on, saying
from holdover.regions.configurable import Configurable, unchanged_on_error
from holdover.regions.defaults import OWN_SECTION
from holdover.regions.errors import ConfigurationError, unknown
from holdover.regions.options import (
    ARGUMENTS,
    TASK_OPTIONS,
    Written,
    flat,
    layered,
    nested,
    option_types,
)
from holdover.regions.spelling import DEFAULTS, Layers, read_flat
from holdover.regions.texts import is_readable, masked
from holdover.regions.urls import expanded

_SHARED_PREFIX = "cache."


def configure_all(layers: Layers, region_named: Callable[[str], Configurable]) -> None:
    """Configure all regions of *layers*, or none.

    Args:
        layers: What is said of them.
        region_named: Gives a region by its name.

    Raises:
        ConfigurationError: Something is wrong; the message names the region.
        RegionAlreadyConfigured: One of them was configured before.
    """
    shared = expanded(layers.shared)
    given = {}
    for name, own in layers.regions.items():
        with saying(f"region {name!r}"):
            given[name] = layered(shared, expanded(own))
            if "backend" not in given[name]:
                raise ConfigurationError(
                    "no backend is given: give it a backend or url, or give one to "
                    "'defaults', which are for all regions"
                )
    regions = {name: region_named(name) for name in given}
    with unchanged_on_error(regions.values()):
        for name, options in given.items():
            with saying(f"region {name!r}"), blamed_on(options):
                regions[name].configure(**nested(options))


def read_nested(regions: Mapping[str, Mapping[str, Any]]) -> Layers:
    """Read the arguments of ``Region.configure()`` by region name.

    Raises:
        ConfigurationError: They are no mappings.
    """
    regions = _mapping(regions, "the configuration")
    layers = Layers()
    for name, own in regions.items():
        options = flat(_mapping(own, f"region {name!r}"))
        if name == DEFAULTS:
            layers.shared = options
        else:
            layers.regions[name] = options
    return layers


def _mapping(given: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(given, Mapping):
        raise ConfigurationError(
            f"{what} must be a mapping of options, got {masked(repr(given))}"
        )
    return given


# -- ini files -----------------------------------------------------------------


def read_ini(path: str | os.PathLike[str], section: str, prefix: str | None) -> Layers:
    """Read a section of an ini file.

    Raises:
        ConfigurationError: The file cannot be read, has no such section, or a line or
            a key of it is wrong.
    """
    parser = parse_ini(path)
    if section not in parser:
        said = unknown("section", section, parser.sections())
        raise ConfigurationError(f"{path}: {said}")
    with saying(f"{path}, [{section}]"):
        return _read_section(parser, section, prefix)


def parse_ini(path: str | os.PathLike[str]) -> configparser.ConfigParser:
    """Read an ini file as it stands.

    Raises:
        ConfigurationError: It cannot be read, or a line of it is wrong.
    """
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign] # names are kept
    try:
        parser.read_string(Path(path).read_text(encoding="utf-8-sig"), str(path))
    except (OSError, UnicodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error
    except configparser.Error as error:
        # Their messages show the lines, in which there may be passwords.
        raise ConfigurationError(f"{path}{_trouble(error)}") from None
    return parser


def _read_section(
    parser: configparser.ConfigParser, section: str, prefix: str | None
) -> Layers:
    options = dict(parser[section])
    if prefix is None and section != OWN_SECTION:
        prefix = _SHARED_PREFIX
    if prefix:
        return read_flat(options, prefix)
    # All of it is ours; what [DEFAULT] says to all sections is not.
    own = {key: held for key, held in options.items() if key not in parser.defaults()}
    for key in own:
        if prefix is None and key.startswith(_SHARED_PREFIX):
            raise ConfigurationError(
                f"{key!r} needs no {_SHARED_PREFIX!r} here; or give prefix="
                f"{_SHARED_PREFIX!r}"
            )
    return read_flat(own, "")


def _trouble(error: configparser.Error) -> str:
    if isinstance(error, configparser.DuplicateOptionError):
        return f", line {error.lineno}: {error.option!r} is given twice"
    if isinstance(error, configparser.DuplicateSectionError):
        return f", line {error.lineno}: there is a section [{error.section}] already"
    if isinstance(error, configparser.MissingSectionHeaderError):
        return f", line {error.lineno}: an option stands before the first section"
    if isinstance(error, configparser.ParsingError) and error.errors:
        return f", line {error.errors[0][0]}: this is no 'key = value'"
    return " is no ini file"


# -- the environment -----------------------------------------------------------


def read_env(environ: Mapping[str, str], prefix: str, regions: Iterable[str]) -> Layers:
    """Read variables such as ``HOLDOVER_PRICES_LEASE__TTL``.

    Args:
        environ: The environment.
        prefix: What the variables begin with.
        regions: The names of the regions that there are. One with other signs than
            letters and digits is written with ``_`` for them.

    Raises:
        ConfigurationError: A variable is unknown or given twice, or there is none.
    """
    spelled = _spelled(regions)
    layers = Layers()
    for key, value in environ.items():
        if not key.upper().startswith(prefix.upper()):
            continue
        region, option = _parted(key, prefix)
        if len(spelled.get(region, ())) > 1:
            names = " and ".join(map(repr, spelled[region]))
            raise ConfigurationError(f"{key} may mean any of the regions {names}")
        name = next(iter(spelled.get(region, [region])))
        layers.put(name, option, Written(key, value, is_text=True))
    if not layers.regions:
        raise ConfigurationError(
            f"no environment variable names a region, as {prefix}PRICES_URL does"
        )
    return layers.finished()


def _spelled(regions: Iterable[str]) -> dict[str, list[str]]:
    """Give the names of regions by how the environment writes them."""
    found: dict[str, list[str]] = {}
    for name in regions:
        found.setdefault(re.sub(r"\W", "_", name.lower(), flags=re.ASCII), []).append(
            name
        )
    return found


def _parted(key: str, prefix: str) -> tuple[str, str]:
    """Part a region's name from an option: the longest that there is."""
    rest = key[len(prefix) :].lower().replace("__", ".")
    for whole in (ARGUMENTS, TASK_OPTIONS):  # whose parts others know
        before, found, part = rest.partition(f"_{whole}")
        if found and before:
            return before, whole + part
    for option in sorted(_writable(), key=len, reverse=True):
        if rest.endswith(f"_{option}") and rest != f"_{option}":
            return rest[: -len(option) - 1], option
    raise _unknown(key, rest, prefix)


def _writable() -> list[str]:
    return [name for name, wanted in option_types().items() if is_readable(wanted)]


def _unknown(key: str, rest: str, prefix: str) -> ConfigurationError:
    words = rest.split("_")
    heads = ["_".join(words[:end]) for end in range(1, len(words))] or [DEFAULTS]
    options = [option.replace(".", "__").upper() for option in _writable()]
    known = [f"{prefix}{head.upper()}_{option}" for head in heads for option in options]
    near = get_close_matches(key.upper(), known, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    return ConfigurationError(
        f"{key} ends with no option.{hint} Known: {', '.join(sorted(options))}, "
        "ARGUMENTS__..."
    )
