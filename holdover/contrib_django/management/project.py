"""The project whose regions a command is about."""

from __future__ import annotations

from collections.abc import Sequence

from holdover import Region
from holdover.cli.application import named
from holdover.contrib_django.caches.known import region_caches
from holdover.contrib_django.periodic.discovery import autodiscover
from holdover.contrib_django.project.configuring import project_registry


class Project:
    """What this Django project has: the regions of its registry, and those of CACHES.

    Those of CACHES are found by their alias, too.
    """

    def regions(self, names: Sequence[str] = ()) -> list[Region]:
        """Find what the apps declare, and give the project's regions.

        Args:
            names: Those that are wanted, in that order; none means all.

        Raises:
            CannotBegin: There is none of that name.
        """
        autodiscover()
        found = project_registry()
        regions = {name: found.region(name) for name in found}
        for alias, cache in region_caches():
            regions.setdefault(alias, cache.region)
        if names:
            return named(regions, names)
        return list({id(region): region for region in regions.values()}.values())

    def words(self) -> list[str]:
        """Give nothing: manage.py knows its project."""
        return []
