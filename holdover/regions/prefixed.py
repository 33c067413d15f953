"""One region's options out of a mapping of many: those under a prefix."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from holdover.regions.assembling import is_url
from holdover.regions.errors import ConfigurationError
from holdover.regions.options import (
    ARGUMENTS,
    Options,
    Written,
    argument_names,
    check_known,
    is_known,
)
from holdover.regions.texts import shown


def under_prefix(
    mapping: Mapping[str, Any], prefix: str, *, strict: bool
) -> dict[str, Written]:
    """Give the options of one region that stand in *mapping* under *prefix*.

    Args:
        mapping: Options by key.
        prefix: What their keys begin with.
        strict: Whether unknown ones are errors. Else they are left out.

    Raises:
        ConfigurationError: An option is unknown, or no backend is given.
    """
    check_source(mapping, prefix)
    found = {
        key[len(prefix) :]: Written(key, value, is_text=True)
        for key, value in mapping.items()
        if str(key).startswith(prefix)
    }
    if not found.keys() & {"backend", "url"} and any(n.startswith(".") for n in found):
        raise ConfigurationError(f"the prefix {prefix!r} should be {prefix + '.'!r}")
    if strict:
        arguments = argument_names(found)
        for name, written in found.items():
            check_known(name, written, arguments, lambda name: prefix + name)
    else:
        found = {name: held for name, held in found.items() if is_known(name)}
        if "backend" in found:
            found.pop("url", None)  # dogpile.cache has no such option
    found = with_backend(found)
    if "backend" not in found:
        raise ConfigurationError(f"'{prefix}backend' is not given")
    return found


def with_backend(options: Options) -> dict[str, Written]:
    """Let "url" be another name for a backend that is given by its URL.

    Raises:
        ConfigurationError: It is no URL, or there is a backend as well.
    """
    found = dict(options)
    if "url" not in found:
        return found
    url = found.pop("url")
    if "backend" in found:
        raise ConfigurationError(
            f"the backend is given twice: as {found['backend'].key} and as {url.key}; "
            f"an argument of the backend's own is written '{ARGUMENTS}url'"
        )
    if not is_url(url.value):
        raise ConfigurationError(
            f"{url.key} must be a URL such as 'memory://', got "
            f"{shown(url.key, url.value)}"
        )
    return {**found, "backend": url}


def check_source(mapping: Any, prefix: Any) -> None:
    """Refuse what is no mapping and no prefix.

    Raises:
        ConfigurationError: It names what it found instead.
    """
    if not (isinstance(mapping, Mapping) and isinstance(prefix, str)):
        raise ConfigurationError(
            "a configuration is a mapping and a prefix, got a "
            f"{type(mapping).__name__} and a {type(prefix).__name__}"
        )
