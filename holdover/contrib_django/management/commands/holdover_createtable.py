"""``manage.py holdover_createtable``: make the tables of caches kept in databases."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser

from holdover.contrib_django.caches.tables import CacheTable, cache_tables
from holdover.errors import BackendError


class Command(BaseCommand):
    """Makes the tables of caches that Holdover keeps in databases."""

    help = "Makes the tables of caches that Holdover keeps in databases."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """See `BaseCommand.add_arguments`."""
        parser.add_argument(
            "aliases",
            nargs="*",
            metavar="cache",
            help="Names in CACHES. By default, all that are kept in databases.",
        )
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help="Print the SQL, and run nothing.",
        )

    def handle(self, *_: Any, **options: Any) -> None:
        """Make the tables, or print what would.

        Raises:
            CommandError: Settings are wrong, or a database refuses or is away.
        """
        try:
            for table in _wanted(options["aliases"]):
                self._make(table, dry_run=options["dry_run"])
        except (ImproperlyConfigured, BackendError) as error:
            raise CommandError(str(error)) from error

    def _make(self, table: CacheTable, *, dry_run: bool) -> None:
        ddl = table.ddl()
        if ddl is None:
            # As SQL, it does no harm to whoever hands on what is printed.
            self.stdout.write(f"-- cache {table.alias!r}: the table is there")
        elif dry_run:
            self.stdout.write(ddl)
        else:
            table.create()
            self.stdout.write(f"-- cache {table.alias!r}: the table was made")


def _wanted(aliases: list[str]) -> list[CacheTable]:
    tables = {table.alias: table for table in cache_tables()}
    for alias in aliases:
        if alias not in tables:
            raise CommandError(
                f"{alias!r} is no cache that Holdover keeps in a database. "
                f"Those are: {', '.join(tables) or 'none'}"
            )
    return [tables[alias] for alias in aliases or tables]
