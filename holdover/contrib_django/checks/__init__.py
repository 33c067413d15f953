"""What ``manage.py check`` says of a project's use of Holdover."""

from __future__ import annotations

from django.core.checks import Tags, register

from holdover.contrib_django.checks import jobs, regions, stale


def register_checks() -> None:
    """Have Django make the checks; some of them of a deployment only."""
    for check in (
        jobs.check_queue,
        regions.check_brokers,
        regions.check_names,
        regions.check_pickle,
        regions.check_sqlite,
        stale.check_sessions,
        stale.check_stale_keys,
    ):
        register(check, Tags.caches)
    register(regions.check_tables, Tags.database)
    for check in (regions.check_querysets, regions.check_targets):
        register(check, Tags.models)
    for check in (
        regions.check_memory,
        regions.check_panel,
        regions.check_prefixes,
        regions.check_workers,
    ):
        register(check, Tags.caches, deploy=True)
