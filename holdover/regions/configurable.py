"""How a region reads its configuration where it is text: under a prefix, in a URL."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, Self

from dogpile.cache.region import CacheRegion

from holdover.regions.at_hand import Gate
from holdover.regions.blaming import blamed_on
from holdover.regions.errors import ConfigurationError
from holdover.regions.options import (
    ARGUMENTS,
    Options,
    Written,
    argument_names,
    check_known,
    flat,
    is_known,
    nested,
)
from holdover.regions.texts import shown
from holdover.regions.urls import expanded, is_url


class Configurable(CacheRegion):
    """The part of a region that turns texts into the arguments of `configure`.

    Attributes:
        strict_config: Whether `configure_from_config` refuses keys that it does not
            know; dogpile.cache's ignores them.
        gate: Closed when what functions have at hand may be wrong.
    """

    gate: Gate

    strict_config: ClassVar[bool] = True

    def configure_from_config(
        self, config_dict: Mapping[str, Any], prefix: str
    ) -> Self:
        """Do as `configure` with what stands in a mapping under a prefix.

        ::

            region.configure_from_config(
                {
                    "cache.prices.backend": "holdover.file",
                    "cache.prices.arguments.path": "/var/cache/shop",
                    "cache.prices.expiration_time": "300",
                    "cache.prices.lease.ttl": "10",
                },
                "cache.prices.",
            )

        Args:
            config_dict: Texts, which are read as what the option wants, or values.
            prefix: What the keys begin with, its dot included. Behind it may stand the
                arguments of `configure`, those of the backend behind ``arguments.``,
                the parts of ``lease`` behind ``lease.``, and ``url`` for a backend
                that is given by its URL.

        Returns:
            The region.

        Raises:
            ConfigurationError: An option is unknown, missing or wrong; the message
                names its key.
            RegionAlreadyConfigured: See `configure`.
        """
        given = under_prefix(config_dict, prefix, strict=self.strict_config)
        return self._configure_with(given)

    def _configure_with(self, given: Options) -> Self:
        options = expanded(given)
        with blamed_on(options):
            self.configure(**nested(options))
        return self

    def _configure_by_url(
        self,
        url: str,
        expiration_time: object,
        arguments: Mapping[str, Any] | None,
        options: Mapping[str, Any],
    ) -> Self:
        given = {**options, "backend": url, "arguments": arguments or {}}
        if expiration_time is not None:
            given["expiration_time"] = expiration_time
        return self._configure_with(flat(given))


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


def under(prefix: str, mapping: Mapping[str, Any]) -> dict[str, Any]:
    """Take what stands in *mapping* under *prefix*, as in dogpile.cache's files."""
    return {
        name[len(prefix) :]: value
        for name, value in mapping.items()
        if name.startswith(prefix)
    }


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


@contextmanager
def unchanged_on_error(regions: Iterable[Configurable]) -> Iterator[None]:
    """Leave all *regions* as they were if what is done to one of them fails."""
    before = [(region, dict(vars(region))) for region in regions]
    try:
        yield
    except BaseException:
        for region, attributes in before:
            for name in set(vars(region)) - set(attributes):
                del vars(region)[name]
            vars(region).update(attributes)
            region.gate.close()  # of what was tried nothing may be at hand
        raise
