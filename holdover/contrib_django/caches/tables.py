"""The tables that caches in databases need."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from holdover import errors
from holdover.contrib_django.caches.kept import new_backend
from holdover.contrib_django.caches.known import entries_of_ours
from holdover.contrib_django.caches.location import Location, read_location
from holdover.contrib_django.caches.options import read_options

_ANY = "any"


@dataclass(frozen=True, slots=True)
class CacheTable:
    """The table of one cache.

    Attributes:
        alias: The cache's name in CACHES.
        location: Where the table is.
        arguments: What else the backend is told.
    """

    alias: str
    location: Location
    arguments: Mapping[str, Any] = field(repr=False)

    @property
    def is_made_unasked(self) -> bool:
        """Whether the cache makes it when it first needs it."""
        by_default = self.location.kind in ("django-db", "sqlite")
        return bool(self.arguments.get("create_table", by_default))

    def ddl(self) -> str | None:
        """Give the statements that make it; None if it is there.

        Raises:
            ImproperlyConfigured: The settings are wrong, or a table of that name is
                somebody else's.
            BackendError: The database does not answer.
        """
        try:
            self._reach(create=False)
        except errors.MissingTable as error:
            return error.ddl
        return None

    def create(self) -> None:
        """Make it, unless it is there.

        Raises:
            ImproperlyConfigured: See `ddl`; or we may not make it.
            BackendError: The database does not answer.
        """
        self._reach(create=True)

    def _reach(self, *, create: bool) -> None:
        try:
            backend = new_backend(
                self.location, {**self.arguments, "create_table": create}
            )
        except errors.MissingTable:
            raise
        except errors.ConfigurationError as error:
            raise ImproperlyConfigured(f"{self.location}: {error}") from error
        # To have made a backend is no error while its server is away.
        backend.read(_ANY, _ANY)


def cache_tables() -> Iterator[CacheTable]:
    """Give the tables of all caches in CACHES that are kept in databases.

    Raises:
        ImproperlyConfigured: A cache's settings are wrong.
    """
    for alias, given in entries_of_ours():
        location = read_location(given.get("LOCATION", ""))
        if location.is_in_database:
            params = {
                name: held
                for name, held in given.items()
                if name not in ("BACKEND", "LOCATION")
            }
            options = read_options(location, params)
            yield CacheTable(alias, location, options.arguments)
