"""How a region reads its configuration where it is text: under a prefix, in a URL."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Self

from dogpile.cache.region import CacheRegion

from holdover.regions.at_hand import Gate

if TYPE_CHECKING:
    from holdover.regions.options import Options


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
        from holdover.regions.prefixed import under_prefix

        given = under_prefix(config_dict, prefix, strict=self.strict_config)
        return self._configure_with(given)

    def _configure_with(self, given: Options) -> Self:
        from holdover.regions.blaming import blamed_on
        from holdover.regions.options import nested
        from holdover.regions.urls import expanded

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
        from holdover.regions.options import flat

        given = {**options, "backend": url, "arguments": arguments or {}}
        if expiration_time is not None:
            given["expiration_time"] = expiration_time
        return self._configure_with(flat(given))


def under(prefix: str, mapping: Mapping[str, Any]) -> dict[str, Any]:
    """Take what stands in *mapping* under *prefix*, as in dogpile.cache's files."""
    return {
        name[len(prefix) :]: value
        for name, value in mapping.items()
        if name.startswith(prefix)
    }


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
