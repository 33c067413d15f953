"""What the workers of queues need to know of pages."""

from __future__ import annotations

from holdover.contrib_django.caches.kept import chooses_runners
from holdover.contrib_django.caches.known import entries_of_ours, region_cache
from holdover.contrib_django.caches.location import read_location
from holdover.contrib_django.pages.regenerating import register


def register_pages() -> None:
    """Register pages with all regions whose runners are the project's choice.

    Those alone may have workers in other processes, which never see a view's decorator.

    Raises:
        ImproperlyConfigured: An entry of CACHES is wrong, or HOLDOVER is.
    """
    for alias, params in entries_of_ours():
        if chooses_runners(read_location(params.get("LOCATION", "")), params):
            register(region_cache(alias).region)
