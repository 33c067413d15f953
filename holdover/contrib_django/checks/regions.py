"""Checks of the project's regions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Info
from django.core.checks import Warning as CheckWarning
from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS

from holdover import CeleryRunner, errors
from holdover.contrib_django.caches.known import KnownRegion, known_regions
from holdover.contrib_django.caches.tables import CacheTable, cache_tables
from holdover.contrib_django.orm.declared import all_targets, targets_of
from holdover.contrib_django.orm.querysets import InvalidatingQuerySet

PANEL = "holdover.contrib_django.panel.RegionPanel"
_DATABASE = "django-db://"


def check_pickle(**_: Any) -> list[CheckMessage]:
    """Warn of regions that trust whoever can write to their backend."""
    return [
        CheckWarning(
            f"{one.label} unpickles, unsigned, what comes over a network.",
            hint="Whoever can write there can run code here: give it a secret, or "
            'codec="msgpack" or "json". Silence this if nobody else can.',
            id="holdover.W010",
        )
        for one in known_regions()
        if one.region.unpickles_unsigned
    ]


def check_memory(**_: Any) -> list[CheckMessage]:
    """Warn of regions that each process has for itself."""
    return [
        CheckWarning(
            f"{one.label} is in the memory of each process.",
            hint="Where several serve the site, each has other values, and what one "
            "deletes or invalidates the others still serve: name a file, a server or a "
            "database.",
            id="holdover.W011",
        )
        for one in known_regions()
        if one.shared_by == "process"
    ]


def check_brokers(**_: Any) -> list[CheckMessage]:
    """Warn of Celery apps that were not told where their broker is."""
    return [
        CheckWarning(
            f"{one.label} is refreshed by the Celery app {runner.app.main!r}, which "
            "has no broker.",
            hint="Celery would look for RabbitMQ on this host: set broker_url, and see "
            "with 'holdover doctor' whether a worker answers.",
            id="holdover.W012",
        )
        for one, runner in _celery_runners()
        if runner.app is not None and not _has_broker(runner.app)
    ]


def check_workers(**_: Any) -> list[CheckMessage]:
    """Warn of refreshes that compete with requests."""
    return [
        CheckWarning(
            f"{one.label} is refreshed by Celery in the processes that serve the site.",
            hint="Give CeleryRunner the project's app, and start a worker; or "
            'worker="process".',
            id="holdover.W013",
        )
        for one, runner in _celery_runners()
        if not runner.leaves_process
    ]


def check_sqlite(**_: Any) -> list[CheckMessage]:
    """Warn of a cache that waits for the request whose data it keeps."""
    return [
        CheckWarning(
            f"CACHES[{alias!r}] is in the SQLite database {database!r}, whose "
            "ATOMIC_REQUESTS is on.",
            hint="A request that has written keeps everybody out of the file until it "
            "ends, the cache's own connection too: give the cache another file, or "
            "another database.",
            id="holdover.W014",
        )
        for alias, database in _in_databases()
        if _is_locked_out(settings.DATABASES.get(database, {}))
    ]


def check_prefixes(**_: Any) -> list[CheckMessage]:
    """Tell of caches that another project on the same server would share."""
    return [
        Info(
            f"CACHES[{alias!r}] has no KEY_PREFIX, on a backend that others can reach.",
            hint="Two projects there would overwrite and clear each other's entries: "
            "give each a KEY_PREFIX, or a database of its own.",
            id="holdover.I010",
        )
        for one in known_regions()
        for alias in one.aliases
        if one.shared_by == "fleet" and not settings.CACHES[alias].get("KEY_PREFIX")
    ]


def check_names(**_: Any) -> list[CheckMessage]:
    """Warn of regions that a worker could take for each other."""
    by_name: dict[str, list[KnownRegion]] = {}
    for one in known_regions():
        by_name.setdefault(one.region.name or "", []).append(one)
    return [
        CheckWarning(
            f"{' and '.join(one.label for one in alike)} have regions of one name, "
            f"{name!r}, and runners in other processes.",
            hint="A worker knows regions by their names, and would store the values of "
            "one in the other: give each cache a NAME in OPTIONS.",
            id="holdover.W017",
        )
        for name, alike in by_name.items()
        if len(alike) > 1 and any(map(_is_refreshed_elsewhere, alike))
    ]


def check_tables(databases: Any = None, **_: Any) -> list[CheckMessage]:
    """Warn of caches that keep nothing before somebody makes their table."""
    if not databases:  # as Django's own checks that ask a database
        return []
    return [
        CheckWarning(
            f"The table of CACHES[{table.alias!r}] is missing.",
            hint=f"'manage.py holdover_createtable {table.alias}' makes it, and with "
            "--dry-run prints the SQL for whoever may.",
            id="holdover.W018",
        )
        for table in cache_tables()
        if not table.is_made_unasked and _is_missing(table)
    ]


def check_panel(**_: Any) -> list[CheckMessage]:
    """Warn of a panel that has every hit told of, where nobody should see it."""
    if PANEL not in getattr(settings, "DEBUG_TOOLBAR_PANELS", ()):
        return []
    return [
        CheckWarning(
            "RegionPanel is in DEBUG_TOOLBAR_PANELS.",
            hint="It shows keys, and makes every hit slower: only for development.",
            id="holdover.W015",
        )
    ]


def check_targets(**_: Any) -> list[CheckMessage]:
    """Refuse models that invalidate what there is not."""
    return [
        Error(
            f"{model._meta.label} invalidates what there is not: {problem}",
            id="holdover.E011",
        )
        for model, problem in _lost_targets()
    ]


def check_querysets(**_: Any) -> list[CheckMessage]:
    """Warn of query sets that have nothing to invalidate."""
    return [
        CheckWarning(
            f"{model._meta.label} has an InvalidatingQuerySet and invalidates nothing.",
            hint="Decorate it with @invalidates(...), or name it in "
            "HOLDOVER_INVALIDATES.",
            obj=model,
            id="holdover.W016",
        )
        for model in apps.get_models()
        if any(_is_invalidating(one) for one in model._meta.managers)
        and not targets_of(model)
    ]


def _celery_runners() -> Iterator[tuple[KnownRegion, CeleryRunner]]:
    for one in known_regions():
        for runner in one.region.runners:
            if runner.name == "celery":
                yield one, runner  # type: ignore[misc]


def _is_refreshed_elsewhere(one: KnownRegion) -> bool:
    return any(runner.leaves_process for runner in one.region.runners)


def _has_broker(app: Any) -> bool:
    return bool(app.conf.broker_url or app.conf.broker_write_url)


def _in_databases() -> Iterator[tuple[str, str]]:
    """Give the caches that are in Django's databases, with the aliases of those."""
    for alias, params in settings.CACHES.items():
        location = params.get("LOCATION")
        if isinstance(location, str) and location.startswith(_DATABASE):
            database = location.removeprefix(_DATABASE).partition("/")[0]
            yield alias, database or DEFAULT_DB_ALIAS


def _is_missing(table: CacheTable) -> bool:
    try:
        return table.ddl() is not None
    except (ImproperlyConfigured, errors.BackendError):
        return False  # which is another matter


def _is_locked_out(database: Any) -> bool:
    is_sqlite = str(database.get("ENGINE", "")).endswith("sqlite3")
    return is_sqlite and bool(database.get("ATOMIC_REQUESTS"))


def _lost_targets() -> Iterator[tuple[Any, Exception]]:
    for model, target in all_targets():
        try:
            target.found()
        except Exception as error:  # noqa: BLE001 - Django has many for a wrong cache
            yield model, error


def _is_invalidating(manager: Any) -> bool:
    return issubclass(getattr(manager, "_queryset_class", object), InvalidatingQuerySet)
