"""Named regions: used at once, configured later, found by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from holdover.regions.errors import ConfigurationError
from holdover.regions.forks import ForkSafeLock
from holdover.regions.region import Region

DEFAULTS = "defaults"


class Registry:
    """The regions of an application, by name.

    A region exists from the first time it is asked for, so that modules can decorate
    with it while they are imported::

        from holdover import Registry

        caches = Registry()
        prices = caches.region("prices")

        @prices.cache_on_arguments()
        def price_of(article: str) -> float: ...

    and the application configures them all when it starts::

        caches.configure({
            "defaults": {"backend": "holdover.memory"},
            "prices": {"expiration_time": 300},
        })
    """

    def __init__(self) -> None:
        self._regions: dict[str, Region] = {}
        self._lock = ForkSafeLock()  # guards changes of _regions

    def region(self, name: str) -> Region:
        """Give the region of that name, making it if there is none yet."""
        if not name or not isinstance(name, str):
            raise ConfigurationError(f"a region's name is a text, got {name!r}")
        with self._lock.held:
            if name not in self._regions:
                self._regions[name] = Region(name)
            return self._regions[name]

    __getitem__ = region

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._regions))

    def __len__(self) -> int:
        return len(self._regions)

    def __contains__(self, name: object) -> bool:
        return name in self._regions

    def configure(self, regions: Mapping[str, Mapping[str, Any]]) -> None:
        """Configure several regions at once.

        Args:
            regions: The arguments of ``Region.configure()`` by region name. Those
                under "defaults" hold for all that do not say otherwise.

        Raises:
            ConfigurationError: Something is wrong; the message names the region.
            RegionAlreadyConfigured: One of them was configured before.
        """
        regions = _mapping(regions, "the configuration")
        shared = _mapping(regions.get(DEFAULTS, {}), f"region {DEFAULTS!r}")
        for name, own in regions.items():
            if name == DEFAULTS:
                continue
            options = {**shared, **_mapping(own, f"region {name!r}")}
            if "backend" not in options:
                raise ConfigurationError(f"region {name!r}: no backend is given")
            try:
                self.region(name).configure(**options)
            except ConfigurationError as error:
                error.args = (f"region {name!r}: {error}",)
                raise


def _mapping(given: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(given, Mapping):
        raise ConfigurationError(f"{what} must be a mapping of options, got {given!r}")
    return given


registry = Registry()
"""The registry of applications that need only one."""


def make_region(name: str | None = None, **options: Any) -> Region:
    """Make a region, as dogpile.cache's ``make_region`` does, with modern defaults.

    Args:
        name: Its name. A region needs one to share a backend with others, and to be
            refreshed by a queue.
        **options: See `Region`.
    """
    return Region(name, **options)
