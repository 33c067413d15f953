"""``manage.py run_dumbwaiter``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from holdover import Region
from holdover.cli.application import Regions
from holdover.cli.run import run
from holdover.contrib_django.dumbwaiter.waiting import (
    dumbwaiter_region,
    threads_of_project,
)
from holdover.contrib_django.management.bridge import HoldoverCommand


class Command(HoldoverCommand):
    """``manage.py holdover_run`` for DUMBWAITER_FUNCTION_LIST alone."""

    command = run

    def project(self) -> Regions:
        """Give the dumbwaiter's region."""
        return _Waiters()

    def handle(self, *args: Any, **options: Any) -> None:
        """Run them as DUMBWAITER_THREADED says, unless ``--threads`` does."""
        if options["threads"] is None:
            options["threads"] = threads_of_project()
        super().handle(*args, **options)


class _Waiters:
    def regions(self, _names: Sequence[str] = ()) -> list[Region]:
        return [dumbwaiter_region()]

    def words(self) -> list[str]:
        return []
