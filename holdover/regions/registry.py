"""Named regions: used at once, configured later, found by name."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from inspect import signature
from typing import TYPE_CHECKING, Any

from holdover.regions.defaults import OWN_SECTION
from holdover.regions.errors import ConfigurationError, InvalidArgument, unknown
from holdover.regions.forks import ForkSafeLock
from holdover.regions.region import Region

if TYPE_CHECKING:
    from holdover.regions.schedule import Schedule
    from holdover.regions.warm_calls import Warming
    from holdover.regions.warming_config import WarmingOptions


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
            ConfigurationError: Something is wrong; the message names the region. None
                of them is configured.
            RegionAlreadyConfigured: One of them was configured before, and no other is
                now.
        """
        from holdover.regions import config

        config.configure_all(config.read_nested(regions), self.region)

    def configure_from_config(
        self, mapping: Mapping[str, Any], prefix: str = "cache."
    ) -> None:
        """Configure several regions with flat keys, as a file has them.

        ::

            caches.configure_from_config({
                "cache.defaults.backend": "memory://",
                "cache.prices.expiration_time": "300",
                "cache.news.expiration_time": "60",
            })

        Beaker's spelling (``cache.regions``, ``cache.type``, ``cache.news.expire``) is
        understood, too.

        Args:
            mapping: Texts, which are read as what the option wants, or values, by key.
            prefix: What the keys begin with; all others are left alone. With "cache.",
                those that begin with "beaker.cache." are read as well.

        Raises:
            ConfigurationError: Something is wrong; the message names the key. None of
                the regions is configured.
            RegionAlreadyConfigured: One of them was configured before, and no other is
                now.
        """
        from holdover.regions.config import configure_all
        from holdover.regions.spelling import read_flat

        configure_all(read_flat(mapping, prefix), self.region)

    def configure_from_ini(
        self,
        path: str | os.PathLike[str],
        section: str = OWN_SECTION,
        prefix: str | None = None,
    ) -> None:
        """Do as `configure_from_config` with a section of an ini file.

        Args:
            path: The file, in UTF-8. A ``%`` in it is a ``%``.
            section: The section's name: "app:main" in PasteDeploy's files.
            prefix: What the keys begin with. None means that they need no prefix in
                the section "holdover", and "cache." in others.

        Raises:
            ConfigurationError: The file cannot be read; or see `configure_from_config`.
            RegionAlreadyConfigured: See `configure_from_config`.
        """
        from holdover.regions import config

        config.configure_all(config.read_ini(path, section, prefix), self.region)

    def configure_from_env(
        self, environ: Mapping[str, str] | None = None, prefix: str = "HOLDOVER_"
    ) -> None:
        """Do as `configure_from_config` with environment variables.

        ``HOLDOVER_PRICES_EXPIRATION_TIME=300`` is the option "expiration_time" of the
        region "prices", ``HOLDOVER_DEFAULTS_URL=memory://`` the backend of all, and
        ``HOLDOVER_PRICES_LEASE__TTL=10`` the option "lease.ttl". Capitals make no
        difference.

        Args:
            environ: The variables; None means those of this process.
            prefix: What the variables begin with; all others are left alone.

        Raises:
            ConfigurationError: See `configure_from_config`; or there are none.
            RegionAlreadyConfigured: See `configure_from_config`.
        """
        from holdover.regions import config

        variables = os.environ if environ is None else environ
        config.configure_all(config.read_env(variables, prefix, self), self.region)

    def schedule_from_config(
        self, schedules: Iterable[Mapping[str, Any]], region: str | None = None
    ) -> None:
        """Declare schedules, as `Region.schedule` does, with a list of mappings.

        ::

            caches.schedule_from_config([
                {"region": "prices", "function": "shop.prices.fetch", "every": 15},
                {"region": "prices", "name": "tidy", "command": ["tidy", "--all"],
                 "cron": "0 3 * * *", "timezone": "Europe/Zurich"},
            ])

        Args:
            schedules: The options of `Region.schedule`, with the ``region``'s name, and
                with a ``function`` that is given as it is or by its dotted path, which
                is imported now. ``frequency`` and ``max_saved`` are other names for
                ``every``, by default 300 seconds here, and ``history``.
            region: The region of those that name none.

        Raises:
            ConfigurationError: One of them is wrong, or its name is taken. None of
                them is declared.
        """
        from holdover.regions.declared import read_declared
        from holdover.regions.schedule_config import read_scheduled

        self._schedule(read_declared(schedules, region, "schedule", read_scheduled))

    def schedule_from_ini(self, path: str | os.PathLike[str]) -> None:
        """Do as `schedule_from_config` with the sections ``[schedule:NAME]`` of a file.

        Args:
            path: The file, in UTF-8. ``args`` and ``kwargs`` are JSON in it, and so is
                a ``command`` that begins with a bracket.

        Raises:
            ConfigurationError: It cannot be read; or see `schedule_from_config`.
        """
        from holdover.regions.config import parse_ini
        from holdover.regions.declared import from_sections
        from holdover.regions.schedule_config import read_schedule_text

        listed = from_sections(parse_ini(path), path, "schedule", read_schedule_text)
        self.schedule_from_config(listed)

    def _schedule(self, schedules: Iterable[tuple[str, Schedule]]) -> None:
        """Add schedules to their regions: all, or none."""
        wanted: dict[str, list[Schedule]] = {}
        for name, schedule in schedules:
            wanted.setdefault(name, []).append(schedule)
        regions = {name: self.region(name) for name in wanted}
        for name, region in regions.items():
            region.check_new_schedules(wanted[name])
        for name, region in regions.items():
            region.add_schedules(wanted[name])

    def warming_from_config(
        self, warmings: Iterable[Mapping[str, Any]], region: str | None = None
    ) -> None:
        """Declare calls to warm, as `Region.warming` does, with a list of mappings.

        ::

            caches.warming_from_config([
                {"region": "prices", "function": "shop.prices.price_of",
                 "calls": [[17], [18]], "group": "front"},
                {"region": "prices", "function": "shop.prices.price_of",
                 "calls": "shop.queries.bestsellers"},
            ])

        Args:
            warmings: The arguments of `Region.warming`, with the ``region``'s name; the
                ``function``, and that which gives the ``calls``, may be given by their
                dotted paths, which are imported now. ``name`` is another name for
                ``group``, if there is none.
            region: The region of those that name none.

        Raises:
            ConfigurationError: One of them is wrong. None of them is declared.
        """
        from holdover.regions.declared import read_declared
        from holdover.regions.warming_config import read_warming_options

        wanted = read_declared(warmings, region, "warming", read_warming_options)
        made = [self._read_warming(one) for one in wanted]
        for one, warming in zip(wanted, made, strict=True):
            self.region(one.region).add_warming(warming)

    def warming_from_ini(self, path: str | os.PathLike[str]) -> None:
        """Do as `warming_from_config` with the sections ``[warm:NAME]`` of a file.

        Args:
            path: The file, in UTF-8. ``calls`` are JSON in it, or a dotted path.

        Raises:
            ConfigurationError: It cannot be read; or see `warming_from_config`.
        """
        from holdover.regions.config import parse_ini
        from holdover.regions.declared import from_sections
        from holdover.regions.warming_config import read_warming_text

        listed = from_sections(parse_ini(path), path, "warm", read_warming_text)
        self.warming_from_config(listed)

    def _read_warming(self, given: WarmingOptions) -> Warming:
        from holdover.regions.blaming import saying

        with saying(f"the warming of {given.group!r}"):
            region = self.region(given.region)
            return region.read_warming(given.function, given.calls, given.group)


registry = Registry()
"""The registry of applications that need only one."""


def make_region(name: str | None = None, **options: Any) -> Region:
    """Make a region, as dogpile.cache's ``make_region`` does, with modern defaults.

    Args:
        name: Its name. A region needs one to share a backend with others, and to be
            refreshed by a queue.
        **options: See `Region`.

    Raises:
        InvalidArgument: There is no such option.
    """
    known = signature(Region).parameters if options else ()
    for option in options:
        if option not in known:
            raise InvalidArgument(
                f"{unknown('option of make_region()', option, known)}. Backend and "
                "rules are given to configure()"
            )
    return Region(name, **options)
